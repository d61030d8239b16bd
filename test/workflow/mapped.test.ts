// Tasks with `for_each` on a real server and a real store: every item once, its own retries, windows, failures, cancellation, 20,000 of them.

import { ApplicationFailure } from "@temporalio/activity";
import { Worker } from "@temporalio/worker";
import { afterAll, describe, expect, it } from "vitest";
import { DownbeatError } from "../../core/errors.ts";
import type { Json } from "../../core/json.ts";
import type { ForEach } from "../../core/plan.ts";
import { type ControlRequest } from "../../workflows/messages.ts";
import { planOf, policy } from "../core/runs.ts";
import { freshStore } from "../fixtures/store.ts";
import type { Behaviour, StartedRun } from "./engine.ts";
import { control, isAt, statusesOf, until, useEngine } from "./kit.ts";

const store = await freshStore();
afterAll(() => store.close());

const engine = useEngine({
  items: store.items,
  own: {
    double: (input: Json) => Promise.resolve({ doubled: Number(input) * 2 }),
    later: (input: Json) =>
      input === 1 ? Promise.reject(ApplicationFailure.create({ message: "later", nextRetryDelay: "1100ms" })) : Promise.resolve(input),
  },
});

const over = (values: Json, part: Partial<ForEach> = {}): { readonly forEach: ForEach } => ({
  forEach: { loops: [{ as: "item", in: values }], window: 10, maxFailures: 0, ...part },
});
const range = (to: number): Json => ({ range: { from: 1, to, step: 1 } });
const itemsOf = (run: StartedRun, taskId: string) => store.items.list({ runId: run.id, taskId }, {}, { limit: 30_000 });

describe("a task with for_each", () => {
  it("is carried out once for each item, two loops deep, and its outputs are gathered in order", async () => {
    const seen: unknown[] = [];
    const plan = planOf({
      pairs: {
        forEach: {
          loops: [
            { as: "country", in: ["de", "fr"] },
            { as: "day", in: "${{ [each.country + '1', each.country + '2'] }}" },
          ],
          window: 3,
          maxFailures: 0,
        },
      },
      next: { needs: ["pairs"], reads: ["pairs"] },
    });
    const run = await engine().run(plan, {
      verbs: {
        pairs: async ({ each, itemKey }) => ({ output: { each: each ?? null, key: itemKey ?? null } }),
        next: async ({ tasks }) => {
          seen.push(tasks["pairs"]?.output);
          return { output: null };
        },
      },
    });
    expect(run.outcome).toBe("succeeded");
    const expected = [
      ["de", "de1"],
      ["de", "de2"],
      ["fr", "fr1"],
      ["fr", "fr2"],
    ].map(([country, day]) => ({ each: { country, day }, key: `country=${country},day=${day}` }));
    expect(seen).toEqual([expected]);
    expect((await itemsOf(run, "pairs")).map(({ status, attempts }) => [status, attempts])).toEqual(expected.map(() => ["succeeded", 1]));
  });

  it("goes over partitions of time in a zone, months clamped and the last one up to the end", async () => {
    const partitions = { from: "${{ params.from }}", to: "2026-04-15", every: "month", timezone: "Europe/Berlin" };
    const run = await engine().run(planOf({ months: over({ partitions }) }), {
      params: { from: "2026-01-31" },
      verbs: { months: async ({ each }) => ({ output: each?.["item"] ?? null }) },
    });
    const bounds = ["2026-01-31T00:00:00+01:00", "2026-02-28T00:00:00+01:00", "2026-03-31T00:00:00+02:00", "2026-04-15T00:00:00+02:00"];
    expect(run.tasks()["months"]?.output).toEqual(bounds.slice(1).map((end, index) => ({ start: bounds[index], end })));
  });

  it("has two loops inside one: the innermost turns fastest and reads both around it", async () => {
    const loops = [
      { as: "country", in: ["de", "fr"] },
      { as: "day", in: { range: { from: 1, to: 2, step: 1 } } },
      { as: "table", in: "${{ [each.country + string(each.day) + 'a', each.country + string(each.day) + 'b'] }}" },
    ];
    const run = await engine().run(planOf({ each: { forEach: { loops, window: 3, maxFailures: 0 } } }), {
      verbs: { each: async ({ each }) => ({ output: each?.["table"] ?? null }) },
    });
    const tables = ["de1a", "de1b", "de2a", "de2b", "fr1a", "fr1b", "fr2a", "fr2b"];
    expect(run.tasks()["each"]).toMatchObject({ status: "succeeded", output: tables });
    expect((await itemsOf(run, "each")).map(({ values }) => values)).toEqual(
      tables.map((table) => ({ country: table.slice(0, 2), day: Number(table[2]), table })),
    );
  });

  it("goes over what an upstream task gave, also where that was too large to travel", async () => {
    const rows = Array.from({ length: 1_500 }, (_, index) => ({ id: index }));
    const plan = planOf({
      list: {},
      each: { needs: ["list"], reads: ["list"], ...over("${{ tasks.list.output.map(row, row.id) }}", { window: 100 }) },
      sum: { needs: ["each"], reads: ["each"] },
    });
    let answered: unknown;
    const run = await engine().run(plan, {
      verbs: {
        list: async () => ({ output: rows }),
        each: async ({ each }) => ({ output: each?.["item"] ?? null }),
        sum: async ({ tasks }) => {
          answered = tasks["each"]?.output;
          return { output: null };
        },
      },
    });
    expect(run.outcome).toBe("succeeded");
    expect(answered).toMatchObject({ $output: { runId: run.id, taskId: "each" } });
    expect(await store.items.findOutput({ runId: run.id, taskId: "each" })).toEqual(rows.map(({ id }) => id));
  });

  it("tries an item again by its own account, and the others go on", async () => {
    const tries = new Map<Json, number>();
    const flaky: Behaviour = async ({ each, attempt }) => {
      const item = each?.["item"] ?? null;
      tries.set(item, (tries.get(item) ?? 0) + 1);
      if (Number(item) % 5 === 0 && attempt < 3) throw new DownbeatError("SOURCE_UNAVAILABLE", "away");
      return { output: attempt };
    };
    const policies = [{ ...policy({ attempts: 3 }), retry: { attempts: 3, backoffMs: 20, maxBackoffMs: 50, neverOn: [] } }];
    const run = await engine().run(planOf({ each: over(range(40), { window: 7 }) }, { policies }), { verbs: { each: flaky } });
    expect(run.outcome).toBe("succeeded");
    expect([...tries].map(([item, count]) => [item, count])).toEqual(
      expect.arrayContaining(Array.from({ length: 40 }, (_, index) => [index + 1, (index + 1) % 5 === 0 ? 3 : 1])),
    );
    expect((await itemsOf(run, "each")).map(({ attempts, output }) => [attempts, output])).toEqual(
      Array.from({ length: 40 }, (_, index) => ((index + 1) % 5 === 0 ? [3, 3] : [1, 1])),
    );
  });

  it("never has more items at work than its window", async () => {
    let [at, most] = [0, 0];
    const counted: Behaviour = async () => {
      at += 1;
      most = Math.max(most, at);
      await new Promise((resolve) => setTimeout(resolve, 30));
      at -= 1;
      return { output: null };
    };
    for (const window of [1, 3, 7, 11]) {
      [at, most] = [0, 0];
      expect((await engine().run(planOf({ each: over(range(30), { window }) }), { verbs: { each: counted } })).outcome).toBe("succeeded");
      expect(most).toBeLessThanOrEqual(window);
    }
  });

  it("begins none after the one failure too many, with one at a time, however many a group has", async () => {
    const attempts = new Map<Json, number>();
    const fails: Behaviour = async ({ each, attempt }) => {
      const item = each?.["item"] ?? null;
      attempts.set(item, (attempts.get(item) ?? 0) + 1);
      if (item === 20 && attempt === 1) throw new DownbeatError("SOURCE_UNAVAILABLE", "tried again, and none that failed");
      if (item === 40 || item === 90) throw new DownbeatError("CHECK_FAILED", "no");
      return { output: null };
    };
    const upTo = (last: number): readonly number[] => Array.from({ length: last }, (_, index) => index + 1);
    const policies = [{ ...policy(), retry: { attempts: 2, backoffMs: 1, maxBackoffMs: 1, neverOn: [] } }];
    const plan = (maxFailures: number) => planOf({ each: over(range(300), { window: 1, maxFailures }) }, { policies });
    expect(await engine().run(plan(0), { verbs: { each: fails } })).toMatchObject({ outcome: "failed", error: { code: "ITEMS_FAILED" } });
    expect([...attempts.keys()]).toEqual(upTo(40));
    attempts.clear();
    expect(await engine().run(plan(1), { verbs: { each: fails } })).toMatchObject({ outcome: "failed", error: { code: "ITEMS_FAILED" } });
    expect([...attempts.keys()]).toEqual(upTo(90));
  });

  it("fails when more items fail than may, says which, and begins no further ones", async () => {
    const fails: Behaviour = async ({ each }) => {
      if (Number(each?.["item"]) % 2 === 0) throw new DownbeatError("CHECK_FAILED", "is even");
      return { output: null };
    };
    const run = await engine().run(planOf({ each: over(range(1_000), { window: 4, maxFailures: 3 }), next: { needs: ["each"] } }), {
      verbs: { each: fails },
    });
    expect(run).toMatchObject({ outcome: "failed", error: { code: "ITEMS_FAILED" } });
    expect(run.tasks()["each"]?.error?.message).toMatch(/^\d+ of 1000 items failed \(3 may\); item \d+: CHECK_FAILED: is even$/);
    expect(statusesOf(run)).toMatchObject({ next: "upstream_failed" });
    const items = await itemsOf(run, "each");
    expect(items.filter(({ status }) => status === "pending").length).toBeGreaterThan(0);
    expect(items.find(({ status }) => status === "failed")?.error).toEqual({ code: "CHECK_FAILED", message: "is even" });
    const tolerant = await engine().run(planOf({ each: over(range(6), { maxFailures: 3 }) }), { verbs: { each: fails } });
    expect(tolerant.outcome).toBe("succeeded");
  });

  it("calls a user's own activity for each item, and refuses what is no list", async () => {
    const own = { operator: "activity", activity: { name: "double", input: "${{ each.item + 1 }}" } } as const;
    const run = await engine().run(planOf({ each: { ...own, ...over(range(3)) }, none: over([]), wrong: over("${{ params.day }}") }), {
      params: { day: "monday" },
    });
    expect(run.tasks()["each"]?.output).toEqual([{ doubled: 4 }, { doubled: 6 }, { doubled: 8 }]);
    expect(run.tasks()["none"]).toMatchObject({ status: "succeeded", output: [] });
    expect(run.tasks()["wrong"]?.error).toMatchObject({ code: "EXPRESSION_FAILED", message: expect.stringContaining("no list") as string });
  });

  it("waits as long as a user's own activity asks for, of each item", async () => {
    const own = { operator: "activity", activity: { name: "later", input: "${{ run.attempt }}" } } as const;
    const policies = [{ ...policy(), retry: { attempts: 2, backoffMs: 1, maxBackoffMs: 1, neverOn: [] } }];
    const run = await engine().run(planOf({ each: { ...own, ...over([5]) } }, { policies }));
    expect(run.tasks()["each"]?.output).toEqual([2]);
    const { startedAt, finishedAt } = run.tasks()["each"] ?? {};
    expect(Date.parse(finishedAt ?? "") - Date.parse(startedAt ?? "")).toBeGreaterThanOrEqual(1_100);
  });

  it("is repeated for the items that had not succeeded, and for those that were asked for", async () => {
    const seen: Json[] = [];
    let broken = true;
    const plan = planOf({ each: over(range(6), { maxFailures: 9 }), fails: { needs: ["each"] } });
    const verbs: Record<string, Behaviour> = {
      each: async ({ each }) => {
        seen.push(each?.["item"] ?? null);
        if (broken && Number(each?.["item"]) > 4) throw new DownbeatError("CHECK_FAILED", "no");
        return { output: each?.["item"] ?? null };
      },
    };
    const first = await engine().run(plan, { verbs });
    expect([first.outcome, seen.splice(0).length]).toEqual(["succeeded", 6]);
    broken = false;
    const again = await engine().run(plan, { verbs, rerun: { of: first.id } });
    expect([again.outcome, seen.splice(0).toSorted()]).toEqual(["succeeded", [5, 6]]);
    expect(again.tasks()["each"]?.output).toEqual([1, 2, 3, 4, 5, 6]);
    await engine().run(plan, { verbs, rerun: { of: again.id, fresh: { task: "each", items: [0, 2] } } });
    expect(seen.splice(0).toSorted()).toEqual([1, 3]);
    await engine().run(plan, { verbs, rerun: { of: again.id, fresh: { task: "each" } } });
    expect(seen).toHaveLength(6);
  });

  it("is repeated whole where its work is not what the repeated run did: under an origin of its own, which the next rerun keeps", async () => {
    const seen: string[] = [];
    const plan = planOf({ each: over(range(3)), other: {} });
    const note: Behaviour = async ({ taskId, run: facts }) => {
      seen.push(`${taskId} ${facts.origin}`);
      return { output: null };
    };
    const verbs = { each: note, other: note };
    const first = await engine().run(plan, { verbs });
    seen.splice(0);
    const id = `${engine().queue}-anew`;
    const again = await engine().run(plan, { id, verbs, rerun: { of: first.id, origins: { each: id } } });
    expect([again.id, seen.splice(0).toSorted()]).toEqual([id, [...Array<string>(3).fill(`each ${id}`), `other ${id}`]]);
    await engine().run(plan, { verbs, rerun: { of: again.id, fresh: { task: "each", items: [1] }, origins: { each: id } } });
    expect(seen).toContain(`each ${id}`);
    expect(seen.filter((one) => one.startsWith("each"))).toHaveLength(1);
  });

  it("that has parked goes on with the items that had not succeeded, and no others", async () => {
    let isMended = false;
    const begun: Json[] = [];
    const mended: Behaviour = async ({ each }) => {
      const item = each?.["item"] ?? null;
      begun.push(item);
      if (!isMended && Number(item) % 4 === 2) throw new DownbeatError("SOURCE_AUTH", "wrong password");
      return { output: Number(item) * 2 };
    };
    const plan = planOf(
      { each: over(range(6), { window: 1, maxFailures: 1 }), next: { needs: ["each"], reads: ["each"] } },
      { policies: [{ ...policy(), onExhausted: "park" }] },
    );
    let answered: unknown;
    const next: Behaviour = async ({ tasks }) => {
      answered = tasks["each"]?.output;
      return { output: null };
    };
    const run = await engine().start(plan, { verbs: { each: mended, next } });
    await isAt(run, "each", "parked");
    expect(run.tasks()["each"]).toMatchObject({ error: { code: "ITEMS_FAILED" } });
    expect([begun.splice(0), (await itemsOf(run, "each")).map(({ status }) => status)]).toEqual([
      [1, 2, 3, 4, 5, 6],
      ["succeeded", "failed", "succeeded", "succeeded", "succeeded", "failed"],
    ]);
    isMended = true;
    const request: ControlRequest = { control: { action: "continue", task: "each" }, by: "anna" };
    await control(run.handle, request);
    expect(await run.end()).toMatchObject({ outcome: "succeeded" });
    expect([begun, answered]).toEqual([
      [2, 6],
      [2, 4, 6, 8, 10, 12],
    ]);
    expect((await itemsOf(run, "each")).every(({ status }) => status === "succeeded")).toBe(true);
  });

  it("stops with its run, and what had ended stays recorded", async () => {
    let begun = 0;
    const slow: Behaviour = async (_call, { signal }) => {
      begun += 1;
      if (begun > 5)
        await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true }));
      return { output: null };
    };
    const run = await engine().start(planOf({ each: over(range(50), { window: 4 }) }), { verbs: { each: slow } });
    await until("some items hang", () => begun >= 7);
    await run.handle.cancel();
    expect(await run.end()).toEqual({ outcome: "cancelled" });
    const done = (await itemsOf(run, "each")).filter(({ status }) => status === "succeeded").length;
    expect(done).toBeGreaterThanOrEqual(4);
    expect(done).toBeLessThanOrEqual(begun);
  });

  it("takes 20,000 short items, each with its own state", async () => {
    let calls = 0;
    const short: Behaviour = async ({ each }) => {
      calls += 1;
      return { output: each?.["item"] ?? null };
    };
    const run = await engine().run(planOf({ each: over(range(20_000), { window: 200 }) }), { verbs: { each: short } });
    expect([run.outcome, calls]).toEqual(["succeeded", 20_000]);
    const items = await itemsOf(run, "each");
    expect(items.every(({ item, status, output }) => status === "succeeded" && output === item + 1)).toBe(true);
    expect(items).toHaveLength(20_000);
    const { historyLength } = await engine().client.workflow.getHandle(`${run.id}/each#1`).describe();
    expect(historyLength).toBeLessThan(2_000);
  });
});

describe("items that are carried out one by one", () => {
  it("as runs of another pipeline: each its own run, gathered, tried again, and not again what has succeeded", async () => {
    const seen: Json[] = [];
    const inner = {
      ...planOf({ work: { operator: "sql" } }),
      outputs: { values: { got: "${{ params.n }}" }, reads: [] },
    };
    const plan = planOf(
      { inner: { operator: "pipeline", policy: 1, ...over([10, 20, 30], { loops: [{ as: "n", in: [10, 20, 30] }], window: 2 }) } },
      {
        policies: [
          policy(),
          { ...policy(), retry: { attempts: 2, backoffMs: 50, maxBackoffMs: 50, neverOn: [], on: { SOURCE_AUTH: {} } } },
        ],
      },
    );
    const work: Behaviour = async ({ run, params }) => {
      seen.push(params["n"] ?? null);
      if (params["n"] === 20 && run.id.endsWith(".1")) throw new DownbeatError("SOURCE_AUTH", "not yet");
      return { output: null };
    };
    const run = await engine().run(plan, { pipelines: { inner }, verbs: { work } });
    expect(run.outcome).toBe("succeeded");
    expect(seen.toSorted()).toEqual([10, 20, 20, 30]);
    expect(run.tasks()["inner"]?.output).toEqual([
      { run_id: `${run.id}.inner.1.0.1`, outputs: { got: 10 } },
      { run_id: `${run.id}.inner.1.1.2`, outputs: { got: 20 } },
      { run_id: `${run.id}.inner.1.2.1`, outputs: { got: 30 } },
    ]);
    const items = await itemsOf(run, "inner");
    expect(items.map(({ status, attempts }) => [status, attempts])).toEqual([
      ["succeeded", 1],
      ["succeeded", 2],
      ["succeeded", 1],
    ]);
    const again = await engine().run(plan, { pipelines: { inner }, verbs: { work }, rerun: { of: run.id } });
    expect([again.outcome, seen.length]).toEqual(["succeeded", 4]);
  });

  it("as activities on a queue of the user's own; too many failures end the task and stop the rest", async () => {
    const queue = `${engine().queue}-own`;
    const asked = new Set<number>();
    const worker = await Worker.create({
      connection: engine().native,
      taskQueue: queue,
      activities: {
        score: async (n: number) => {
          if (n > 3) throw new Error(`${n} is too much`);
          if (n === -1 && !asked.has(n)) {
            asked.add(n);
            throw ApplicationFailure.create({ message: "later", nextRetryDelay: 1_100 });
          }
          return n === 0 ? { score: "x".repeat(5_000) } : { score: n * 10 };
        },
      },
    });
    const scores = (values: readonly number[], part: Partial<ForEach> = {}) =>
      planOf({ a: { operator: "activity", queue, activity: { name: "score", input: "${{ each.item }}" }, ...over([...values], part) } });
    await worker.runUntil(async () => {
      const run = await engine().run(scores([1, 2, 3]));
      expect(run.tasks()["a"]?.output).toEqual([{ score: 10 }, { score: 20 }, { score: 30 }]);
      const patient = await engine().run({
        ...scores([-1]),
        policies: [{ ...policy({ attempts: 2 }), retry: { attempts: 2, backoffMs: 1, maxBackoffMs: 1, neverOn: [] } }],
      });
      expect(patient.tasks()["a"]?.output).toEqual([{ score: -10 }]);
      const { startedAt, finishedAt } = patient.tasks()["a"] ?? {};
      expect(Date.parse(finishedAt ?? "") - Date.parse(startedAt ?? "")).toBeGreaterThanOrEqual(1_100);
      const large = await engine().run(scores([0]));
      expect(large).toMatchObject({ outcome: "failed", error: { message: expect.stringContaining("OUTPUT_TOO_LARGE") as string } });
      const failing = await engine().run(scores([1, 4, 5, 2, 3, 1, 1], { window: 1, maxFailures: 1 }));
      expect(failing).toMatchObject({ outcome: "failed", error: { code: "ITEMS_FAILED" } });
      expect((await itemsOf(failing, "a")).map(({ status }) => status)).toEqual([
        "succeeded",
        "failed",
        "failed",
        "pending",
        "pending",
        "pending",
        "pending",
      ]);
    });
  });

  it("are cancelled with their run", async () => {
    const inner = planOf({ work: {} });
    const plan = planOf({ inner: { operator: "pipeline", ...over([1, 2, 3], { window: 3 }) } });
    let stopped = 0;
    const work: Behaviour = async (_call, { signal }) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      stopped += 1;
      throw signal.reason as Error;
    };
    let begun = 0;
    const run = await engine().start(plan, {
      pipelines: { inner },
      verbs: {
        work: (call, context) => {
          begun += 1;
          return work(call, context);
        },
      },
    });
    await until("all three run", () => begun === 3);
    await run.handle.cancel();
    expect(await run.end()).toMatchObject({ outcome: "cancelled" });
    expect(stopped).toBe(3);
  });
});

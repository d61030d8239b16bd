// Runs of many tasks on a real server: what they carry out in child workflows, and what becomes of them while their own history is long.

import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { DownbeatError } from "../../core/errors.ts";
import { windowWorkflowId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import { type RunStatusAnswer, STATUS_QUERY } from "../../workflows/messages.ts";
import { planOf, policy } from "../core/runs.ts";
import { freshName } from "../fixtures/services.ts";
import { historyLengthsOf } from "../faults/histories.ts";
import type { Behaviour, StartedRun } from "./engine.ts";
import { blocked, statusesOf, until, useEngine } from "./kit.ts";
import { inLanes } from "./lanes.ts";

const engine = useEngine();

const idsOf = (count: number, name = "t"): readonly string[] => Array.from({ length: count }, (_, index) => `${name}${index}`);
const each = <Value>(ids: readonly string[], value: Value): Readonly<Record<string, Value>> =>
  Object.fromEntries(ids.map((id) => [id, value]));
const countOf = (values: readonly string[]): Readonly<Record<string, number>> =>
  Object.fromEntries([...Map.groupBy(values, (value) => value)].map(([value, { length }]) => [value, length]));

/** Whichever is begun first, which is the server's choice, does that; the others would keep all slots from one that was named. */
const firstDoes = (first: Behaviour, others: Behaviour): Behaviour => {
  let isBegun = false;
  return (call, context) => {
    if (isBegun) return others(call, context);
    isBegun = true;
    return first(call, context);
  };
};

const hasWindow = ({ id }: StartedRun, number: number): Promise<boolean> =>
  engine()
    .client.workflow.getHandle(windowWorkflowId(id, number))
    .describe()
    .then(
      () => true,
      () => false,
    );

/** As Temporal's UI lists them, the first one first. */
const windowsOf = async ({ id }: StartedRun): Promise<readonly string[]> => {
  const summaries: string[] = [];
  for (let number = 1; ; number += 1) {
    const window = engine().client.workflow.getHandle(windowWorkflowId(id, number));
    try {
      summaries.push((await (await window.describe()).staticSummary()) ?? "");
    } catch {
      return summaries;
    }
  }
};

describe("a run with many tasks that are ready at once", () => {
  it("carries them out in windows; each runs once, later tasks read their outputs, and its own history stays short", async () => {
    const ids = idsOf(1_300);
    const ran: string[] = [];
    let read: unknown;
    const run = await engine().run(planOf({ first: {}, ...each(ids, { needs: ["first"] }), last: { needs: ids, reads: ["t1299"] } }), {
      verbs: {
        ...each<Behaviour>(ids, async ({ taskId }) => {
          ran.push(taskId);
          return { output: { from: taskId }, metrics: { rows: 1 } };
        }),
        last: async ({ tasks }) => {
          read = tasks;
          return { output: null };
        },
      },
    });
    expect(run.outcome).toBe("succeeded");
    expect(ran.toSorted()).toEqual(ids.toSorted());
    expect(read).toEqual({ t1299: { status: "succeeded", output: { from: "t1299" } } });
    expect(countOf(Object.values(statusesOf(run)))).toEqual({ succeeded: 1_302 });
    expect(run.tasks()["t7"]).toMatchObject({ attempts: 1, metrics: { rows: 1 } });
    expect(run.attempts("t7")).toMatchObject([{ attempt: 1, status: "succeeded", worker: "the test" }]);
    // What is left then has room in the run's own history; all of it, unless a slow machine has needed many workflow tasks, and the last ones take another window.
    expect((await windowsOf(run))[0]).toBe("600 tasks, t0 to t599");
    // Bare activities would be more than 3,900 events. Of its own ones there are 2,100, and three for each workflow task: how many, is a matter of time.
    expect(Math.max(...(await historyLengthsOf(engine().client, run.id)))).toBeLessThan(3_900);
  });

  it("counts and repeats their attempts, and fails with what they failed with", async () => {
    const ids = idsOf(1_200);
    const flaky: Behaviour = ({ attempt }) =>
      attempt === 1 ? Promise.reject(new DownbeatError("SOURCE_UNAVAILABLE", "not yet")) : Promise.resolve({ output: null });
    const refused: Behaviour = () => Promise.reject(new DownbeatError("SOURCE_AUTH", "the source says no", { details: { host: "db" } }));
    const run = await engine().run(planOf(each(ids, {}), { policies: [policy({ attempts: 2 })] }), { verbs: { t5: flaky, t6: refused } });
    expect(run).toMatchObject({ outcome: "failed", error: { code: "SOURCE_AUTH" } });
    expect(run.attempts("t5")).toMatchObject([
      { attempt: 1, status: "failed", error: { code: "SOURCE_UNAVAILABLE" } },
      { attempt: 2, status: "succeeded" },
    ]);
    expect(run.tasks()["t6"]).toMatchObject({
      status: "failed",
      attempts: 1,
      error: { code: "SOURCE_AUTH", message: "the source says no", details: { host: "db" } },
    });
    expect(countOf(Object.values(statusesOf(run)))).toEqual({ succeeded: 1_199, failed: 1 });
  });

  it("cancelled, cancels what is at work in windows, and only that ends cancelled", async () => {
    const ids = idsOf(1_200);
    const { work, begun } = blocked(({ taskId }) => taskId);
    const run = await engine().start(planOf(each(ids, {})), {
      verbs: each(
        ids,
        firstDoes(() => Promise.resolve({ output: null }), work),
      ),
    });
    await until("many have begun, and one has ended", () => begun.length > 50 && run.shown.some(({ tasks }) => tasks.some(isDone)));
    await run.handle.cancel();
    expect(await run.end()).toMatchObject({ outcome: "cancelled" });
    expect(countOf(Object.values(statusesOf(run)))).toEqual({ succeeded: 1, cancelled: 1_199 });
  });

  it("fail-fast stops the others in their windows, and what runs after failures goes on in its own", async () => {
    const ids = idsOf(1_200);
    const cleaners = idsOf(1_200, "c");
    const { work } = blocked();
    const refused: Behaviour = () => Promise.reject(new DownbeatError("SOURCE_AUTH", "the source says no"));
    const plan = planOf(
      { ...each(ids, {}), ...each(cleaners, { needs: ["t0"], rule: "all_done" as const }) },
      { failurePolicy: "fail-fast" },
    );
    const run = await engine().run(plan, { verbs: each(ids, firstDoes(refused, work)) });
    expect(run.outcome).toBe("failed");
    expect(countOf(Object.values(statusesOf(run)))).toEqual({ failed: 1, cancelled: 1_199, succeeded: 1_200 });
  });

  it("whose time is over fail, wherever they are", async () => {
    const [waiting, ids] = [idsOf(500, "w"), idsOf(700)];
    const nobody = { operator: "activity", activity: { name: "echo", input: null }, queue: freshName("nobody"), policy: 1 } as const;
    const policies = [policy(), { ...policy(), timeout: { attemptMs: 600_000, totalMs: 36_000, heartbeatMs: 0 } }];
    const run = await engine().run(planOf({ ...each(waiting, nobody), ...each(ids, {}) }, { policies }));
    expect(run).toMatchObject({ outcome: "failed", error: { code: "TASK_TIMEOUT" } });
    expect(countOf(Object.values(statusesOf(run)))).toEqual({ failed: 500, succeeded: 700 });
    expect(run.attempts("w499")).toMatchObject([{ attempt: 1, status: "failed", error: { code: "TASK_TIMEOUT" } }]);
  }, 120_000);

  it("a window that somebody terminates fails its tasks, and the run says so", async () => {
    const ids = idsOf(1_200);
    const { work, begun, release } = blocked(({ taskId }) => taskId);
    const run = await engine().start(planOf({ ...each(ids, {}), after: { needs: ["t0"], rule: "all_done" } }), { verbs: each(ids, work) });
    // Those may be the run's own.
    await until("many have begun, and its window is there", async () => begun.length > 50 && (await hasWindow(run, 1)));
    await engine().client.workflow.getHandle(windowWorkflowId(run.id, 1)).terminate("by hand");
    await until("its tasks have failed", async () => (await run.handle.query<RunStatusAnswer>(STATUS_QUERY)).tasks["t0"] === "failed");
    release();
    expect(await run.end()).toMatchObject({ outcome: "failed" });
    expect(countOf(Object.values(statusesOf(run)))).toEqual({ failed: 600, succeeded: 601 });
  });
});

const isDone = ({ status }: { readonly status: string }): boolean => status === "succeeded";

describe("a run whose history has become long", () => {
  const LANES = 40;
  const STEPS = 25;
  const LASTING = { ...policy(), timeout: { attemptMs: 600_000, totalMs: 600_000, heartbeatMs: 10_000 } };
  const TASKS = LANES * 36;
  const chains = inLanes(TASKS, LANES);
  const ids = Object.keys(chains);

  it("continues as new; each task runs once and is reported", async () => {
    const ran: string[] = [];
    const noted: Behaviour = async ({ taskId }) => {
      ran.push(taskId);
      return { output: { id: taskId } };
    };
    const ends = ids.slice(-LANES);
    const run = await engine().run(planOf({ ...chains, last: { needs: ends } }), { verbs: each(ids, noted) });
    expect(run.outcome).toBe("succeeded");
    expect(ran.toSorted()).toEqual(ids.toSorted());
    expect(countOf(Object.values(statusesOf(run)))).toEqual({ succeeded: TASKS + 1 });
    const lengths = await historyLengthsOf(engine().client, run.id);
    expect(lengths.length).toBeGreaterThan(1);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(LIMITS.historyEvents);
    expect(new Set(run.reports.map(({ startedAt }) => startedAt)).size).toBe(1);
  });

  it("goes on by windows while an attempt of its own lasts longer than all else", async () => {
    const { work, begun, release } = blocked(({ taskId }) => taskId);
    let ended = 0;
    const counted: Behaviour = async () => {
      ended += 1;
      if (ended === TASKS) release();
      return { output: null };
    };
    // The long one ends when all others have: a run that began nothing before that would never end.
    const plan = planOf({ long: {}, ...chains }, { policies: [LASTING] });
    const run = await engine().run(plan, { verbs: { ...each(ids, counted), long: work } });
    expect(run.outcome).toBe("succeeded");
    expect(begun).toEqual(["long"]);
    expect(countOf(Object.values(statusesOf(run)))).toEqual({ succeeded: TASKS + 1 });
    expect((await windowsOf(run)).length).toBeGreaterThan(0);
    expect(Math.max(...(await historyLengthsOf(engine().client, run.id)))).toBeLessThan(LIMITS.historyEvents);
  });

  it("waits for its attempts where they last as long as others did, and continues as new", async () => {
    const lanes = inLanes(800, 100);
    const six: Behaviour = async () => {
      await pause(6_000);
      return { output: null };
    };
    const run = await engine().run(planOf(lanes), { verbs: each(Object.keys(lanes), six) });
    expect(run.outcome).toBe("succeeded");
    // No window at all, unless the machine is so busy that an attempt lasts half as long again as all before it.
    const windows = await windowsOf(run);
    expect(windows.length).toBeLessThan(3);
    const lengths = await historyLengthsOf(engine().client, run.id);
    expect(lengths.length + windows.length).toBeGreaterThan(1);
    expect(Math.max(...lengths)).toBeLessThan(LIMITS.historyEvents);
  }, 300_000);

  it("goes on beside one that lasts longer in ever longer steps, says when the next one is, and is itself again when the long attempt has ended", async () => {
    const { work, release } = blocked();
    const chain = inLanes(800, 1);
    const plan = planOf({ long: {}, ...chain }, { policies: [LASTING] });
    let details = "";
    const run = await engine().start(plan, {
      verbs: { ...each<Behaviour>(Object.keys(chain), () => Promise.resolve({ output: null })), long: work },
    });
    await until("it goes on in steps", async () => {
      const { currentDetails = "" } = await run.handle.query<{ readonly currentDetails?: string }, []>("__temporal_workflow_metadata");
      details ||= currentDetails.split("  \n").find((line) => line.startsWith("its history is long")) ?? "";
      return details !== "" && (await hasWindow(run, STEPS));
    });
    expect(details).toMatch(/^its history is long: what is ready begins together, next at \d{4}-.*Z$/);
    release();
    expect(await run.end()).toMatchObject({ outcome: "succeeded" });
    const lengths = await historyLengthsOf(engine().client, run.id);
    expect(lengths).toHaveLength(2);
    expect(Math.max(...lengths)).toBeLessThan(LIMITS.historyEvents);
  }, 300_000);
});

// The store is away for a while: no run fails, what needs nothing of it goes on, what needs it says so, and afterwards the API knows all.

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunView } from "../../bin/api-client.ts";
import { waitUntil } from "../../bin/services/wait.ts";
import { runWorkflowId } from "../../core/ids.ts";
import { isRunEnded, type RunStatus } from "../../core/run-changes.ts";
import { type Absence, World } from "../faults/world.ts";

/** How long the store is away at least: a minute, and once shorter. */
const AWAY_MS = { gone: 60_000, silent: 20_000 } as const satisfies Record<Absence, number>;
/** Within which a request is answered, whatever the store does; a stalled machine aside. */
const ANSWERED_MS = 30_000;
const PIPELINE = "store_away";
/** Of which the last ones hold until the store is away; the results of all of them are kept there. */
const ITEMS = 40;

let world: World;
beforeAll(async () => {
  world = await World.start(mkdtempSync(path.join(tmpdir(), "downbeat-away-")), () => undefined, { DOWNBEAT_COMMANDS: "date" });
  await world.effects.openGate("open");
  await world.call("PUT", `/v1/pipelines/${PIPELINE}`, {
    apiVersion: "downbeat/v1",
    name: PIPELINE,
    defaults: { retry: { attempts: 1 } },
    tasks: [
      { id: "before", command: { run: ["date"] } },
      // It goes off while the store is away, however long the others take to begin before that.
      { id: "timer", needs: ["before"], wait: { for: "20s" } },
      { id: "program", needs: ["timer"], command: { run: ["date"] } },
      {
        id: "needy",
        needs: ["timer"],
        sql: { connection: "effects", query: "select mark(:run, 'needy', 0)", params: { run: "${{ run.id }}" } },
      },
      {
        id: "held",
        needs: ["before"],
        sql: { connection: "effects", query: "select mark_and_hold(:run, 'held', 0, :run)", params: { run: "${{ run.id }}" } },
      },
      {
        id: "each",
        needs: ["before"],
        for_each: { in: { range: { from: 1, to: ITEMS } }, as: "n", window: 2 },
        sql: {
          connection: "effects",
          query: "select mark_and_hold(:run, 'each', :n, case when :n::int > 5 then :run else 'open' end)",
          params: { run: "${{ run.id }}", n: "${{ each.n }}" },
        },
      },
      { id: "after", needs: ["held", "program", "needy", "each"], command: { run: ["date"] } },
    ],
  });
});
afterAll(() => world?.close());

interface Metadata {
  readonly currentDetails?: string;
}

interface Items {
  readonly items: readonly { readonly attempts: number }[];
}
const itemsOf = (run: string, status: string): Promise<Items> =>
  world.call("GET", `/v1/runs/${run}/tasks/each/items?status=${status}&limit=100`);

/** What Temporal's UI shows of the run. */
const detailsOf = (run: string): Promise<string> =>
  world.withTemporal(async ({ workflow }) => {
    const metadata = await workflow.getHandle(runWorkflowId(PIPELINE, run)).query<Metadata>("__temporal_workflow_metadata");
    return metadata.currentDetails ?? "";
  });

const inWords = (text: string, pattern: RegExp): void => {
  if (!pattern.test(text)) throw new Error(`${String(pattern)} is not in: ${text}`);
};

/** Status and problem of one request, tried once; how long it took. */
const ask = async (method: string, route: string, body?: unknown) => {
  const began = performance.now();
  const response = await fetch(`${world.url}${route}`, {
    method,
    ...(body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  });
  const { code, detail } = (await response.json()) as { readonly code?: string; readonly detail?: string };
  return { status: response.status, code, detail, milliseconds: performance.now() - began };
};

const AWAY: readonly Absence[] = ["gone", "silent"];

describe("the store is away while a run goes on", () => {
  it.each(AWAY)(
    "%s: nothing fails; tasks that need nothing of it go on, others wait and say so; requests get 503; then all is known",
    async (how) => {
      const { id } = await world.call<{ readonly id: string }>("POST", `/v1/pipelines/${PIPELINE}/runs`, {});
      await waitUntil(
        async () => {
          const { tasks } = await world.call<RunView>("GET", `/v1/runs/${id}`);
          inWords(tasks.map((task) => `${task.id} ${task.status}`).join(), /timer waiting.*held running.*each running/);
          const { items } = await itemsOf(id, "succeeded");
          if (items.length === 0) throw new Error("no item is done");
        },
        { timeoutMs: 30_000 },
      );
      const comeBack = await world.takeStoreAway(how);
      const began = Date.now();
      try {
        await world.effects.openGate(id);
        const requests = [
          ask("GET", `/v1/runs/${id}`),
          ask("POST", `/v1/pipelines/${PIPELINE}/runs`, {}),
          ask("POST", `/v1/runs/${id}/pause`, { by: "test" }),
        ];
        for (const answer of await Promise.all(requests)) {
          expect(answer).toMatchObject({
            status: 503,
            code: "STORE_UNAVAILABLE",
            detail: expect.stringContaining("the store does not answer") as unknown,
          });
          expect(answer.milliseconds).toBeLessThan(ANSWERED_MS);
        }
        // The rest of the run is done: only the task that needs the store, and what comes after it, are left.
        await waitUntil(
          async () => {
            const details = await detailsOf(id);
            inWords(details, /^4 of 7 tasks ended/);
            inWords(details, /waiting: needy \(.*after STORE_UNAVAILABLE\)/);
          },
          { timeoutMs: 90_000 },
        );
        await pause(Math.max(began + AWAY_MS[how] - Date.now(), 0));
      } finally {
        await comeBack();
      }
      const back = Date.now();
      const run = await waitUntil(
        async () => {
          const shown = await world.call<ShownRun>("GET", `/v1/runs/${id}`);
          if (isRunEnded(shown.status as RunStatus)) return shown;
          throw new Error(`it is ${shown.status}: ${shown.tasks.map((task) => `${task.id} ${task.status}`).join(", ")}`);
        },
        { timeoutMs: 90_000 },
      );
      expect(run).toMatchObject({ status: "succeeded" });
      const ended = Object.fromEntries(run.tasks.map((task) => [task.id, task]));
      for (const [task, { status, attempts }] of Object.entries(ended)) expect([task, status, attempts]).toEqual([task, "succeeded", 1]);
      for (const task of ["timer", "held", "program"]) {
        const at = Date.parse(ended[task]?.finished_at ?? "");
        expect(at).toBeGreaterThan(began - 1_000);
        expect(at).toBeLessThan(back + 1_000);
      }
      expect(ended["needy"]?.attempt_log.at(-1)).toMatchObject({ attempt: 1, status: "succeeded" });
      const effects = await world.effects.of([id]);
      expect(effects.filter(({ task }) => task !== "each").map(({ task }) => task)).toEqual(["held", "needy"]);
      expect(effects.find(({ task }) => task === "needy")?.at).toBeGreaterThan(back - 1_000);
      // None of the items failed or was broken off: each was tried once.
      const items = effects.filter(({ task }) => task === "each").map(({ item }) => item);
      expect(items.toSorted((left, right) => left - right)).toEqual(Array.from({ length: ITEMS }, (_, index) => index + 1));
      const shown = (await itemsOf(id, "succeeded")).items;
      expect(shown.map(({ attempts }) => attempts)).toEqual(items.map(() => 1));
      world.assertHealthy();
    },
    300_000,
  );
});

interface ShownRun {
  readonly status: string;
  readonly tasks: readonly Ended[];
}

interface Ended {
  readonly id: string;
  readonly status: string;
  readonly attempts: number;
  readonly finished_at: string | null;
  readonly attempt_log: readonly { readonly attempt: number; readonly lost_attempts: number; readonly status: string }[];
}

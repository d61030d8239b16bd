// The runs whose histories are recorded: between them they take every path of the run workflow that leaves events.

import { DownbeatError } from "../../core/errors.ts";
import type { Plan } from "../../core/plan.ts";
import type { Control } from "../../core/run-control.ts";
import { openStore } from "../../store/open-store.ts";
import { planOf, policy } from "../core/runs.ts";
import { CONTROL_UPDATE, type ControlAnswer, type ControlRequest } from "../../workflows/messages.ts";
import type { Behaviour, EngineOptions, StartedRun, StartOptions } from "../workflow/engine.ts";
import { until } from "../workflow/kit.ts";

const fails =
  (code: "SOURCE_UNAVAILABLE" | "SOURCE_AUTH"): Behaviour =>
  () =>
    Promise.reject(new DownbeatError(code, "the source says no"));

const firstFails: Behaviour = (call, context) =>
  call.attempt === 1
    ? fails("SOURCE_UNAVAILABLE")(call, context)
    : Promise.resolve({ output: { rows: call.attempt }, metrics: { rows: 1 } });

const hangs: Behaviour = async (_call, { signal }) => {
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  throw signal.reason as Error;
};

/** How often the condition of a wait was looked at. */
let looks = 0;

/** Work that lasts until its run was paused and goes on. */
const paused = { begun: 0, goesOn: false };

const retried = { ...policy(), retry: { attempts: 2, backoffMs: 1_500, maxBackoffMs: 1_500, neverOn: [] } };

const act = (run: StartedRun, control: Control): Promise<ControlAnswer> =>
  run.handle.executeUpdate<ControlAnswer, [ControlRequest]>(CONTROL_UPDATE, { args: [{ control, by: "somebody", why: "to record it" }] });

const isAt = (run: StartedRun, task: string, status: string): Promise<void> =>
  until(`${task} is ${status}`, () => run.tasks()[task]?.status === status);

export interface RecordedRun {
  readonly plan: Plan;
  readonly options: StartOptions;
  /** What is done to it while it goes on. */
  readonly act?: (run: StartedRun) => Promise<unknown>;
}

/** What an engine needs for them; one of the own activities that they call is missing on purpose. */
export const openEngineOptions = async (): Promise<{ readonly options: EngineOptions; readonly close: () => Promise<void> }> => {
  const { items, close } = await openStore({ url: "pglite:memory", secretKey: new Uint8Array(32).fill(3) });
  const find = (name: string) => Promise.resolve({ name, slots: 1, description: null, createdAt: "", updatedAt: "" });
  const breaker = { failures: 1, withinMs: 60_000, openForMs: 1_000 };
  const connections: EngineOptions["connections"] = {
    find: (name) => Promise.resolve({ name, kind: "k", config: {}, limits: { maxConcurrent: 2, breaker }, createdAt: "", updatedAt: "" }),
  };
  return { options: { own: { echo: async (input) => ({ got: input }) }, items, pools: { find }, connections }, close };
};

export const RECORDED: Readonly<Record<string, RecordedRun>> = {
  "diamond-with-retry": {
    plan: planOf(
      { a: { policy: 1 }, b: { needs: ["a"] }, c: { needs: ["a"] }, d: { needs: ["b", "c"] } },
      { policies: [policy(), retried] },
    ),
    options: { verbs: { a: firstFails } },
  },
  "skips-and-handler": {
    plan: planOf({
      a: {},
      skipped: { needs: ["a"], when: "tasks.a.output.rows > 1", reads: ["a"] },
      broken: { needs: ["a"] },
      handler: { needs: ["broken"], rule: "one_failed" },
      last: { needs: ["skipped", "handler"], rule: "all_done" },
    }),
    options: { verbs: { a: async () => ({ output: { rows: 1 } }), broken: fails("SOURCE_AUTH") } },
  },
  "fail-fast": {
    plan: planOf({ a: {}, slow: {}, next: { needs: ["slow"] } }, { failurePolicy: "fail-fast" }),
    options: { verbs: { a: fails("SOURCE_AUTH"), slow: hangs } },
  },
  "own-activity": {
    plan: planOf({
      a: { operator: "activity", activity: { name: "echo", input: "${{ params.day }}" } },
      b: { operator: "activity", activity: { name: "nobody", input: null }, needs: ["a"] },
    }),
    options: { params: { day: "2026-11-23" } },
  },
  "waits-and-finally": {
    plan: planOf({
      nap: { operator: "wait", wait: { for: "300ms", deadlineMs: 60_000, onDeadline: "fail" } },
      look: { operator: "wait", wait: { poll: { everyMs: 200, maxMs: 200 }, deadlineMs: 60_000, onDeadline: "fail" } },
      asked: { operator: "approval", approval: { approvers: [], deadlineMs: 500, onDeadline: "skip" } },
      broken: { needs: ["nap"], priority: 1 },
      clean: { finally: true },
    }),
    options: {
      verbs: {
        look: (_call, _context) => Promise.resolve({ output: { met: (looks += 1) > 2 } }),
        broken: fails("SOURCE_AUTH"),
      },
    },
  },
  "sub-pipeline": {
    plan: {
      ...planOf({ inner: { operator: "pipeline" } }),
      outputs: { values: { id: "${{ tasks.inner.output.run_id }}" }, reads: ["inner"] },
    },
    options: { pipelines: { inner: planOf({ a: {} }) } },
  },
  "paused-below": {
    plan: planOf({
      inner: { operator: "pipeline" },
      items: { operator: "pipeline", forEach: { loops: [{ as: "n", in: [1, 2, 3] }], window: 1, maxFailures: 0 } },
    }),
    options: {
      pipelines: { inner: planOf({ a: {}, b: { needs: ["a"] } }), items: planOf({ a: {} }) },
      verbs: {
        a: async () => {
          paused.begun += 1;
          await until("it was paused and goes on", () => paused.goesOn);
          return { output: null };
        },
      },
    },
    async act(run) {
      await until("both are at work", () => paused.begun === 2);
      await act(run, { action: "pause" });
      await act(run, { action: "resume" });
      paused.goesOn = true;
    },
  },
  "for-each": {
    plan: planOf(
      {
        loops: {
          policy: 1,
          forEach: { loops: [{ as: "n", in: { range: { from: 1, to: 12, step: 1 } } }], window: 3, maxFailures: 1 },
        },
        next: { needs: ["loops"], reads: ["loops"] },
        own: {
          operator: "activity",
          activity: { name: "echo", input: "${{ each.word }}" },
          forEach: { loops: [{ as: "word", in: ["a", "b"] }], window: 2, maxFailures: 0 },
        },
      },
      { policies: [policy(), retried] },
    ),
    options: {
      verbs: {
        loops: async (call, context) => {
          // Slow enough that it goes its own way, too.
          if (call.each?.["n"] === 5) await new Promise((resolve) => setTimeout(resolve, 1_500));
          return call.each?.["n"] === 3 ? firstFails(call, context) : { output: call.each ?? null };
        },
      },
    },
  },
  slots: {
    plan: {
      ...planOf({ a: { pool: "recorded" }, b: { pool: "recorded", priority: 1 }, c: { needs: ["a", "b"] } }),
      concurrency: { maxRuns: 1, strategy: "queue" },
    },
    options: { pipeline: "recorded-slots" },
  },
  // Opens the connection's circuit, waits for it, and goes on.
  "limited-items": {
    plan: planOf(
      {
        items: {
          policy: 1,
          itemSlots: { connections: [{ name: "recorded" }], pool: "recorded" },
          forEach: { loops: [{ as: "n", in: { range: { from: 1, to: 8, step: 1 } } }], window: 3, maxFailures: 0 },
        },
        limited: { policy: 1, connections: [{ name: "recorded-too" }] },
      },
      { policies: [policy(), retried] },
    ),
    options: {
      verbs: {
        items: (call, context) => (call.each?.["n"] === 2 ? firstFails(call, context) : Promise.resolve({ output: null })),
        limited: firstFails,
      },
    },
  },
  "acted-on": {
    plan: planOf(
      {
        asked: { operator: "approval", approval: { approvers: [], deadlineMs: 600_000, onDeadline: "fail" } },
        parked: { policy: 1, needs: ["asked"] },
        long: { operator: "wait", wait: { for: "1h", deadlineMs: 7_200_000, onDeadline: "fail" } },
        next: { needs: ["parked", "long"] },
      },
      { policies: [policy(), { ...policy(), onExhausted: "park" }] },
    ),
    options: { verbs: { parked: fails("SOURCE_AUTH") } },
    async act(run) {
      await isAt(run, "asked", "waiting");
      await act(run, { action: "pause" });
      await act(run, { action: "decide", task: "asked", approve: true });
      await act(run, { action: "resume" });
      await isAt(run, "parked", "parked");
      await act(run, { action: "continue", task: "parked" });
      await until("it has parked again", () => run.attempts("parked")[1]?.status === "failed");
      await act(run, { action: "mark", task: "parked", as: "succeeded", output: { rows: 1 } });
      await act(run, { action: "mark", task: "long", as: "skipped" });
    },
  },
  cancelled: {
    plan: planOf({ slow: {}, never: { needs: ["slow"] }, clean: { finally: true } }),
    options: { verbs: { slow: hangs } },
    async act(run) {
      await isAt(run, "slow", "running");
      await run.handle.cancel();
    },
  },
  scheduled: { plan: planOf({ a: {} }), options: { isScheduled: true } },
  "store-away": {
    plan: planOf({ a: { policy: 1 } }, { policies: [policy(), retried] }),
    options: {
      verbs: { a: firstFails },
      onReport: (_changes, tries) => {
        if (tries <= 2) throw new DownbeatError("STORE_UNAVAILABLE", "the store is away");
      },
    },
  },
};

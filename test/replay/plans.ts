// The runs whose histories are recorded: between them they take every path of the run workflow that leaves events.

import { DownbeatError } from "../../core/errors.ts";
import { mappedWorkflowId } from "../../core/ids.ts";
import type { Plan } from "../../core/plan.ts";
import type { Control } from "../../core/run-control.ts";
import { openStore } from "../../store/open-store.ts";
import { planOf, policy } from "../core/runs.ts";
import type { ControlAnswer, ControlRequest } from "../../workflows/messages.ts";
import type { Behaviour, EngineOptions, StartedRun, StartOptions } from "../workflow/engine.ts";
import { control, isAt, until } from "../workflow/kit.ts";

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

/** Calls of an activity whose first is silent for so long that its attempt is lost. */
let silences = 0;

/** Items that hang until their workflow was ended by hand. */
const terminated = { begun: 0, isDone: false };

const retried = { ...policy(), retry: { attempts: 2, backoffMs: 1_500, maxBackoffMs: 1_500, neverOn: [] } };

const act = (run: StartedRun, asked: Control, more: Partial<ControlRequest> = {}): Promise<ControlAnswer> =>
  control(run.handle, { control: asked, by: "somebody", why: "to record it", ...more });

const over = (...values: readonly number[]) => ({ loops: [{ as: "n", in: [...values] }], window: 2, maxFailures: 0 });

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
  const own: EngineOptions["own"] = {
    echo: async (input) => ({ got: input }),
    silentOnce: async () => {
      silences += 1;
      if (silences === 1) await new Promise((resolve) => setTimeout(resolve, 4_000));
      return null;
    },
  };
  return { options: { own, items, pools: { find }, connections }, close };
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
  "windows-and-fail-fast": {
    plan: planOf(
      {
        ...Object.fromEntries(Array.from({ length: 1_180 }, (_, index) => [`t${index}`, {}])),
        slow: {},
        clean: { needs: ["t1"], rule: "all_done" },
      },
      { failurePolicy: "fail-fast" },
    ),
    options: { verbs: { t1: fails("SOURCE_AUTH"), slow: hangs } },
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
  // No more than fail: the task fails, what it has not begun is left.
  "items-failed": {
    plan: planOf({ items: { forEach: over(1, 2, 3, 4, 5, 6) } }),
    options: { verbs: { items: fails("SOURCE_AUTH") } },
  },
  "items-of-a-pipeline": {
    plan: planOf({ inner: { operator: "pipeline", policy: 1, forEach: over(1, 2, 3) } }, { policies: [policy(), retried] }),
    options: {
      pipelines: { inner: planOf({ work: {} }) },
      verbs: {
        work: ({ params, run }) =>
          params["n"] === 2 && run.id.endsWith(".1")
            ? Promise.reject(new DownbeatError("SOURCE_UNAVAILABLE", "away"))
            : Promise.resolve({ output: null }),
      },
    },
  },
  "sub-pipeline-fails": {
    plan: planOf(
      { inner: { operator: "pipeline", policy: 1 }, handler: { needs: ["inner"], rule: "one_failed" } },
      { policies: [policy(), retried] },
    ),
    options: { pipelines: { inner: planOf({ work: {} }) }, verbs: { work: fails("SOURCE_AUTH") } },
  },
  "sub-pipeline-cancelled": {
    plan: planOf({ inner: { operator: "pipeline" }, clean: { finally: true } }),
    options: { pipelines: { inner: planOf({ work: {} }) }, verbs: { work: hangs } },
    async act(run) {
      await until(
        "the inner run has begun",
        async () => (await run.handle.fetchHistory()).events?.some((event) => event.childWorkflowExecutionStartedEventAttributes) === true,
      );
      await run.handle.cancel();
    },
  },
  "output-by-reference": {
    plan: planOf({ large: {}, next: { needs: ["large"], reads: ["large"] } }),
    options: { verbs: { large: () => Promise.resolve({ output: "x".repeat(10_000) }) } },
  },
  // Two deadlines pass while it goes on; one that has ended has kept its own.
  deadlines: {
    plan: planOf({
      slow: { operator: "wait", wait: { for: "1500ms", deadlineMs: 60_000, onDeadline: "fail" }, deadlineMs: 300 },
      next: { needs: ["slow"], deadlineMs: 600 },
      quick: { deadlineMs: 60_000 },
    }),
    options: {},
  },
  "mended-and-repeated": {
    plan: planOf({ parked: { policy: 1 }, next: { needs: ["parked"] } }, { policies: [policy(), { ...policy(), onExhausted: "park" }] }),
    options: {
      verbs: {
        parked: (call, context) => (call.planHash === "mended" ? Promise.resolve({ output: null }) : fails("SOURCE_AUTH")(call, context)),
      },
      params: { day: 1 },
    },
    async act(run) {
      await isAt(run, "parked", "parked");
      for (let time = 0; time < 2; time += 1) await act(run, { action: "pause" }, { key: "the same" });
      const [task] = planOf({ parked: {} }).tasks;
      if (task === undefined) throw new Error("there is no task");
      await act(
        run,
        { action: "continue", task: "parked" },
        { task: { ...task, planHash: "mended" }, policy: policy(), params: { day: 2 } },
      );
      await act(run, { action: "resume" });
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
      await until("it has parked again", () => run.attempts("parked").some(({ attempt, status }) => attempt === 2 && status === "failed"));
      await act(run, { action: "mark", task: "parked", as: "succeeded", output: { rows: 1 } });
      await act(run, { action: "mark", task: "long", as: "skipped" });
    },
  },
  "large-output": {
    plan: planOf({
      large: { priority: 5 },
      urgent: { priority: 1 },
      made: {
        operator: "activity",
        activity: { name: "echo", input: "${{ size(tasks.large.output) }}" },
        needs: ["large"],
        reads: ["large"],
      },
      refused: { needs: ["large"], reads: ["large"], when: "size(tasks.large.output) > 1" },
    }),
    options: { verbs: { large: async () => ({ output: "x".repeat(5_000) }) } },
  },
  cancelled: {
    plan: planOf({ slow: {}, never: { needs: ["slow"] }, clean: { finally: true } }),
    options: { verbs: { slow: hangs } },
    async act(run) {
      await isAt(run, "slow", "running");
      await run.handle.cancel();
    },
  },
  "cancelled-while-paused": {
    plan: planOf({ slow: {}, next: { needs: ["slow"] }, clean: { finally: true } }),
    options: { verbs: { slow: hangs } },
    async act(run) {
      await isAt(run, "slow", "running");
      await act(run, { action: "pause" });
      await run.handle.cancel();
    },
  },
  scheduled: { plan: planOf({ a: {} }), options: { isScheduled: true } },
  "lost-attempt": {
    plan: planOf(
      { own: { operator: "activity", activity: { name: "silentOnce", input: null }, policy: 1 } },
      { policies: [policy(), { ...policy(), timeout: { attemptMs: 60_000, totalMs: 120_000, heartbeatMs: 1_000 } }] },
    ),
    options: {},
  },
  // Somebody ends its items by hand; its next try has others.
  "child-terminated": {
    plan: planOf({ items: { policy: 1, forEach: over(1, 2) }, next: { needs: ["items"] } }, { policies: [policy(), retried] }),
    options: {
      verbs: {
        items: async (call, context) => {
          terminated.begun += 1;
          return terminated.isDone ? { output: null } : hangs(call, context);
        },
      },
    },
    async act({ id, handle }) {
      await until("its items are at work", () => terminated.begun > 0);
      terminated.isDone = true;
      await handle.client.getHandle(mappedWorkflowId(id, "items", 1)).terminate("to record it");
    },
  },
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

// The runs whose histories are recorded: between them they take every path of the run workflow that leaves events.

import { DownbeatError } from "../../core/errors.ts";
import type { Plan } from "../../core/plan.ts";
import { planOf, policy } from "../core/runs.ts";
import type { Behaviour, OwnActivities, StartOptions } from "../workflow/engine.ts";

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

const retried = { ...policy(), retry: { attempts: 2, backoffMs: 1_500, maxBackoffMs: 1_500, neverOn: [] } };

/** Own activities that the recorded runs call; one that they call is missing on purpose. */
export const OWN: OwnActivities = { echo: async (input) => ({ got: input }) };

export interface RecordedRun {
  readonly plan: Plan;
  readonly options: StartOptions;
}

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

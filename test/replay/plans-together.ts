// Recorded runs that come to their histories by what else is there: a rerun, a queue of their own, rivals for the only place.

import { DownbeatError } from "../../core/errors.ts";
import type { Concurrency, Plan } from "../../core/plan.ts";
import { planOf } from "../core/runs.ts";
import type { Engine, StartedRun } from "../workflow/engine.ts";
import { blocked, until } from "../workflow/kit.ts";

/** Those that are recorded, the one that gives the name first; they have ended, or will. */
type Together = (engine: Engine) => Promise<readonly StartedRun[]>;

/** The second run, and the first, which has the place. */
const rivals =
  (strategy: Concurrency["strategy"]): Together =>
  async (engine) => {
    const { work, begun, release } = blocked();
    const plan: Plan = { ...planOf({ a: {}, clean: { finally: true } }), concurrency: { maxRuns: 1, strategy } };
    const options = { pipeline: `recorded-${strategy}`, verbs: { a: work } };
    const first = await engine.start(plan, options);
    await until("the first has begun", () => begun.length === 1);
    const second = await engine.start(plan, { ...options, verbs: {} });
    await second.end();
    release();
    return [second, first];
  };

export const TOGETHER: Readonly<Record<string, Together>> = {
  "refused-by-skip": rivals("skip"),
  "refused-by-cancel-new": rivals("cancel_new"),
  "takes-the-place": rivals("cancel_running"),
  // Takes over the first task, and of the second the items that have succeeded.
  rerun: async (engine) => {
    const plan = planOf({
      a: {},
      items: { needs: ["a"], forEach: { loops: [{ as: "n", in: [1, 2, 3] }], window: 1, maxFailures: 0 } },
      next: { needs: ["items"], reads: ["a"] },
    });
    const before = await engine.run(plan, {
      verbs: {
        items: ({ each }) =>
          each?.["n"] === 2 ? Promise.reject(new DownbeatError("SOURCE_AUTH", "wrong password")) : Promise.resolve({ output: null }),
      },
    });
    const snapshot = { statuses: "spp", waiting: {}, outputs: { 0: { rows: 1 } } };
    return [await engine.start(plan, { rerun: { of: before.id }, continued: { snapshot, seq: 0, actions: 1 } }), before];
  },
  "items-on-a-queue": async (engine) => [
    await engine.start(
      planOf({
        own: {
          operator: "activity",
          queue: engine.queue,
          activity: { name: "echo", input: "${{ each.n }}" },
          forEach: { loops: [{ as: "n", in: [1, 2, 3] }], window: 2, maxFailures: 0 },
        },
      }),
    ),
  ],
};

// Recorded runs that come to their histories by what else is there: a rerun, a queue of their own, rivals for the only place.

import { DownbeatError } from "../../core/errors.ts";
import { connectionPool } from "../../core/ids.ts";
import type { Concurrency, Plan } from "../../core/plan.ts";
import { type CircuitReset, POOL_SIGNALS } from "../../workflows/messages.ts";
import { planOf } from "../core/runs.ts";
import type { Behaviour, Engine, StartedRun } from "../workflow/engine.ts";
import { blocked, until } from "../workflow/kit.ts";
import { ownerOf, stateOf } from "../workflow/limits-kit.ts";

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

const isWaiting = (run: StartedRun): boolean => run.tasks()["a"]?.status === "waiting";

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
  // The pool's owner is terminated; its heir counts who holds and who waits.
  heir: async (engine) => {
    const pool = "recorded-heir";
    const { work, begun, release } = blocked(({ run }) => run.id);
    const plan = planOf({ a: { pool } });
    const start = (): Promise<StartedRun> => engine.start(plan, { verbs: { a: work } });
    const [holder, waiting] = [await start(), await start()];
    await until("one is at work and one waits", () => begun.length === 1 && [holder, waiting].some(isWaiting));
    await ownerOf(engine, pool).terminate("to record it");
    const late = await start();
    await until("the heir knows all", async () => {
      const { slots } = await stateOf(engine, pool);
      return slots.holders.length === 1 && slots.waiting.length === 2;
    });
    release();
    return [late, holder, waiting];
  },
  // A failure opens the connection's circuit, somebody closes it.
  "circuit-reset": async (engine) => {
    const name = "recorded-reset";
    const plan = planOf({ a: { connections: [{ name }] } });
    const away: Behaviour = () => Promise.reject(new DownbeatError("SOURCE_UNAVAILABLE", "away"));
    const first = await engine.run(plan, { verbs: { a: away } });
    const next = await engine.start(plan);
    const reset: CircuitReset = { by: "somebody", why: "to record it", at: "2026-01-01T00:00:00.000Z" };
    await ownerOf(engine, connectionPool(name)).signal<[CircuitReset]>(POOL_SIGNALS.reset, reset);
    return [next, first];
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

// Items of a for_each within limits of connections and pools, on a real server: held over all items and tasks, heard by circuit breakers, nothing lost.

import { afterAll, describe, expect, it } from "vitest";
import type { CircuitPolicy } from "../../core/circuit.ts";
import { DownbeatError } from "../../core/errors.ts";
import { connectionPool, mappedWorkflowId } from "../../core/ids.ts";
import type { PlanTask } from "../../core/plan.ts";
import type { PoolState } from "../../workflows/messages.ts";
import { planOf, policy } from "../core/runs.ts";
import { freshName } from "../fixtures/services.ts";
import { freshStore } from "../fixtures/store.ts";
import type { Behaviour, StartedRun } from "./engine.ts";
import { blocked, toldWait, until, useEngine } from "./kit.ts";
import * as kit from "./limits-kit.ts";
import { connectionWith, LIMITED } from "./limits-kit.ts";

const store = await freshStore();
afterAll(() => store.close());
const engine = useEngine({ items: store.items, ...LIMITED });

const stateOf = (pool: string): Promise<PoolState> => kit.stateOf(engine(), pool);
const isFree = (pool: string): Promise<void> => kit.isFree(engine(), pool);
const itemsOf = (run: StartedRun, taskId: string) => store.items.list({ runId: run.id, taskId }, {}, { limit: 1_000 });

/** As a run gets it that starts now. */
const each = (count: number, itemSlots: NonNullable<PlanTask["itemSlots"]>, window = 20) => ({
  itemSlots,
  forEach: { loops: [{ as: "item", in: { range: { from: 1, to: count, step: 1 } } }], window, maxFailures: 0 },
});

/** Who comes first stays until as many are at work as may be. */
const meter = (milliseconds: number, limit: number) => {
  let now = 0;
  let reach = (): void => undefined;
  const reached = new Promise<void>((resolve) => (reach = resolve));
  const seen = { most: 0, calls: 0 };
  const used =
    (stays: boolean): Behaviour =>
    async () => {
      seen.calls += 1;
      seen.most = Math.max(seen.most, (now += 1));
      if (now >= limit) reach();
      if (stays) await reached;
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
      now -= 1;
      return { output: null };
    };
  return { seen, using: used(true), passing: used(false) };
};

describe("items within limits", () => {
  it("hold a slot each while they are at work: never more than there are, beside ordinary tasks, and every item once", async () => {
    const [a, b, pool] = [connectionWith({ maxConcurrent: 3 }), connectionWith({ maxConcurrent: 1 }), freshName("pool")];
    const [one, two, pooled] = [meter(30, 3), meter(20, 1), meter(20, 2)];
    const both: Behaviour = async (call, context) => {
      await Promise.all([one.passing(call, context), two.passing(call, context)]);
      return { output: null };
    };
    const plan = planOf({
      many: each(40, { connections: [{ name: a }] }),
      both: each(10, { connections: [{ name: a }, { name: b }].toSorted((left, right) => left.name.localeCompare(right.name)) }),
      single: { connections: [{ name: a }] },
      pooled: each(20, { pool }),
    });
    const verbs = { many: one.using, both, single: one.using, pooled: pooled.using };
    const runs = await Promise.all([1, 2].map(() => engine().run(plan, { verbs })));
    expect(runs.map(({ outcome }) => outcome)).toEqual(["succeeded", "succeeded"]);
    expect([one.seen, two.seen, pooled.seen]).toEqual([
      { most: 3, calls: 2 * (40 + 10 + 1) },
      { most: 1, calls: 2 * 10 },
      { most: 2, calls: 2 * 20 },
    ]);
    for (const name of [connectionPool(a), connectionPool(b), pool]) await isFree(name);
  });

  it("that a connection is unwell opens its circuit; the task says what its items wait for; they go on without having lost attempts", async () => {
    const breaker: CircuitPolicy = { failures: 2, withinMs: 60_000, openForMs: 8_000 };
    const name = connectionWith({ breaker });
    let isAway = true;
    let calls = 0;
    const flaky: Behaviour = ({ each: values }) => {
      calls += 1;
      return isAway ? Promise.reject(new DownbeatError("SOURCE_UNAVAILABLE", "away")) : Promise.resolve({ output: values ?? null });
    };
    const policies = [{ ...policy({ attempts: 3 }), retry: { attempts: 3, backoffMs: 10, maxBackoffMs: 10, neverOn: [] } }];
    const run = await engine().start(planOf({ items: each(30, { connections: [{ name }] }, 10) }, { policies }), {
      verbs: { items: flaky },
    });
    await until("it asks", () => calls > 0);
    await until("its circuit is open", async () => (await stateOf(connectionPool(name))).breaker?.circuit.state === "open");
    isAway = false;
    // Groups that were let through before: a few at the same time, one item of each.
    expect(calls).toBeLessThanOrEqual(10);
    await until("the task says so", () => toldWait(run, "items", "circuit") !== undefined);
    expect(toldWait(run, "items", "circuit")).toMatchObject({ status: "running", waiting: { for: "circuit", connection: name } });
    expect(await run.end()).toEqual({ outcome: "succeeded" });
    expect(run.tasks()["items"]?.waiting).toBeUndefined();
    const rows = await itemsOf(run, "items");
    expect(rows.map(({ status }) => status)).toEqual(Array.from({ length: 30 }, () => "succeeded"));
    expect(rows.reduce((sum, { attempts }) => sum + attempts, 0)).toBe(calls);
    // Items that are due while no group may ask wait for a slot, and for no timer.
    const { events } = await engine()
      .client.workflow.getHandle(mappedWorkflowId(run.id, "items", 1))
      .fetchHistory();
    expect(events?.filter((event) => event.timerStartedEventAttributes).length).toBeLessThan(20);
    await isFree(connectionPool(name));
  });

  it("give their slots back when the run is cancelled or killed, those that wait as well", async () => {
    const name = connectionWith({ maxConcurrent: 2 });
    const plan = planOf({ items: each(20, { connections: [{ name }] }) });
    for (const fate of ["is cancelled", "is killed"]) {
      const { work, begun } = blocked();
      const run = await engine().start(plan, { verbs: { items: work } });
      await until(
        "two are at work, others wait",
        async () => begun.length === 2 && (await stateOf(connectionPool(name))).slots.waiting.length > 0,
      );
      if (fate === "is cancelled") await run.handle.cancel();
      else await run.handle.terminate(fate);
      await run.end();
      await isFree(connectionPool(name));
    }
    const { work, begun, release } = blocked();
    const run = await engine().start(plan, { verbs: { items: work } });
    await until("both slots can be held again", () => begun.length === 2);
    release();
    expect(await run.end()).toEqual({ outcome: "succeeded" });
    expect(begun).toHaveLength(20);
  });

  it("that cannot be asked for fail the task with what happened", async () => {
    const run = await engine().run(planOf({ items: each(3, { connections: [{ name: "deleted" }] }) }));
    expect(run).toMatchObject({ outcome: "failed", error: { code: "CONNECTION_NOT_FOUND" } });
  });
});

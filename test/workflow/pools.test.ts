// Pools and the concurrency of a pipeline on a real server: limits hold over runs, the dead free their slots, the urgent go first.

import { describe, expect, it } from "vitest";
import { DownbeatError } from "../../core/errors.ts";
import { poolWorkflowId } from "../../core/ids.ts";
import type { Concurrency, Plan } from "../../core/plan.ts";
import { POOL_QUERY, type PoolState } from "../../workflows/messages.ts";
import { planOf, policy } from "../core/runs.ts";
import { freshName } from "../fixtures/services.ts";
import type { Behaviour, StartedRun } from "./engine.ts";
import { blocked, statusesOf, until, useEngine } from "./kit.ts";

const pools = new Map<string, number>();
const engine = useEngine({
  pools: {
    find: (name) => {
      const slots = pools.get(name);
      return Promise.resolve(slots === undefined ? undefined : { name, slots, description: null, createdAt: "", updatedAt: "" });
    },
  },
});

const poolOf = (slots: number): string => {
  const name = freshName("pool");
  pools.set(name, slots);
  return name;
};

const stateOf = async (pool: string): Promise<PoolState["slots"]> =>
  (await engine().client.workflow.getHandle(poolWorkflowId(pool)).query<PoolState>(POOL_QUERY)).slots;

/** Counts how many are at work, and how many were at most. Who comes first stays until as many are at work as may be, however late they begin. */
const counter = (limit = 1) => {
  const seen = { now: 0, most: 0, order: [] as string[] };
  let reach = (): void => undefined;
  const reached = new Promise<void>((resolve) => (reach = resolve));
  const work: Behaviour = async ({ run, taskId }) => {
    seen.order.push(`${run.id}/${taskId}`);
    seen.now += 1;
    seen.most = Math.max(seen.most, seen.now);
    if (seen.now >= limit) reach();
    await reached;
    await new Promise((resolve) => setTimeout(resolve, 150));
    seen.now -= 1;
    return { output: null };
  };
  return { seen, work };
};

describe("a pool", () => {
  it("is never held by more tasks than it has slots, over all runs, and is empty at the end", async () => {
    const pool = poolOf(3);
    const { seen, work } = counter(3);
    const plan = planOf(Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`t${index}`, { pool }])));
    const verbs = Object.fromEntries(plan.tasks.map(({ id }) => [id, work]));
    const runs = await Promise.all(Array.from({ length: 4 }, () => engine().run(plan, { verbs })));
    expect(runs.map(({ outcome }) => outcome)).toEqual(Array.from({ length: 4 }, () => "succeeded"));
    expect([seen.order.length, seen.most]).toEqual([32, 3]);
    await until("all slots are free", async () => (await stateOf(pool)).holders.length === 0);
  });

  it("hears of many tasks of a run together, and answers them together", async () => {
    const pool = poolOf(50);
    const { seen, work } = counter();
    const plan = planOf(Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`t${index}`, { pool }])));
    const run = await engine().run(plan, { verbs: Object.fromEntries(plan.tasks.map(({ id }) => [id, work])) });
    expect(run.outcome).toBe("succeeded");
    expect([seen.order.length, seen.most <= 50]).toEqual([200, true]);
    const { events } = await engine().client.workflow.getHandle(poolWorkflowId(pool)).fetchHistory();
    const countOf = (
      type: "workflowExecutionSignaledEventAttributes" | "signalExternalWorkflowExecutionInitiatedEventAttributes",
    ): number => (events ?? []).filter((event) => event[type] != null).length;
    // One by one they would be 400 and 200.
    expect(countOf("workflowExecutionSignaledEventAttributes")).toBeLessThan(250);
    expect(countOf("signalExternalWorkflowExecutionInitiatedEventAttributes")).toBeLessThan(120);
  });

  it("says who waits, lets the urgent go first, and gives nothing to who was cancelled", async () => {
    const pool = poolOf(1);
    const { work, begun, release } = blocked();
    const verbs = { a: work };
    const plan = (priority?: number): Plan => planOf({ a: { pool, ...(priority === undefined ? {} : { priority }) } });
    const first = await engine().start(plan(), { verbs });
    await until("the first holds the slot", () => begun.length === 1);
    const waits = async (run: StartedRun): Promise<void> => until("it waits", () => run.tasks()["a"]?.status === "waiting");
    const late = await engine().start(plan(), { verbs });
    await waits(late);
    expect(late.tasks()["a"]?.waiting).toEqual({ for: "pool", pool });
    const cancelled = await engine().start(plan(1), { verbs });
    await waits(cancelled);
    const urgent = await engine().start(plan(2), { verbs });
    await waits(urgent);
    await cancelled.handle.cancel();
    expect(await cancelled.end()).toEqual({ outcome: "cancelled" });
    release();
    for (const run of [first, late, urgent]) expect(await run.end()).toMatchObject({ outcome: "succeeded" });
    expect(begun).toEqual([first, urgent, late].map(({ id }) => `${id}/a`));
  });

  it("gets its slot back between two attempts, and from a run that was killed", async () => {
    const pool = poolOf(1);
    const { work, begun } = blocked();
    const retried = { ...policy({ attempts: 2 }), retry: { attempts: 2, backoffMs: 3_000, maxBackoffMs: 3_000, neverOn: [] } };
    const flaky: Behaviour = ({ attempt }) => {
      if (attempt === 1) throw new DownbeatError("SOURCE_UNAVAILABLE", "away");
      return Promise.resolve({ output: null });
    };
    const failing = await engine().start(planOf({ a: { pool } }, { policies: [retried] }), { verbs: { a: flaky } });
    const between = await engine().run(planOf({ a: { pool } }));
    expect(between.outcome).toBe("succeeded");
    expect(await failing.end()).toMatchObject({ outcome: "succeeded" });
    const killed = await engine().start(planOf({ a: { pool } }), { verbs: { a: work } });
    await until("it holds the slot", () => begun.length === 1);
    await killed.handle.terminate("on purpose");
    expect((await engine().run(planOf({ a: { pool } }))).outcome).toBe("succeeded");
  });

  it("frees the slots of the dead also while others come and go", async () => {
    const pool = poolOf(2);
    const { work, begun } = blocked();
    const killed = await engine().start(planOf({ a: { pool } }), { verbs: { a: work } });
    await until("it holds a slot", () => begun.length === 1);
    await killed.handle.terminate("on purpose");
    const short: Behaviour = () => new Promise((resolve) => setTimeout(() => resolve({ output: null }), 300));
    let isFree = false;
    const traffic = Array.from({ length: 3 }, async () => {
      while (!isFree) await engine().run(planOf({ a: { pool } }), { verbs: { a: short } });
    });
    await until("the dead one is gone", async () => (await stateOf(pool)).holders.every(({ owner }) => owner !== killed.id));
    isFree = true;
    await Promise.all(traffic);
  });

  it("that does not exist fails the task with what to do", async () => {
    const run = await engine().run(planOf({ a: { pool: "nowhere" } }));
    expect(run).toMatchObject({ outcome: "failed", error: { code: "POOL_UNKNOWN" } });
  });
});

describe("the concurrency of a pipeline", () => {
  const limited = (strategy: Concurrency["strategy"], maxRuns = 1): Plan => ({ ...planOf({ a: {} }), concurrency: { maxRuns, strategy } });

  it("queue: one more waits until one has ended, and counts as queued", async () => {
    const pipeline = freshName("queued");
    const { seen, work } = counter(2);
    const runs = await Promise.all(Array.from({ length: 5 }, () => engine().start(limited("queue", 2), { verbs: { a: work }, pipeline })));
    for (const run of runs) expect(await run.end()).toMatchObject({ outcome: "succeeded" });
    expect([seen.order.length, seen.most]).toEqual([5, 2]);
  });

  it("skip: one more ends at once and says why; cancelled while it waits, one gives up its place", async () => {
    const pipeline = freshName("skipped");
    const { work, begun, release } = blocked();
    const first = await engine().start(limited("skip"), { verbs: { a: work }, pipeline });
    await until("the first goes on", () => begun.length === 1);
    const second = await engine().run(limited("skip"), { verbs: { a: work }, pipeline });
    expect(second.outcome).toBe("cancelled");
    expect(second.reports.at(-1)).toMatchObject({ status: "cancelled", error: { code: "CONCURRENCY_LIMIT" } });
    const waiting = await engine().start(limited("queue"), { verbs: { a: work }, pipeline });
    await waiting.handle.cancel();
    expect(await waiting.end()).toEqual({ outcome: "cancelled" });
    release();
    expect(await first.end()).toMatchObject({ outcome: "succeeded" });
    expect((await engine().run(limited("skip"), { pipeline })).outcome).toBe("succeeded");
    expect(begun).toHaveLength(1);
  });

  it("cancel_new: one more is recorded as cancelled, with what stood in its way", async () => {
    const pipeline = freshName("refused");
    const { work, begun, release } = blocked();
    const first = await engine().start(limited("cancel_new", 1), { verbs: { a: work }, pipeline });
    await until("the first goes on", () => begun.length === 1);
    const plan: Plan = { ...planOf({ a: {}, clean: { finally: true } }), concurrency: { maxRuns: 1, strategy: "cancel_new" } };
    const second = await engine().run(plan, { verbs: { a: work, clean: work }, pipeline });
    expect(second.outcome).toBe("cancelled");
    expect(second.reports.at(-1)?.error).toMatchObject({
      code: "CONCURRENCY_LIMIT",
      message: expect.stringContaining("max_runs 1), and its concurrency strategy is cancel_new") as string,
    });
    expect(statusesOf(second)).toEqual({ a: "cancelled", clean: "cancelled" });
    release();
    expect(await first.end()).toMatchObject({ outcome: "succeeded" });
    expect(begun).toHaveLength(1);
  });

  it("cancel_running: the oldest is cancelled, cleans up, and the new one goes on", async () => {
    const pipeline = freshName("replaced");
    const { work, begun } = blocked();
    const plan: Plan = { ...planOf({ a: {}, clean: { finally: true } }), concurrency: { maxRuns: 1, strategy: "cancel_running" } };
    const first = await engine().start(plan, { verbs: { a: work }, pipeline });
    await until("the first goes on", () => begun.length === 1);
    const second = await engine().run(plan, { pipeline });
    expect(await first.end()).toEqual({ outcome: "cancelled" });
    expect(statusesOf(first)).toEqual({ a: "cancelled", clean: "succeeded" });
    expect(second.outcome).toBe("succeeded");
  });
});

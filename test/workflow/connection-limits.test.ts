// Limits and circuit breakers of connections on a real server: held over runs, together with pools, through failures, kills and changes.

import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { type CircuitPolicy, type ConnectionLimits, connectionSlots } from "../../core/circuit.ts";
import { DownbeatError } from "../../core/errors.ts";
import { connectionPool } from "../../core/ids.ts";
import type { Plan } from "../../core/plan.ts";
import { type CircuitReset, type ConfigureSignal, POOL_SIGNALS, type PoolState } from "../../workflows/messages.ts";
import { planOf, policy } from "../core/runs.ts";
import { freshName } from "../fixtures/services.ts";
import type { Behaviour } from "./engine.ts";
import { blocked, toldWait, until, useEngine } from "./kit.ts";
import * as kit from "./limits-kit.ts";
import { connectionWith, LIMITED } from "./limits-kit.ts";

const engine = useEngine(LIMITED);

const ownerOf = (connection: string) => kit.ownerOf(engine(), connectionPool(connection));
const stateOf = (connection: string): Promise<PoolState> => kit.stateOf(engine(), connectionPool(connection));
const isFree = (connection: string): Promise<void> => kit.isFree(engine(), connectionPool(connection));
const usedBy = (names: readonly string[]) => ({ connections: names.toSorted().map((name) => ({ name })) });

/** Counts who is at work with what. `stays`: who uses that alone stays until so many are at work with it, however late the next one begins. */
const meter = (stays?: { readonly with: string; readonly until: number }) => {
  const now = new Map<string, number>();
  const most = new Map<string, number>();
  let reach = (): void => undefined;
  const reached = new Promise<void>((resolve) => (reach = resolve));
  const using =
    (names: readonly string[], milliseconds = 60): Behaviour =>
    async (_call, { signal }) => {
      for (const name of names) {
        now.set(name, (now.get(name) ?? 0) + 1);
        most.set(name, Math.max(most.get(name) ?? 0, now.get(name) ?? 0));
      }
      if (stays !== undefined && (now.get(stays.with) ?? 0) >= stays.until) reach();
      try {
        if (names.join() === stays?.with) await reached;
        await new Promise<void>((resolve, reject) => {
          setTimeout(resolve, milliseconds);
          signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
        });
      } finally {
        for (const name of names) now.set(name, (now.get(name) ?? 0) - 1);
      }
      return { output: null };
    };
  return { most, using };
};

describe("the limit of a connection", () => {
  it("holds over all runs, also where tasks use several connections and a pool, and nobody waits for ever", async () => {
    const [a, b] = [connectionWith({ maxConcurrent: 2 }), connectionWith({ maxConcurrent: 1 })];
    const pool = freshName("pool");
    const { most, using } = meter({ with: a, until: 2 });
    const kinds = [[a], [b], [a, b], [b, a]];
    const tasks = Array.from({ length: 8 }, (_, index) => kinds[index % kinds.length] ?? []);
    const plan = planOf(
      Object.fromEntries(tasks.map((names, index) => [`t${index}`, { ...usedBy(names), ...(index % 3 === 0 ? { pool } : {}) }])),
    );
    const verbs = Object.fromEntries(tasks.map((names, index) => [`t${index}`, using([...names, ...(index % 3 === 0 ? [pool] : [])])]));
    const runs = await Promise.all(Array.from({ length: 3 }, () => engine().run(plan, { verbs })));
    expect(runs.map(({ outcome }) => outcome)).toEqual(["succeeded", "succeeded", "succeeded"]);
    expect(most.get(a)).toBe(2);
    expect(most.get(b)).toBe(1);
    expect(most.get(pool)).toBeLessThanOrEqual(2);
    await isFree(a);
    await isFree(b);
  });

  it("is never exceeded and loses no slot whatever becomes of runs: cancelled, killed, failed, repeated", async () => {
    const [a, b] = [connectionWith({ maxConcurrent: 2 }), connectionWith({ maxConcurrent: 1 })];
    const fates = ["ends", "ends", "fails", "is cancelled", "is killed", "is repeated"] as const;
    const { most, using } = meter();
    const plan = planOf({ one: usedBy([a]), both: { ...usedBy([a, b]), priority: 1 }, last: { ...usedBy([b]), needs: ["one"] } });
    const [scenario = []] = fc.sample(
      fc.array(fc.record({ fate: fc.constantFrom(...fates), after: fc.nat(250) }), { minLength: 12, maxLength: 12 }),
      { numRuns: 1, seed: 4 },
    );
    await Promise.all(
      scenario.map(async ({ fate, after }) => {
        const failing: Behaviour = () => Promise.reject(new DownbeatError("SQL_FAILED", "no"));
        const verbs = { one: fate === "fails" ? failing : using([a]), both: using([a, b]), last: using([b]) };
        const run = await engine().start(plan, { verbs });
        await new Promise((resolve) => setTimeout(resolve, after));
        if (fate === "is cancelled") await run.handle.cancel();
        // Of one that was killed workers learn late: its attempts are over before its slots are given away.
        if (fate === "is killed") await run.handle.terminate("on purpose").catch(() => undefined);
        else await run.end();
        if (fate === "is repeated") await engine().run(plan, { verbs });
      }),
    );
    expect(most.get(a)).toBeLessThanOrEqual(2);
    expect(most.get(b)).toBe(1);
    // Every slot can be held again, those of the dead as well, and no more than there are.
    const { work, begun, release } = blocked(({ run }) => run.id);
    const holding = await Promise.all(
      [a, a, a, b, b].map((name) => engine().start(planOf({ held: usedBy([name]) }), { verbs: { held: work } })),
    );
    await until("all slots are held", () => begun.length === 3);
    // These may come to ask when the others are at work already.
    await until("two wait", async () => (await stateOf(a)).slots.waiting.length + (await stateOf(b)).slots.waiting.length === 2);
    expect(begun).toHaveLength(3);
    release();
    for (const run of holding) expect(await run.end()).toMatchObject({ outcome: "succeeded" });
    await isFree(a);
    await isFree(b);
  });

  it("is what a task says that it waits for, the urgent first, and a new limit holds at once", async () => {
    const name = connectionWith({ maxConcurrent: 1 });
    const { work, begun, release } = blocked(({ run }) => run.id);
    const plan = (priority?: number): Plan => planOf({ a: { ...usedBy([name]), ...(priority === undefined ? {} : { priority }) } });
    const first = await engine().start(plan(), { verbs: { a: work } });
    await until("the first holds the slot", () => begun.length === 1);
    const late = await engine().start(plan(), { verbs: { a: work } });
    await until("it waits", () => late.tasks()["a"]?.status === "waiting");
    expect(late.tasks()["a"]?.waiting).toEqual({ for: "connection", connection: name });
    const urgent = await engine().start(plan(1), { verbs: { a: work } });
    await until("it waits", () => urgent.tasks()["a"]?.status === "waiting");
    await ownerOf(name).signal<[ConfigureSignal]>(POOL_SIGNALS.configure, connectionSlots({ maxConcurrent: 2 }));
    await until("the urgent one goes first", () => begun.length === 2);
    expect(begun).toEqual([first.id, urgent.id]);
    await ownerOf(name).signal<[ConfigureSignal]>(POOL_SIGNALS.configure, connectionSlots(null));
    await until("all go", () => begun.length === 3);
    release();
    for (const run of [first, late, urgent]) expect(await run.end()).toMatchObject({ outcome: "succeeded" });
  });

  it("of a connection that was deleted fails the task with what happened", async () => {
    const run = await engine().run(planOf({ a: usedBy(["deleted"]) }));
    expect(run).toMatchObject({ outcome: "failed", error: { code: "CONNECTION_NOT_FOUND" } });
  });
});

describe("a task that has one slot and waits for another", () => {
  /** In the order in which tasks ask for them. */
  const both = (given: ConnectionLimits): readonly [string, string] => {
    const [a = "", b = ""] = [connectionWith(given), connectionWith(given)].toSorted();
    return [a, b];
  };
  const keysOf = async (connection: string): Promise<readonly (readonly string[])[]> => {
    const { holders, waiting } = (await stateOf(connection)).slots;
    return [holders, waiting].map((ones) => ones.map(({ owner }) => owner));
  };

  it("gives it back where a circuit is open, and goes when that has closed", async () => {
    const [a, b] = both({ maxConcurrent: 1, breaker: { failures: 1, withinMs: 60_000, openForMs: 3_600_000 } });
    const away: Behaviour = () => Promise.reject(new DownbeatError("SOURCE_UNAVAILABLE", "away"));
    expect((await engine().run(planOf({ t: usedBy([b]) }), { verbs: { t: away } })).outcome).toBe("failed");
    await until("it is open", async () => (await stateOf(b)).breaker?.circuit.state === "open");
    const waiting = await engine().start(planOf({ t: usedBy([a, b]) }));
    await until("it says so", () => waiting.tasks()["t"]?.waiting?.for === "circuit");
    expect((await engine().run(planOf({ t: usedBy([a]) }))).outcome).toBe("succeeded");
    expect([waiting.attempts("t").length, await keysOf(b)]).toEqual([0, [[], [waiting.id]]]);
    await ownerOf(b).signal<[CircuitReset]>(POOL_SIGNALS.reset, { by: "ann", why: "mended", at: "2026-01-01T00:00:00.000Z" });
    expect(await waiting.end()).toMatchObject({ outcome: "succeeded" });
    await isFree(a);
    await isFree(b);
  });

  it("gives it back after a while, and gives in where it waits against the order", async () => {
    const [a, b] = both({ maxConcurrent: 1 });
    const plan = planOf({ t: usedBy([a, b]) });
    const { most, using } = meter();
    const { work, begun, release } = blocked();
    const verbs = { t: using([a, b]) };
    const holding = await engine().start(planOf({ t: usedBy([b]) }), { verbs: { t: work } });
    await until("one is held", () => begun.length === 1);
    const first = await engine().start(plan, { verbs });
    // Asked of the owner: the report of a busy server may come when it has given the other back.
    await until("it waits", async () => (await keysOf(b))[1]?.length === 1);
    expect(await keysOf(a)).toEqual([[first.id], []]);
    await until("it says so", () => first.tasks()["t"]?.waiting?.connection === b);
    await vi.waitFor(async () => expect(await keysOf(a)).toEqual([[], []]), { timeout: 90_000, interval: 250 });
    const second = await engine().start(plan, { verbs });
    await until("both wait for the one that is held", async () => (await keysOf(b))[1]?.length === 2);
    // When the first one has it, each holds what the other one waits for.
    expect([await keysOf(a), await keysOf(b)]).toEqual([
      [[second.id], []],
      [[holding.id], [first.id, second.id]],
    ]);
    release();
    for (const run of [holding, first, second]) expect(await run.end()).toMatchObject({ outcome: "succeeded" });
    expect([most.get(a), most.get(b)]).toEqual([1, 1]);
    await isFree(a);
    await isFree(b);
  }, 240_000);
});

describe("the circuit breaker of a connection", () => {
  const breaker: CircuitPolicy = { failures: 2, withinMs: 60_000, openForMs: 3_000 };
  const once = { ...policy({ attempts: 1 }) };
  const away: Behaviour = () => Promise.reject(new DownbeatError("SOURCE_UNAVAILABLE", "away"));

  it("opens after failures, lets tasks wait and say so, lets one through, then two, then four", async () => {
    // All of them have to ask while it is open.
    const openForMs = 15_000;
    const name = connectionWith({ breaker: { ...breaker, openForMs } });
    const task = (id: string) => planOf({ [id]: usedBy([name]) }, { policies: [once] });
    // An error of the definition's own comes from a system that answers.
    const refused: Behaviour = () => Promise.reject(new DownbeatError("SQL_FAILED", "no"));
    for (const behaviour of [away, refused, away])
      expect((await engine().run(task("a"), { verbs: { a: behaviour } })).outcome).toBe("failed");
    await until("it is open", async () => (await stateOf(name)).breaker?.circuit.state === "open");
    const works = Array.from({ length: 7 }, () => blocked(({ run }) => run.id));
    const waiting = await Promise.all(works.map(({ work }) => engine().start(task("a"), { verbs: { a: work } })));
    await until("all say what they wait for", () => waiting.every((run) => toldWait(run, "a", "circuit") !== undefined));
    const { since = "", until: moment = "", ...rest } = (waiting[0] && toldWait(waiting[0], "a", "circuit"))?.waiting ?? { for: "retry" };
    expect(rest).toEqual({ for: "circuit", connection: name });
    expect(Date.parse(moment) - Date.parse(since)).toBe(openForMs);
    const atWork = (): typeof works => works.filter(({ begun }) => begun.length > 0);
    for (const [allowed, begun] of [
      [1, 1],
      [2, 3],
      [4, 7],
    ] as const) {
      await until(`${allowed} are let through`, () => atWork().length >= begun);
      const { slots, breaker: half } = await stateOf(name);
      expect([slots.holders.length, slots.waiting.length, half?.circuit]).toMatchObject([
        allowed,
        works.length - begun,
        { state: "half_open", allowed, successes: 0 },
      ]);
      if (allowed === 1) expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(moment));
      for (const { release } of atWork()) release();
    }
    for (const run of waiting) expect(await run.end()).toMatchObject({ outcome: "succeeded" });
    await isFree(name);
  });

  it("stays open when the one that it lets through fails; lost or cancelled ones tell nothing; somebody closes it by hand", async () => {
    const name = connectionWith({ breaker: { ...breaker, failures: 1, openForMs: 1_000 } });
    const task = planOf({ a: usedBy([name]) }, { policies: [once] });
    await engine().run(task, { verbs: { a: away } });
    const first = await stateOf(name);
    expect(first.breaker?.circuit.state).toBe("open");
    await engine().run(task, { verbs: { a: away } });
    const second = await stateOf(name);
    expect(second.breaker?.circuit.state).toBe("open");
    expect(second.breaker?.circuit).not.toEqual(first.breaker?.circuit);
    const { work, begun } = blocked(({ run }) => run.id);
    const probe = await engine().start(task, { verbs: { a: work } });
    await until("it is let through", () => begun.length === 1);
    const next = await engine().start(task);
    await until("the next waits", async () => (await stateOf(name)).slots.waiting.length === 1);
    await probe.handle.cancel();
    expect(await probe.end()).toEqual({ outcome: "cancelled" });
    expect(await next.end()).toMatchObject({ outcome: "succeeded" });
    await until("more are allowed", async () => (await stateOf(name)).breaker?.circuit.state === "half_open");
    const reset: CircuitReset = { by: "ann", why: "mended", at: "2026-01-01T00:00:00.000Z" };
    await ownerOf(name).signal<[CircuitReset]>(POOL_SIGNALS.reset, reset);
    await until("it is closed", async () => (await stateOf(name)).breaker?.circuit.state === "closed");
    expect((await stateOf(name)).reset).toEqual(reset);
  });

  it("retries by the run's own policy wait for it without a worker, and go on when the other side is back", async () => {
    const name = connectionWith({ maxConcurrent: 5, breaker: { ...breaker, failures: 3, openForMs: 2_000 } });
    const retried = { ...policy({ attempts: 6 }), retry: { attempts: 6, backoffMs: 50, maxBackoffMs: 50, neverOn: [] } };
    let calls = 0;
    const flaky: Behaviour = () => {
      calls += 1;
      return calls <= 4 ? away({} as never, {} as never) : Promise.resolve({ output: null });
    };
    const run = await engine().run(planOf({ a: usedBy([name]) }, { policies: [retried] }), { verbs: { a: flaky } });
    expect([run.outcome, calls]).toEqual(["succeeded", 5]);
    // Three open it; the one that is let through fails and opens it again; the next ends well.
    const times = run.attempts("a").map(({ startedAt }) => Date.parse(startedAt));
    expect((times[3] ?? 0) - (times[2] ?? 0)).toBeGreaterThanOrEqual(2_000);
    expect((times[4] ?? 0) - (times[3] ?? 0)).toBeGreaterThanOrEqual(2_000);
  });
});

// The run-state reducer case by case: retries, outcomes, fail-fast, cancel, outputs, size.
import { describe, expect, it } from "vitest";
import { LIMITS } from "../../core/limits.ts";
import type { Plan } from "../../core/plan.ts";
import { restoreSnapshot, takeSnapshot } from "../../core/run-snapshot.ts";
import { backoffMs, failAttempt, loseAttempt } from "../../core/run-attempts.ts";
import * as reducer from "../../core/run-state.ts";
import { execute, planOf, policy, type Fate } from "./runs.ts";

const away = { code: "SOURCE_UNAVAILABLE", message: "away" };

const begin = (plan: Plan): { readonly state: reducer.RunState; readonly graph: reducer.Graph } => {
  const graph = reducer.graphOf(plan);
  return { graph, state: reducer.initRun(graph) };
};

const startNext = (state: reducer.RunState, now = 0): number => {
  const index = reducer.takeReady(state);
  if (index === undefined) throw new Error("nothing is ready");
  reducer.start(state, index, now);
  return index;
};

const finish = (plan: Plan, fates: Readonly<Record<string, Fate>>, skipped: readonly string[] = []) => {
  const { state, graph } = execute(
    {
      plan,
      fates: plan.tasks.map(({ id }) => fates[id] ?? ["succeeds"]),
      skips: plan.tasks.map(({ id }) => skipped.includes(id)),
    },
    { choose: () => 0 },
  );
  return {
    outcome: reducer.outcome(state, graph),
    ...Object.fromEntries(plan.tasks.map(({ id }, index) => [id, state.tasks[index]?.status])),
  };
};

describe("what is ready", () => {
  const plan = planOf({
    first: {},
    low: { priority: 5 },
    usual: {},
    late: { priority: 4 },
    urgent: { priority: 1, needs: ["first"] },
    usualToo: { priority: 3, needs: ["first"] },
    low2: { priority: 5, needs: ["first"] },
  });

  const orderOf = (graph: reducer.Graph): readonly string[] => {
    const state = reducer.initRun(graph);
    const order: string[] = [];
    const take = (): number => {
      const index = reducer.takeReady(state) as number;
      order.push(plan.tasks[index]?.id ?? "");
      reducer.start(state, index, 0);
      return index;
    };
    const first = take();
    reducer.succeed(state, graph, first, null, 0);
    while (state.ready.length > 0) take();
    return order;
  };

  it("begins by priority, then by age, also what becomes ready while others wait", () => {
    expect(orderOf(reducer.graphOf(plan))).toEqual(["first", "urgent", "usual", "usualToo", "late", "low", "low2"]);
  });

  it("begins by age alone in runs that began when it did", () => {
    expect(orderOf(reducer.graphOf(plan, {}))).toEqual(["first", "low", "usual", "late", "urgent", "usualToo", "low2"]);
  });
});

describe("readiness", () => {
  it("roots are ready in definition order, dependents when their needs have ended", () => {
    const { state, graph } = begin(planOf({ a: {}, b: {}, c: { needs: ["a", "b"] } }));
    expect(state.ready).toEqual([0, 1]);
    const [a, b] = [startNext(state), startNext(state)];
    reducer.succeed(state, graph, b, null, 1);
    expect(state.ready).toEqual([]);
    reducer.succeed(state, graph, a, null, 2);
    expect(state.ready).toEqual([2]);
  });

  it("a task cannot be started before it is ready", () => {
    const { state } = begin(planOf({ a: {}, b: { needs: ["a"] } }));
    expect(() => reducer.start(state, 1, 0)).toThrow(/cannot start/);
  });

  it("a chain of 5,000 skipped tasks settles without recursion", () => {
    const tasks = Object.fromEntries(
      Array.from({ length: 5_000 }, (_, index) => [`t${index}`, { needs: index === 0 ? [] : [`t${index - 1}`] }]),
    );
    const { state, graph } = begin(planOf(tasks));
    reducer.takeReady(state);
    expect(reducer.skip(state, graph, 0, 0).ended).toHaveLength(5_000);
    expect(reducer.isOver(state)).toBe(true);
  });
});

describe("attempts", () => {
  const plan = planOf({ a: {} }, { policies: [policy({ attempts: 3, neverOn: ["RATE_LIMITED"], totalMs: 100_000 })] });

  it("a retryable failure waits by the backoff, doubled each time", () => {
    const { state, graph } = begin(plan);
    startNext(state, 0);
    failAttempt(state, graph, 0, away, 0);
    expect(state.tasks[0]).toMatchObject({ status: "waiting", retryAt: 1_000, attempts: 1 });
    expect(reducer.wake(state, graph, 999)).toBe(1_000);
    expect(state.ready).toEqual([]);
    expect(reducer.wake(state, graph, 1_000)).toBeUndefined();
    startNext(state, 1_000);
    failAttempt(state, graph, 0, away, 1_000);
    expect(state.tasks[0]?.retryAt).toBe(3_000);
  });

  it("the last attempt's failure is final", () => {
    expect(finish(plan, { a: ["fails"] })).toEqual({ outcome: "failed", a: "failed" });
    expect(finish(plan, { a: ["fails", "fails", "succeeds"] })).toEqual({ outcome: "succeeded", a: "succeeded" });
  });

  it.each([
    ["a code that the table does not retry", "SOURCE_AUTH"],
    ["a code that the policy does not retry", "RATE_LIMITED"],
  ])("%s is final at once", (_title, code) => {
    const { state, graph } = begin(plan);
    startNext(state);
    failAttempt(state, graph, 0, { code, message: "no" }, 0);
    expect(state.tasks[0]).toMatchObject({ status: "failed", attempts: 1, error: { code } });
  });

  it("a Retry-After is honoured, beyond the cap as well", () => {
    const { retry } = policy({ attempts: 3 });
    expect(backoffMs(retry, 1, 90_000)).toBe(90_000);
    expect(backoffMs(retry, 1, 10)).toBe(1_000);
    expect(backoffMs(retry, 30)).toBe(60_000);
  });

  it("no attempt begins after the total timeout", () => {
    const { state, graph } = begin(plan);
    startNext(state, 0);
    failAttempt(state, graph, 0, { ...away, retryAfterMs: 100_000 }, 1);
    expect(state.tasks[0]).toMatchObject({ status: "failed", error: { code: "SOURCE_UNAVAILABLE" } });
    expect(state.tasks[0]?.error?.message).toContain("timeout.total, 100 s");
  });

  it("a lost attempt is not counted and starts again at once", () => {
    const { state, graph } = begin(plan);
    startNext(state, 0);
    loseAttempt(state, graph, 0, 7);
    expect(state.tasks[0]).toMatchObject({ status: "waiting", attempts: 0, lost: 1, retryAt: 7 });
    expect(reducer.wake(state, graph, 7)).toBeUndefined();
    startNext(state, 7);
    expect(state.tasks[0]).toMatchObject({ status: "running", attempts: 1, startedAt: 0 });
  });

  it("a hundred lost attempts leave the limit of attempts alone", () => {
    const fates: Fate = [...Array.from({ length: 100 }, () => "is lost" as const), "fails", "fails", "succeeds"];
    expect(finish(plan, { a: fates }).outcome).toBe("succeeded");
  });
});

describe("outcome", () => {
  it("a failed task in the middle fails the run although the leaf succeeded", () => {
    const plan = planOf({ a: {}, leaf: { needs: ["a"], rule: "all_done" } });
    expect(finish(plan, { a: ["fails"] })).toEqual({ outcome: "failed", a: "failed", leaf: "succeeded" });
  });

  it.each(["one_failed", "all_failed"] as const)("a succeeded %s task that needs it directly handles a failure", (rule) => {
    const plan = planOf({ a: {}, handler: { needs: ["a"], rule } });
    expect(finish(plan, { a: ["fails"] })).toEqual({ outcome: "succeeded", a: "failed", handler: "succeeded" });
    expect(finish(plan, { a: ["fails"], handler: ["fails"] }).outcome).toBe("failed");
  });

  it("a handler further down handles nothing", () => {
    const plan = planOf({ a: {}, b: { needs: ["a"] }, handler: { needs: ["b"], rule: "one_failed" } });
    expect(finish(plan, { a: ["fails"] })).toEqual({ outcome: "failed", a: "failed", b: "upstream_failed", handler: "succeeded" });
  });

  it("skips go down through all_success, not through none_failed and all_done", () => {
    const plan = planOf({
      a: {},
      b: { needs: ["a"] },
      c: { needs: ["b"], rule: "none_failed" },
      d: { needs: ["b"], rule: "all_done" },
    });
    expect(finish(plan, {}, ["a"])).toEqual({ outcome: "succeeded", a: "skipped", b: "skipped", c: "succeeded", d: "succeeded" });
  });
});

describe("fail-fast", () => {
  const failFast = { failurePolicy: "fail-fast" } as const;

  it("cancels what runs, starts nothing new, but lets cleanup run", () => {
    const plan = planOf({ a: {}, b: {}, c: { needs: ["b"] }, cleanup: { needs: ["a", "b"], rule: "all_done" } }, failFast);
    const { state, graph } = begin(plan);
    startNext(state);
    startNext(state);
    const { ended, cancel } = failAttempt(state, graph, 0, away, 0);
    expect({ ended, cancel }).toEqual({ ended: [0], cancel: [1] });
    reducer.cancelTask(state, graph, 1, 1);
    expect(state.tasks.map(({ status }) => status)).toEqual(["failed", "cancelled", "upstream_failed", "pending"]);
    expect(startNext(state)).toBe(3);
    reducer.succeed(state, graph, 3, null, 2);
    expect(reducer.outcome(state, graph)).toBe("failed");
  });

  it("what waits for its next attempt is cancelled too", () => {
    const plan = planOf({ a: {}, b: { policy: 1 } }, { ...failFast, policies: [policy(), policy({ attempts: 3 })] });
    const { state, graph } = begin(plan);
    startNext(state);
    startNext(state);
    failAttempt(state, graph, 1, away, 0);
    expect(failAttempt(state, graph, 0, away, 0).ended).toEqual([0, 1]);
    expect(reducer.isOver(state)).toBe(true);
  });

  it("waits for the handler that needs the failed task, and stops when that one cannot handle it", () => {
    const plan = planOf({ a: {}, b: {}, slow: {}, handler: { needs: ["a", "b"], rule: "all_failed" } }, failFast);
    const { state, graph } = begin(plan);
    for (let left = 3; left > 0; left -= 1) startNext(state);
    expect(failAttempt(state, graph, 0, away, 0).cancel).toEqual([]);
    const { ended, cancel } = reducer.succeed(state, graph, 1, null, 1);
    expect({ ended, cancel }).toEqual({ ended: [1, 3], cancel: [2] });
  });

  it("a cancelled run starts nothing at all, and a failure in it is not tried again", () => {
    const plan = planOf({ a: { rule: "all_done" }, b: { needs: ["a"], rule: "always" } }, { policies: [policy({ attempts: 3 })] });
    const { state, graph } = begin(plan);
    startNext(state);
    expect(reducer.stop(state, graph, "cancelled", 0)).toEqual({ ended: [1], cancel: [0] });
    failAttempt(state, graph, 0, away, 0);
    expect(reducer.isOver(state)).toBe(true);
    expect(reducer.outcome(state, graph)).toBe("cancelled");
  });
});

describe("outputs", () => {
  it("an output over the limit fails the task", () => {
    const { state, graph } = begin(planOf({ a: {} }));
    startNext(state);
    reducer.succeed(state, graph, 0, "x".repeat(LIMITS.outputBytes), 0);
    expect(state.tasks[0]).toMatchObject({ status: "failed", error: { code: "OUTPUT_TOO_LARGE" } });
  });

  it("only outputs that other tasks read are kept, and only those count towards the run's limit", () => {
    const big = "x".repeat(LIMITS.outputBytes - 2);
    const fits = Math.floor(LIMITS.outputsBytesPerRun / LIMITS.outputBytes);
    const ids = Array.from({ length: fits + 1 }, (_, index) => `t${index}`);
    const run = (reads: readonly string[]): reducer.RunState => {
      const { state, graph } = begin(planOf({ ...Object.fromEntries(ids.map((id) => [id, {}])), reader: { reads } }));
      for (const index of ids.keys()) {
        startNext(state);
        reducer.succeed(state, graph, index, big, 0);
      }
      return state;
    };
    expect(run([]).tasks.map(({ output }) => output)).not.toContain(big);
    expect(run([]).tasks.filter(({ status }) => status === "failed")).toEqual([]);
    const full = run(ids);
    expect(full.tasks.filter(({ output }) => output === big)).toHaveLength(fits);
    expect(full.tasks.filter(({ status }) => status === "failed").map(({ error }) => error?.code)).toEqual(["OUTPUT_TOO_LARGE"]);
  });
});

describe("snapshots", () => {
  it("5,000 ended tasks with outputs take a few KB, not their size", () => {
    const ids = Array.from({ length: 5_000 }, (_, index) => `task-with-a-long-name-${index}`);
    const { state, graph } = begin(
      planOf({ ...Object.fromEntries(ids.map((id) => [id, {}])), last: { needs: ids, reads: [ids[0] ?? ""] } }),
    );
    for (const index of ids.keys()) {
      startNext(state);
      reducer.succeed(state, graph, index, { rows: index }, 0);
    }
    const text = JSON.stringify(takeSnapshot(state, graph));
    expect(text.length).toBeLessThan(6_000);
    const restored = restoreSnapshot(JSON.parse(text), graph);
    expect(restored.ready).toEqual([5_000]);
    expect(restored.tasks[0]?.output).toEqual({ rows: 0 });
    expect(restored.needs[5_000]).toEqual({ open: 0, succeeded: 5_000, failed: 0, skipped: 0, upstreamFailed: 0 });
  });

  it("the error that names a failed run survives, and so does what waits", () => {
    const plan = planOf({ a: {}, b: { policy: 1 } }, { policies: [policy(), policy({ attempts: 3 })] });
    const { state, graph } = begin(plan);
    startNext(state);
    startNext(state);
    failAttempt(state, graph, 0, { code: "SOURCE_AUTH", message: "no" }, 0);
    failAttempt(state, graph, 1, away, 5);
    const restored = restoreSnapshot(JSON.parse(JSON.stringify(takeSnapshot(state, graph))), graph);
    expect(restored.tasks).toMatchObject([
      { status: "failed", error: { code: "SOURCE_AUTH", message: "no" } },
      { status: "waiting", attempts: 1, retryAt: 1_005 },
    ]);
    expect(reducer.wake(restored, graph, 0)).toBe(1_005);
  });

  it("a snapshot of a run in which something runs is refused", () => {
    const { state, graph } = begin(planOf({ a: {} }));
    startNext(state);
    expect(() => takeSnapshot(state, graph)).toThrow(/nothing runs/);
  });

  it.each(["STORE_UNAVAILABLE", "PIPELINE_PAUSED"])(
    "%s is nobody's attempt: the task waits until timeout.total, and says for what",
    (code) => {
      const { state, graph } = begin(planOf({ a: {} }, { policies: [policy({ attempts: 1, totalMs: 60_000 })] }));
      let now = 0;
      for (let tries = 0; tries < 100 && state.tasks[0]?.status !== "failed"; tries += 1) {
        startNext(state, now);
        failAttempt(state, graph, 0, { code, message: "not now" }, now);
        if (state.tasks[0]?.status === "waiting") {
          expect(state.tasks[0]).toMatchObject({ attempts: 0, error: { code } });
          now = state.tasks[0].retryAt ?? now;
          reducer.wake(state, graph, now);
        }
      }
      expect([state.tasks[0]?.status, now]).toEqual(["failed", 60_000]);
    },
  );
});

// Acting on a run by hand, parked tasks, `finally` tasks and retries by code: the reducer's part.

import { describe, expect, it } from "vitest";
import { type Control, control, escalate, openStatus, pauseWith, refusal } from "../../core/run-control.ts";
import { restoreSnapshot, takeSnapshot } from "../../core/run-snapshot.ts";
import { failAttempt } from "../../core/run-attempts.ts";
import * as reducer from "../../core/run-state.ts";
import { planOf, policy } from "./runs.ts";

const ANNA = { by: "anna" };
const AWAY = { code: "SOURCE_UNAVAILABLE", message: "away" };
const REFUSED = { code: "SOURCE_AUTH", message: "no" };
const PARKS = { ...policy({ attempts: 2 }), onExhausted: "park" as const };

const set = (plan: ReturnType<typeof planOf>, manner: { readonly amended?: true } = {}) => {
  const graph = reducer.graphOf(plan, manner);
  return { graph, state: reducer.initRun(graph) };
};

const startAll = (state: reducer.RunState, now = 0): void => {
  for (let index = reducer.takeReady(state); index !== undefined; index = reducer.takeReady(state)) reducer.start(state, index, now);
};

const statuses = (state: reducer.RunState): readonly string[] => state.tasks.map(({ status }) => status);

describe("a parked task", () => {
  const parked = () => {
    const one = set(planOf({ a: {}, b: { needs: ["a"] }, c: {} }, { failurePolicy: "fail-fast", policies: [PARKS] }));
    startAll(one.state);
    failAttempt(one.state, one.graph, 0, REFUSED, 1);
    return one;
  };

  it("keeps the run open, stops nothing and says why", () => {
    const { state, graph } = parked();
    expect(statuses(state)).toEqual(["parked", "pending", "running"]);
    expect(state.tasks[0]?.error).toEqual(REFUSED);
    expect(openStatus(state)).toBe("running");
    reducer.succeed(state, graph, 2, null, 2);
    expect([openStatus(state), reducer.isOver(state)]).toEqual(["parked", false]);
  });

  it("goes on with all of its attempts, numbers going on", () => {
    const { state, graph } = parked();
    expect(refusal(state, graph, { action: "continue", task: "c" }, ANNA, 2)).toContain("only a parked task");
    expect(refusal(state, graph, { action: "continue", task: "a" }, ANNA, 2)).toBeUndefined();
    control(state, graph, { action: "continue", task: "a" }, ANNA, 5_000);
    startAll(state, 5_000);
    expect(state.tasks[0]).toMatchObject({ status: "running", attempts: 2 });
    failAttempt(state, graph, 0, AWAY, 5_001);
    // A first attempt's pause again.
    expect(state.tasks[0]).toMatchObject({ status: "waiting", retryAt: 6_001 });
    reducer.wake(state, graph, 6_001);
    startAll(state, 6_001);
    failAttempt(state, graph, 0, AWAY, 6_002);
    expect(state.tasks[0]).toMatchObject({ status: "parked", attempts: 3 });
  });

  it("survives a snapshot, and ends with a run that is cancelled", () => {
    const { state, graph } = parked();
    reducer.succeed(state, graph, 2, null, 2);
    const restored = restoreSnapshot(JSON.parse(JSON.stringify(takeSnapshot(state, graph))), graph);
    expect(statuses(restored)).toEqual(statuses(state));
    expect(openStatus(restored)).toBe("parked");
    reducer.stop(restored, graph, "cancelled", 3);
    expect(statuses(restored)).toEqual(["cancelled", "cancelled", "succeeded"]);
  });

  it("is not parked any more once the run is stopping", () => {
    const { state, graph } = set(planOf({ a: {}, b: {} }, { failurePolicy: "fail-fast", policies: [PARKS, policy()] }));
    const plan = { ...graph.plan, tasks: graph.plan.tasks.map((task, index) => ({ ...task, policy: index })) };
    const other = reducer.graphOf(plan);
    startAll(state);
    failAttempt(state, other, 1, REFUSED, 1);
    failAttempt(state, other, 0, REFUSED, 2);
    expect(statuses(state)).toEqual(["failed", "failed"]);
  });
});

describe("pausing and resuming", () => {
  it("are refused where they would change nothing", () => {
    const { state, graph } = set(planOf({ a: {} }));
    const why = (action: "pause" | "resume"): string | undefined => refusal(state, graph, { action }, ANNA, 1);
    expect([why("pause"), why("resume")]).toEqual([undefined, expect.stringContaining("is not paused")]);
    control(state, graph, { action: "pause" }, ANNA, 1);
    expect([why("pause"), why("resume")]).toEqual([expect.stringContaining("paused already"), undefined]);
    control(state, graph, { action: "resume" }, ANNA, 2);
    // A pause with what started it can be made its own, which then does not end with that.
    expect(pauseWith(state, true)).toBe(true);
    expect([why("pause"), why("resume")]).toEqual([undefined, undefined]);
    control(state, graph, { action: "pause" }, ANNA, 3);
    expect([why("pause"), pauseWith(state, false), state.paused]).toEqual([expect.stringContaining("paused already"), false, true]);
  });
});

describe("marking by hand", () => {
  const mark = (task: string, as: "succeeded" | "skipped" | "failed"): Control => ({ action: "mark", task, as, output: { n: 1 } });

  it("ends what has not begun, and the rest follows", () => {
    const { state, graph } = set(planOf({ a: {}, b: { needs: ["a"], reads: ["a"] }, c: { needs: ["b"] } }));
    control(state, graph, mark("a", "succeeded"), ANNA, 1);
    expect([statuses(state), state.ready, state.tasks[0]?.output]).toEqual([["succeeded", "pending", "pending"], [1], { n: 1 }]);
    control(state, graph, mark("b", "skipped"), ANNA, 2);
    expect([statuses(state), reducer.isOver(state), state.ready]).toEqual([["succeeded", "skipped", "skipped"], true, []]);
  });

  it("names who failed a task", () => {
    const { state, graph } = set(planOf({ a: {} }));
    control(state, graph, mark("a", "failed"), { by: "anna", why: "wrong day" }, 1);
    expect(state.tasks[0]?.error).toEqual({ code: "MARKED_FAILED", message: "marked failed by anna: wrong day" });
    expect(reducer.outcome(state, graph)).toBe("failed");
  });

  it("is refused for what runs, has ended or does not exist", () => {
    const { state, graph } = set(planOf({ a: {}, b: {} }));
    startAll(state);
    reducer.succeed(state, graph, 1, null, 1);
    const why = (task: string): string | undefined => refusal(state, graph, mark(task, "skipped"), ANNA, 2);
    expect([why("a"), why("b"), why("z")]).toEqual([
      expect.stringContaining("is running"),
      expect.stringContaining("is succeeded"),
      'the run has no task "z"',
    ]);
  });
});

describe("an approval", () => {
  const approval = { approvers: ["anna"], escalate: { afterMs: 1_000, to: ["boss"] }, deadlineMs: 5_000, onDeadline: "fail" } as const;
  const waiting = () => {
    const one = set(planOf({ ok: { operator: "approval", approval }, next: { needs: ["ok"], reads: ["ok"] } }));
    startAll(one.state);
    reducer.hold(one.state, 0, "approval", 1_000);
    return one;
  };
  const decide = (approve: boolean): Control => ({ action: "decide", task: "ok", approve });

  it("is decided by those who may, after its escalation by more", () => {
    const { state, graph } = waiting();
    expect(refusal(state, graph, decide(true), { by: "boss" }, 999)).toContain('"boss" may not decide');
    expect(refusal(state, graph, decide(true), { by: "boss" }, 1_000)).toBeUndefined();
    expect(refusal(state, graph, decide(true), ANNA, 10)).toBeUndefined();
    expect(refusal(state, graph, { ...decide(true), task: "next" } as Control, ANNA, 10)).toContain("is no approval");
    control(state, graph, decide(true), { by: "anna", why: "looks right" }, 10);
    expect(state.tasks[0]).toMatchObject({ status: "succeeded", output: { approved: true, by: "anna", comment: "looks right" } });
    expect(refusal(state, graph, decide(true), ANNA, 10)).toContain("does not wait for a decision");
  });

  it("is escalated once, also through a snapshot, and anew when somebody lets it go on", () => {
    const { graph, state } = set(planOf({ ok: { operator: "approval", approval } }, { policies: [PARKS] }), { amended: true });
    startAll(state);
    reducer.hold(state, 0, "approval", 1_000);
    expect([escalate(state, graph, 0, 999), escalate(state, graph, 0, 1_000), escalate(state, graph, 0, 1_001)]).toEqual([
      undefined,
      ["boss"],
      undefined,
    ]);
    const restored = restoreSnapshot(takeSnapshot(state, graph), graph);
    expect(escalate(restored, graph, 0, 2_000)).toBeUndefined();
    reducer.wake(state, graph, 5_000);
    startAll(state, 5_000);
    failAttempt(state, graph, 0, { code: "WAIT_DEADLINE", message: "nobody decided" }, 5_000);
    control(state, graph, { action: "continue", task: "ok" }, ANNA, 9_000);
    startAll(state, 9_000);
    reducer.hold(state, 0, "approval", 10_000);
    expect(refusal(state, graph, decide(true), { by: "boss" }, 9_999)).toContain('"boss" may not decide');
    expect([escalate(state, graph, 0, 9_999), escalate(state, graph, 0, 10_000)]).toEqual([undefined, ["boss"]]);
  });

  it("that is rejected fails with its comment", () => {
    const { state, graph } = waiting();
    control(state, graph, decide(false), { by: "anna", why: "too low" }, 10);
    expect(state.tasks[0]).toMatchObject({ status: "failed", error: { code: "APPROVAL_REJECTED", message: "anna rejected it: too low" } });
  });
});

describe("finally tasks", () => {
  const plan = (failurePolicy: "fail-fast" | "continue") =>
    planOf(
      { a: {}, b: { needs: ["a"] }, clean: { finally: true }, tell: { finally: true, needs: ["clean"], rule: "all_done" } },
      { failurePolicy },
    );

  it.each(["fail-fast", "continue"] as const)("begin when all others have ended, also after a failure (%s)", (failurePolicy) => {
    const { state, graph } = set(plan(failurePolicy));
    expect(state.ready).toEqual([0]);
    startAll(state);
    failAttempt(state, graph, 0, REFUSED, 1);
    expect([statuses(state).slice(0, 2), state.ready]).toEqual([["failed", "upstream_failed"], [2]]);
    startAll(state);
    failAttempt(state, graph, 2, REFUSED, 2);
    expect(state.ready).toEqual([3]);
    startAll(state);
    reducer.succeed(state, graph, 3, null, 3);
    expect([reducer.isOver(state), reducer.outcome(state, graph)]).toEqual([true, "failed"]);
  });

  it("begin after a cancellation, once what ran has stopped", () => {
    const { state, graph } = set(plan("continue"));
    startAll(state);
    expect(reducer.stop(state, graph, "cancelled", 1).cancel).toEqual([0]);
    expect(state.ready).toEqual([]);
    reducer.cancelTask(state, graph, 0, 2);
    expect(state.ready).toEqual([2]);
    startAll(state);
    reducer.succeed(state, graph, 2, null, 3);
    startAll(state);
    reducer.succeed(state, graph, 3, null, 4);
    expect([reducer.isOver(state), reducer.outcome(state, graph), statuses(state)]).toEqual([
      true,
      "cancelled",
      ["cancelled", "cancelled", "succeeded", "succeeded"],
    ]);
  });

  it("are all there is in a run that has nothing else", () => {
    expect(set(planOf({ only: { finally: true } })).state.ready).toEqual([0]);
  });
});

describe("retries by code", () => {
  const on = { SOURCE_AUTH: { attempts: 3, backoffMs: 7_000 }, SOURCE_UNAVAILABLE: { attempts: 1 } };
  const own = { ...policy({ attempts: 2 }), retry: { ...policy({ attempts: 2 }).retry, on } };
  const after = (error: { code: string; message: string }): reducer.TaskState => {
    const { state, graph } = set(planOf({ a: {} }, { policies: [own] }));
    startAll(state);
    failAttempt(state, graph, 0, error, 0);
    return state.tasks[0] as reducer.TaskState;
  };

  it("hold for the code alone: attempts and pause, also for codes that are not tried again otherwise", () => {
    expect(after(REFUSED)).toMatchObject({ status: "waiting", retryAt: 7_000 });
    expect(after(AWAY)).toMatchObject({ status: "failed" });
    expect(after({ code: "RATE_LIMITED", message: "later" })).toMatchObject({ status: "waiting", retryAt: 1_000 });
    expect(after({ code: "CHECK_FAILED", message: "wrong" })).toMatchObject({ status: "failed" });
  });
});

describe("waiting for a condition", () => {
  it("takes no attempts, and a look that succeeded takes back the failures before it", () => {
    const { state, graph } = set(planOf({ a: {} }, { policies: [policy({ attempts: 2 })] }));
    for (let look = 1; look <= 3; look += 1) {
      startAll(state, look * 10_000);
      failAttempt(state, graph, 0, AWAY, look * 10_000 + 1);
      reducer.wake(state, graph, look * 10_000 + 2_000);
      startAll(state, look * 10_000 + 2_000);
      reducer.hold(state, 0, "condition", look * 10_000 + 10_000);
      reducer.wake(state, graph, look * 10_000 + 10_000);
    }
    expect(state.tasks[0]).toMatchObject({ looks: 3, attempts: 4, queued: true });
  });
});

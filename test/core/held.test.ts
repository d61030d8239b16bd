// How long waits and approvals last: their own deadline bounds them, counted from when they were begun or begun again.

import { describe, expect, it } from "vitest";
import type { Policy } from "../../core/plan.ts";
import { control } from "../../core/run-control.ts";
import { CURRENT_MANNER } from "../../core/run-manner.ts";
import { restoreSnapshot, takeSnapshot } from "../../core/run-snapshot.ts";
import { failAttempt } from "../../core/run-attempts.ts";
import * as reducer from "../../core/run-state.ts";
import { holdOrEnd, nextLook } from "../../workflows/holding.ts";
import { planOf, policy } from "./runs.ts";

const HOUR = 3_600_000;
const AWAY = { code: "SOURCE_UNAVAILABLE", message: "away" };
const OVER = { code: "WAIT_DEADLINE", message: "it did not come" };
const SCOPE = { params: {}, run: {}, tasks: {} };

/** A wait for a condition that has begun at 0. */
const waiting = (own: Policy = policy({ attempts: 2, totalMs: 4 * HOUR }), manner: { readonly amended?: true } = CURRENT_MANNER) => {
  const wait = { poll: { everyMs: 10_000, maxMs: 300_000 }, deadlineMs: 24 * HOUR, onDeadline: "skip" } as const;
  const plan = planOf({ a: { operator: "wait", wait } }, { policies: [own] });
  const graph = reducer.graphOf(plan, manner);
  const state = reducer.initRun(graph);
  const task = () => state.tasks[0] as reducer.TaskState;
  return {
    graph,
    state,
    task,
    begin: (now: number): void => {
      reducer.wake(state, graph, now);
      expect(reducer.takeReady(state)).toBe(0);
      reducer.start(state, 0, now);
    },
    lookInVain: (now: number): void => reducer.hold(state, 0, "condition", now),
    becomes: (now: number): string => {
      const [planned] = plan.tasks;
      if (planned === undefined) throw new Error("the plan has no task");
      return holdOrEnd(planned, task(), SCOPE, { since: reducer.heldSince(graph, task()) ?? now, now, amended: true }).kind;
    },
  };
};

describe("a look that fails", () => {
  it("is tried again also after timeout.total", () => {
    const { state, graph, task, begin, lookInVain } = waiting();
    begin(0);
    lookInVain(5 * HOUR);
    begin(5 * HOUR);
    failAttempt(state, graph, 0, AWAY, 5 * HOUR);
    expect(task()).toMatchObject({ status: "waiting", hold: "retry", error: AWAY });
  });

  it("for want of our own store takes no attempt, however long that lasts", () => {
    const { state, graph, task, begin } = waiting();
    begin(0);
    for (let now = 5 * HOUR; now < 23 * HOUR; now += HOUR) {
      failAttempt(state, graph, 0, { code: "STORE_UNAVAILABLE", message: "away" }, now);
      expect(task()).toMatchObject({ status: "waiting", retryAt: now + 5_000, attempts: 0 });
      begin(now + 5_000);
    }
  });

  it("is tried again at the deadline at the latest, where the wait ends as it says", () => {
    const { state, graph, task, begin, becomes } = waiting();
    begin(0);
    failAttempt(state, graph, 0, { ...AWAY, retryAfterMs: 48 * HOUR }, 23 * HOUR);
    expect(task()).toMatchObject({ status: "waiting", retryAt: 24 * HOUR });
    begin(24 * HOUR);
    expect(becomes(24 * HOUR)).toBe("skipped");
    // A look that lasted beyond it.
    failAttempt(state, graph, 0, { code: "STORE_UNAVAILABLE", message: "away" }, 25 * HOUR);
    expect(task()).toMatchObject({ status: "waiting", retryAt: 25 * HOUR });
  });

  it("fails the wait when its attempts are used up", () => {
    const { state, graph, task, begin } = waiting();
    begin(5 * HOUR);
    failAttempt(state, graph, 0, AWAY, 5 * HOUR);
    begin(6 * HOUR);
    failAttempt(state, graph, 0, AWAY, 6 * HOUR);
    expect(task()).toMatchObject({ status: "failed", error: AWAY });
  });

  it("ends the wait after timeout.total in runs of earlier releases", () => {
    const { state, graph, task, begin } = waiting(policy({ attempts: 2, totalMs: 4 * HOUR }), {});
    begin(0);
    failAttempt(state, graph, 0, AWAY, 5 * HOUR);
    expect(task().status).toBe("failed");
  });
});

describe("a deadline that has come", () => {
  it("counts from the moment at which somebody let the wait go on, also through a snapshot", () => {
    const { state, graph, task, begin, lookInVain, becomes } = waiting({ ...policy(), onExhausted: "park" });
    begin(0);
    expect(becomes(24 * HOUR)).toBe("skipped");
    failAttempt(state, graph, 0, OVER, 24 * HOUR);
    expect(task().status).toBe("parked");
    control(state, graph, { action: "continue", task: "a" }, { by: "anna" }, 30 * HOUR);
    begin(30 * HOUR);
    expect(becomes(30 * HOUR)).toBe("look");
    lookInVain(31 * HOUR);
    const restored = restoreSnapshot(takeSnapshot(state, graph), graph).tasks[0] as reducer.TaskState;
    expect(reducer.heldSince(graph, restored)).toBe(30 * HOUR);
    expect([becomes(53 * HOUR), becomes(54 * HOUR)]).toEqual(["look", "skipped"]);
  });

  it("counts anew each time that retry.on WAIT_DEADLINE begins the wait again, which it does so often and no more", () => {
    const base = policy();
    const { state, graph, task, begin, lookInVain, becomes } = waiting({
      ...base,
      retry: { ...base.retry, on: { WAIT_DEADLINE: { attempts: 2, backoffMs: 60_000 } } },
    });
    begin(0);
    lookInVain(1);
    begin(24 * HOUR);
    failAttempt(state, graph, 0, OVER, 24 * HOUR);
    const again = 24 * HOUR + 60_000;
    expect(task()).toMatchObject({ status: "waiting", retryAt: again, error: OVER });
    begin(again);
    expect([becomes(again), becomes(again + 24 * HOUR)]).toEqual(["look", "skipped"]);
    // Looks in vain take back failed looks, and no deadline.
    lookInVain(again + 1);
    begin(again + 24 * HOUR);
    failAttempt(state, graph, 0, OVER, again + 24 * HOUR);
    expect(task()).toMatchObject({ status: "failed", error: OVER });
  });
});

describe("the pauses between looks", () => {
  const wait = { poll: { everyMs: 10_000, maxMs: 60_000 }, deadlineMs: HOUR, onDeadline: "fail" } as const;
  const [task] = planOf({ a: { operator: "wait", wait } }).tasks;
  if (task === undefined) throw new Error("the plan has no task");
  const pauseAfter = (looks: number, now = 0): number => nextLook(task, { status: "running", attempts: 1, looks }, 0, now) - now;

  it("grow by half from poll.every to poll.max", () => {
    expect([0, 1, 2, 3, 4].map((looks) => pauseAfter(looks))).toEqual([10_000, 15_000, 22_500, 33_750, 50_625]);
    expect([5, 6, 50, 1_000_000].map((looks) => pauseAfter(looks))).toEqual([60_000, 60_000, 60_000, 60_000]);
  });

  it("end at the deadline", () => {
    expect(pauseAfter(5, HOUR - 1_000)).toBe(1_000);
  });
});

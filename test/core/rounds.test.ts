// Rounds of a task that does not end: each begins anew what bounds it.

import { expect, it } from "vitest";
import { failAttempt } from "../../core/run-attempts.ts";
import * as reducer from "../../core/run-state.ts";
import { awaitSlot, giveSlot, refuseSlot } from "../../core/run-waiting.ts";
import { planOf, policy } from "./runs.ts";

const HOUR = 3_600_000;
const AWAY = { code: "SOURCE_UNAVAILABLE", message: "away" };

const following = () => {
  const graph = reducer.graphOf(planOf({ a: { follow: true } }, { policies: [policy({ attempts: 3, totalMs: 4 * HOUR })] }));
  const state = reducer.initRun(graph);
  return {
    graph,
    state,
    task: () => state.tasks[0],
    begin: (now: number): void => {
      reducer.wake(state, graph, now);
      expect(reducer.takeReady(state)).toBe(0);
      reducer.start(state, 0, now);
    },
    ends: (now: number): void => reducer.nextRound(state, 0, now),
    fails: (now: number) => failAttempt(state, graph, 0, AWAY, now),
  };
};

it("the next round begins at once, as the same attempt; its time counts from there", () => {
  const { task, begin, ends, fails } = following();
  begin(0);
  for (let now = HOUR; now < 10 * HOUR; now += HOUR) {
    ends(now);
    begin(now);
    expect(task()).toMatchObject({ status: "running", attempts: 1, startedAt: 0, looks: now / HOUR });
  }
  fails(10 * HOUR);
  expect(task()).toMatchObject({ status: "waiting", hold: "retry", error: AWAY });
});

it("attempts that failed before a round that ended well count no more; too many behind each other end the task", () => {
  const { task, begin, ends, fails } = following();
  begin(0);
  for (let hour = 1; hour < 9; hour += 1) {
    fails(hour * HOUR);
    begin(hour * HOUR + 60_000);
    ends(hour * HOUR + 120_000);
    expect(task()).not.toHaveProperty("error");
    begin(hour * HOUR + 120_000);
  }
  fails(9 * HOUR);
  for (let minute = 1; task()?.status === "waiting"; minute += 1) {
    begin(9 * HOUR + minute * 60_000);
    fails(9 * HOUR + minute * 60_000);
    expect(minute).toBeLessThan(4);
  }
  expect(task()).toMatchObject({ status: "failed", error: AWAY });
});

it("what waits for a slot between two rounds is the same attempt, and a long wait takes nothing of its time", () => {
  const { graph, state, task, begin, ends, fails } = following();
  begin(0);
  ends(HOUR);
  reducer.wake(state, graph, HOUR);
  expect(reducer.takeReady(state)).toBe(0);
  awaitSlot(state, 0, HOUR);
  giveSlot(state, graph, 0);
  begin(90 * HOUR);
  expect(task()).toMatchObject({ attempts: 1, base: { at: 90 * HOUR } });
  fails(91 * HOUR);
  expect(task()).toMatchObject({ status: "waiting", hold: "retry" });
  begin(91 * HOUR + 60_000);
  expect(task()).toMatchObject({ attempts: 2 });
});

it("one whose pool cannot be asked has failed", () => {
  const { graph, state, task, begin, ends } = following();
  begin(0);
  ends(HOUR);
  reducer.wake(state, graph, HOUR);
  reducer.takeReady(state);
  for (let times = 1; task()?.status !== "failed"; times += 1) {
    expect(times).toBeLessThan(5);
    awaitSlot(state, 0, HOUR);
    refuseSlot(state, graph, 0, AWAY, HOUR);
    if (task()?.status === "failed") break;
    reducer.wake(state, graph, 2 * HOUR);
    reducer.takeReady(state);
  }
});

it("one whose time is over within a round is tried no more", () => {
  const { task, begin, ends, fails } = following();
  begin(0);
  ends(HOUR);
  begin(HOUR);
  fails(6 * HOUR);
  expect(task()).toMatchObject({ status: "failed" });
});

// What Temporal's UI shows of a run: what runs, what waits for what, what is parked, what ended it.

import { expect, it } from "vitest";
import { failAttempt } from "../../core/run-attempts.ts";
import { awaitSlot } from "../../core/run-waiting.ts";
import * as reducer from "../../core/run-state.ts";
import { conclude, describeProgress } from "../../workflows/conclusion.ts";
import { planOf, policy } from "../core/runs.ts";

const approval = { approvers: [], deadlineMs: 1_000, onDeadline: "fail" } as const;
const wait = { deadlineMs: 1_000, onDeadline: "fail" } as const;

it("a run says what runs, what waits for what, and what is parked", () => {
  const plan = planOf(
    {
      runs: {},
      again: {},
      asked: { operator: "approval", approval },
      later: { operator: "wait", wait },
      looked: { operator: "wait", wait },
      pooled: { pool: "narrow" },
      broken: { policy: 1 },
      done: {},
    },
    { policies: [policy({ attempts: 3 }), { ...policy(), onExhausted: "park" }] },
  );
  const graph = reducer.graphOf(plan);
  const state = reducer.initRun(graph);
  const indexOf = (id: string): number => plan.tasks.findIndex((task) => task.id === id);
  for (let index = reducer.takeReady(state); index !== undefined; index = reducer.takeReady(state)) {
    if (plan.tasks[index]?.pool === undefined) reducer.start(state, index, 0);
    else awaitSlot(state, index, 0);
  }
  failAttempt(state, graph, indexOf("again"), { code: "SOURCE_UNAVAILABLE", message: "away" }, 1_000);
  reducer.hold(state, indexOf("asked"), "approval", 5_000);
  reducer.hold(state, indexOf("later"), "time", 5_000);
  reducer.hold(state, indexOf("looked"), "condition", 6_000);
  failAttempt(state, graph, indexOf("broken"), { code: "SOURCE_AUTH", message: "no" }, 1_000);
  reducer.succeed(state, graph, indexOf("done"), null, 1_000);
  state.paused = true;
  for (const id of ["later", "done"]) (state.tasks[indexOf(id)] as reducer.TaskState).missedAt = 500;
  expect(describeProgress(state, graph, { awaited: ({ pool = "" }) => ({ pool }) }).split("  \n")).toEqual([
    "1 of 8 tasks ended",
    "running: runs",
    "waiting: again (attempt 2 of 3 at 1970-01-01T00:00:02.000Z after SOURCE_UNAVAILABLE), asked (for somebody's decision), later (until 1970-01-01T00:00:05.000Z), " +
      "looked (for its condition, looked at 1 times, again at 1970-01-01T00:00:06.000Z), pooled (for a slot of pool narrow)",
    "parked until somebody continues them: broken (SOURCE_AUTH)",
    "past their deadline: later (since 1970-01-01T00:00:00.500Z)",
    "paused by hand: nothing new begins",
  ]);
});

it("a run that failed names what failed first", () => {
  const graph = reducer.graphOf(planOf({ a: {}, b: {} }));
  const state = reducer.initRun(graph);
  for (let index = reducer.takeReady(state); index !== undefined; index = reducer.takeReady(state)) reducer.start(state, index, 0);
  for (const index of [1, 0]) failAttempt(state, graph, index, { code: "SOURCE_AUTH", message: `no ${index}` }, 1);
  expect(conclude(state, graph)).toEqual({
    outcome: "failed",
    details: "**failed**: a, b failed",
    error: { code: "SOURCE_AUTH", message: 'task "a": no 0 (and 1 more failed)' },
  });
});

// Deadlines of tasks: who misses one, once, and that it is kept when a run continues as new.

import { expect, it } from "vitest";
import { deadlinesOf, missDeadlines } from "../../core/deadlines.ts";
import { restoreSnapshot, takeSnapshot } from "../../core/run-snapshot.ts";
import * as reducer from "../../core/run-state.ts";
import { planOf } from "./runs.ts";

const BEGAN = 1_000_000;

const begun = () => {
  const plan = planOf({
    timely: { deadlineMs: 2_000 },
    late: { deadlineMs: 2_000 },
    behind: { deadlineMs: 1_000, needs: ["late"] },
    patient: { deadlineMs: 60_000, needs: ["late"] },
    free: {},
  });
  const graph = reducer.graphOf(plan);
  const state = reducer.initRun(graph);
  for (let index = reducer.takeReady(state); index !== undefined; index = reducer.takeReady(state)) reducer.start(state, index, BEGAN);
  return { graph, state, deadlines: deadlinesOf(state, graph, BEGAN) };
};

it("a task misses its deadline when it has not ended by then, whether it has begun or not", () => {
  const { graph, state, deadlines } = begun();
  expect(missDeadlines(state, deadlines, BEGAN + 999)).toEqual([]);
  expect(missDeadlines(state, deadlines, BEGAN + 1_000)).toEqual([2]);
  reducer.succeed(state, graph, 0, null, BEGAN + 1_500);
  expect(missDeadlines(state, deadlines, BEGAN + 2_500)).toEqual([1]);
  expect(state.tasks.map(({ missedAt }) => missedAt)).toEqual([undefined, BEGAN + 2_000, BEGAN + 1_000, undefined, undefined]);
  expect(missDeadlines(state, deadlines, BEGAN + 2_500)).toEqual([]);
  expect(deadlines.at(-1)).toEqual({ index: 3, at: BEGAN + 60_000 });
});

it("while nobody looked it is told by when a task ended, not by when that was noticed", () => {
  const { graph, state, deadlines } = begun();
  reducer.succeed(state, graph, 0, null, BEGAN + 2_000);
  reducer.succeed(state, graph, 1, null, BEGAN + 2_001);
  expect(missDeadlines(state, deadlines, BEGAN + 10_000)).toEqual([2, 1]);
});

it("a miss is kept when the run continues as new, and not told again", () => {
  const { graph, state, deadlines } = begun();
  reducer.succeed(state, graph, 0, null, BEGAN);
  reducer.succeed(state, graph, 4, null, BEGAN);
  reducer.pause(state, 1, BEGAN + 9_000, "retry");
  missDeadlines(state, deadlines, BEGAN + 2_500);
  const restored = restoreSnapshot(JSON.parse(JSON.stringify(takeSnapshot(state, graph))), graph);
  expect(restored.tasks.slice(1, 3)).toMatchObject([
    { status: "waiting", missedAt: BEGAN + 2_000 },
    { status: "pending", missedAt: BEGAN + 1_000, attempts: 0 },
  ]);
  expect(deadlinesOf(restored, graph, BEGAN)).toEqual([{ index: 3, at: BEGAN + 60_000 }]);
});

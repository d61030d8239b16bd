// Deadlines of tasks, on a real server: a miss is told once, and the task goes on.

import { expect, it } from "vitest";
import { LIMITS } from "../../core/limits.ts";
import type { ControlAnswer, ControlRequest } from "../../workflows/messages.ts";
import { planOf } from "../core/runs.ts";
import { control, statusesOf, until, useEngine } from "./kit.ts";
import { inLanes } from "./lanes.ts";
import type { StartedRun } from "./engine.ts";

const engine = useEngine();

const asked = { operator: "approval", approval: { approvers: [], deadlineMs: 3_600_000, onDeadline: "fail" } } as const;

const act = (run: StartedRun, request: ControlRequest): Promise<ControlAnswer> => control(run.handle, request);

const approve = (run: StartedRun): Promise<ControlAnswer> =>
  act(run, { control: { action: "decide", task: "slow", approve: true }, by: "anna" });

/** When its deadline was, to the millisecond. */
const deadlineOf = (run: StartedRun, milliseconds: number): string =>
  new Date(Date.parse(run.reports[0]?.startedAt ?? "") + milliseconds).toISOString();

it("a task that has not ended by then is told of while it goes on, also while the run is paused; others are not", async () => {
  const run = await engine().start(
    planOf({
      slow: { ...asked, deadlineMs: 2_000 },
      after: { needs: ["slow"], deadlineMs: 2_500 },
      quick: { deadlineMs: 3_600_000 },
      free: {},
    }),
  );
  await until("it is asked", () => run.tasks()["slow"]?.status === "waiting");
  await act(run, { control: { action: "pause" }, by: "anna" });
  await until("both are late", () => ["slow", "after"].every((id) => run.tasks()[id]?.deadlineMissedAt !== undefined));
  expect(run.tasks()).toMatchObject({
    slow: { status: "waiting", deadlineMissedAt: deadlineOf(run, 2_000) },
    after: { status: "pending", deadlineMissedAt: deadlineOf(run, 2_500) },
  });
  await act(run, { control: { action: "resume" }, by: "anna" });
  await approve(run);
  expect(await run.end()).toMatchObject({ outcome: "succeeded" });
  expect(new Set(Object.values(statusesOf(run)))).toEqual(new Set(["succeeded"]));
  expect([run.tasks()["quick"], run.tasks()["free"]].map((task) => task?.deadlineMissedAt)).toEqual([undefined, undefined]);
});

it("it holds from the run's begin, however often the run has continued as new since", async () => {
  const many = inLanes(LIMITS.historyEvents / 3);
  const run = await engine().start(planOf({ slow: { ...asked, deadlineMs: 15_000 }, ...many, end: { needs: ["slow"] } }));
  await until("it is late", () => run.tasks()["slow"]?.deadlineMissedAt !== undefined);
  expect(run.tasks()["slow"]?.deadlineMissedAt).toBe(deadlineOf(run, 15_000));
  await approve(run);
  expect(await run.end()).toMatchObject({ outcome: "succeeded" });
  const { raw, runId } = await run.handle.describe();
  expect(raw.workflowExecutionInfo?.firstRunId).not.toBe(runId);
});

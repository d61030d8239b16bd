// What the store promises of reports of runs.

import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import type { RunChanges, RunStatus, TaskChange } from "../../core/run-changes.ts";
import { type StoreKit, unique } from "./kit.ts";

export const reportCases = (kit: StoreKit): void => {
  const { caseOf, newRun, attemptsOf, report } = kit;

  caseOf("a missed deadline is kept, and counted by the first report that says so", async () => {
    const run = await newRun();
    const late: TaskChange = { taskId: "a", status: "running", attempts: 1, deadlineMissedAt: "2026-01-02T04:00:00.000Z" };
    expect(await kit.store.runs.apply(report(run.id, 1, { tasks: [{ taskId: "a", status: "running", attempts: 1 }] }))).toMatchObject({
      missed: 0,
    });
    await kit.store.runs.show([report(run.id, 1, { tasks: [late] })]);
    expect(await kit.store.runs.apply(report(run.id, 2, { tasks: [late] }))).toMatchObject({ missed: 1 });
    expect(await kit.store.runs.apply(report(run.id, 2, { tasks: [late] }))).toMatchObject({ missed: 0 });
    expect(await kit.store.runs.apply(report(run.id, 3, { tasks: [{ ...late, status: "waiting" }] }))).toMatchObject({ missed: 0 });
    await kit.store.runs.apply(report(run.id, 4, { tasks: [{ taskId: "a", status: "succeeded", attempts: 1 }] }));
    const [kept] = (await kit.store.runs.findWhole(run.id))?.tasks ?? [];
    expect([kept?.status, new Date(kept?.deadlineMissedAt ?? 0).toISOString()]).toEqual(["succeeded", late.deadlineMissedAt]);
  });

  caseOf("of an action that was reported under one number twice, the newer report is right; an older one changes nothing", async () => {
    const { id } = await newRun();
    const paused = { number: 1, action: "pause", by: "anna", at: "2026-01-01T00:00:00.000Z" };
    await kit.store.runs.apply(report(id, 5, { actions: [paused] }));
    const resumed = { ...paused, action: "resume", by: "ben", why: "it is mended" };
    await kit.store.runs.apply(report(id, 9, { actions: [resumed, { ...paused, number: 2 }] }));
    await kit.store.runs.apply(report(id, 5, { actions: [paused] }));
    const whole = await kit.store.runs.findWhole(id);
    expect(whole?.actions.map(({ number, action, by, why }) => [number, action, by, why])).toEqual([
      [1, "resume", "ben", "it is mended"],
      [2, "pause", "anna", null],
    ]);
  });

  caseOf("a report is applied once, and an older one changes nothing", async () => {
    const { id } = await newRun();
    const task = (status: TaskChange["status"]): TaskChange => ({
      taskId: "t",
      status,
      attempts: 1,
      output: { rows: 3 },
      metrics: { rows: 3 },
      startedAt: "2026-01-02T03:04:06.000Z",
    });
    const attempt = { taskId: "t", attempt: 1, startedAt: "2026-01-02T03:04:06.000Z" } as const;
    const second = report(id, 2, {
      status: "failed",
      finishedAt: "2026-01-02T03:05:05.000Z",
      error: { code: "SQL_FAILED", message: "no" },
      tasks: [task("failed")],
      attempts: [
        { ...attempt, status: "lost" },
        {
          ...attempt,
          status: "failed",
          worker: "w",
          lostAttempts: 2,
          finishedAt: "2026-01-02T03:05:00.000Z",
          error: { code: "SQL_FAILED", message: "no" },
        },
      ],
    });
    await kit.store.runs.apply(report(id, 1, { tasks: [task("running")], attempts: [{ ...attempt, status: "running" }] }));
    expect((await kit.store.runs.find(id))?.status).toBe("running");
    await kit.store.runs.apply(second);
    const seen = async () => [await kit.store.runs.find(id), await kit.store.runs.tasksOf(id), await attemptsOf(id)];
    const once = await seen();
    expect(once).toMatchObject([
      { status: "failed", seq: 2, error: { code: "SQL_FAILED" } },
      [{ taskId: "t", status: "failed", output: { rows: 3 }, metrics: { rows: 3 }, error: null }],
      [{ attempt: 1, status: "failed", worker: "w", lostAttempts: 2 }],
    ]);
    await kit.store.runs.apply(second);
    await kit.store.runs.apply(report(id, 1, { tasks: [task("running")] }));
    expect(await seen()).toEqual(once);
    // A report whose answer was lost is sent again under the next number: nothing may count twice.
    await kit.store.runs.apply({ ...second, seq: 3 });
    expect(await attemptsOf(id)).toEqual(once[2]);
  });

  caseOf("what is shown of several runs is seen at once, keeps no report out, and changes nothing that has ended", async () => {
    const [one, two, ended] = [await newRun(), await newRun(), await newRun()];
    const shown = (runId: string, seq: number, status: TaskChange["status"]): RunChanges =>
      report(runId, seq, {
        tasks: [{ taskId: "t", status, attempts: 1 }],
        attempts: [{ taskId: "t", attempt: 1, status: "running", startedAt: "2026-01-02T03:04:05.678Z" }],
      });
    await kit.store.runs.apply(report(two.id, 1));
    await kit.store.runs.repair(ended.id, "failed");
    await kit.store.runs.show([shown(one.id, 0, "running"), shown(two.id, 0, "running"), shown(ended.id, 0, "running")]);
    const statuses = async (id: string) => [
      (await kit.store.runs.find(id))?.status,
      (await kit.store.runs.tasksOf(id)).map(({ status }) => status),
    ];
    expect(await statuses(one.id)).toEqual(["running", ["running"]]);
    // It was shown before the report came.
    expect(await statuses(two.id)).toEqual(["running", []]);
    expect(await statuses(ended.id)).toEqual(["failed", []]);
    await kit.store.runs.show([shown(one.id, 1, "succeeded")]);
    expect(await kit.store.runs.find(one.id)).toMatchObject({ seq: 0, startedAt: expect.anything() });
    await kit.store.runs.apply({ ...shown(one.id, 1, "failed"), status: "failed" });
    await kit.store.runs.show([shown(one.id, 1, "running")]);
    expect(await statuses(one.id)).toEqual(["failed", ["failed"]]);
  });

  caseOf("figures of a running task are seen at once, stay when it is cancelled, and give way to those of its end", async () => {
    const { id } = await newRun();
    const task = (status: TaskChange["status"], more: Partial<TaskChange> = {}): TaskChange => ({
      taskId: "t",
      status,
      attempts: 1,
      ...more,
    });
    const metrics = async (): Promise<unknown> => (await kit.store.runs.findTask(id, "t"))?.metrics;
    const place = { runId: id, taskId: "t" };
    await kit.store.runs.showMetrics(place, { rows: 1 });
    expect(await metrics()).toBeUndefined();
    await kit.store.runs.apply(report(id, 1, { tasks: [task("running")] }));
    await kit.store.runs.showMetrics(place, { rows: 2, asOf: "2026-01-02T03:04:05.000Z" });
    await kit.store.runs.apply(report(id, 2, { tasks: [task("running")] }));
    expect(await metrics()).toEqual({ rows: 2, asOf: "2026-01-02T03:04:05.000Z" });
    await kit.store.runs.apply(report(id, 3, { tasks: [task("cancelled")] }));
    await kit.store.runs.showMetrics(place, { rows: 3 });
    expect(await metrics()).toMatchObject({ rows: 2 });
    await kit.store.runs.apply(report(id, 4, { tasks: [task("succeeded", { metrics: { rows: 4 } })] }));
    expect(await metrics()).toEqual({ rows: 4 });
  });

  caseOf("a report without times and errors keeps those that are known", async () => {
    const { id } = await newRun();
    await kit.store.runs.apply(report(id, 1, { error: { code: "SQL_FAILED", message: "no" } }));
    const { startedAt: _, ...later } = report(id, 2);
    await kit.store.runs.apply(later);
    const run = await kit.store.runs.find(id);
    expect(run?.error).toEqual({ code: "SQL_FAILED", message: "no" });
    expect(new Date(run?.startedAt ?? 0).toISOString()).toBe("2026-01-02T03:04:05.678Z");
  });

  caseOf("a report of a run that is not in the store is dropped", async () => {
    const id = randomUUID();
    await kit.store.runs.apply(report(id, 1, { tasks: [{ taskId: "t", status: "running", attempts: 1 }] }));
    expect(await kit.store.runs.find(id)).toBeUndefined();
    expect(await kit.store.runs.tasksOf(id)).toEqual([]);
  });

  caseOf("a thousand tasks travel in one report", async () => {
    const { id } = await newRun();
    const names = Array.from({ length: 1_002 }, (_, index) => `t${index}`);
    await kit.store.runs.apply(
      report(id, 1, {
        tasks: names.map((taskId) => ({ taskId, status: "succeeded", attempts: 1, output: { text: "quote ' and \\ and \u00e9" } })),
        attempts: names.map((taskId) => ({ taskId, attempt: 1, status: "succeeded", startedAt: "2026-01-02T03:04:06.000Z" })),
      }),
    );
    const tasks = await kit.store.runs.tasksOf(id);
    expect(tasks).toHaveLength(1_002);
    expect(tasks[0]?.output).toEqual({ text: "quote ' and \\ and \u00e9" });
    expect(await attemptsOf(id)).toHaveLength(1_002);
  });

  caseOf("a run that is closed is so with all of it that was open, until its own report comes after all", async () => {
    const at = { startedAt: "2026-01-02T03:04:05.000Z" };
    const finished = { ...at, finishedAt: "2026-01-02T03:04:06.000Z" };
    const statuses = ["running", "waiting", "parked", "pending"] as const;
    const closedAs = async (status: RunStatus): Promise<{ readonly id: string; readonly tasks: unknown; readonly attempts: unknown }> => {
      const { id } = await newRun(unique("p"));
      await kit.store.runs.apply({
        runId: id,
        seq: 1,
        status: "running",
        ...at,
        tasks: [
          ...statuses.map((one) => ({ taskId: one, status: one, attempts: 1, ...at, waiting: { for: "retry" as const } })),
          { taskId: "done", status: "succeeded", attempts: 1, ...finished },
        ],
        attempts: [
          { taskId: "running", attempt: 1, status: "running", ...at },
          { taskId: "done", attempt: 1, status: "succeeded", ...finished },
        ],
      });
      await kit.store.runs.repair(id, status);
      const whole = await kit.store.runs.findWhole(id);
      const open = whole?.tasks.filter(({ finishedAt, waiting }) => finishedAt === null || (waiting !== null && waiting !== undefined));
      expect(open).toEqual([]);
      return {
        id,
        tasks: Object.fromEntries(whole?.tasks.map((task) => [task.taskId, task.status]) ?? []),
        attempts: whole?.attempts.map((one) => one.status),
      };
    };
    const cancelled = { running: "cancelled", waiting: "cancelled", parked: "cancelled", pending: "cancelled", done: "succeeded" };
    const forced = await closedAs("cancelled");
    expect(forced).toMatchObject({ tasks: cancelled, attempts: ["succeeded", "cancelled"] });
    await kit.store.runs.apply(report(forced.id, 2, { tasks: [{ taskId: "running", status: "running", attempts: 1, ...at }] }));
    expect(await kit.store.runs.findWhole(forced.id)).toMatchObject({ run: { status: "cancelled", seq: 1 } });
    expect((await kit.store.runs.tasksOf(forced.id)).every(({ finishedAt }) => finishedAt !== null)).toBe(true);
    expect(await closedAs("succeeded")).toMatchObject({ tasks: cancelled, attempts: ["succeeded", "lost"] });
    const { id, ...failed } = await closedAs("failed");
    expect(failed).toEqual({ tasks: { ...cancelled, running: "failed" }, attempts: ["succeeded", "lost"] });
    const told = { taskId: "running", attempts: 1, status: "succeeded", ...finished } as const;
    await kit.store.runs.apply({ runId: id, seq: 2, status: "failed", ...finished, tasks: [told], attempts: [{ ...told, attempt: 1 }] });
    const whole = await kit.store.runs.findWhole(id);
    expect(whole?.tasks.find(({ taskId }) => taskId === "running")).toMatchObject({ status: "succeeded", error: null });
    expect(whole?.attempts.find(({ taskId }) => taskId === "running")).toMatchObject({ status: "succeeded", error: null });
  });
};

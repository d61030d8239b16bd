import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createProgress } from "../../bin/progress.ts";
import type { RunChanges, TaskStatus } from "../../core/run-changes.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const AT = "2026-01-02T03:04:05.000Z";

const change = (runId: string, seq: number, tasks: Readonly<Record<string, TaskStatus>>): RunChanges => ({
  runId,
  seq,
  startedAt: AT,
  status: "running",
  tasks: Object.entries(tasks).map(([taskId, status]) => ({ taskId, status, attempts: 1, startedAt: AT })),
  attempts: Object.entries(tasks).map(([taskId]) => ({ taskId, attempt: 1, status: "running", startedAt: AT })),
});

/** What the store was shown, each call as the tasks' statuses by run. */
const shownBy = async (changes: readonly RunChanges[], forgotten: readonly string[] = []): Promise<readonly unknown[]> => {
  const calls: unknown[] = [];
  const show = (runs: readonly RunChanges[]): Promise<void> => {
    calls.push(
      Object.fromEntries(
        runs.map(({ runId, seq, tasks }) => [runId, { seq, ...Object.fromEntries(tasks.map(({ taskId, status }) => [taskId, status])) }]),
      ),
    );
    return Promise.resolve();
  };
  const progress = createProgress({ show }, { debug: () => undefined });
  for (const one of changes) void progress.show.fn({} as never, one);
  for (const runId of forgotten) progress.forget(runId);
  await vi.advanceTimersByTimeAsync(1_000);
  return calls;
};

test("what runs show within a moment goes to the store in one call, of each task the newest", async () => {
  const shown = [change("r", 0, { a: "running" }), change("s", 3, { a: "running" }), change("r", 0, { a: "succeeded", b: "running" })];
  expect(await shownBy(shown)).toEqual([{ r: { seq: 0, a: "succeeded", b: "running" }, s: { seq: 3, a: "running" } }]);
});

test("what was shown before a report is not shown with what comes after it: the report has told better", async () => {
  // The run has continued as new: the report said that `a` has succeeded, and nobody says it again.
  expect(await shownBy([change("r", 0, { a: "running" }), change("r", 7, { b: "running" })])).toEqual([{ r: { seq: 7, b: "running" } }]);
});

test("nothing is shown of a run that has ended meanwhile", async () => {
  expect(await shownBy([change("r", 0, { a: "running" }), change("s", 0, { a: "running" })], ["r"])).toEqual([
    { s: { seq: 0, a: "running" } },
  ]);
});

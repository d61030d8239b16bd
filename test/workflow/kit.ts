// The engine of tests as hooks of a test file, and what several test files share.

import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll } from "vitest";
import { untilTaken, updateIdOf } from "../../api/orchestrator-updates.ts";
import { temporalServer } from "../fixtures/services.ts";
import type { TaskChange } from "../../core/run-changes.ts";
import { CONTROL_UPDATE, type ControlAnswer, type ControlRequest } from "../../workflows/messages.ts";
import type { TaskCall } from "../../workflows/ports.ts";
import { type Behaviour, type Engine, type EngineOptions, type StartedRun, startEngine } from "./engine.ts";

/** An engine of this test file on the shared server; usable inside its tests. */
export const useEngine = (options: EngineOptions = {}): (() => Engine) => {
  let engine: Engine | undefined;
  beforeAll(async () => {
    engine = await startEngine(temporalServer().address, options);
  });
  afterAll(() => engine?.stop());
  return () => {
    if (engine === undefined) throw new Error("the worker has not started");
    return engine;
  };
};

/** Waits for a condition that another process or the server brings about. */
export const until = async (what: string, condition: () => boolean | Promise<boolean>): Promise<void> => {
  for (let left = 8_000; left > 0; left -= 1) {
    if (await condition()) return;
    await pause(25);
  }
  throw new Error(`it never came to this: ${what}`);
};

/** Acts on a run as the API does. */
export const control = (handle: Pick<StartedRun["handle"], "executeUpdate">, request: ControlRequest): Promise<ControlAnswer> => {
  const options = { args: [request] as [ControlRequest], ...updateIdOf(undefined) };
  return untilTaken(() => handle.executeUpdate<ControlAnswer, [ControlRequest]>(CONTROL_UPDATE, options));
};

/** Until the task is known to be so: by a report, or since it was shown to be at work, which reports say much later. */
export const isAt = (run: StartedRun, taskId: string, status: string): Promise<void> =>
  until(`${taskId} is ${status}`, () => {
    const isShown = (): boolean => run.shown.some(({ tasks }) => tasks.some((task) => task.taskId === taskId && task.status === status));
    return run.tasks()[taskId]?.status === status || (status === "running" && isShown());
  });

/** The first that was ever told of the task's wait for this, at once or by a report: what ends soon may be over before the next report. */
export const toldWait = (
  { shown, reports }: Pick<StartedRun, "shown" | "reports">,
  taskId: string,
  reason: NonNullable<TaskChange["waiting"]>["for"],
): TaskChange | undefined =>
  [...shown, ...reports].flatMap(({ tasks }) => tasks).find((task) => task.taskId === taskId && task.waiting?.for === reason);

/** Task statuses of a run's reports, by id. */
export const statusesOf = (run: StartedRun): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(run.tasks()).map(([id, { status }]) => [id, status]));

/** Work that lasts until it is released, or its attempt is told to stop. `begun`: by which name it began. */
export const blocked = (nameOf: (call: TaskCall) => string = ({ run, taskId }) => `${run.id}/${taskId}`) => {
  let release = (): void => undefined;
  const done = new Promise<void>((resolve) => (release = resolve));
  const begun: string[] = [];
  const work: Behaviour = async (call, { signal }) => {
    begun.push(nameOf(call));
    await Promise.race([
      done,
      new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true })),
    ]);
    return { output: null };
  };
  return { work, begun, release: () => release() };
};

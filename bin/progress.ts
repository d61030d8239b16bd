// What runs let their worker know of their progress, written to the store a few times a second for all of them together.

import type { InjectedSinks } from "@temporalio/worker";
import type { AttemptChange, RunChanges, TaskChange } from "../core/run-changes.ts";
import type { Runs } from "../store/runs.ts";
import type { ProgressSinks } from "../workflows/ports.ts";
import type { Logger } from "./log.ts";

/** A run that is shorter never appears here: its one report has all of it. */
const EVERY_MS = 400;
/** Of one statement. */
const MOST_RUNS = 100;

interface Pending {
  readonly last: RunChanges;
  readonly tasks: Map<string, TaskChange>;
  readonly attempts: Map<string, AttemptChange>;
}

export interface Progress {
  readonly show: InjectedSinks<ProgressSinks>["progress"]["show"];
  /** The run has ended, and its report says all of it. */
  readonly forget: (runId: string) => void;
  readonly stop: () => Promise<void>;
}

/** Nothing of it is sure to arrive, and need not: a store that is away learns it from the reports. */
export const createProgress = (store: Pick<Runs, "show">, log: Pick<Logger, "debug">): Progress => {
  let pending = new Map<string, Pending>();
  let writing: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  const write = async (): Promise<void> => {
    const runs = [...pending.values()];
    pending = new Map();
    for (let start = 0; start < runs.length; start += MOST_RUNS) {
      const some = runs.slice(start, start + MOST_RUNS);
      await store
        .show(some.map(({ last, tasks, attempts }) => ({ ...last, tasks: [...tasks.values()], attempts: [...attempts.values()] })))
        .catch((error: unknown) => log.debug({ err: error }, "the progress of runs could not be shown"));
    }
  };
  const later = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      writing = write().finally(() => {
        writing = undefined;
        if (pending.size > 0) later();
      });
    }, EVERY_MS);
  };

  return {
    show: {
      callDuringReplay: false,
      fn(_info, changes) {
        const before = pending.get(changes.runId);
        // With another number a report lies between them: it has told all that was shown before it, and newer of it.
        const { tasks, attempts } = before?.last.seq === changes.seq ? before : { tasks: new Map(), attempts: new Map() };
        for (const task of changes.tasks) tasks.set(task.taskId, task);
        for (const attempt of changes.attempts) attempts.set(`${attempt.taskId}#${attempt.attempt}`, attempt);
        pending.set(changes.runId, { last: changes, tasks, attempts });
        if (writing === undefined) later();
      },
    },
    forget: (runId) => void pending.delete(runId),
    async stop() {
      clearTimeout(timer);
      await writing;
    },
  };
};

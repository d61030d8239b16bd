// Deadlines of tasks: by when each ought to have ended, and which did not. Part of the reducer; a deadline stops nothing.

import { at, type Graph, isEnded, type RunState } from "./run-state.ts";

export interface Deadline {
  readonly index: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** Of tasks that have not ended and have not missed theirs yet, the next one last. */
export const deadlinesOf = (state: RunState, { plan }: Graph, startedAt: number): Deadline[] =>
  plan.tasks
    .flatMap(({ deadlineMs }, index): readonly Deadline[] => {
      const { status, missedAt } = at(state.tasks, index);
      return deadlineMs === undefined || isEnded(status) || missedAt !== undefined ? [] : [{ index, at: startedAt + deadlineMs }];
    })
    .sort((left, right) => right.at - left.at);

/** Takes what is over out of the list and answers the tasks that have missed theirs by it: also one that ended late while nobody looked. */
export const missDeadlines = (state: RunState, deadlines: Deadline[], now: number): readonly number[] => {
  const missed: number[] = [];
  for (let next = deadlines.at(-1); next !== undefined; next = deadlines.at(-1)) {
    const task = at(state.tasks, next.index);
    const hasEnded = isEnded(task.status);
    if (!hasEnded && next.at > now) break;
    deadlines.pop();
    if (hasEnded && (task.finishedAt ?? now) <= next.at) continue;
    task.missedAt = next.at;
    missed.push(next.index);
  }
  return missed;
};

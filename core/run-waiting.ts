// Tasks that are ready and wait for a slot. Part of the reducer.

import { type AttemptFailure, failAttempt } from "./run-attempts.ts";
import { at, enqueue, type Graph, type RunState, type Settled } from "./run-state.ts";

/** A task that is ready and has no slot yet. */
export const awaitSlot = (state: RunState, index: number, now: number): void => {
  const task = at(state.tasks, index);
  delete task.queued;
  delete task.retryAt;
  task.status = "waiting";
  task.hold = "pool";
  task.slotSince = now;
  state.waiting.push(index);
};

/** The oldest first. Those that waited before their age was kept are the oldest. */
export const awaitingSlots = ({ tasks }: RunState): readonly { readonly index: number; readonly since: number | undefined }[] =>
  tasks
    .flatMap(({ hold, slotSince }, index) => (hold === "pool" ? [{ index, since: slotSince }] : []))
    .toSorted((left, right) => (left.since ?? 0) - (right.since ?? 0));

/** It has its slot; false: it no longer wants one. */
export const giveSlot = (state: RunState, graph: Graph, index: number): boolean => {
  if (at(state.tasks, index).hold !== "pool") return false;
  state.waiting = state.waiting.filter((other) => other !== index);
  enqueue(state, graph, index);
  return true;
};

/** Its pool cannot be asked: the attempt that would have begun has failed. */
export const refuseSlot = (state: RunState, graph: Graph, index: number, failure: AttemptFailure, now: number): Settled => {
  const task = at(state.tasks, index);
  if (task.hold !== "pool") return { ended: [], cancel: [] };
  state.waiting = state.waiting.filter((other) => other !== index);
  delete task.hold;
  delete task.betweenRounds;
  delete task.slotSince;
  task.status = "running";
  task.attempts += 1;
  task.startedAt ??= now;
  return failAttempt(state, graph, index, failure, now);
};

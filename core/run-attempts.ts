// What becomes of a task whose attempt failed or was lost: its next attempt, its end, or somebody who mends it. Part of the reducer.

import { ERRORS, isErrorCode } from "./errors.ts";
import type { Policy } from "./plan.ts";
import type { TaskError } from "./run-changes.ts";
import { at, cancelTask, fail, type Graph, mayStart, pause, policyOf, type RunState, type Settled, taskOf } from "./run-state.ts";

export interface AttemptFailure extends TaskError {
  /** The other side's own request for a pause. */
  readonly retryAfterMs?: number;
}

/** Exponential backoff: base × 2^(attempt − 1), capped; a Retry-After is honoured even beyond the cap. */
export const backoffMs = (policy: Policy["retry"], attempt: number, retryAfterMs = 0): number =>
  Math.max(Math.min(policy.backoffMs * 2 ** Math.min(attempt - 1, 30), policy.maxBackoffMs), retryAfterMs);

/** A code that the definition names in `retry.on` is tried again whatever the error table says. */
export const mayRetry = (policy: Policy["retry"], attempts: number, code: string): boolean => {
  const own = policy.on?.[code];
  if (attempts >= (own?.attempts ?? policy.attempts)) return false;
  return own !== undefined || (!policy.neverOn.includes(code) && (!isErrorCode(code) || ERRORS[code].retry));
};

/** Our own store is away, or somebody paused what the task would run: pauses until it is looked at again. */
const PAUSES: Readonly<Record<string, number>> = { STORE_UNAVAILABLE: 5_000, PIPELINE_PAUSED: 15_000 };

/** An attempt failed: the task waits for its next attempt, or ends failed. */
export const failAttempt = (state: RunState, graph: Graph, index: number, failure: AttemptFailure, now: number): Settled => {
  const task = at(state.tasks, index);
  const { retry, timeout } = policyOf(graph, index);
  const { retryAfterMs, ...error } = failure;
  const pauseMs = PAUSES[error.code];
  if (pauseMs !== undefined && mayStart(state, taskOf(graph, index)) && now - (task.base?.at ?? task.startedAt ?? now) < timeout.totalMs) {
    // Nobody's attempt: the task waits, and says for what.
    task.attempts -= 1;
    task.lost = (task.lost ?? 0) + 1;
    task.error = error;
    pause(state, index, now + pauseMs, "retry");
    return { ended: [], cancel: [] };
  }
  const attempts = task.attempts - (task.base?.attempts ?? 0);
  if (!mayStart(state, taskOf(graph, index)) || !mayRetry(retry, attempts, error.code)) return exhaust(state, graph, index, error, now);
  const retryAt = now + backoffMs({ ...retry, ...retry.on?.[error.code] }, attempts, retryAfterMs);
  if (retryAt - (task.base?.at ?? task.startedAt ?? now) >= timeout.totalMs) {
    const message = `${error.message} (a further attempt would begin after timeout.total, ${timeout.totalMs / 1_000} s)`;
    return exhaust(state, graph, index, { ...error, message }, now);
  }
  task.error = error;
  pause(state, index, retryAt, "retry");
  return { ended: [], cancel: [] };
};

/** No further attempt: the task fails, or parks when its policy says so and the run goes on. */
const exhaust = (state: RunState, graph: Graph, index: number, error: TaskError, now: number): Settled => {
  if (policyOf(graph, index).onExhausted !== "park" || !mayStart(state, taskOf(graph, index))) return fail(state, graph, index, error, now);
  const task = at(state.tasks, index);
  task.status = "parked";
  task.error = error;
  return { ended: [], cancel: [] };
};

/** The attempt died with its worker: it is not counted, the task starts again at once. */
export const loseAttempt = (state: RunState, graph: Graph, index: number, now: number): Settled => {
  if (!mayStart(state, taskOf(graph, index))) return cancelTask(state, graph, index, now);
  const task = at(state.tasks, index);
  task.attempts -= 1;
  task.lost = (task.lost ?? 0) + 1;
  pause(state, index, now, "retry");
  return { ended: [], cancel: [] };
};

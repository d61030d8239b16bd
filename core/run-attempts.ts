// What becomes of a task whose attempt failed or was lost: its next attempt, its end, or somebody who mends it. Part of the reducer.

import { ERRORS, isErrorCode } from "./errors.ts";
import type { Policy } from "./plan.ts";
import type { TaskError } from "./run-changes.ts";
import {
  at,
  cancelTask,
  fail,
  type Graph,
  heldSince,
  mayStart,
  pause,
  policyOf,
  type RunState,
  type Settled,
  taskOf,
  type TaskState,
} from "./run-state.ts";

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
  const { wait, approval } = taskOf(graph, index);
  const held = graph.amended ? (wait ?? approval) : undefined;
  if (held !== undefined) return failHeld(state, graph, index, held.deadlineMs, failure, now);
  const task = at(state.tasks, index);
  const { retry, timeout } = policyOf(graph, index);
  const { retryAfterMs, ...error } = failure;
  const pauseMs = PAUSES[error.code];
  if (pauseMs !== undefined && mayStart(state, taskOf(graph, index)) && now - (task.base?.at ?? task.startedAt ?? now) < timeout.totalMs) {
    uncounted(task);
    return again(state, index, now + pauseMs, error);
  }
  const attempts = task.attempts - (task.base?.attempts ?? 0);
  if (!mayStart(state, taskOf(graph, index)) || !mayRetry(retry, attempts, error.code)) return exhaust(state, graph, index, error, now);
  const retryAt = now + backoffMs({ ...retry, ...retry.on?.[error.code] }, attempts, retryAfterMs);
  if (retryAt - (task.base?.at ?? task.startedAt ?? now) >= timeout.totalMs) {
    const message = `${error.message} (a further attempt would begin after timeout.total, ${timeout.totalMs / 1_000} s)`;
    return exhaust(state, graph, index, { ...error, message }, now);
  }
  return again(state, index, retryAt, error);
};

/** A wait or an approval has its deadline and no total timeout: at the latest then it is looked at again, and ends as it says. */
const failHeld = (state: RunState, graph: Graph, index: number, deadlineMs: number, failure: AttemptFailure, now: number): Settled => {
  const task = at(state.tasks, index);
  const { retry } = policyOf(graph, index);
  const { retryAfterMs, ...error } = failure;
  const mayGoOn = mayStart(state, taskOf(graph, index));
  const deadline = (heldSince(graph, task) ?? now) + deadlineMs;
  const pauseMs = PAUSES[error.code];
  if (pauseMs !== undefined && mayGoOn) {
    uncounted(task);
    return again(state, index, Math.max(Math.min(now + pauseMs, deadline), now), error);
  }
  // Each deadline that came counts, whatever its looks found; a failed look counts until one succeeds.
  const isOver = error.code === "WAIT_DEADLINE";
  const attempts = isOver ? (task.rounds ?? 0) + 1 : task.attempts - (task.base?.attempts ?? 0);
  if (!mayGoOn || !mayRetry(retry, attempts, error.code)) return exhaust(state, graph, index, error, now);
  const retryAt = now + backoffMs({ ...retry, ...retry.on?.[error.code] }, attempts, retryAfterMs);
  if (!isOver) return again(state, index, Math.max(Math.min(retryAt, deadline), now), error);
  task.rounds = attempts;
  delete task.escalated;
  task.base = { attempts: task.attempts, at: retryAt };
  return again(state, index, retryAt, error);
};

/** Nobody's attempt: the task waits, and says for what. */
const uncounted = (task: TaskState): void => {
  task.attempts -= 1;
  task.lost = (task.lost ?? 0) + 1;
};

const again = (state: RunState, index: number, retryAt: number, error: TaskError): Settled => {
  at(state.tasks, index).error = error;
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
  uncounted(at(state.tasks, index));
  pause(state, index, now, "retry");
  return { ended: [], cancel: [] };
};

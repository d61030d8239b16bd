// The run-state reducer: plain JSON state, changed only here. The workflow is a shell around it.

import type { Json } from "./json.ts";
import { LIMITS } from "./limits.ts";
import type { Plan, PlanTask, Policy, TriggerRule } from "./plan.ts";
import { isErrorCode, ERRORS } from "./errors.ts";
import type { TaskError, TaskStatus } from "./run-changes.ts";

/** Upstream tasks by how they ended: all that a trigger rule can ask. Counted per edge, so readiness costs O(edges) in a whole run. */
interface NeedCounts {
  open: number;
  succeeded: number;
  /** failed or cancelled. */
  failed: number;
  skipped: number;
  upstreamFailed: number;
}

export interface TaskState {
  status: TaskStatus;
  /** Attempts begun; lost ones are not counted. */
  attempts: number;
  /** Milliseconds since 1970, as the workflow's clock tells. */
  startedAt?: number;
  finishedAt?: number;
  /** Status waiting: when the next attempt may begin. */
  retryAt?: number;
  /** It stands in `RunState.ready`. */
  queued?: true;
  output?: Json;
  error?: TaskError;
}

export interface RunState {
  readonly tasks: TaskState[];
  readonly needs: NeedCounts[];
  /** Indices of tasks that may start now, in the order in which they became ready. */
  ready: number[];
  /** Tasks that have not ended. */
  open: number;
  /** Tasks in status waiting. */
  waiting: number;
  /** Inline outputs kept so far, in bytes of JSON. */
  outputBytes: number;
  /** Set once: nothing new starts but tasks that handle failures. */
  stopping?: "failed" | "cancelled";
}

export type RunOutcome = "succeeded" | "failed" | "cancelled";

const ENDED: ReadonlySet<TaskStatus> = new Set(["succeeded", "failed", "skipped", "upstream_failed", "cancelled"]);

export const isEnded = (status: TaskStatus): boolean => ENDED.has(status);

/** Rules that let a task run although something before it failed: they survive fail-fast, cleanup must happen. */
const RUNS_AFTER_FAILURE: ReadonlySet<TriggerRule> = new Set(["all_done", "one_failed", "all_failed", "always"]);
/** A succeeded task with one of these rules has handled the failures that it needs directly. */
const HANDLES_FAILURE: ReadonlySet<TriggerRule> = new Set(["one_failed", "all_failed"]);

/** Who needs whom, from the plan: built once a workflow, not kept in the state. */
export const dependents = (plan: Plan): readonly (readonly number[])[] => {
  const lists: number[][] = plan.tasks.map(() => []);
  for (const [index, task] of plan.tasks.entries()) for (const need of task.needs) lists[need]?.push(index);
  return lists;
};

type Verdict = "wait" | "start" | "skipped" | "upstream_failed";

/** Airflow's trigger rules: https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/dags.html#trigger-rules */
export const verdict = (rule: TriggerRule, counts: Readonly<NeedCounts>): Verdict => {
  const { open, succeeded, failed, skipped, upstreamFailed } = counts;
  const broken = failed + upstreamFailed;
  const done = open === 0;
  switch (rule) {
    case "always":
      return "start";
    case "all_done":
      return done ? "start" : "wait";
    case "all_success":
      if (broken > 0) return "upstream_failed";
      if (skipped > 0) return "skipped";
      return done ? "start" : "wait";
    case "none_failed":
      if (broken > 0) return "upstream_failed";
      return done ? "start" : "wait";
    case "none_failed_min_one_success":
      if (broken > 0) return "upstream_failed";
      if (!done) return "wait";
      return succeeded > 0 || skipped === 0 ? "start" : "skipped";
    case "one_success":
      if (succeeded > 0) return "start";
      if (!done) return "wait";
      return broken > 0 ? "upstream_failed" : skipped > 0 ? "skipped" : "start";
    case "one_failed":
      if (broken > 0) return "start";
      return done ? "skipped" : "wait";
    case "all_failed":
      if (succeeded > 0 || skipped > 0) return "skipped";
      return done ? (broken > 0 ? "start" : "skipped") : "wait";
  }
};

export const initRun = (plan: Plan): RunState => {
  const state: RunState = {
    tasks: plan.tasks.map(() => ({ status: "pending", attempts: 0 })),
    needs: plan.tasks.map((task) => ({ open: task.needs.length, succeeded: 0, failed: 0, skipped: 0, upstreamFailed: 0 })),
    ready: [],
    open: plan.tasks.length,
    waiting: 0,
    outputBytes: 0,
  };
  for (const [index, task] of plan.tasks.entries()) if (task.needs.length === 0 || task.rule === "always") enqueue(state, index);
  return state;
};

const enqueue = (state: RunState, index: number): void => {
  taskAt(state, index).queued = true;
  state.ready.push(index);
};

const taskAt = (state: RunState, index: number): TaskState => {
  const task = state.tasks[index];
  if (task === undefined) throw new RangeError(`there is no task ${index}`);
  return task;
};

const planTask = (plan: Plan, index: number): PlanTask => {
  const task = plan.tasks[index];
  if (task === undefined) throw new RangeError(`the plan has no task ${index}`);
  return task;
};

export const policyOf = (plan: Plan, index: number): Policy => {
  const policy = plan.policies[planTask(plan, index).policy];
  if (policy === undefined) throw new RangeError(`the plan has no policy for task ${index}`);
  return policy;
};

/** Takes the ready tasks, at most `most`, in order. Each must then be started, skipped or put back by its caller. */
export const takeReady = (state: RunState, most: number): readonly number[] => state.ready.splice(0, most);

/** An attempt begins. */
export const start = (state: RunState, index: number, now: number): TaskState => {
  const task = taskAt(state, index);
  if (isEnded(task.status) || task.status === "running") throw new Error(`task ${index} cannot start: it is ${task.status}`);
  if (task.status === "waiting") state.waiting -= 1;
  task.status = "running";
  delete task.queued;
  task.attempts += 1;
  task.startedAt ??= now;
  delete task.retryAt;
  return task;
};

/** Ends a task and tells its dependents; follows skips and failures down the graph without recursion. */
const end = (
  state: RunState,
  plan: Plan,
  after: readonly (readonly number[])[],
  index: number,
  status: TaskStatus,
  now: number,
): readonly number[] => {
  const ended: number[] = [];
  const queue: (readonly [number, TaskStatus])[] = [[index, status]];
  for (let head = 0; head < queue.length; head += 1) {
    const [current, currentStatus] = queue[head] as readonly [number, TaskStatus];
    const task = taskAt(state, current);
    if (isEnded(task.status)) continue;
    if (task.status === "waiting") state.waiting -= 1;
    delete task.queued;
    task.status = currentStatus;
    task.finishedAt = now;
    state.open -= 1;
    ended.push(current);
    for (const next of after[current] ?? []) {
      const counts = state.needs[next];
      const waiting = taskAt(state, next);
      if (counts === undefined) continue;
      counts.open -= 1;
      if (currentStatus === "succeeded") counts.succeeded += 1;
      else if (currentStatus === "skipped") counts.skipped += 1;
      else if (currentStatus === "upstream_failed") counts.upstreamFailed += 1;
      else counts.failed += 1;
      if (waiting.status !== "pending" || waiting.queued) continue;
      const { rule } = planTask(plan, next);
      const decision = verdict(rule, counts);
      if (decision === "start") {
        if (mayStart(state, rule)) enqueue(state, next);
        else queue.push([next, state.stopping === "cancelled" ? "cancelled" : "upstream_failed"]);
      } else if (decision !== "wait") queue.push([next, decision]);
    }
  }
  return ended;
};

const mayStart = (state: RunState, rule: TriggerRule): boolean =>
  state.stopping === undefined || (state.stopping === "failed" && RUNS_AFTER_FAILURE.has(rule));

export interface Settled {
  /** Every task that ended by this, the settled one first. */
  readonly ended: readonly number[];
  /** Running tasks that must be cancelled now. */
  readonly cancel: readonly number[];
}

const nothing: readonly number[] = [];

export const succeed = (
  state: RunState,
  plan: Plan,
  after: readonly (readonly number[])[],
  index: number,
  output: Json,
  now: number,
): Settled => {
  const size = output === null ? 0 : JSON.stringify(output).length;
  if (size > LIMITS.outputBytes || state.outputBytes + size > LIMITS.outputsBytesPerRun) {
    const limit =
      size > LIMITS.outputBytes ? `${LIMITS.outputBytes} bytes a task` : `${LIMITS.outputsBytesPerRun} bytes for all tasks of a run`;
    const message = `the output is ${size} bytes of JSON; the limit is ${limit}; return less, or write it to a table`;
    return failFinally(state, plan, after, index, { code: "OUTPUT_TOO_LARGE", message }, now);
  }
  state.outputBytes += size;
  const task = taskAt(state, index);
  if (output !== null) task.output = output;
  delete task.error;
  return { ended: end(state, plan, after, index, "succeeded", now), cancel: nothing };
};

export const skip = (state: RunState, plan: Plan, after: readonly (readonly number[])[], index: number, now: number): Settled => ({
  ended: end(state, plan, after, index, "skipped", now),
  cancel: nothing,
});

export const cancelTask = (state: RunState, plan: Plan, after: readonly (readonly number[])[], index: number, now: number): Settled => ({
  ended: end(state, plan, after, index, "cancelled", now),
  cancel: nothing,
});

export interface AttemptFailure extends TaskError {
  /** The other side's own request for a pause. */
  readonly retryAfterMs?: number;
}

/** Deterministic exponential backoff: base × 2^(attempt − 1), capped; a Retry-After is honoured even beyond the cap. */
export const backoffMs = (policy: Policy["retry"], attempt: number, retryAfterMs = 0): number =>
  Math.max(Math.min(policy.backoffMs * 2 ** Math.min(attempt - 1, 30), policy.maxBackoffMs), retryAfterMs);

const mayRetry = (policy: Policy["retry"], attempts: number, code: string): boolean =>
  attempts < policy.attempts && !policy.neverOn.includes(code) && (!isErrorCode(code) || ERRORS[code].retry);

/** An attempt failed: the task waits for its next attempt, or ends failed. */
export const failAttempt = (
  state: RunState,
  plan: Plan,
  after: readonly (readonly number[])[],
  index: number,
  failure: AttemptFailure,
  now: number,
): Settled => {
  const task = taskAt(state, index);
  const policy = policyOf(plan, index);
  const { retryAfterMs, ...error } = failure;
  if (state.stopping !== undefined && !RUNS_AFTER_FAILURE.has(planTask(plan, index).rule))
    return failFinally(state, plan, after, index, error, now);
  if (!mayRetry(policy.retry, task.attempts, error.code)) return failFinally(state, plan, after, index, error, now);
  const retryAt = now + backoffMs(policy.retry, task.attempts, retryAfterMs);
  if (retryAt - (task.startedAt ?? now) > policy.timeout.totalMs) {
    const message = `${error.message} (the next attempt would begin after the task's total timeout of ${policy.timeout.totalMs} ms)`;
    return failFinally(state, plan, after, index, { ...error, message }, now);
  }
  task.status = "waiting";
  state.waiting += 1;
  task.error = error;
  task.retryAt = retryAt;
  return { ended: nothing, cancel: nothing };
};

/** The attempt died with its worker: it is not counted, the task starts again at once. */
export const loseAttempt = (state: RunState, index: number, now: number): void => {
  const task = taskAt(state, index);
  task.attempts -= 1;
  task.status = "waiting";
  state.waiting += 1;
  task.retryAt = now;
};

const failFinally = (
  state: RunState,
  plan: Plan,
  after: readonly (readonly number[])[],
  index: number,
  error: TaskError,
  now: number,
): Settled => {
  taskAt(state, index).error = error;
  const ended = [...end(state, plan, after, index, "failed", now)];
  if (plan.failurePolicy === "continue" || state.stopping !== undefined || isHandledBySomeone(plan, after, index))
    return { ended, cancel: nothing };
  const stopped = stop(state, plan, after, "failed", now);
  return { ended: [...ended, ...stopped.ended], cancel: stopped.cancel };
};

/** A failure that a handler needs directly does not stop the run at once: the handler decides. */
const isHandledBySomeone = (plan: Plan, after: readonly (readonly number[])[], index: number): boolean =>
  (after[index] ?? []).some((next) => HANDLES_FAILURE.has(planTask(plan, next).rule));

/** Fail-fast or cancel: what waits or is ready ends, what runs must be cancelled; handlers and cleanup go on after a failure. */
export const stop = (
  state: RunState,
  plan: Plan,
  after: readonly (readonly number[])[],
  reason: "failed" | "cancelled",
  now: number,
): Settled => {
  if (state.stopping === "cancelled") return { ended: nothing, cancel: nothing };
  state.stopping = reason;
  const survives = (index: number): boolean => mayStart(state, planTask(plan, index).rule);
  const ready = state.ready;
  state.ready = ready.filter(survives);
  const ended: number[] = [];
  const dropped = new Set(ready.filter((index) => !survives(index)));
  const cancel: number[] = [];
  for (const [index, task] of state.tasks.entries()) {
    if (task.status === "running" && !survives(index)) cancel.push(index);
    else if ((task.status === "waiting" && !survives(index)) || dropped.has(index))
      ended.push(...end(state, plan, after, index, "cancelled", now));
    else if (task.status === "pending" && reason === "cancelled") ended.push(...end(state, plan, after, index, "cancelled", now));
  }
  return { ended, cancel };
};

/** Waiting tasks whose pause is over become ready. Answers when to look again. */
export const wake = (state: RunState, now: number): number | undefined => {
  let next: number | undefined;
  if (state.waiting === 0) return next;
  for (const [index, task] of state.tasks.entries()) {
    if (task.status !== "waiting" || task.retryAt === undefined || task.queued) continue;
    if (task.retryAt <= now) enqueue(state, index);
    else next = Math.min(next ?? task.retryAt, task.retryAt);
  }
  return next;
};

export const isOver = (state: RunState): boolean => state.open === 0;

/** Failed if any task failed unhandled; not only leaves count. */
export const outcome = (state: RunState, plan: Plan, after: readonly (readonly number[])[]): RunOutcome => {
  if (state.stopping === "cancelled") return "cancelled";
  const unhandled = state.tasks.some(
    (task, index) =>
      task.status === "failed" &&
      !(after[index] ?? []).some((next) => HANDLES_FAILURE.has(planTask(plan, next).rule) && state.tasks[next]?.status === "succeeded"),
  );
  return unhandled ? "failed" : "succeeded";
};

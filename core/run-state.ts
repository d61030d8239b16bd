// The run-state reducer: plain JSON state, changed only here. The workflow is a shell around it.

import type { Json } from "./json.ts";
import { LIMITS } from "./limits.ts";
import type { Plan, PlanTask, Policy } from "./plan.ts";
import type { HoldReason, TaskError, TaskStatus } from "./run-changes.ts";
import { CURRENT_MANNER, type RunManner } from "./run-manner.ts";
import { slotPriority } from "./slots.ts";
import { HANDLES_FAILURE, type NeedCounts, RUNS_AFTER_FAILURE, verdict } from "./trigger-rules.ts";

export interface TaskState {
  status: TaskStatus;
  /** Attempts begun; lost ones are not counted. */
  attempts: number;
  /** Attempts that died with their worker. */
  lost?: number;
  /** Milliseconds since 1970, as the workflow's clock tells. */
  startedAt?: number;
  finishedAt?: number;
  /** Status waiting: when to look again, and what for. */
  retryAt?: number;
  hold?: HoldReason;
  /** A round of it has ended: the next one is the same attempt, whatever it has to wait for first. */
  betweenRounds?: true;
  /** Since when it waits for a slot. */
  slotSince?: number;
  /** Looks that a wait has taken, in vain; rounds of a task that follows. */
  looks?: number;
  /** How often the deadline of a wait or an approval has come, and it was begun again. */
  rounds?: number;
  /** Of an approval: more may decide it by now, and that is recorded. */
  escalated?: true;
  /** Somebody let it go on after it was parked, or its wait was begun again: attempts begun before do not count, and when that was. */
  base?: { readonly attempts: number; readonly at: number };
  /** Its deadline, when it had not ended by then. */
  missedAt?: number;
  /** It stands in `RunState.ready`. */
  queued?: true;
  /** Kept when another task reads it. */
  output?: Json;
  error?: TaskError;
}

export interface RunState {
  readonly tasks: TaskState[];
  readonly needs: NeedCounts[];
  /** Tasks that may start now, in the order in which they are to begin. */
  ready: number[];
  /** Tasks in status waiting that are not ready. */
  waiting: number[];
  /** Tasks that have not ended. */
  open: number;
  /** Outputs kept, in bytes of JSON. */
  outputBytes: number;
  /** Tasks that have not ended and are not `finally`: those begin when this is 0. */
  openMain: number;
  /** Set once: nothing new starts but, after a failure, what runs after failures. `finally` tasks start in any case. */
  stopping?: "failed" | "cancelled";
  /** By hand: nothing new starts until it is taken back. */
  paused?: true;
  /** What started the run was paused, and the run with it: they go on together. */
  pausedWith?: true;
}

export type RunOutcome = "succeeded" | "failed" | "cancelled";

/** The plan with its edges turned round: built once a workflow, never kept in the state. */
export interface Graph {
  readonly plan: Plan;
  /** By task: who needs it. */
  readonly dependents: readonly (readonly number[])[];
  /** Ids of tasks whose output others read: only these outputs are kept. */
  readonly read: ReadonlySet<string>;
  /** The `finally` tasks. */
  readonly last: readonly number[];
  /** As the run's manner has it: ready tasks begin by priority, then in the order in which they became ready. Absent: by the latter alone. */
  readonly amended?: true;
}

/** What a settled task brings about. */
export interface Settled {
  /** Every task that ended by this, the settled one first. */
  readonly ended: readonly number[];
  /** Running tasks that must be cancelled now. */
  readonly cancel: readonly number[];
}

const ENDED: ReadonlySet<TaskStatus> = new Set(["succeeded", "failed", "skipped", "upstream_failed", "cancelled"]);

export const isEnded = (status: TaskStatus): boolean => ENDED.has(status);

export const graphOf = (plan: Plan, { amended }: Pick<RunManner, "amended"> = CURRENT_MANNER): Graph => {
  const dependents: number[][] = plan.tasks.map(() => []);
  for (const [index, task] of plan.tasks.entries()) for (const need of task.needs) dependents[need]?.push(index);
  const last = [...plan.tasks.keys()].filter((index) => plan.tasks[index]?.finally !== undefined);
  const read = new Set([...plan.tasks.flatMap((task) => task.reads ?? []), ...(plan.outputs?.reads ?? [])]);
  return { plan, dependents, read, last, ...(amended === undefined ? {} : { amended }) };
};

export const at = <Value>(values: readonly Value[], index: number): Value => {
  const value = values[index];
  if (value === undefined) throw new RangeError(`there is no entry ${index} among ${values.length}`);
  return value;
};

export const taskOf = ({ plan }: Graph, index: number): PlanTask => at(plan.tasks, index);

export const policyOf = ({ plan }: Graph, index: number): Policy => at(plan.policies, at(plan.tasks, index).policy);

/** Since when the deadline of a wait or an approval counts. Undefined: it has not begun. */
export const heldSince = ({ amended }: Pick<Graph, "amended">, { startedAt, base }: TaskState): number | undefined =>
  amended === undefined ? startedAt : (base?.at ?? startedAt);

const NO_NEEDS: NeedCounts = { open: 0, succeeded: 0, failed: 0, skipped: 0, upstreamFailed: 0 };

export const initRun = (graph: Graph): RunState => {
  const { plan } = graph;
  const state: RunState = {
    tasks: plan.tasks.map(() => ({ status: "pending", attempts: 0 })),
    needs: plan.tasks.map((task) => ({ ...NO_NEEDS, open: task.needs.length })),
    ready: [],
    waiting: [],
    open: plan.tasks.length,
    openMain: plan.tasks.filter((task) => task.finally === undefined).length,
    outputBytes: 0,
  };
  for (const [index, task] of plan.tasks.entries()) {
    if (task.finally !== undefined && (state.openMain > 0 || task.asksAll)) continue;
    if (task.needs.length === 0 || task.rule === "always") enqueue(state, graph, index);
  }
  return state;
};

export const enqueue = (state: RunState, graph: Graph, index: number): void => {
  at(state.tasks, index).queued = true;
  const { ready } = state;
  const before = graph.amended ? placeAmong(ready, graph, index) : ready.length;
  if (before === ready.length) ready.push(index);
  else ready.splice(before, 0, index);
};

/** Behind all that are at least as urgent. */
const placeAmong = (ready: readonly number[], graph: Graph, index: number): number => {
  const priorityOf = (one: number): number => slotPriority(taskOf(graph, one).priority);
  const priority = priorityOf(index);
  let [low, high] = [0, ready.length];
  while (low < high) {
    // The last one first: mostly all are as urgent as each other.
    const middle = high === ready.length ? high - 1 : (low + high) >> 1;
    if (priorityOf(at(ready, middle)) <= priority) low = middle + 1;
    else high = middle;
  }
  return low;
};

/** The next ready task; its caller must start or skip it. */
export const takeReady = (state: RunState): number | undefined => state.ready.shift();

/** Waiting tasks whose pause is over become ready. Answers when to look again. */
export const wake = (state: RunState, graph: Graph, now: number): number | undefined => {
  let next: number | undefined;
  if (state.waiting.length === 0) return next;
  const asleep: number[] = [];
  for (const index of state.waiting) {
    const { retryAt = now, hold: reason } = at(state.tasks, index);
    if (reason === "pool") asleep.push(index);
    else if (retryAt <= now) enqueue(state, graph, index);
    else {
      asleep.push(index);
      next = Math.min(next ?? retryAt, retryAt);
    }
  }
  state.waiting = asleep;
  return next;
};

/** An attempt begins, or goes on: the next look of a wait is no attempt of its own. */
export const start = (state: RunState, index: number, now: number): void => {
  const task = at(state.tasks, index);
  if (!task.queued) throw new Error(`task ${index} cannot start: it is ${task.status}`);
  const goesOn = task.betweenRounds === true || (task.hold !== undefined && task.hold !== "retry" && task.hold !== "pool");
  // A round has all of its time, however long it had to wait for its turn, and is the first try of it.
  if (task.betweenRounds === true) task.base = { attempts: task.attempts - 1, at: now };
  delete task.queued;
  delete task.retryAt;
  delete task.hold;
  delete task.betweenRounds;
  delete task.slotSince;
  task.status = "running";
  if (!goesOn) task.attempts += 1;
  task.startedAt ??= now;
};

/** A running task that needs no worker for a while: a wait or an approval. */
export const hold = (state: RunState, index: number, reason: Exclude<HoldReason, "retry" | "pool">, until: number): void => {
  const task = at(state.tasks, index);
  // A look that succeeded takes back the failures before it.
  if (reason === "condition") {
    task.looks = (task.looks ?? 0) + 1;
    task.base = { attempts: task.attempts, at: task.base?.at ?? task.startedAt ?? until };
    delete task.error;
  }
  pause(state, index, until, reason);
};

export const succeed = (state: RunState, graph: Graph, index: number, output: Json, now: number): Settled => {
  const size = output === null ? 0 : JSON.stringify(output).length;
  const isRead = graph.read.has(taskOf(graph, index).id);
  const isOverTotal = isRead && state.outputBytes + size > LIMITS.outputsBytesPerRun;
  if (size > LIMITS.outputBytes || isOverTotal) {
    const limit = isOverTotal
      ? `${LIMITS.outputsBytesPerRun} bytes for all outputs of a run that other tasks read`
      : `${LIMITS.outputBytes} bytes a task`;
    const message = `the output is ${size} bytes of JSON; the limit is ${limit}; return less, or write it to a table`;
    return fail(state, graph, index, { code: "OUTPUT_TOO_LARGE", message }, now);
  }
  const task = at(state.tasks, index);
  if (isRead && output !== null) {
    state.outputBytes += size;
    task.output = output;
  }
  delete task.error;
  return settle(state, graph, index, "succeeded", now);
};

export const skip = (state: RunState, graph: Graph, index: number, now: number): Settled => settle(state, graph, index, "skipped", now);

export const cancelTask = (state: RunState, graph: Graph, index: number, now: number): Settled =>
  settle(state, graph, index, "cancelled", now);

/** A round of a task that does not end is over: the next one begins at once, with all of its time, and what failed before counts no more. */
export const nextRound = (state: RunState, index: number, now: number): void => {
  hold(state, index, "condition", now);
  at(state.tasks, index).betweenRounds = true;
};

/** Nothing of it runs until then. */
export const pause = (state: RunState, index: number, until: number, reason: HoldReason): void => {
  const task = at(state.tasks, index);
  task.status = "waiting";
  task.retryAt = until;
  task.hold = reason;
  state.waiting.push(index);
};

/** Ends a task failed, whatever attempts it has left. */
export const fail = (state: RunState, graph: Graph, index: number, error: TaskError, now: number): Settled => {
  at(state.tasks, index).error = error;
  return settle(state, graph, index, "failed", now);
};

/** Ends a task, and the run as well when that leaves a failure that nobody will handle and its policy is fail-fast. */
export const settle = (state: RunState, graph: Graph, index: number, status: TaskStatus, now: number): Settled => {
  const ended = end(state, graph, [[index, status]], now);
  if (graph.plan.failurePolicy === "continue" || state.stopping !== undefined) return { ended, cancel: [] };
  if (!ended.some((one) => leavesUnhandled(state, graph, one))) return { ended, cancel: [] };
  const stopped = stop(state, graph, "failed", now);
  return { ended: [...ended, ...stopped.ended], cancel: stopped.cancel };
};

/** Whether a task that just ended is a failure without a handler, or was the last handler of one and did not succeed. */
const leavesUnhandled = (state: RunState, graph: Graph, index: number): boolean => {
  const { status } = at(state.tasks, index);
  if (status === "failed") return !mayBeHandled(state, graph, index);
  const { rule, needs } = taskOf(graph, index);
  if (status === "succeeded" || !HANDLES_FAILURE.has(rule)) return false;
  return needs.some((need) => at(state.tasks, need).status === "failed" && !mayBeHandled(state, graph, need));
};

const mayBeHandled = (state: RunState, graph: Graph, index: number): boolean =>
  at(graph.dependents, index).some((next) => {
    const { status } = at(state.tasks, next);
    return HANDLES_FAILURE.has(taskOf(graph, next).rule) && (status === "succeeded" || !isEnded(status));
  });

export const mayStart = (state: RunState, { rule, finally: isFinally }: PlanTask): boolean =>
  state.stopping === undefined || isFinally === true || (state.stopping === "failed" && RUNS_AFTER_FAILURE.has(rule));

/** Ends tasks and tells their dependents; follows skips and failures down the graph without recursion. */
const end = (state: RunState, graph: Graph, ending: [index: number, status: TaskStatus][], now: number): readonly number[] => {
  const ended: number[] = [];
  for (let head = 0; head < ending.length; head += 1) {
    const [index, status] = at(ending, head);
    const task = at(state.tasks, index);
    if (isEnded(task.status)) continue;
    task.status = status;
    task.finishedAt = now;
    delete task.queued;
    delete task.retryAt;
    delete task.hold;
    state.open -= 1;
    ended.push(index);
    for (const next of at(graph.dependents, index)) {
      count(at(state.needs, next), status);
      decide(state, graph, next, ending);
    }
    if (taskOf(graph, index).finally !== undefined) continue;
    state.openMain -= 1;
    if (state.openMain === 0) for (const last of graph.last) decide(state, graph, last, ending);
  }
  return ended;
};

/** What becomes of a task that has not begun, now that one which it waits for has ended. */
const decide = (state: RunState, graph: Graph, index: number, ending: [index: number, status: TaskStatus][]): void => {
  const { status, queued } = at(state.tasks, index);
  const task = taskOf(graph, index);
  if (status !== "pending" || queued || (task.finally !== undefined && state.openMain > 0)) return;
  const isRoot = task.needs.length === 0 && task.finally === undefined;
  const decision = isRoot ? "start" : verdict(task.rule, task.asksAll ? countMain(state, graph) : at(state.needs, index));
  if (decision === "start") {
    if (mayStart(state, task)) enqueue(state, graph, index);
    else ending.push([index, "cancelled"]);
  } else if (decision !== "wait") ending.push([index, decision]);
};

/** How all tasks that are not `finally` have ended. */
const countMain = (state: RunState, graph: Graph): NeedCounts => {
  const counts = { ...NO_NEEDS, open: state.tasks.length - graph.last.length };
  for (const [index, { status }] of state.tasks.entries())
    if (isEnded(status) && taskOf(graph, index).finally === undefined) count(counts, status);
  return counts;
};

/** What can be decided of tasks that have not begun: a run that takes over what another did may begin with more than is ready. */
export const decideAll = (state: RunState, graph: Graph, now: number): Settled => {
  const ending: [index: number, status: TaskStatus][] = [];
  for (const index of state.tasks.keys()) decide(state, graph, index, ending);
  return { ended: end(state, graph, ending, now), cancel: [] };
};

export const count = (counts: NeedCounts, status: TaskStatus): void => {
  counts.open -= 1;
  if (status === "succeeded") counts.succeeded += 1;
  else if (status === "skipped") counts.skipped += 1;
  else if (status === "upstream_failed") counts.upstreamFailed += 1;
  else counts.failed += 1;
};

/** Fail-fast or cancel: what waits or is ready ends, what runs must be cancelled. After a failure, what runs after failures goes on. */
export const stop = (state: RunState, graph: Graph, reason: "failed" | "cancelled", now: number): Settled => {
  if (state.stopping === "cancelled") return { ended: [], cancel: [] };
  state.stopping = reason;
  const survives = (index: number): boolean => mayStart(state, taskOf(graph, index));
  const dropped = [...state.ready, ...state.waiting].filter((index) => !survives(index));
  state.ready = state.ready.filter(survives);
  state.waiting = state.waiting.filter(survives);
  const cancel: number[] = [];
  const ending = dropped.map((index): [number, TaskStatus] => [index, "cancelled"]);
  for (const [index, { status }] of state.tasks.entries()) {
    if (survives(index)) continue;
    if (status === "running") cancel.push(index);
    // After a failure the pending ones learn of it through their needs; a cancelled run leaves nothing to wait for.
    else if (status === "parked" || (status === "pending" && reason === "cancelled")) ending.push([index, "cancelled"]);
  }
  return { ended: end(state, graph, ending, now), cancel };
};

/** Nothing of a run that has not begun ever will, `finally` tasks neither. */
export const refuseAll = (state: RunState, graph: Graph, now: number): Settled => {
  state.stopping = "cancelled";
  state.ready = [];
  state.waiting = [];
  // The `finally` tasks first: the end of all others would start them.
  const order = [...graph.last, ...state.tasks.keys()];
  return {
    ended: end(
      state,
      graph,
      order.map((index): [number, TaskStatus] => [index, "cancelled"]),
      now,
    ),
    cancel: [],
  };
};

export const isOver = (state: RunState): boolean => state.open === 0;

/** Failed if any task failed unhandled; not only leaves count. Asked when the run is over. */
export const outcome = (state: RunState, graph: Graph): RunOutcome => {
  if (state.stopping === "cancelled") return "cancelled";
  const unhandled = state.tasks.some(({ status }, index) => status === "failed" && !mayBeHandled(state, graph, index));
  return unhandled ? "failed" : "succeeded";
};

// A run's state in small, for continue-as-new: what the rest of the run can still ask for, and nothing else.

import type { Json } from "./json.ts";
import type { TaskError, TaskStatus } from "./run-changes.ts";
import { count, enqueue, type Graph, initRun, isEnded, type RunState, type TaskState } from "./run-state.ts";
import { verdict } from "./trigger-rules.ts";

/** Taken while nothing runs. Edge counts are derived again; what the store has been told of ended tasks is left out. */
export interface RunSnapshot {
  /** One letter a task. */
  readonly statuses: string;
  /** Tasks that wait or are parked, or have missed their deadline and not ended, by index. */
  readonly waiting: Readonly<Record<string, Pick<TaskState, "attempts" | (typeof KEPT)[number]>>>;
  /** Outputs that tasks which have not ended may read, by index. */
  readonly outputs: Readonly<Record<string, Json>>;
  /** The first failed task's error: it names the run's. */
  readonly firstError?: { readonly index: number; readonly error: TaskError };
  readonly stopping?: "failed" | "cancelled";
  readonly paused?: true;
  readonly pausedWith?: true;
}

const KEPT = [
  "lost",
  "startedAt",
  "retryAt",
  "hold",
  "betweenRounds",
  "slotSince",
  "looks",
  "rounds",
  "escalated",
  "base",
  "missedAt",
] as const satisfies readonly (keyof TaskState)[];

const LETTERS = {
  pending: "p",
  waiting: "w",
  parked: "x",
  succeeded: "s",
  failed: "f",
  skipped: "k",
  upstream_failed: "u",
  cancelled: "c",
} as const satisfies Record<Exclude<TaskStatus, "running">, string>;

const STATUSES = new Map<string, TaskStatus>(Object.entries(LETTERS).map(([status, letter]) => [letter, status as TaskStatus]));

const letterOf = (status: TaskStatus): string => {
  if (status === "running") throw new Error("a snapshot is taken while nothing runs");
  return LETTERS[status];
};

export const takeSnapshot = (state: RunState, { plan }: Graph): RunSnapshot => {
  const stillRead = new Set(
    plan.tasks.flatMap((task, index) => (isEnded(state.tasks[index]?.status ?? "pending") ? [] : (task.reads ?? []))),
  );
  for (const id of plan.outputs?.reads ?? []) stillRead.add(id);
  const waiting: Record<string, RunSnapshot["waiting"][string]> = {};
  const outputs: Record<string, Json> = {};
  let firstError: RunSnapshot["firstError"];
  for (const [index, task] of state.tasks.entries()) {
    // Its error is in the store, and thousands of them would not fit.
    if (task.status === "waiting" || task.status === "parked" || (task.missedAt !== undefined && !isEnded(task.status))) {
      const kept = KEPT.flatMap((key) => (task[key] === undefined ? [] : [[key, task[key]] as const]));
      waiting[index] = { attempts: task.attempts, ...Object.fromEntries(kept) };
    }
    if (task.output !== undefined && stillRead.has(plan.tasks[index]?.id ?? "")) outputs[index] = task.output;
    if (task.status === "failed" && task.error !== undefined) firstError ??= { index, error: task.error };
  }
  return {
    statuses: state.tasks.map(({ status }) => letterOf(status)).join(""),
    waiting,
    outputs,
    ...(firstError === undefined ? {} : { firstError }),
    ...(state.stopping === undefined ? {} : { stopping: state.stopping }),
    ...(state.paused === undefined ? {} : { paused: state.paused }),
    ...(state.pausedWith === undefined ? {} : { pausedWith: state.pausedWith }),
  };
};

export const restoreSnapshot = (snapshot: RunSnapshot, graph: Graph): RunState => {
  const state = initRun(graph);
  state.ready = [];
  if (snapshot.stopping !== undefined) state.stopping = snapshot.stopping;
  if (snapshot.paused !== undefined) state.paused = snapshot.paused;
  if (snapshot.pausedWith !== undefined) state.pausedWith = snapshot.pausedWith;
  for (const index of state.tasks.keys()) {
    const status = STATUSES.get(snapshot.statuses[index] ?? "") ?? "pending";
    const output = snapshot.outputs[index];
    const task: TaskState = { status, attempts: 0, ...snapshot.waiting[index], ...(output === undefined ? {} : { output }) };
    state.tasks[index] = task;
    if (output !== undefined) state.outputBytes += JSON.stringify(output).length;
    if (status === "waiting") state.waiting.push(index);
    if (!isEnded(status)) continue;
    state.open -= 1;
    if (graph.plan.tasks[index]?.finally === undefined) state.openMain -= 1;
    for (const next of graph.dependents[index] ?? []) {
      const counts = state.needs[next];
      if (counts !== undefined) count(counts, status);
    }
  }
  const failed = snapshot.firstError === undefined ? undefined : state.tasks[snapshot.firstError.index];
  if (failed !== undefined && snapshot.firstError !== undefined) failed.error = snapshot.firstError.error;
  for (const [index, { rule, finally: isFinally, asksAll }] of graph.plan.tasks.entries()) {
    const counts = state.needs[index];
    if (isFinally !== undefined && (state.openMain > 0 || asksAll)) continue;
    if (state.tasks[index]?.status === "pending" && counts !== undefined && verdict(rule, counts) === "start") enqueue(state, graph, index);
  }
  return state;
};

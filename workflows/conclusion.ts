// What a run says of itself in words: its details while it runs, its outcome and error at the end.

import type { TaskError } from "../core/run-changes.ts";
import type { AwaitedSlot } from "./messages.ts";
import type { RunSlots } from "./run-slots.ts";
import { type Graph, isEnded, outcome, policyOf, type RunOutcome, type RunState, taskOf, type TaskState } from "../core/run-state.ts";

const MOST_NAMES = 20;

const names = (ids: readonly string[]): string =>
  ids.length <= MOST_NAMES ? ids.join(", ") : `${ids.slice(0, MOST_NAMES).join(", ")} and ${ids.length - MOST_NAMES} more`;

const waitsFor = (task: TaskState, graph: Graph, index: number, slots: Pick<RunSlots, "awaited">): string => {
  const { attempts, error, hold = "retry", retryAt = 0, looks = 0 } = task;
  const at = new Date(retryAt).toISOString();
  switch (hold) {
    case "retry": {
      const most = policyOf(graph, index).retry.attempts;
      return `attempt ${attempts + 1} of ${most} at ${at}${error === undefined ? "" : ` after ${error.code}`}`;
    }
    case "time":
      return `until ${at}`;
    case "condition":
      return `for its condition, looked at ${looks} times, again at ${at}`;
    case "approval":
      return "for somebody's decision";
    case "pool":
      return waitsForSlot(slots.awaited(taskOf(graph, index)));
  }
};

const waitsForSlot = (slot: AwaitedSlot | undefined): string => {
  if (slot === undefined) return "for a slot";
  if (slot.connection === undefined) return `for a slot of pool ${slot.pool}`;
  if (slot.circuit === undefined) return `for a slot of connection ${slot.connection}`;
  return `for connection ${slot.connection}, whose circuit is open until ${new Date(slot.circuit.until).toISOString()}`;
};

/** Markdown for Temporal's UI: what runs, and what waits for what. */
export const describeProgress = (state: RunState, graph: Graph, slots: Pick<RunSlots, "awaited">): string => {
  const running: string[] = [];
  const waiting: string[] = [];
  const parked: string[] = [];
  const late: string[] = [];
  for (const [index, task] of state.tasks.entries()) {
    const planned = taskOf(graph, index);
    const { id, itemSlots } = planned;
    const awaited = task.status === "running" && itemSlots !== undefined ? slots.awaited(planned) : undefined;
    if (awaited !== undefined) waiting.push(`${id} (its items ${waitsForSlot(awaited)})`);
    else if (task.status === "running") running.push(id);
    if (task.status === "waiting") waiting.push(`${id} (${waitsFor(task, graph, index, slots)})`);
    if (task.missedAt !== undefined && !isEnded(task.status)) late.push(`${id} (since ${new Date(task.missedAt).toISOString()})`);
    if (task.status === "parked") parked.push(`${id} (${task.error?.code ?? ""})`);
  }
  const lines = [`${state.tasks.length - state.open} of ${state.tasks.length} tasks ended`];
  if (running.length > 0) lines.push(`running: ${names(running)}`);
  if (waiting.length > 0) lines.push(`waiting: ${names(waiting)}`);
  if (parked.length > 0) lines.push(`parked until somebody continues them: ${names(parked)}`);
  if (late.length > 0) lines.push(`past their deadline: ${names(late)}`);
  if (state.paused) lines.push("paused by hand: nothing new begins");
  if (state.stopping !== undefined) lines.push(`stopping: the run has ${state.stopping === "failed" ? "failed" : "been cancelled"}`);
  return lines.join("  \n");
};

export interface Conclusion {
  readonly outcome: RunOutcome;
  /** Of a failed run: the first failed task's, by its place in the definition. */
  readonly error?: TaskError;
  readonly details: string;
}

export const conclude = (state: RunState, graph: Graph): Conclusion => {
  const result = outcome(state, graph);
  const failed = [...state.tasks.keys()].filter((index) => state.tasks[index]?.status === "failed");
  const first = failed.find((index) => state.tasks[index]?.error !== undefined);
  const details = failed.length === 0 ? `**${result}**` : `**${result}**: ${names(failed.map((index) => taskOf(graph, index).id))} failed`;
  const error = first === undefined ? undefined : state.tasks[first]?.error;
  if (result !== "failed" || first === undefined || error === undefined) return { outcome: result, details };
  const more = failed.length > 1 ? ` (and ${failed.length - 1} more failed)` : "";
  return { outcome: result, details, error: { ...error, message: `task "${taskOf(graph, first).id}": ${error.message}${more}` } };
};

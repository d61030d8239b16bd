// What the store is told of a task.

import { renderTemplates } from "../core/expression.ts";
import type { TaskChange, TaskResult } from "../core/run-changes.ts";
import { approversOf } from "../core/run-control.ts";
import { type Graph, heldSince, type RunState, taskOf, type TaskState } from "../core/run-state.ts";
import type { RunSlots } from "./run-slots.ts";
import type { AwaitedSlot, RunInput } from "./messages.ts";
import { scopeOf } from "./task-call.ts";

const iso = (milliseconds: number): string => new Date(milliseconds).toISOString();

/** `result` is what the state does not keep. */
export const taskChange = (
  input: RunInput,
  graph: Graph,
  state: RunState,
  index: number,
  slots: Pick<RunSlots, "awaited">,
  { output, metrics }: Partial<Pick<TaskResult, "output" | "metrics">> = {},
): TaskChange => {
  const { status, attempts, startedAt, finishedAt, missedAt, error } = state.tasks[index] as TaskState;
  const waiting = waitingFor(input, graph, state, index, slots);
  const { id, assets } = taskOf(graph, index);
  return {
    taskId: id,
    status,
    attempts,
    ...(startedAt === undefined ? {} : { startedAt: iso(startedAt) }),
    ...(finishedAt === undefined ? {} : { finishedAt: iso(finishedAt) }),
    ...(missedAt === undefined ? {} : { deadlineMissedAt: iso(missedAt) }),
    ...(output === undefined || output === null || status !== "succeeded" ? {} : { output }),
    ...(metrics === undefined ? {} : { metrics }),
    ...(error === undefined ? {} : { error }),
    ...(assets === undefined || status !== "succeeded" ? {} : { assets }),
    ...(waiting === undefined ? {} : { waiting }),
  };
};

/** It is held or late, which Temporal's UI is to show, or has made what others wait for. */
export const isUrgent = (graph: Graph, state: RunState, index: number, slots: Pick<RunSlots, "awaited">): boolean => {
  const { status, missedAt } = state.tasks[index] as TaskState;
  if (missedAt !== undefined) return true;
  if (status === "waiting" || status === "parked") return true;
  const task = taskOf(graph, index);
  if (status === "running") return task.itemSlots !== undefined && slots.awaited(task) !== undefined;
  return status === "succeeded" && task.assets !== undefined;
};

const waitingFor = (
  input: RunInput,
  graph: Graph,
  state: RunState,
  index: number,
  slots: Pick<RunSlots, "awaited">,
): TaskChange["waiting"] => {
  const own = state.tasks[index] as TaskState;
  const task = taskOf(graph, index);
  if (own.status === "running" && task.itemSlots !== undefined) return forSlot(slots.awaited(task));
  if (own.status !== "waiting") return undefined;
  const { hold = "retry", retryAt } = own;
  const waiting = { for: hold, ...(retryAt === undefined ? {} : { until: iso(retryAt) }) };
  const { approval } = task;
  const slot = hold === "pool" ? forSlot(slots.awaited(task)) : undefined;
  if (slot !== undefined) return slot;
  if (approval === undefined) return waiting;
  const message = messageOf(input, graph, state, index, own.attempts);
  const now = Date.now();
  return { ...waiting, ...(message === undefined ? {} : { message }), approvers: approversOf(approval, heldSince(graph, own) ?? now, now) };
};

const forSlot = (slot: AwaitedSlot | undefined): TaskChange["waiting"] => {
  if (slot === undefined) return undefined;
  const { pool, connection, circuit } = slot;
  if (connection === undefined) return { for: "pool", pool };
  if (circuit === undefined) return { for: "connection", connection };
  return { for: "circuit", connection, since: iso(circuit.since), until: iso(circuit.until) };
};

/** What an approval asks; an expression that fails shows as it was written. */
const messageOf = (input: RunInput, graph: Graph, state: RunState, index: number, attempt: number): string | undefined => {
  const task = taskOf(graph, index);
  const message = task.approval?.message;
  if (message === undefined) return undefined;
  try {
    const rendered = renderTemplates(message, scopeOf(input, graph, state, task, attempt));
    return typeof rendered === "string" ? rendered : JSON.stringify(rendered);
  } catch {
    return message;
  }
};

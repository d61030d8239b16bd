// What people do to a run by hand: pause and resume it, let a parked task go on, mark a task, decide an approval. Part of the reducer.

import type { Json } from "./json.ts";
import type { ApprovalPlan } from "./plan.ts";
import { enqueue, fail, type Graph, heldSince, isEnded, type RunState, type Settled, settle, succeed, taskOf } from "./run-state.ts";

export type Control =
  | { readonly action: "pause" }
  | { readonly action: "resume" }
  /** Lets a parked task go on with all its attempts. */
  | { readonly action: "continue"; readonly task: string }
  | { readonly action: "mark"; readonly task: string; readonly as: "succeeded" | "skipped" | "failed"; readonly output?: Json }
  | { readonly action: "decide"; readonly task: string; readonly approve: boolean };

/** Who asked for it, and why. */
export interface Actor {
  readonly by: string;
  readonly why?: string;
}

/** For the record. */
export const nameOf = (control: Control): string => {
  if (control.action === "mark") return `mark ${control.as}`;
  if (control.action === "decide") return control.approve ? "approve" : "reject";
  return control.action;
};

const NOTHING: Settled = { ended: [], cancel: [] };

/** -1: there is no such task. */
export const placeOf = ({ plan }: Graph, id: string): number => plan.tasks.findIndex((task) => task.id === id);

/** Those who may decide an approval at this moment; empty: anyone. */
export const approversOf = ({ approvers, escalate }: ApprovalPlan, since: number, now: number): readonly string[] =>
  approvers.length === 0 || escalate === undefined || now < since + escalate.afterMs ? approvers : [...approvers, ...escalate.to];

/** Those who may decide an approval as well from now on, once: undefined before that, and when it is known. */
export const escalate = (state: RunState, graph: Graph, index: number, now: number): readonly string[] | undefined => {
  const task = state.tasks[index];
  const { approval } = taskOf(graph, index);
  if (!graph.amended || task === undefined || task.escalated || approval?.escalate === undefined) return undefined;
  if (now < (heldSince(graph, task) ?? now) + approval.escalate.afterMs) return undefined;
  task.escalated = true;
  return approval.escalate.to;
};

/** In one line why the action cannot be taken now, or would change nothing; undefined: it can. */
export const refusal = (state: RunState, graph: Graph, control: Control, actor: Actor, now: number): string | undefined => {
  if (control.action === "pause") {
    // Who pauses a run that is paused with its starter makes the pause the run's own.
    return state.paused && !state.pausedWith ? "the run is paused already; resume it to let it go on" : undefined;
  }
  if (control.action === "resume") return state.paused ? undefined : "the run is not paused; there is nothing to resume";
  const index = placeOf(graph, control.task);
  const task = state.tasks[index];
  if (task === undefined) return `the run has no task "${control.task}"`;
  const is = `task "${control.task}" is ${task.status}`;
  switch (control.action) {
    case "continue":
      return task.status === "parked" ? undefined : `${is}; only a parked task can be continued`;
    case "mark":
      if (isEnded(task.status)) return `${is}; only a task that has not ended can be marked`;
      return task.status === "running" ? `${is}; cancel the run or wait for the attempt's end before you mark it` : undefined;
    case "decide": {
      const { approval } = taskOf(graph, index);
      if (approval === undefined) return `task "${control.task}" is no approval`;
      if (task.hold !== "approval") return `${is}; it does not wait for a decision`;
      const allowed = approversOf(approval, heldSince(graph, task) ?? now, now);
      if (allowed.length === 0 || allowed.includes(actor.by)) return undefined;
      return `"${actor.by}" may not decide task "${control.task}"; these may: ${allowed.join(", ")}`;
    }
  }
};

/** Carries an action out that was not refused. */
export const control = (state: RunState, graph: Graph, asked: Control, actor: Actor, now: number): Settled => {
  const { by, why } = actor;
  if (asked.action === "pause" || asked.action === "resume") {
    endPause(state);
    if (asked.action === "pause") state.paused = true;
    return NOTHING;
  }
  const index = placeOf(graph, asked.task);
  const task = state.tasks[index];
  if (task === undefined) return NOTHING;
  switch (asked.action) {
    case "continue":
      // As after a pause between two attempts: `when` was true once and is not asked again.
      task.status = "waiting";
      task.hold = "retry";
      task.retryAt = now;
      task.base = { attempts: task.attempts, at: now };
      delete task.rounds;
      delete task.escalated;
      delete task.error;
      enqueue(state, graph, index);
      return NOTHING;
    case "mark": {
      leave(state, index);
      const because = `marked ${asked.as} by ${by}${why === undefined ? "" : `: ${why}`}`;
      if (asked.as === "failed") return fail(state, graph, index, { code: "MARKED_FAILED", message: because }, now);
      if (asked.as === "skipped") return settle(state, graph, index, "skipped", now);
      return succeed(state, graph, index, outputOf(asked, actor), now);
    }
    case "decide": {
      leave(state, index);
      if (asked.approve) return succeed(state, graph, index, outputOf(asked, actor), now);
      return fail(
        state,
        graph,
        index,
        { code: "APPROVAL_REJECTED", message: `${by} rejected it${why === undefined ? "" : `: ${why}`}` },
        now,
      );
    }
  }
};

/** What started the run was paused, or goes on. False: that changes nothing, since somebody has paused or resumed the run itself. */
export const pauseWith = (state: RunState, paused: boolean): boolean => {
  if (paused ? state.paused : !state.pausedWith) return false;
  if (paused) state.paused = state.pausedWith = true;
  else endPause(state);
  return true;
};

/** Nothing is held back any more, whoever paused it. */
export const endPause = (state: RunState): void => {
  delete state.paused;
  delete state.pausedWith;
};

/** What a task that succeeds by this action hands on. */
export const outputOf = (asked: Control, { by, why }: Actor): Json => {
  if (asked.action === "mark") return asked.output ?? null;
  return asked.action === "decide" ? { approved: true, by, comment: why ?? null } : null;
};

const leave = (state: RunState, index: number): void => {
  state.ready = state.ready.filter((other) => other !== index);
  state.waiting = state.waiting.filter((other) => other !== index);
};

/** What an open run is to those who look at it. */
export const openStatus = (state: RunState): "running" | "waiting" | "paused" | "parked" => {
  if (state.paused) return "paused";
  let [waiting, parked] = [false, false];
  for (const { status, queued } of state.tasks) {
    if (status === "running" || queued) return "running";
    waiting ||= status === "waiting";
    parked ||= status === "parked";
  }
  return waiting ? "waiting" : parked ? "parked" : "running";
};

/** Time for an approval to be looked at again: its escalation, then its deadline. */
export const approvalWakeAt = (approval: ApprovalPlan, since: number, now: number): number => {
  const deadline = since + approval.deadlineMs;
  const escalation = approval.escalate === undefined ? deadline : since + approval.escalate.afterMs;
  return now < escalation ? Math.min(escalation, deadline) : deadline;
};

// One attempt of one task as a call: which activity, with what input and options.

import { type ActivityOptions, proxyActivities, workflowInfo } from "@temporalio/workflow";
import { DownbeatError } from "../core/errors.ts";
import { NO_INTERVAL, renderTemplates, type Scope } from "../core/expression.ts";
import { mappedWorkflowId } from "../core/ids.ts";
import type { Json } from "../core/json.ts";
import { LIMITS } from "../core/limits.ts";
import type { PlanTask, Verb } from "../core/plan.ts";
import type { TaskResult } from "../core/run-changes.ts";
import { type Graph, policyOf, type RunState, taskOf } from "../core/run-state.ts";
import type { Children } from "./children.ts";
import type { mapped } from "./mapped.ts";
import { MAPPED_WORKFLOW, ofPipeline, type RunInput } from "./messages.ts";
import { OPEN_OPTIONS, ownActivityOptions, placementOf, verbOptions } from "./policies.ts";
import type { DagActivities, MappedCall, OpenSubRunCall, TaskCall } from "./ports.ts";
import { carryOutSubRun } from "./sub-run.ts";

/** A call of an activity as plain data: a child workflow may make it. */
export interface ActivityCall {
  readonly name: string;
  readonly input: unknown;
  readonly options: ActivityOptions;
}

export const callActivity = ({ name, input, options }: ActivityCall): Promise<unknown> => {
  const call = proxyActivities<Record<string, (input: unknown) => Promise<unknown>>>(options)[name];
  if (call === undefined) throw new DownbeatError("INTERNAL", `there is no activity "${name}"`);
  return call(input);
};

export interface PreparedCall {
  /** About what the call adds to the workflow task's answer, in bytes. */
  readonly bytes: number;
  /** What it calls, where that is an activity and no child workflow. */
  readonly activity?: ActivityCall;
  /** Not yet a task's result: `resultOf` makes it one. A promise more for each task is what costs a run most. */
  readonly send: () => Promise<unknown>;
  readonly resultOf: (answer: unknown) => TaskResult;
}

/** Ids, options and the like of one activity command. */
const COMMAND_BYTES = 500;

/** What the task's expressions may see; of other tasks only those that they read, so that inputs stay small. */
export const scopeOf = (
  { run, params }: RunInput,
  graph: Graph,
  state: RunState,
  task: Pick<PlanTask, "reads">,
): Scope & Pick<TaskCall, "tasks"> => {
  const tasks: Record<string, { status: string; output: Json }> = {};
  const reads = new Set(task.reads);
  if (reads.size > 0) {
    for (const [index, { id }] of graph.plan.tasks.entries()) {
      if (!reads.has(id)) continue;
      const other = state.tasks[index];
      tasks[id] = { status: other?.status ?? "pending", output: other?.output ?? null };
    }
  }
  return { params, run: { interval: NO_INTERVAL, ...run }, tasks };
};

/** One try of a task that is a child workflow. */
interface ChildTry {
  readonly remainingMs: number;
  readonly tries: number;
  readonly children: Children;
}

/** A run of another pipeline: opened in the store, then a workflow of its own that this one waits for. */
const subRunCall = (
  input: RunInput,
  graph: Graph,
  state: RunState,
  index: number,
  { remainingMs, tries, children }: ChildTry,
): PreparedCall => {
  const task = taskOf(graph, index);
  const call: OpenSubRunCall = {
    run: input.run,
    planHash: task.planHash ?? input.planHash,
    taskId: task.id,
    attempt: state.tasks[index]?.attempts ?? 1,
    params: input.params,
    tasks: scopeOf(input, graph, state, task).tasks,
    timeoutMs: remainingMs,
    tries,
  };
  const send = async (): Promise<TaskResult> => {
    const opened = await proxyActivities<DagActivities>(OPEN_OPTIONS).openSubRun(call);
    const caller = { pipeline: input.run.pipeline, taskId: task.id, remainingMs, children };
    return { output: await carryOutSubRun(opened, caller) };
  };
  return { bytes: COMMAND_BYTES + JSON.stringify(call).length, send, resultOf: (answer) => answer as TaskResult };
};

/** A rerun takes over the items that have succeeded, unless it was asked for this very task. */
const carriedItems = ({ rerun }: RunInput, { id }: PlanTask): Pick<MappedCall, "carryFrom" | "fresh"> => {
  if (rerun === undefined) return {};
  const { of, fresh } = rerun;
  if (fresh?.task !== id) return { carryFrom: of };
  return fresh.items === undefined ? {} : { carryFrom: of, fresh: fresh.items };
};

const verbOf = ({ id, operator }: PlanTask): Verb => {
  if (operator === "wait") return "probe";
  if (operator !== "activity" && operator !== "approval" && operator !== "pipeline") return operator;
  throw new DownbeatError("INTERNAL", `task "${id}" is carried out by no verb`);
};

/** The items have a workflow of their own: its history is not the run's. */
const mappedCall = (
  input: RunInput,
  graph: Graph,
  state: RunState,
  index: number,
  { remainingMs, tries, children }: ChildTry,
): PreparedCall => {
  const task = taskOf(graph, index);
  const policy = policyOf(graph, index);
  const call: MappedCall = {
    tries,
    run: input.run,
    planHash: task.planHash ?? input.planHash,
    taskId: task.id,
    params: input.params,
    tasks: scopeOf(input, graph, state, task).tasks,
    timeoutMs: policy.timeout.attemptMs,
    task,
    retry: policy.retry,
    ...carriedItems(input, task),
  };
  const { minds, patient } = input;
  const options = {
    workflowId: mappedWorkflowId(workflowInfo().workflowId, task.id, tries),
    args: [{ call, policy, ...(minds === undefined ? {} : { minds }), ...(patient === undefined ? {} : { patient }) }] as Parameters<
      typeof mapped
    >,
    cancellationType: "WAIT_CANCELLATION_COMPLETED" as const,
    staticSummary: task.summary,
    typedSearchAttributes: ofPipeline(input.run.pipeline),
    memo: { pipeline: input.run.pipeline, run: input.run.id, task: task.id },
  };
  return {
    bytes: COMMAND_BYTES + JSON.stringify(call).length,
    send: () => children.carryOut<typeof mapped>(MAPPED_WORKFLOW, options, remainingMs),
    resultOf: (answer) => answer as TaskResult,
  };
};

const activityCall = (activity: ActivityCall, bytes: number, resultOf: PreparedCall["resultOf"]): PreparedCall => ({
  bytes: COMMAND_BYTES + bytes,
  activity,
  send: () => callActivity(activity),
  resultOf,
});

export const prepareCall = (
  input: RunInput,
  graph: Graph,
  state: RunState,
  index: number,
  now: number,
  children: Children,
): PreparedCall => {
  const task = taskOf(graph, index);
  const policy = policyOf(graph, index);
  const { attempts = 1, lost = 0, looks = 0, startedAt = now, base } = state.tasks[index] ?? {};
  const remainingMs = (task.wait?.deadlineMs ?? policy.timeout.totalMs) - (now - (base?.at ?? startedAt));
  // Temporal forgets an activity's id when it has ended, people do not: each attempt has its own.
  const tries = attempts + lost + looks;
  const options = {
    activityId: tries === 1 ? task.id : `${task.id}#${tries}`,
    summary: task.summary,
    ...placementOf(task),
  };
  if (task.forEach !== undefined) return mappedCall(input, graph, state, index, { remainingMs, tries, children });
  if (task.operator === "pipeline") return subRunCall(input, graph, state, index, { remainingMs, tries, children });
  if (task.operator === "activity") {
    const { name, input: template } = task.activity ?? { name: "", input: null };
    const rendered = renderTemplates(template, scopeOf(input, graph, state, task));
    const bytes = JSON.stringify(rendered).length;
    if (bytes > LIMITS.activityInputBytes) {
      const message = `the input of activity "${name}" is ${bytes} bytes of JSON with its expressions evaluated; the limit is ${LIMITS.activityInputBytes}`;
      throw new DownbeatError("EXPRESSION_FAILED", message);
    }
    return activityCall(
      { name, input: rendered, options: { ...ownActivityOptions(policy, remainingMs), ...options } },
      bytes,
      (answer) => ({ output: (answer as Json | undefined) ?? null }),
    );
  }
  const call: TaskCall = {
    run: input.run,
    planHash: task.planHash ?? input.planHash,
    taskId: task.id,
    attempt: attempts,
    params: input.params,
    tasks: scopeOf(input, graph, state, task).tasks,
    timeoutMs: Math.max(Math.min(policy.timeout.attemptMs, remainingMs), 1),
  };
  return activityCall(
    { name: verbOf(task), input: call, options: { ...verbOptions(policy, remainingMs), ...options } },
    JSON.stringify(call).length,
    (answer) => answer as TaskResult,
  );
};

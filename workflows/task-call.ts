// One attempt of one task as a call: which activity, with what input and options.

import { type ActivityOptions, proxyActivities, workflowInfo } from "@temporalio/workflow";
import { activityInput } from "../core/activity-input.ts";
import { DownbeatError } from "../core/errors.ts";
import { NO_INTERVAL, type Scope } from "../core/expression.ts";
import { mappedWorkflowId } from "../core/ids.ts";
import type { Json } from "../core/json.ts";
import { LIMITS } from "../core/limits.ts";
import type { PlanTask, Verb } from "../core/plan.ts";
import { referenceOf, type TaskResult } from "../core/run-changes.ts";
import { mannerOf } from "../core/run-manner.ts";
import { type Graph, policyOf, type RunState, taskOf } from "../core/run-state.ts";
import type { Children } from "./children.ts";
import type { mapped } from "./mapped.ts";
import { MAPPED_WORKFLOW, ofPipeline, type RunInput } from "./messages.ts";
import { isTimeMinded, OPEN_OPTIONS, ownActivityOptions, placementOf, renderOptions, verbOptions } from "./policies.ts";
import type { DagActivities, MappedCall, OpenSubRunCall, RenderInputCall, RunFacts, TaskCall } from "./ports.ts";
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
  /** When its task's time is over, in milliseconds since 1970; absent: Temporal looks after that. */
  readonly dueAt?: number;
}

/** Ids, options and the like of one activity command. */
const COMMAND_BYTES = 500;

/** Of a task whose work is another run's: with that origin. */
const factsFor = ({ run, rerun }: Pick<RunInput, "run" | "rerun">, { id = "" }: Partial<Pick<PlanTask, "id">>): RunFacts => {
  const origin = rerun?.origins?.[id];
  return origin === undefined ? run : { ...run, origin };
};

/**
 * What the task's expressions may see; of other tasks only those that they read, so that inputs stay small. Expressions that the run evaluates itself see no
 * large outputs: those of runs that began before `amended` saw the references. `attempt`: of what one try of the task is made of.
 */
export const scopeOf = (
  input: Pick<RunInput, "run" | "rerun" | "params" | "amended">,
  graph: Graph,
  state: RunState,
  task: Partial<Pick<PlanTask, "id" | "reads">>,
  attempt?: number,
): Scope & Pick<TaskCall, "tasks"> => {
  const { params, amended } = input;
  const tasks: Record<string, { status: string; output: Json }> = {};
  const large: Record<string, number> = {};
  const reads = new Set(task.reads);
  if (reads.size > 0) {
    for (const [index, { id }] of graph.plan.tasks.entries()) {
      if (!reads.has(id)) continue;
      const other = state.tasks[index];
      tasks[id] = { status: other?.status ?? "pending", output: other?.output ?? null };
      const reference = amended === true ? referenceOf(other?.output) : undefined;
      if (reference !== undefined) large[id] = reference.bytes;
    }
  }
  const run = { interval: NO_INTERVAL, ...factsFor(input, task), ...(attempt === undefined ? {} : { attempt }) };
  return { params, run, tasks, ...(Object.keys(large).length === 0 ? {} : { large }) };
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
  const { priority = input.run.priority } = task;
  const call: OpenSubRunCall = {
    run: factsFor(input, task),
    planHash: task.planHash ?? input.planHash,
    taskId: task.id,
    attempt: state.tasks[index]?.attempts ?? 1,
    params: input.params,
    tasks: scopeOf(input, graph, state, task).tasks,
    timeoutMs: remainingMs,
    tries,
    ...(priority === undefined ? {} : { priority }),
  };
  const send = async (): Promise<TaskResult> => {
    const opened = await proxyActivities<DagActivities>(OPEN_OPTIONS).openSubRun(call);
    const caller = { pipeline: input.run.pipeline, taskId: task.id, remainingMs, children };
    return { output: await carryOutSubRun(opened, caller) };
  };
  return { bytes: COMMAND_BYTES + JSON.stringify(call).length, send, resultOf: (answer) => answer as TaskResult };
};

/** A rerun takes over the items that have succeeded, unless it was asked for this very task, or the task's work is its own. */
const carriedItems = ({ run, rerun }: RunInput, { id }: PlanTask): Pick<MappedCall, "carryFrom" | "fresh"> => {
  if (rerun === undefined || rerun.origins?.[id] === run.id) return {};
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
    run: factsFor(input, task),
    planHash: task.planHash ?? input.planHash,
    taskId: task.id,
    params: input.params,
    tasks: scopeOf(input, graph, state, task).tasks,
    timeoutMs: policy.timeout.attemptMs,
    task,
    retry: policy.retry,
    ...carriedItems(input, task),
  };
  const options = {
    workflowId: mappedWorkflowId(workflowInfo().workflowId, task.id, tries),
    args: [{ call, policy, ...mannerOf(input) }] as Parameters<typeof mapped>,
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

interface OwnTry extends Pick<RenderInputCall, "activity" | "attempt"> {
  readonly dueAt: number;
  readonly toOwn: (input: Json, leftMs: number) => ActivityCall;
}

/** A user's own activity. Its input is made here, or where it reads large outputs by a worker first. */
const ownCall = (
  { run, params }: RunInput,
  scope: ReturnType<typeof scopeOf>,
  { activity, attempt, dueAt, toOwn }: OwnTry,
): PreparedCall => {
  const resultOf = (answer: unknown): TaskResult => ({ output: (answer as Json | undefined) ?? null });
  const remainingMs = dueAt - Date.now();
  if (scope.large === undefined) {
    const { input, bytes } = activityInput({ activity }, scope);
    return activityCall(toOwn(input, remainingMs), bytes, resultOf);
  }
  const call: RenderInputCall = { run, params, tasks: scope.tasks, attempt, activity };
  const send = async (): Promise<unknown> => {
    const input = await proxyActivities<DagActivities>(renderOptions(remainingMs)).renderInput(call);
    return callActivity(toOwn(input, dueAt - Date.now()));
  };
  // Of the input nobody knows yet how long it is.
  return { bytes: COMMAND_BYTES + JSON.stringify(call).length + LIMITS.activityInputBytes, send, resultOf };
};

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
    const isMinded = input.thrifty === true && isTimeMinded(policy, remainingMs);
    const { activity = { name: "", input: null } } = task;
    const toOwn = (rendered: Json, leftMs: number): ActivityCall => ({
      name: activity.name,
      input: rendered,
      options: { ...ownActivityOptions(policy, leftMs, task, isMinded), ...options },
    });
    const call = ownCall(input, scopeOf(input, graph, state, task, attempts), {
      activity,
      attempt: attempts,
      dueAt: now + remainingMs,
      toOwn,
    });
    return isMinded ? { ...call, dueAt: now + remainingMs } : call;
  }
  const call: TaskCall = {
    run: factsFor(input, task),
    planHash: task.planHash ?? input.planHash,
    taskId: task.id,
    attempt: attempts,
    params: input.params,
    tasks: scopeOf(input, graph, state, task).tasks,
    timeoutMs: Math.max(Math.min(policy.timeout.attemptMs, remainingMs), 1),
    ...(task.follow === undefined ? {} : { followedSince: startedAt }),
  };
  return activityCall(
    { name: verbOf(task), input: call, options: { ...verbOptions(policy, remainingMs), ...options } },
    JSON.stringify(call).length,
    (answer) => answer as TaskResult,
  );
};

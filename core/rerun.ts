// Which tasks a rerun takes over from the run that it repeats, and which it does again.

import { checkExpression, conditionSource } from "./expression.ts";
import type { Fault } from "./issues.ts";
import { canonicalText, type Json, type JsonObject } from "./json.ts";
import type { Recorded } from "./overrides.ts";
import type { CompiledPlan, PlanTask } from "./plan.ts";
import type { RunSnapshot } from "./run-snapshot.ts";
import type { TaskStatus } from "./run-changes.ts";
import { type Graph, graphOf } from "./run-state.ts";
import { eachExpression } from "./templates.ts";

export type RerunFrom =
  /** Everything that has not succeeded, and what comes after it. */
  | { readonly from: "failed" }
  /** The task, and what comes after it; and everything that has not succeeded. */
  | { readonly from: "task"; readonly task: string }
  /** Everything. */
  | { readonly from: "start" };

/** How a run repeats another: kept with it, so that it can be started again just so. */
export type RerunRequest = RerunFrom & {
  readonly of: string;
  /** With a task: only these items of it, and those that have not succeeded. */
  readonly items?: readonly number[];
  readonly origins?: TaskOrigins;
  /** Of the version that the repeated run had, as it was: so are the runs that its tasks start. */
  readonly original?: true;
};

/** By task id, of tasks that do other work than the run's origin did, since params changed: the run that began that work. */
export type TaskOrigins = Readonly<Record<string, string>>;

export interface EndedTask {
  readonly taskId: string;
  readonly status: TaskStatus;
  readonly attempts: number;
  readonly output: Json;
}

/** The run that is repeated, as it was when it had ended: what was changed while it went on included. */
export interface EndedRun {
  readonly compiled: CompiledPlan;
  readonly params: JsonObject;
  readonly tasks: readonly EndedTask[];
  /** What people did to it. */
  readonly actions: readonly Pick<Recorded, "action" | "taskId">[];
}

export interface Rerun {
  /** Ids of the tasks that are taken over as they ended. */
  readonly carried: readonly string[];
  /** Ids of the tasks that read a param which has changed, and of those that come after them: nothing that was done of them counts. */
  readonly anew: readonly string[];
  /** The state that the new run begins with. */
  readonly snapshot: RunSnapshot;
}

/**
 * A task is taken over when it succeeded or the plan had it skipped, is written as it was, reads only params that are as they were, and so it is with all that it
 * needs. A skip that the plan did not decide is no success: a wait's deadline, or somebody who marked it.
 */
export const planRerun = (before: EndedRun, now: Pick<EndedRun, "compiled" | "params">, asked: RerunFrom): Rerun => {
  const tasks = now.compiled.plan.tasks;
  const endedById = new Map(before.tasks.map((task) => [task.taskId, task]));
  const marked = new Set(before.actions.flatMap(({ action, taskId }) => (action === "mark skipped" ? [taskId] : [])));
  const again = new Set(asked.from === "start" ? tasks.map(({ id }) => id) : asked.from === "task" ? [asked.task] : []);
  const changed = changedParams(before.params, now.params);
  const isDone = ({ taskId, status, attempts }: EndedTask): boolean =>
    status === "succeeded" || (status === "skipped" && attempts === 0 && !marked.has(taskId));
  const isKept = (task: PlanTask): boolean => {
    const one = endedById.get(task.id);
    return (
      !again.has(task.id) &&
      task.finally === undefined &&
      one !== undefined &&
      isDone(one) &&
      signatureOf(before.compiled, task.id) === signatureOf(now.compiled, task.id)
    );
  };
  const { dependents } = graphOf(now.compiled.plan);
  const indices = [...tasks.keys()];
  const changing = indices.filter((index) => readsAny(now.compiled, tasks[index] as PlanTask, changed));
  const anew = withFollowers(changing, dependents);
  const redone = withFollowers([...changing, ...indices.filter((index) => !isKept(tasks[index] as PlanTask))], dependents);
  const statuses: string[] = [];
  const outputs: Record<string, Json> = {};
  for (const [index, { id }] of tasks.entries()) {
    const one = endedById.get(id);
    statuses.push(redone.has(index) ? "p" : one?.status === "skipped" ? "k" : "s");
    if (!redone.has(index) && one !== undefined && one.output !== null) outputs[index] = one.output;
  }
  const idsOf = (is: (index: number) => boolean): readonly string[] => tasks.flatMap(({ id }, index) => (is(index) ? [id] : []));
  return {
    carried: idsOf((index) => !redone.has(index)),
    anew: idsOf((index) => anew.has(index)),
    snapshot: { statuses: statuses.join(""), waiting: {}, outputs: readOutputs(now.compiled, redone, outputs) },
  };
};

const withFollowers = (indices: readonly number[], dependents: Graph["dependents"]): ReadonlySet<number> => {
  const found = new Set(indices);
  // Those that come in are walked as well.
  for (const index of found) for (const next of dependents[index] ?? []) found.add(next);
  return found;
};

const changedParams = (before: JsonObject, now: JsonObject): ReadonlySet<string> =>
  new Set(
    Object.keys({ ...before, ...now }).filter((name) => canonicalText({ value: before[name] }) !== canonicalText({ value: now[name] })),
  );

/** Whether anything that is written in the task reads one of the params. */
const readsAny = ({ configs }: CompiledPlan, { id, when, forEach, activity }: PlanTask, params: ReadonlySet<string>): boolean => {
  if (params.size === 0) return false;
  const sources = when === undefined ? [] : [conditionSource(when)];
  const texts = [configs[id], forEach?.loops, activity?.input];
  eachExpression(texts, [], noFault, (source) => sources.push(source));
  return sources.some((source) => {
    const read = checkExpression(source);
    return !read.ok || read.allParams || read.params.some((name) => params.has(name));
  });
};

/** It was compiled: there is none. */
const noFault: Fault = () => undefined;

/** Only what tasks that run again read. */
const readOutputs = (
  { plan }: CompiledPlan,
  redone: ReadonlySet<number>,
  outputs: Readonly<Record<string, Json>>,
): Readonly<Record<string, Json>> => {
  const read = new Set([
    ...plan.tasks.flatMap((task, index) => (redone.has(index) ? (task.reads ?? []) : [])),
    ...(plan.outputs?.reads ?? []),
  ]);
  return Object.fromEntries(Object.entries(outputs).filter(([index]) => read.has(plan.tasks[Number(index)]?.id ?? "")));
};

/** Everything that makes a difference to what a task does; places and policies by what they stand for. */
const signatureOf = ({ plan, configs }: CompiledPlan, id: string): string | undefined => {
  const task = plan.tasks.find((one) => one.id === id);
  if (task === undefined) return undefined;
  const { policy: _, needs, summary: __, planHash: ___, deadlineMs: ____, ...rest } = task;
  return JSON.stringify([rest, needs.map((need) => plan.tasks[need]?.id), configs[id]]);
};

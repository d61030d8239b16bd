// Which tasks a rerun takes over from the run that it repeats, and which it does again.

import type { Json } from "./json.ts";
import type { CompiledPlan, PlanTask } from "./plan.ts";
import type { RunSnapshot } from "./run-snapshot.ts";
import type { TaskStatus } from "./run-changes.ts";

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
};

export interface EndedTask {
  readonly taskId: string;
  readonly status: TaskStatus;
  readonly output: Json;
}

export interface Rerun {
  /** Ids of the tasks that are taken over as they ended. */
  readonly carried: readonly string[];
  /** The state that the new run begins with. */
  readonly snapshot: RunSnapshot;
}

/**
 * A task is taken over when it succeeded or was skipped, is written as it was, and so were all that it needs. `before`: as the repeated run's tasks really were,
 * what was changed while it went on included.
 */
export const planRerun = (before: CompiledPlan, ended: readonly EndedTask[], now: CompiledPlan, asked: RerunFrom): Rerun => {
  const tasks = now.plan.tasks;
  const endedById = new Map(ended.map((task) => [task.taskId, task]));
  const again = new Set(asked.from === "start" ? tasks.map(({ id }) => id) : asked.from === "task" ? [asked.task] : []);
  const carried: boolean[] = [];
  // Needs may come later in the definition.
  const isCarried = (index: number): boolean => {
    const known = carried[index];
    if (known !== undefined) return known;
    const task = tasks[index] as PlanTask;
    const status = endedById.get(task.id)?.status;
    carried[index] =
      !again.has(task.id) &&
      task.finally === undefined &&
      (status === "succeeded" || status === "skipped") &&
      signatureOf(before, task.id) === signatureOf(now, task.id) &&
      task.needs.every(isCarried);
    return carried[index];
  };
  const statuses: string[] = [];
  const outputs: Record<string, Json> = {};
  for (const [index, { id }] of tasks.entries()) {
    const one = endedById.get(id);
    statuses.push(!isCarried(index) ? "p" : one?.status === "skipped" ? "k" : "s");
    if (isCarried(index) && one !== undefined && one.output !== null) outputs[index] = one.output;
  }
  const ids = tasks.flatMap(({ id }, index) => (isCarried(index) ? [id] : []));
  return { carried: ids, snapshot: { statuses: statuses.join(""), waiting: {}, outputs: readOutputs(now, carried, outputs) } };
};

/** Only what tasks that run again read. */
const readOutputs = (
  { plan }: CompiledPlan,
  carried: readonly boolean[],
  outputs: Readonly<Record<string, Json>>,
): Readonly<Record<string, Json>> => {
  const read = new Set([
    ...plan.tasks.flatMap((task, index) => (carried[index] ? [] : (task.reads ?? []))),
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

// Which tasks of a run ask for slots, and of what: decided when the run is started, so that connections without limits cost a run nothing.

import type { CompiledPlan, Plan, PlanTask } from "./plan.ts";

/** The plan as the run gets it; `guarded`: names of the connections that have limits at this moment. */
export const guardPlan = ({ plan, uses = {} }: Pick<CompiledPlan, "plan" | "uses">, guarded: ReadonlySet<string>): Plan => {
  const tasks = plan.tasks.map((task) => {
    const connections = (uses[task.id] ?? []).filter(({ name }) => guarded.has(name));
    const guardedTask = connections.length === 0 ? task : { ...task, connections };
    return task.forEach === undefined ? guardedTask : forItems(guardedTask);
  });
  return tasks.every((task, index) => task === plan.tasks[index]) ? plan : { ...plan, tasks };
};

/** Limits are for what is at work: the items, and not the task that has them. */
const forItems = (task: PlanTask): PlanTask => {
  const { pool, connections, ...others } = task;
  if (pool === undefined && connections === undefined) return task;
  return { ...others, itemSlots: { ...(pool === undefined ? {} : { pool }), ...(connections === undefined ? {} : { connections }) } };
};

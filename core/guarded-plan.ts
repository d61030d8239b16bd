// Which tasks of a run ask for slots of connections: decided when the run is started, so that connections without limits cost a run nothing.

import type { CompiledPlan, Plan } from "./plan.ts";

/** The plan as the run gets it; `guarded`: names of the connections that have limits at this moment. */
export const guardPlan = ({ plan, uses = {} }: Pick<CompiledPlan, "plan" | "uses">, guarded: ReadonlySet<string>): Plan => {
  if (guarded.size === 0) return plan;
  const tasks = plan.tasks.map((task) => {
    const connections = (uses[task.id] ?? []).filter(({ name }) => guarded.has(name));
    return connections.length === 0 ? task : { ...task, connections };
  });
  return tasks.every((task, index) => task === plan.tasks[index]) ? plan : { ...plan, tasks };
};

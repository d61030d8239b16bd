// Keys of a task that its operator has no use for: refused, since whoever writes one counts on it.

import type { TaskDefinition } from "./definition.ts";
import type { Fault } from "./issues.ts";
import type { Operator } from "./plan.ts";

type Key = "queue" | "priority" | "timeout.attempt" | "timeout.heartbeat";

interface Idle {
  readonly keys: readonly Key[];
  /** Which tasks they are, and what to do instead. */
  readonly why: string;
}

const HOLDS_NO_WORKER: readonly Key[] = ["queue", "priority", "timeout.attempt", "timeout.heartbeat"];

const idleOf = ({ wait, pipeline }: TaskDefinition, operator: Operator): Idle | undefined => {
  if (pipeline !== undefined)
    return {
      keys: ["queue", "timeout.attempt", "timeout.heartbeat"],
      why: `runs another pipeline; set it on the tasks of "${pipeline.name}", and bound the whole run with timeout.total`,
    };
  if (operator === "approval")
    return { keys: HOLDS_NO_WORKER, why: "is an approval, which holds no worker; remove it, and bound it with approval.deadline" };
  // A condition is looked at by a worker: all of them are those of its looks.
  if (wait?.until !== undefined || wait?.for !== undefined)
    return { keys: HOLDS_NO_WORKER, why: "waits for a moment, which holds no worker; remove it, and bound it with wait.deadline" };
  return undefined;
};

/** What `defaults` say is for tasks that have a use for it. */
export const refuseUnused = (task: TaskDefinition, position: number, operator: Operator, fault: Fault): void => {
  const idle = idleOf(task, operator);
  if (idle === undefined) return;
  const given: Readonly<Record<Key, unknown>> = {
    queue: task.queue,
    priority: task.priority,
    "timeout.attempt": task.timeout?.attempt,
    "timeout.heartbeat": task.timeout?.heartbeat,
  };
  for (const key of idle.keys) {
    if (given[key] === undefined) continue;
    fault("INVALID_VALUE", ["tasks", position, ...key.split(".")], `${key} has no effect: task "${task.id}" ${idle.why}`);
  }
};

// What goes first in a run with more ready tasks than Temporal is given at a time, where one worker has one slot.

import proto from "@temporalio/proto";
import { expect, it } from "vitest";
import { LIMITS } from "../../core/limits.ts";
import { planOf } from "../core/runs.ts";
import { until, useEngine } from "./kit.ts";

const engine = useEngine({ slots: 1 });

it("the urgent of a run's ready tasks begin first, wherever they stand, and Temporal is told their priority", async () => {
  const waiting = LIMITS.activitiesInFlight + 50;
  const low = Object.fromEntries(Array.from({ length: waiting }, (_, index) => [`low${index}`, { priority: 5 }] as const));
  const plan = planOf({ ...low, usual: {}, urgent: { priority: 1 } });
  const begun: string[] = [];
  const { TASK_QUEUE_TYPE_ACTIVITY: taskQueueType } = proto.temporal.api.enums.v1.TaskQueueType;
  const backlog = async (): Promise<number> => {
    const asked = { namespace: "default", taskQueue: { name: engine().queue }, taskQueueType, reportStats: true };
    return Number((await engine().client.workflowService.describeTaskQueue(asked)).stats?.approximateBacklogCount ?? 0);
  };
  const verbs = Object.fromEntries(
    plan.tasks.map(({ id }) => [
      id,
      async () => {
        begun.push(id);
        // Whichever is handed out first stays until Temporal has heard of the others: a busy one takes a while for so many.
        if (begun.length === 1) await until("the others wait", async () => (await backlog()) >= LIMITS.activitiesInFlight - 1);
        return { output: null };
      },
    ]),
  );
  const run = await engine().run(plan, { verbs });
  expect(run.outcome).toBe("succeeded");
  expect(begun).toHaveLength(waiting + 2);
  // Temporal may have handed the free worker any that it had just heard of; all others were there by the next time.
  expect(Math.max(begun.indexOf("urgent"), begun.indexOf("usual"))).toBeLessThan(3);
  const { events } = await run.handle.fetchHistory();
  const scheduled = (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: task }) => (task ? [task] : []));
  expect(scheduled.slice(0, 3).map(({ activityId, priority }) => [activityId, priority?.priorityKey ?? 0])).toEqual([
    ["urgent", 1],
    ["usual", 0],
    ["low0", 5],
  ]);
});

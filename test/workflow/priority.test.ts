// What goes first in a run with more ready tasks than Temporal is given at a time, where one worker has one slot.

import { expect, it } from "vitest";
import { LIMITS } from "../../core/limits.ts";
import { planOf } from "../core/runs.ts";
import { useEngine } from "./kit.ts";

const engine = useEngine({ slots: 1 });

it("the urgent of a run's ready tasks begin first, wherever they stand, and Temporal is told their priority", async () => {
  const waiting = LIMITS.activitiesInFlight + 50;
  const low = Object.fromEntries(Array.from({ length: waiting }, (_, index) => [`low${index}`, { priority: 5 }] as const));
  const plan = planOf({ ...low, usual: {}, urgent: { priority: 1 } });
  const begun: string[] = [];
  const verbs = Object.fromEntries(
    plan.tasks.map(({ id }) => [
      id,
      async () => {
        begun.push(id);
        return { output: null };
      },
    ]),
  );
  const run = await engine().run(plan, { verbs });
  expect(run.outcome).toBe("succeeded");
  expect(begun).toHaveLength(waiting + 2);
  // Temporal may hand a free worker one that it has just heard of.
  expect(Math.max(begun.indexOf("urgent"), begun.indexOf("usual"))).toBeLessThan(10);
  const { events } = await run.handle.fetchHistory();
  const scheduled = (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: task }) => (task ? [task] : []));
  expect(scheduled.slice(0, 3).map(({ activityId, priority }) => [activityId, priority?.priorityKey ?? 0])).toEqual([
    ["urgent", 1],
    ["usual", 0],
    ["low0", 5],
  ]);
});

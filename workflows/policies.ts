// How activities are called: timeouts and Temporal's own retry, which only covers lost workers. Attempts of a task are the reducer's.

import type { ActivityOptions, LocalActivityOptions } from "@temporalio/workflow";
import { LIMITS } from "../core/limits.ts";
import type { PlanTask, Policy } from "../core/plan.ts";

/** Where it runs and how soon; absent: Temporal's defaults. */
export const placementOf = ({
  queue,
  priority,
}: Pick<PlanTask, "queue" | "priority">): Pick<ActivityOptions, "taskQueue" | "priority"> => ({
  ...(queue === undefined ? {} : { taskQueue: queue }),
  ...(priority === undefined ? {} : { priority: { priorityKey: priority } }),
});

/** The verb enforces the attempt's timeout itself; Temporal's lies above it and catches workers that hang. */
const ATTEMPT_MARGIN_MS = 30_000;

/** A hundred killed workers must not fail a task; unbounded attempts would never end. */
const LOST_WORKER_RETRY = { initialInterval: 500, backoffCoefficient: 1.5, maximumInterval: 5_000, maximumAttempts: 1_000 } as const;

export const verbOptions = (policy: Policy, remainingMs: number): ActivityOptions => ({
  startToCloseTimeout: policy.timeout.attemptMs + ATTEMPT_MARGIN_MS,
  scheduleToCloseTimeout: Math.max(remainingMs, 1_000) + ATTEMPT_MARGIN_MS,
  heartbeatTimeout: policy.timeout.heartbeatMs,
  retry: LOST_WORKER_RETRY,
  cancellationType: "WAIT_CANCELLATION_COMPLETED",
});

/** A group of items: their attempts come one after another in so many rounds. */
export const itemsOptions = ({ timeout }: Policy, rounds: number): ActivityOptions => {
  const startToCloseTimeout = timeout.attemptMs * rounds + ATTEMPT_MARGIN_MS;
  return {
    startToCloseTimeout,
    scheduleToCloseTimeout: Math.max(timeout.totalMs, timeout.attemptMs) + startToCloseTimeout,
    heartbeatTimeout: timeout.heartbeatMs === 0 ? GROUP_HEARTBEAT_MS : timeout.heartbeatMs,
    retry: LOST_WORKER_RETRY,
    cancellationType: "WAIT_CANCELLATION_COMPLETED",
  };
};

/** Groups always heartbeat, whatever their items do. */
const GROUP_HEARTBEAT_MS = 10_000;

/** Where the activity reports nothing itself a worker of Downbeat does; workers of the user's own have a queue, and may not. */
const heartbeatOf = ({ timeout }: Policy, queue: string | undefined): Pick<ActivityOptions, "heartbeatTimeout"> => {
  const { heartbeatMs, attemptMs } = timeout;
  if (heartbeatMs > 0) return { heartbeatTimeout: heartbeatMs };
  return queue === undefined && attemptMs > LIMITS.silentActivityMs ? { heartbeatTimeout: LIMITS.silentActivityMs } : {};
};

/**
 * Of every task that is under way Temporal's server looks at each of its times with each event: without the total one it takes a tenth less for a task. So a
 * run minds that itself where it is long enough to be noticed with a report, and nothing has to be waited for when it is over.
 */
export const isTimeMinded = ({ timeout }: Policy, remainingMs: number): boolean =>
  timeout.heartbeatMs === 0 && remainingMs > MINDED_FROM_MS;

/** Somewhat longer than reports of a run are apart. */
const MINDED_FROM_MS = 35_000;

/** A user's own activity is tried once a call: every further attempt is visible and counted in the run. */
export const ownActivityOptions = (
  policy: Policy,
  remainingMs: number,
  { queue }: Pick<PlanTask, "queue">,
  isMinded = false,
): ActivityOptions => ({
  startToCloseTimeout: policy.timeout.attemptMs,
  ...(isMinded ? {} : { scheduleToCloseTimeout: Math.max(remainingMs, 1_000) }),
  ...heartbeatOf(policy, queue),
  retry: { maximumAttempts: 1 },
  // Without a heartbeat nothing tells the activity of a cancellation, so nobody may wait for its answer.
  cancellationType: policy.timeout.heartbeatMs > 0 ? "WAIT_CANCELLATION_COMPLETED" : "TRY_CANCEL",
});

/** One short try: while a local activity runs, the workflow task stays open and no other news reaches the run. The reporter repeats it. */
export const RECORD_OPTIONS: LocalActivityOptions = { startToCloseTimeout: 5_000, retry: { maximumAttempts: 1 } };

/** A few statements of the store, which may be away for long. */
export const OPEN_OPTIONS: ActivityOptions = {
  startToCloseTimeout: 30_000,
  scheduleToCloseTimeout: 24 * 3_600_000,
  retry: { initialInterval: 1_000, maximumInterval: 60_000, maximumAttempts: 10_000 },
};

/** The same, within the time of the task. */
export const renderOptions = (remainingMs: number): ActivityOptions => ({
  ...OPEN_OPTIONS,
  scheduleToCloseTimeout: Math.max(remainingMs, 1_000),
});

/** The same, a few runs at a time: a killed worker must not hold the other events of a trigger for long. */
export const START_EVENTS_OPTIONS: ActivityOptions = { ...OPEN_OPTIONS, startToCloseTimeout: 10_000 };

/** Looks for events come one after another as tries of one activity, which cost no history; each says itself when the next is due. */
export const WATCH_OPTIONS: ActivityOptions = {
  startToCloseTimeout: 300_000,
  heartbeatTimeout: 10_000,
  retry: { initialInterval: 1_000, backoffCoefficient: 2, maximumInterval: 60_000 },
};

export const INSPECT_OPTIONS: ActivityOptions = {
  startToCloseTimeout: 90_000,
  scheduleToCloseTimeout: 120_000,
  retry: { initialInterval: 500, maximumAttempts: 3 },
};

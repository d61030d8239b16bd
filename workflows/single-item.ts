// One item of a `for_each` that the workflow itself carries out: a run of another pipeline, or an activity on a queue of the user's own.

import { CancellationScope, CancelledFailure, proxyActivities } from "@temporalio/workflow";
import type { Json } from "../core/json.ts";
import type { PlanTask, Policy } from "../core/plan.ts";
import { mayRetry } from "../core/run-attempts.ts";
import type { Children } from "./children.ts";
import { readFailure } from "./failure.ts";
import { OPEN_OPTIONS, ownActivityOptions, placementOf } from "./policies.ts";
import type { DagActivities, ItemCall, ItemEnd, ItemFailure } from "./ports.ts";
import { carryOutSubRun } from "./sub-run.ts";

const { openItem, recordItem } = proxyActivities<DagActivities>(OPEN_OPTIONS);

interface Caller {
  readonly minds: boolean;
  /** As the run's manner has it. */
  readonly amended: boolean;
  readonly children: Children;
}

/** All others go in groups, which a worker of Downbeat carries out. */
export const isSingle = ({ operator, queue }: PlanTask): boolean =>
  operator === "pipeline" || (operator === "activity" && queue !== undefined);

/** Undefined: it has succeeded, and the store has its result. Throws a CancelledFailure; `minds`: only where its caller has cancelled it. */
export const carryOutItem = async (call: ItemCall, policy: Policy, caller: Caller): Promise<ItemFailure | undefined> => {
  const startedAt = new Date().toISOString();
  const { run, taskId, item, attempt } = call;
  const record = (end: Pick<ItemEnd, "status" | "output" | "error">): Promise<void> =>
    recordItem({ run, taskId, item, attempt }, { ...end, startedAt, finishedAt: new Date().toISOString() });
  try {
    const output = await outputOf(call, policy, caller);
    if (output !== undefined) await record({ status: "succeeded", output });
    return undefined;
  } catch (error) {
    const isAsked = !caller.minds || CancellationScope.current().consideredCancelled;
    const end = readFailure(error, call.task.operator === "activity", isAsked);
    if (end.kind === "cancelled") throw new CancelledFailure("the item was cancelled");
    const { code, message, retryAfterMs } = end.error;
    // Of items every attempt counts: a lost one, too.
    await record({ status: mayRetry(call.retry, attempt, code) ? "pending" : "failed", error: { code, message } });
    const isHeard = caller.amended || call.task.operator !== "activity";
    return { item, code, message, ...(retryAfterMs === undefined || !isHeard ? {} : { retryAfterMs }) };
  }
};

/** Undefined: it was done before. */
const outputOf = async (call: ItemCall, policy: Policy, { children }: Caller): Promise<Json | undefined> => {
  const { run, activity } = await openItem(call);
  const remainingMs = policy.timeout.totalMs;
  if (run !== undefined) return carryOutSubRun(run, { pipeline: call.run.pipeline, taskId: call.taskId, remainingMs, children });
  if (activity === undefined) return undefined;
  const { activity: { name } = { name: "" }, summary } = call.task;
  const own = proxyActivities<Record<string, (input: Json) => Promise<Json | undefined>>>({
    ...ownActivityOptions(policy, remainingMs, call.task),
    summary,
    ...placementOf(call.task),
  });
  return (await own[name]?.(activity.input)) ?? null;
};

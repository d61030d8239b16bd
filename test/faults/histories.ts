// The histories of workflows, and how long they are: of a workflow's first execution, of each that it continued as, and of the workflows that it started.

import type { Client, WorkflowHandle } from "@temporalio/client";
import { LIMITS } from "../../core/limits.ts";

/** As many signals as make an owner's history so long that it continues as new. `among`: what it is to do in between, so that it looks how long its history is. */
export const fillHistory = async (signal: () => Promise<void>, among: () => Promise<unknown> = () => Promise.resolve()): Promise<void> => {
  for (let sent = 0; sent < LIMITS.historyEvents / 2; sent += 50) {
    await Promise.all(Array.from({ length: 50 }, signal));
    await among();
  }
};

type History = Awaited<ReturnType<WorkflowHandle["fetchHistory"]>>;

/**
 * At the limit a workflow begins to continue as new; what is under way by then still ends in the old history: an activity by two events and a workflow task's
 * three. Temporal ends a workflow at 51,200.
 */
export const MOST_EVENTS = LIMITS.historyEvents + LIMITS.activitiesInFlight * 5;

/** Of each execution of the chain, the first one's first. */
export const executionsOf = async ({ workflow }: Client, workflowId: string): Promise<readonly History[]> => {
  const { raw } = await workflow.getHandle(workflowId).describe();
  const histories: History[] = [];
  for (let runId = raw.workflowExecutionInfo?.firstRunId ?? ""; runId !== ""; ) {
    const history = await workflow.getHandle(workflowId, runId).fetchHistory();
    histories.push(history);
    runId = history.events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId ?? "";
  }
  return histories;
};

/** Events of each execution of the chain. */
export const historyLengthsOf = async (client: Client, workflowId: string): Promise<readonly number[]> =>
  (await executionsOf(client, workflowId)).map(({ events }) => events?.length ?? 0);

/** Of the workflow and of all whose ids begin with its own, by id. */
export const historyLengthsUnder = async (client: Client, workflowId: string): Promise<Readonly<Record<string, readonly number[]>>> => {
  const ids = new Set([workflowId]);
  for await (const listed of client.workflow.list({ query: `WorkflowId STARTS_WITH "${workflowId}/"` })) ids.add(listed.workflowId);
  const lengths: Record<string, readonly number[]> = {};
  for (const id of ids) lengths[id] = await historyLengthsOf(client, id);
  return lengths;
};

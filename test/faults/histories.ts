// How long the histories of one workflow are: of its first execution, and of each that it continued as.

import type { Client } from "@temporalio/client";

/** Events of each execution of the chain, the first one's first. */
export const historyLengthsOf = async ({ workflow }: Client, workflowId: string): Promise<readonly number[]> => {
  const { raw } = await workflow.getHandle(workflowId).describe();
  const lengths: number[] = [];
  for (let runId = raw.workflowExecutionInfo?.firstRunId ?? ""; runId !== ""; ) {
    const { events } = await workflow.getHandle(workflowId, runId).fetchHistory();
    lengths.push(events?.length ?? 0);
    runId = events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId ?? "";
  }
  return lengths;
};

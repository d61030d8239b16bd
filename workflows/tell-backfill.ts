// A run's word to the backfill that started it: that it has ended.

import { CancellationScope, getExternalWorkflowHandle } from "@temporalio/workflow";
import { backfillWorkflowId } from "../core/ids.ts";
import { RUN_ENDED_SIGNAL } from "./messages.ts";
import type { EndedRun, RunFacts } from "./ports.ts";

export const tellBackfill = async ({ id, pipeline, backfill }: RunFacts, succeeded: boolean): Promise<void> => {
  if (backfill === undefined) return;
  const ended: EndedRun = { runId: id, succeeded };
  try {
    await CancellationScope.nonCancellable(() =>
      getExternalWorkflowHandle(backfillWorkflowId(pipeline, backfill)).signal(RUN_ENDED_SIGNAL, ended),
    );
  } catch {
    // It has ended before its run.
  }
};

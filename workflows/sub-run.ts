// The run of another pipeline that a task starts: a workflow of its own, which its caller waits for and cancels.

import { executeChild } from "@temporalio/workflow";
import { runWorkflowId } from "../core/ids.ts";
import type { JsonObject } from "../core/json.ts";
import { mannerOf } from "../core/run-manner.ts";
import { hardTimeout, withDeadline } from "./deadline.ts";
import { RUN_WORKFLOW, type RunInput, type RunResult, searchAttributesOf } from "./messages.ts";
import type { OpenedSubRun } from "./ports.ts";

interface Caller {
  readonly pipeline: string;
  readonly taskId: string;
  readonly remainingMs: number;
  readonly minds: boolean;
}

/** The output of the task that started it. Fails with what the run failed with. */
export const carryOutSubRun = async (
  { run, plan, planHash, params, ...manner }: OpenedSubRun,
  { pipeline, taskId, remainingMs, minds }: Caller,
): Promise<JsonObject> => {
  const carryOut = () =>
    executeChild<(started: RunInput) => Promise<RunResult>>(RUN_WORKFLOW, {
      workflowId: runWorkflowId(run.pipeline, run.id),
      args: [{ run, plan, planHash, params, ...mannerOf(manner) }],
      ...(minds ? {} : hardTimeout(remainingMs)),
      cancellationType: "WAIT_CANCELLATION_COMPLETED",
      typedSearchAttributes: searchAttributesOf(run),
      memo: { pipeline: run.pipeline, version: run.version, trigger: run.trigger, planHash },
      staticSummary: `${run.pipeline} v${run.version}, by task ${taskId} of ${pipeline}`,
    });
  const { output = null } = await (minds ? withDeadline(remainingMs, carryOut) : carryOut());
  return { run_id: run.id, outputs: output };
};

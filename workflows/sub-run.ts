// The run of another pipeline that a task starts: a workflow of its own, which its caller waits for and cancels.

import { runWorkflowId } from "../core/ids.ts";
import type { JsonObject } from "../core/json.ts";
import { mannerOf } from "../core/run-manner.ts";
import type { Children } from "./children.ts";
import { type OpenedInput, RUN_WORKFLOW, type RunInput, type RunResult, searchAttributesOf } from "./messages.ts";
import type { OpenedSubRun } from "./ports.ts";

type SubRunInput = RunInput | OpenedInput;

interface Caller {
  readonly pipeline: string;
  readonly taskId: string;
  readonly remainingMs: number;
  readonly children: Children;
}

/** The output of the task that started it. Fails with what the run failed with. */
export const carryOutSubRun = async (
  { run, planHash, plan, params, ...manner }: OpenedSubRun,
  { pipeline, taskId, remainingMs, children }: Caller,
): Promise<JsonObject> => {
  const opened = { run, planHash, ...mannerOf(manner) };
  const input: SubRunInput = plan === undefined || params === undefined ? { opened } : { ...opened, plan, params };
  const options = {
    workflowId: runWorkflowId(run.pipeline, run.id),
    args: [input] as [SubRunInput],
    cancellationType: "WAIT_CANCELLATION_COMPLETED" as const,
    typedSearchAttributes: searchAttributesOf(run),
    memo: { pipeline: run.pipeline, version: run.version, trigger: run.trigger, planHash },
    ...(run.priority === undefined ? {} : { priority: { priorityKey: run.priority } }),
    staticSummary: `${run.pipeline} v${run.version}, by task ${taskId} of ${pipeline}`,
  };
  const { output = null } = await children.carryOut<(started: SubRunInput) => Promise<RunResult>>(RUN_WORKFLOW, options, remainingMs);
  return { run_id: run.id, outputs: output };
};

// The durable owners of slots, of pools and of connections alike: told something, which starts them, or asked how they stand.

import { type Client, WorkflowNotFoundError } from "@temporalio/client";
import { DEFAULT_QUEUE, pipelineOf, poolWorkflowId } from "../core/ids.ts";
import { type ConfigureSignal, ofPipeline, POOL_QUERY, type POOL_SIGNALS, POOL_WORKFLOW, type PoolState } from "../workflows/messages.ts";

/** Limits a call in time and turns Temporal's errors into ours. */
export type Call = <Value>(work: () => Promise<Value>) => Promise<Value>;

/** Starts it where it does not run. */
export const tellOwner = async (
  client: Client,
  pool: string,
  signal: (typeof POOL_SIGNALS)["configure" | "resize"],
  given: ConfigureSignal | number,
  taskQueue = DEFAULT_QUEUE,
): Promise<void> => {
  const pipeline = pipelineOf(pool);
  await client.workflow.signalWithStart(POOL_WORKFLOW, {
    workflowId: poolWorkflowId(pool),
    taskQueue,
    args: [{ pool, brief: true }],
    signal,
    signalArgs: [given],
    ...(pipeline === undefined ? {} : { typedSearchAttributes: ofPipeline(pipeline) }),
    memo: { pool },
    staticSummary: `slots of ${pool}`,
  });
};

/** Undefined where no owner runs, since nobody has ever asked for a slot. */
export const ifRunning = async <Value>(call: Call, work: () => Promise<Value>): Promise<Value | undefined> => {
  try {
    return await call(work);
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
};

export const askOwner = (client: Client, call: Call, pool: string): Promise<PoolState | undefined> =>
  ifRunning(call, () => client.workflow.getHandle(poolWorkflowId(pool)).query<PoolState>(POOL_QUERY));

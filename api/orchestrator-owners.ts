// The durable owners of slots, of pools and of connections alike: told something, which starts them, or asked how they stand.

import { type Client, WorkflowNotFoundError } from "@temporalio/client";
import { DEFAULT_QUEUE, poolWorkflowId } from "../core/ids.ts";
import {
  type ConfigureSignal,
  POOL_QUERY,
  type POOL_SIGNALS,
  POOL_WORKFLOW,
  poolAttributes,
  type PoolState,
} from "../workflows/messages.ts";

/** Limits a call in time and turns Temporal's errors into ours. */
export type Call = <Value>(work: () => Promise<Value>) => Promise<Value>;

/** Starts it where it does not run: one that ran before has left its slots with those who hold them, and its heir asks them. */
export const tellOwner = async (
  client: Client,
  pool: string,
  signal: (typeof POOL_SIGNALS)["configure" | "resize"],
  given: ConfigureSignal | number,
  taskQueue = DEFAULT_QUEUE,
): Promise<void> => {
  const handle = client.workflow.getHandle(poolWorkflowId(pool));
  const isThere = await ifThere(async () => {
    await handle.signal<[ConfigureSignal | number]>(signal, given);
    return true;
  });
  if (isThere === true) return;
  const before = await ifThere(() => handle.describe());
  await client.workflow.signalWithStart(POOL_WORKFLOW, {
    workflowId: poolWorkflowId(pool),
    taskQueue,
    args: [{ pool, brief: true, ...(before === undefined ? {} : { heir: true }) }],
    signal,
    signalArgs: [given],
    typedSearchAttributes: poolAttributes(pool),
    memo: { pool },
    staticSummary: `slots of ${pool}`,
  });
};

const ifThere = async <Value>(work: () => Promise<Value>): Promise<Value | undefined> => {
  try {
    return await work();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
};

/** Undefined where no owner runs, since nobody has ever asked for a slot. */
export const ifRunning = <Value>(call: Call, work: () => Promise<Value>): Promise<Value | undefined> => ifThere(() => call(work));

export const askOwner = (client: Client, call: Call, pool: string): Promise<PoolState | undefined> =>
  ifRunning(call, () => client.workflow.getHandle(poolWorkflowId(pool)).query<PoolState>(POOL_QUERY));

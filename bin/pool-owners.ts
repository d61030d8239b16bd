// What workers do for pools through Temporal's client: start their owners, and look which holders still run.

import { Client, WorkflowNotFoundError, type ConnectionLike } from "@temporalio/client";
import { DownbeatError } from "../core/errors.ts";
import { DEFAULT_QUEUE, poolWorkflowId } from "../core/ids.ts";
import type { Store } from "../store/open-store.ts";
import { POOL_SIGNALS, POOL_WORKFLOW } from "../workflows/messages.ts";
import type { PoolOwners } from "../activities/pools.ts";

export const poolOwners = (
  connection: ConnectionLike,
  namespace: string,
  pools: Pick<Store["pools"], "find">,
  taskQueue: string = DEFAULT_QUEUE,
): PoolOwners => {
  const client = new Client({ connection, namespace });
  return {
    async ensurePool({ pool, capacity }) {
      const slots = capacity ?? (await pools.find(pool))?.slots;
      if (slots === undefined) {
        throw new DownbeatError("POOL_UNKNOWN", `pool "${pool}" does not exist; create it with PUT /v1/pools/${pool}`);
      }
      await client.workflow.signalWithStart(POOL_WORKFLOW, {
        workflowId: poolWorkflowId(pool),
        taskQueue,
        args: [{ pool }],
        signal: POOL_SIGNALS.resize,
        signalArgs: [slots],
        staticSummary: `slots of ${pool}`,
      });
    },
    async endedWorkflows(ids) {
      const ended: string[] = [];
      for (const id of ids) {
        try {
          const { status } = await client.workflow.getHandle(id).describe();
          if (status.name !== "RUNNING") ended.push(id);
        } catch (error) {
          if (!(error instanceof WorkflowNotFoundError)) throw error;
          ended.push(id);
        }
      }
      return ended;
    },
  };
};

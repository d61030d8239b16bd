// The owners of connections' slots in Temporal: told of new limits, asked who holds and what the circuit does, closed by hand.

import { type Client, WorkflowNotFoundError } from "@temporalio/client";
import { type ConnectionLimits, connectionSlots } from "../core/circuit.ts";
import { connectionPool, DEFAULT_QUEUE, poolWorkflowId } from "../core/ids.ts";
import { type CircuitReset, type ConfigureSignal, POOL_QUERY, POOL_SIGNALS, POOL_WORKFLOW, type PoolState } from "../workflows/messages.ts";

export interface LimitDoor {
  /** From now on, also for who holds or waits. Without limits nobody is started, but an owner that runs lets everything through. */
  configure(connection: string, limits: ConnectionLimits | null): Promise<void>;
  /** Undefined while nobody has ever asked for a slot. */
  stateOf(connection: string): Promise<PoolState | undefined>;
  /** Closes the circuit; answers false where no owner runs, since nothing is open then. */
  reset(connection: string, reset: CircuitReset): Promise<boolean>;
}

/** `call` limits each call in time and turns Temporal's errors into ours. */
export const createLimitDoor = (client: Client, call: <Value>(work: () => Promise<Value>) => Promise<Value>): LimitDoor => {
  const idOf = (connection: string): string => poolWorkflowId(connectionPool(connection));
  const ifRunning = async <Value>(work: () => Promise<Value>): Promise<Value | undefined> => {
    try {
      return await call(work);
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return undefined;
      throw error;
    }
  };
  return {
    async configure(connection, limits) {
      const given: ConfigureSignal = connectionSlots(limits);
      if (limits === null) {
        await ifRunning(() => client.workflow.getHandle(idOf(connection)).signal(POOL_SIGNALS.configure, given));
        return;
      }
      const pool = connectionPool(connection);
      await call(() =>
        client.workflow.signalWithStart(POOL_WORKFLOW, {
          workflowId: poolWorkflowId(pool),
          taskQueue: DEFAULT_QUEUE,
          args: [{ pool }],
          signal: POOL_SIGNALS.configure,
          signalArgs: [given],
          staticSummary: `slots of ${pool}`,
        }),
      );
    },

    stateOf: (connection) => ifRunning(() => client.workflow.getHandle(idOf(connection)).query<PoolState>(POOL_QUERY)),

    async reset(connection, reset) {
      const sent = await ifRunning(async () => {
        await client.workflow.getHandle(idOf(connection)).signal(POOL_SIGNALS.reset, reset);
        return true;
      });
      return sent === true;
    },
  };
};

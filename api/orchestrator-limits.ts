// The owners of connections' slots in Temporal: told of new limits, asked who holds and what the circuit does, closed by hand.

import type { Client } from "@temporalio/client";
import { type ConnectionLimits, connectionSlots } from "../core/circuit.ts";
import { connectionPool, poolWorkflowId } from "../core/ids.ts";
import { type CircuitReset, POOL_SIGNALS, type PoolState } from "../workflows/messages.ts";
import { askOwner, type Call, ifRunning, tellOwner } from "./orchestrator-owners.ts";

export interface LimitDoor {
  /** From now on, also for who holds or waits. Without limits nobody is started, but an owner that runs lets everything through. */
  configure(connection: string, limits: ConnectionLimits | null): Promise<void>;
  /** Undefined while nobody has ever asked for a slot. */
  stateOf(connection: string): Promise<PoolState | undefined>;
  /** Closes the circuit; answers false where no owner runs, since nothing is open then. */
  reset(connection: string, reset: CircuitReset): Promise<boolean>;
}

export const createLimitDoor = (client: Client, call: Call): LimitDoor => {
  const handleOf = (connection: string) => client.workflow.getHandle(poolWorkflowId(connectionPool(connection)));
  return {
    async configure(connection, limits) {
      const given = connectionSlots(limits);
      if (limits === null) await ifRunning(call, () => handleOf(connection).signal(POOL_SIGNALS.configure, given));
      else await call(() => tellOwner(client, connectionPool(connection), POOL_SIGNALS.configure, given));
    },

    stateOf: (connection) => askOwner(client, call, connectionPool(connection)),

    async reset(connection, reset) {
      const sent = await ifRunning(call, async () => {
        await handleOf(connection).signal(POOL_SIGNALS.reset, reset);
        return true;
      });
      return sent === true;
    },
  };
};

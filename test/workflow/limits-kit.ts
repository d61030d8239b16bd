// Connections with limits and pools of two slots for an engine, and looks at the owners of their slots.

import type { ConnectionLimits } from "../../core/circuit.ts";
import { poolWorkflowId } from "../../core/ids.ts";
import { POOL_QUERY, type PoolState } from "../../workflows/messages.ts";
import { freshName } from "../fixtures/services.ts";
import type { Engine, EngineOptions } from "./engine.ts";
import { until } from "./kit.ts";

const limits = new Map<string, ConnectionLimits>();

/** Any name is a pool; connections are those of `connectionWith`. */
export const LIMITED: Pick<EngineOptions, "pools" | "connections"> = {
  pools: { find: (name) => Promise.resolve({ name, slots: 2, description: null, createdAt: "", updatedAt: "" }) },
  connections: {
    find: (name) => {
      const found = limits.get(name);
      return Promise.resolve(found && { name, kind: "k", config: {}, limits: found, createdAt: "", updatedAt: "" });
    },
  },
};

/** Its name. */
export const connectionWith = (given: ConnectionLimits): string => {
  const name = freshName("connection");
  limits.set(name, given);
  return name;
};

export const ownerOf = ({ client }: Engine, pool: string) => client.workflow.getHandle(poolWorkflowId(pool));

export const stateOf = (engine: Engine, pool: string): Promise<PoolState> => ownerOf(engine, pool).query<PoolState>(POOL_QUERY);

export const isFree = (engine: Engine, pool: string): Promise<void> =>
  until("all slots are free", async () => {
    const { holders, waiting } = (await stateOf(engine, pool)).slots;
    return holders.length + waiting.length === 0;
  });

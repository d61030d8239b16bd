// What pools need of the outside: their owners started, and a look which holders still run. Temporal's own doings are the process's.

import type { DagActivities } from "../workflows/ports.ts";
import { toFailure } from "./failure.ts";

/** Throws DownbeatErrors. */
export type PoolOwners = Pick<DagActivities, "ensurePool" | "endedWorkflows">;

export const createPools = (owners: PoolOwners, worker: string): PoolOwners => {
  const told = async <Value>(work: Promise<Value>): Promise<Value> => {
    try {
      return await work;
    } catch (error) {
      throw toFailure(error, { worker });
    }
  };
  return {
    ensurePool: (pool) => told(owners.ensurePool(pool)),
    endedWorkflows: (ids) => told(owners.endedWorkflows(ids)),
  };
};

// What pools need of the outside: their owners started, and a look which holders still run. Temporal's own doings are the process's.

import type { DagActivities } from "../workflows/ports.ts";
import { failing } from "./failure.ts";

/** Throws DownbeatErrors. */
export type PoolOwners = Pick<DagActivities, "ensurePool" | "endedWorkflows" | "recountSlots">;

export const createPools = (owners: PoolOwners, worker: string): PoolOwners => ({
  ensurePool: (pool) => failing(() => owners.ensurePool(pool), { worker }),
  recountSlots: (pool) => failing(() => owners.recountSlots(pool), { worker }),
  endedWorkflows: (ids) => failing(() => owners.endedWorkflows(ids), { worker }),
});

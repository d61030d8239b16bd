// What workers do for pools through Temporal's client: start their owners, and look which holders still run.

import { WorkflowNotFoundError, type ConnectionLike, type WorkflowExecutionInfo } from "@temporalio/client";
import { tellOwner } from "../api/orchestrator-owners.ts";
import { temporalClient } from "../api/orchestrator-client.ts";
import { DownbeatError } from "../core/errors.ts";
import { connectionOf, DEFAULT_QUEUE } from "../core/ids.ts";
import type { Store } from "../store/open-store.ts";
import { connectionSlots } from "../core/circuit.ts";
import { POOL_SIGNALS, SLOT_SIGNAL, type SlotSignal } from "../workflows/messages.ts";
import type { PoolOwners } from "../activities/pools.ts";

/** What it needs of the store. */
export interface PoolStore {
  readonly pools: Pick<Store["pools"], "find">;
  readonly connections: Pick<Store["connections"], "find">;
}

const ASKED_AT_ONCE = 50;

/** Attempts of a workflow that was ended by force hear so with their next heartbeat, after 10 s at the latest, and stop then. */
const STOPS_WITHIN_MS = 15_000;

interface Ended extends Pick<WorkflowExecutionInfo, "closeTime"> {
  readonly status: { readonly name: string };
}

/** Nothing of it is at work any more: a workflow that ends by itself has seen its attempts end. */
export const hasStopped = ({ status, closeTime }: Ended, now: number): boolean => {
  if (status.name === "RUNNING") return false;
  const isByForce = status.name === "TERMINATED" || status.name === "TIMED_OUT";
  return !isByForce || closeTime === undefined || now - closeTime.getTime() >= STOPS_WITHIN_MS;
};

const unlessEnded = (error: unknown): void => {
  if (!(error instanceof WorkflowNotFoundError)) throw error;
};

export const poolOwners = (
  connection: ConnectionLike,
  namespace: string,
  { pools, connections }: PoolStore,
  taskQueue: string = DEFAULT_QUEUE,
): PoolOwners => {
  const client = temporalClient({ connection, namespace });
  return {
    async ensurePool({ pool, capacity }) {
      const name = connectionOf(pool);
      if (name !== undefined) {
        const found = await connections.find(name);
        if (found === undefined) throw new DownbeatError("CONNECTION_NOT_FOUND", `connection "${name}" does not exist any more`);
        await tellOwner(client, pool, POOL_SIGNALS.configure, connectionSlots(found.limits), taskQueue);
        return;
      }
      const slots = capacity ?? (await pools.find(pool))?.slots;
      if (slots === undefined) {
        throw new DownbeatError("POOL_UNKNOWN", `pool "${pool}" does not exist; create it with PUT /v1/pools/${pool}`);
      }
      await tellOwner(client, pool, POOL_SIGNALS.resize, slots, taskQueue);
    },
    async recountSlots({ pool }) {
      const signal: SlotSignal = { pool, key: "", granted: false, recount: true };
      const asked: Promise<void>[] = [];
      const query = `WorkflowType IN ("run", "mapped") AND ExecutionStatus = "Running"`;
      for await (const { workflowId } of client.workflow.list({ query })) {
        asked.push(client.workflow.getHandle(workflowId).signal<[SlotSignal]>(SLOT_SIGNAL, signal).catch(unlessEnded));
        if (asked.length === ASKED_AT_ONCE) await Promise.all(asked.splice(0));
      }
      await Promise.all(asked);
    },
    async endedWorkflows(ids) {
      const ended: string[] = [];
      for (const id of ids) {
        try {
          if (hasStopped(await client.workflow.getHandle(id).describe(), Date.now())) ended.push(id);
        } catch (error) {
          unlessEnded(error);
          ended.push(id);
        }
      }
      return ended;
    },
  };
};

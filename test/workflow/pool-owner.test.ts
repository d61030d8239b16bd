// The owner of a pool on a real server, by itself: its history stays short, and nothing is lost where one execution hands over to the next.

import { Worker } from "@temporalio/worker";
import type { temporal } from "@temporalio/proto";
import { describe, expect, it } from "vitest";
import { DATA_CONVERTER } from "../../api/payload-codec.ts";
import { UNLIMITED } from "../../core/circuit.ts";
import { poolWorkflowId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import { type AcquireSignal, POOL_SIGNALS, RUN_WORKFLOW, SLOT_SIGNAL, type SlotSignal } from "../../workflows/messages.ts";
import { tellOwner } from "../../api/orchestrator-owners.ts";
import { historyLengthsOf } from "../faults/histories.ts";
import { freshName } from "../fixtures/services.ts";
import { until, useEngine } from "./kit.ts";
import { LIMITED } from "./limits-kit.ts";

const engine = useEngine(LIMITED);

type Event = temporal.api.history.v1.IHistoryEvent;

const eventsOf = async (workflowId: string): Promise<readonly Event[]> =>
  (await engine().client.workflow.getHandle(workflowId).fetchHistory()).events ?? [];

/** Takes signals as a run does and has no worker: what it was told is in its history. */
const listener = async (): Promise<string> => {
  const workflowId = freshName("listener");
  await engine().client.workflow.start(RUN_WORKFLOW, { workflowId, taskQueue: freshName("nobody"), args: [] });
  return workflowId;
};

const toldTo = async (workflowId: string): Promise<readonly SlotSignal[]> =>
  (await eventsOf(workflowId)).flatMap(({ workflowExecutionSignaledEventAttributes: signal }) => {
    const [payload] = signal?.input?.payloads ?? [];
    return signal?.signalName === SLOT_SIGNAL && payload?.data ? [JSON.parse(Buffer.from(payload.data).toString()) as SlotSignal] : [];
  });

const inTurns = async <Value>(values: readonly Value[], send: (value: Value) => Promise<void>): Promise<void> => {
  const left = values.values();
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      for (const value of left) await send(value);
    }),
  );
};

describe("the owner of a pool", () => {
  it("continues as new while there is always somebody to be told; no grant is lost or doubled", async () => {
    const pool = freshName("pool");
    const taskQueue = freshName("owners");
    const owner = await listener();
    await tellOwner(engine().client, pool, POOL_SIGNALS.resize, UNLIMITED, taskQueue);
    const handle = engine().client.workflow.getHandle(poolWorkflowId(pool));
    // All of it is there before the owner's worker is: it has always somebody to tell.
    const keys = Array.from({ length: 2_400 }, (_, index) => `${owner}#t${index}`);
    await inTurns(keys, (key) =>
      handle.signal<[AcquireSignal]>(POOL_SIGNALS.acquire, { request: { key, owner, priority: 3 }, otherwise: "queue" }),
    );
    const worker = await Worker.create({
      connection: engine().native,
      taskQueue,
      dataConverter: DATA_CONVERTER,
      workflowBundle: engine().bundle,
      activities: { endedWorkflows: async () => [] },
    });
    await worker.runUntil(until("all are told", async () => (await toldTo(owner)).length >= keys.length));
    const granted = (await toldTo(owner)).filter((told) => told.granted).map(({ key }) => key);
    expect(granted.toSorted()).toEqual(keys.toSorted());
    // By the histories themselves: lists lag behind.
    const lengths = await historyLengthsOf(engine().client, poolWorkflowId(pool));
    expect(lengths.length).toBeGreaterThan(1);
    // The limit, and what was under way when it was reached.
    expect(Math.max(...lengths)).toBeLessThan(LIMITS.historyEvents + 400);
  });

  it("looks after all who hold, however many: one look after the other", async () => {
    const pool = freshName("pool");
    const taskQueue = freshName("owners");
    const many = await Promise.all(Array.from({ length: 250 }, listener));
    const [dead, waiting] = [many.at(-1) ?? "", await listener()];
    await tellOwner(engine().client, pool, POOL_SIGNALS.resize, many.length, taskQueue);
    const handle = engine().client.workflow.getHandle(poolWorkflowId(pool));
    const acquire = (owner: string): Promise<void> =>
      handle.signal<[AcquireSignal]>(POOL_SIGNALS.acquire, { request: { key: owner, owner, priority: 3 }, otherwise: "queue" });
    for (const owner of [...many, waiting]) await acquire(owner);
    const looks: number[] = [];
    const endedWorkflows = async (ids: readonly string[]): Promise<readonly string[]> => {
      looks.push(ids.length);
      return ids.filter((id) => id === dead);
    };
    const worker = await Worker.create({
      connection: engine().native,
      taskQueue,
      dataConverter: DATA_CONVERTER,
      workflowBundle: engine().bundle,
      activities: { endedWorkflows },
    });
    await worker.runUntil(async () => {
      await until("the first were looked at", () => looks.length > 0);
      await until("who waits has the slot of the dead", async () => (await toldTo(waiting)).some(({ granted }) => granted));
    });
    expect(looks).toEqual([200, 200]);
  });
});

// The API's door to Temporal on a real server, through both kinds of connection.

import { Client, Connection, type ConnectionLike } from "@temporalio/client";
import { NativeConnection } from "@temporalio/worker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createOrchestrator, type Orchestrator } from "../../api/orchestrator.ts";
import { registerSearchAttributes } from "../../bin/temporal.ts";
import { waitUntil } from "../../bin/services/wait.ts";
import { runWorkflowId } from "../../core/ids.ts";
import type { RunInput } from "../../workflows/messages.ts";
import { freshName, temporalServer } from "../fixtures/services.ts";

const inputOf = (id: string): RunInput => ({
  run: { id, origin: id, pipeline: "p", version: 3, trigger: "http", triggeredAt: "2026-01-02T03:04:05.000Z" },
  planHash: "the-hash",
  plan: { failurePolicy: "continue", policies: [], tasks: [] },
  params: {},
});

// A namespace without workers, so that nothing moves but what the test moves.
const namespace = freshName("orchestrator").replaceAll("_", "-");
let client: Connection;
let native: NativeConnection;

beforeAll(async () => {
  const { address } = temporalServer();
  client = await Connection.connect({ address });
  native = await NativeConnection.connect({ address });
  await client.workflowService.registerNamespace({ namespace, workflowExecutionRetentionPeriod: { seconds: 86_400 as never } });
  // A new namespace reaches all parts of the server within seconds.
  await waitUntil(() => registerSearchAttributes(client, namespace), { timeoutMs: 60_000 });
  const probe = createOrchestrator({ connection: client, namespace });
  await waitUntil(() => probe.startRun(inputOf("probe")), { timeoutMs: 60_000 });
});
afterAll(async () => {
  await client?.close();
  await native?.close();
});

const CONNECTIONS: Readonly<Record<string, () => ConnectionLike>> = { client: () => client, native: () => native };

describe.each(Object.keys(CONNECTIONS))("orchestrator through a %s connection", (kind) => {
  let orchestrator: Orchestrator;
  const open = (inspectTimeoutMs = 120_000): Orchestrator =>
    createOrchestrator({ connection: (CONNECTIONS[kind] as () => ConnectionLike)(), namespace, inspectTimeoutMs });
  const handleOf = (id: string) => new Client({ connection: client, namespace }).workflow.getHandle(runWorkflowId("p", id));
  const started = async (): Promise<{ pipeline: string; id: string }> => {
    const id = freshName(kind);
    await orchestrator.startRun(inputOf(id));
    return { pipeline: "p", id };
  };

  beforeAll(() => {
    orchestrator = open();
  });

  it(`${kind}: starts a run once, with what people search for`, async () => {
    const run = await started();
    const first = await handleOf(run.id).describe();
    await orchestrator.startRun(inputOf(run.id));
    const second = await handleOf(run.id).describe();
    expect(second.runId).toBe(first.runId);
    expect(second.memo).toEqual({ pipeline: "p", version: 3, trigger: "http", planHash: "the-hash" });
    const attributes = Object.fromEntries(second.typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]));
    expect(attributes).toMatchObject({ DownbeatPipeline: "p", DownbeatVersion: 3, DownbeatTrigger: "http" });
    expect(await second.staticSummary()).toContain("p v3");
    // An id that has ended is never started again.
    await handleOf(run.id).terminate();
    await orchestrator.startRun(inputOf(run.id));
    expect((await handleOf(run.id).describe()).runId).toBe(first.runId);
  });

  it(`${kind}: waits no longer than it was told, and hears of the end`, async () => {
    const run = await started();
    expect(await orchestrator.waitForRun(run, 300)).toBe("open");
    const waiting = orchestrator.waitForRun(run, 60_000);
    await handleOf(run.id).terminate();
    expect(await waiting).toBe("ended");
    expect(await orchestrator.waitForRun(run, 60_000)).toBe("ended");
    expect(await orchestrator.waitForRun({ pipeline: "p", id: "absent" }, 60_000)).toBe("open");
  });

  it(`${kind}: knows the status of runs, and of no others`, async () => {
    const run = await started();
    expect(await orchestrator.statusOf(run)).toBe("running");
    await handleOf(run.id).terminate();
    expect(await orchestrator.statusOf(run)).toBe("cancelled");
    expect(await orchestrator.queueDepth()).toEqual({ workflow: expect.any(Number) as unknown, activity: expect.any(Number) as unknown });
    expect(await orchestrator.statusOf({ pipeline: "p", id: "absent" })).toBeUndefined();
  });

  it(`${kind}: cancels what is open, with the reason in the history`, async () => {
    const run = await started();
    await orchestrator.cancelRun(run, "the wrong day");
    const { events } = await handleOf(run.id).fetchHistory();
    expect(events?.map((event) => event.workflowExecutionCancelRequestedEventAttributes?.cause)).toContain("the wrong day");
    // Asking twice is no fault.
    await expect(orchestrator.cancelRun(run, "again")).resolves.toBeUndefined();
  });

  it(`${kind}: says when no worker looks at a connection`, async () => {
    await expect(open(1_000).inspect({ kind: "check", connection: "shop" })).rejects.toMatchObject({
      code: "WORKER_LOST",
      message: expect.stringContaining('"shop"') as string,
    });
  });

  it(`${kind}: names a namespace that does not exist`, async () => {
    const lost = createOrchestrator({ connection: (CONNECTIONS[kind] as () => ConnectionLike)(), namespace: "no-such-namespace" });
    await expect(lost.startRun(inputOf("x"))).rejects.toMatchObject({ code: "TEMPORAL_UNAVAILABLE" });
    await expect(orchestrator.check()).resolves.toBeUndefined();
  });
});

describe("orchestrator without a server", () => {
  it("is TEMPORAL_UNAVAILABLE", async () => {
    const connection = Connection.lazy({ address: "127.0.0.1:1", connectTimeout: 500 });
    const orchestrator = createOrchestrator({ connection, namespace });
    await expect(orchestrator.check()).rejects.toMatchObject({ code: "TEMPORAL_UNAVAILABLE" });
    await expect(orchestrator.startRun(inputOf("x"))).rejects.toMatchObject({ code: "TEMPORAL_UNAVAILABLE" });
    await connection.close();
  });
});

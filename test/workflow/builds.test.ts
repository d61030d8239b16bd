// Workers of two builds side by side, on a namespace of their own: runs stay where they began, and are moved by hand alone.

import { execFile } from "node:child_process";
import path from "node:path";
import { Client, Connection } from "@temporalio/client";
import { Worker } from "@temporalio/worker";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createOrchestrator, type Orchestrator, type RunReference } from "../../api/orchestrator.ts";
import { DATA_CONVERTER } from "../../api/payload-codec.ts";
import { bundleWorkflows } from "../../bin/bundle-workflows.ts";
import { waitUntil } from "../../bin/services/wait.ts";
import { registerSearchAttributes } from "../../bin/temporal.ts";
import { deploymentModules, deploymentOptions } from "../../bin/worker-deployment.ts";
import { DEFAULT_QUEUE, runWorkflowId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import type { RunInput } from "../../workflows/messages.ts";
import { planOf } from "../core/runs.ts";
import { freshName, temporalServer } from "../fixtures/services.ts";
import { until, useEngine } from "./kit.ts";

const engine = useEngine();
const namespace = freshName("builds").replaceAll("_", "-");
const script = path.resolve(import.meta.dirname, "../../bin/deployment.ts");
const PIPELINE = "tested";
let connection: Connection;
let client: Client;
let orchestrator: Orchestrator;

interface Running {
  stop(): Promise<void>;
}
const running = new Set<Running>();

/** Its sql tasks give the build that has done them. */
const startBuild = async (buildId: string | undefined): Promise<Running> => {
  const worker = await Worker.create({
    connection: engine().native,
    namespace,
    taskQueue: DEFAULT_QUEUE,
    dataConverter: DATA_CONVERTER,
    workflowBundle: await bundleWorkflows(deploymentModules(buildId)),
    activities: { ...engine().activities, sql: () => Promise.resolve({ output: { build: buildId ?? "none" } }) },
    shutdownGraceTime: 0,
    shutdownForceTime: "5s",
    ...deploymentOptions(buildId),
  });
  const done = worker.run();
  const started: Running = {
    async stop() {
      running.delete(started);
      worker.shutdown();
      await done;
    },
  };
  running.add(started);
  return started;
};

const deployment = (...args: readonly string[]): Promise<{ readonly code: number; readonly output: string }> =>
  new Promise((resolve) => {
    const env = { ...process.env, TEMPORAL_ADDRESS: temporalServer().address, TEMPORAL_NAMESPACE: namespace };
    execFile(process.execPath, [script, ...args], { env, timeout: 240_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : -1, output: stderr + stdout });
    });
  });

const asks = planOf({
  asked: { operator: "approval", approval: { approvers: [], deadlineMs: 600_000, onDeadline: "fail" } },
  done: { operator: "sql", needs: ["asked"] },
});
const plan = { ...asks, outputs: { values: { build: "${{ tasks.done.output.build }}" }, reads: ["done"] } };

/** After its question it has tasks whose events fill a history to where a run continues as new, and then one that tells the build. */
const many = Array.from({ length: Math.ceil(LIMITS.historyEvents / 3) }, (_, index) => `t${index}`);
const longPlan = planOf({
  asked: { operator: "approval", approval: { approvers: [], deadlineMs: 600_000, onDeadline: "fail" } },
  ...Object.fromEntries(many.map((id) => [id, { needs: ["asked"] }])),
  done: { operator: "sql", needs: many },
});

const executionsOf = async ({ pipeline, id }: RunReference): Promise<number> =>
  (await client.workflow.count(`WorkflowId = "${runWorkflowId(pipeline, id)}"`)).count;

const start = async (more: Partial<RunInput["plan"]> = {}): Promise<RunReference> => {
  const id = freshName("run");
  const run = { id, origin: id, pipeline: PIPELINE, version: 1, trigger: "http", triggeredAt: "2026-01-02T03:04:05.000Z" };
  await orchestrator.startRun({ run, planHash: "hash", plan: { ...plan, ...more }, params: {} });
  return run;
};

const handleOf = ({ pipeline, id }: RunReference) => client.workflow.getHandle(runWorkflowId(pipeline, id));

/** Until a worker has taken the run as far as its question. */
const begun = (run: RunReference): Promise<void> =>
  until("the run waits for a decision", async () => {
    const { events } = await handleOf(run).fetchHistory();
    return (events ?? []).some((event) => event.timerStartedEventAttributes);
  });

const approve = (run: RunReference): Promise<unknown> =>
  orchestrator.controlRun(run, { control: { action: "decide", task: "asked", approve: true }, by: "the test" }, undefined);

const buildOf = async (run: RunReference): Promise<unknown> =>
  ((await handleOf(run).result()) as { output: { build: string } }).output.build;

/** One line of the list by its build, with single spaces. */
const listed = async (build: string): Promise<string> => {
  const { output } = await deployment("list");
  const lines = output.split("\n").map((line) => line.trim().replaceAll(/\s+/g, " "));
  return lines.find((line) => line.startsWith(`${build} `)) ?? output;
};

/** Lists lag behind: what has ended may still be counted as open. */
const isListed = (build: string, line: RegExp): Promise<void> =>
  vi.waitFor(async () => expect(await listed(build)).toMatch(line), { timeout: 60_000, interval: 250 });

beforeAll(async () => {
  connection = await Connection.connect({ address: temporalServer().address });
  await connection.workflowService.registerNamespace({ namespace, workflowExecutionRetentionPeriod: { seconds: 86_400 as never } });
  // A new namespace reaches all parts of the server within seconds.
  await waitUntil(() => registerSearchAttributes(connection, namespace), { timeoutMs: 60_000 });
  client = new Client({ connection, namespace });
  orchestrator = createOrchestrator({ connection, namespace, inspectTimeoutMs: 30_000 });
  await waitUntil(async () => handleOf(await start()).terminate(), { timeoutMs: 60_000 });
});
afterAll(async () => {
  for (const worker of running) await worker.stop();
  await connection?.close();
});

describe("workers of several builds", () => {
  it("a run stays on the build that began it while new runs go to the next; one whose build is gone waits until it is moved", async () => {
    // As before anybody names builds.
    const plain = await startBuild(undefined);
    const before = await start();
    await begun(before);
    await orchestrator.resizePool("older", 2);
    await isListed("unversioned", /^unversioned current 100% \d+ 1/);

    const first = await startBuild("1");
    expect(await deployment("current", "1")).toEqual({ code: 0, output: "new runs begin on 1\n" });
    // What was begun without a build goes on with the current one.
    await plain.stop();
    await approve(before);
    expect(await buildOf(before)).toBe("1");

    const [stays, waits] = [await start(), await start()];
    await Promise.all([begun(stays), begun(waits)]);
    await startBuild("2");
    expect((await deployment("current", "2")).code).toBe(0);
    const next = await start();
    await begun(next);
    await Promise.all([approve(stays), approve(next)]);
    expect(await buildOf(stays)).toBe("1");
    expect(await buildOf(next)).toBe("2");
    expect(await orchestrator.inspect({ kind: "check", connection: "any" })).toMatchObject({ ok: true });
    await isListed("1", /^1 draining 0% 1 1/);
    await isListed("2", /^2 current 100% 0 1/);

    await first.stop();
    await expect(approve(waits)).rejects.toMatchObject({ code: "WORKER_LOST" });
    expect(await orchestrator.statusOf(waits)).toBe("running");
    expect((await deployment("move", "1", "2")).output).toBe(`${runWorkflowId(PIPELINE, waits.id)} goes on with 2\n`);
    // The decision that nobody took was kept by Temporal, or is taken again.
    await approve(waits).catch(() => undefined);
    expect(await buildOf(waits)).toBe("2");
    await isListed("1", /^1 \w+ 0% 0 /);
    expect(await orchestrator.poolState("older")).toMatchObject({ slots: { capacity: 2 } });
    expect(await deployment("move", "1", "2")).toEqual({ code: 1, output: "nothing is open of build 1\n" });
  });

  it("a run that continues as new stays with its build; a pool's owner goes on with the current one; a share of new runs tries the next", async () => {
    const second = await startBuild("2b");
    await deployment("current", "2b");
    await orchestrator.resizePool("warehouse", 3);
    const long = await start(longPlan);
    await begun(long);
    const third = await startBuild("3");
    expect((await deployment("ramp", "3", "100")).output).toBe("100% of the new runs begin on 3\n");
    await isListed("3", /^3 ramping 100% /);
    const tries = await start();
    await begun(tries);
    await approve(tries);
    expect(await buildOf(tries)).toBe("3");

    await deployment("current", "3");
    await approve(long);
    expect(await buildOf(long)).toBe("2b");
    await until("the long run has continued as new", async () => (await executionsOf(long)) > 1);

    await second.stop();
    expect(await orchestrator.poolState("warehouse")).toMatchObject({ slots: { capacity: 3 } });
    await third.stop();
    await start();
    await until("what waits is counted", async () => (await orchestrator.queueDepth()).workflow > 0);
  });

  it("says what it cannot do", async () => {
    expect(await deployment("current", "99", "--wait", "1")).toMatchObject({
      code: 2,
      output: expect.stringMatching(/^NOT_FOUND: no worker with DOWNBEAT_BUILD_ID=99 /) as unknown,
    });
    expect(await deployment("ramp", "2", "150")).toMatchObject({ code: 2, output: expect.stringContaining("PERCENT is") as unknown });
    expect(await deployment("current")).toMatchObject({ code: 2, output: expect.stringContaining("current takes BUILD") as unknown });
    expect(await deployment("steer", "2")).toMatchObject({ code: 2, output: expect.stringContaining('no command "steer"') as unknown });
  });
});

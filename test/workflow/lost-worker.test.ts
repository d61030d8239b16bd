// Workers killed in the middle of a task: the attempt is not counted, another worker takes over.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { Worker } from "@temporalio/worker";
import { afterEach, describe, expect, it } from "vitest";
import { ownActivitiesOf } from "../../activities/own-activities.ts";
import { connectionPool, poolWorkflowId } from "../../core/ids.ts";
import type { Json } from "../../core/json.ts";
import { LIMITS } from "../../core/limits.ts";
import { type ConfigureSignal, POOL_QUERY, POOL_SIGNALS, POOL_WORKFLOW, type PoolState } from "../../workflows/messages.ts";
import { planOf } from "../core/runs.ts";
import { freshName, temporalServer } from "../fixtures/services.ts";
import { until, useEngine } from "./kit.ts";

const engine = useEngine({ runsTasks: false });
const children: ChildProcess[] = [];
const workers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  for (const stop of workers.splice(0)) await stop();
});

/** Says nothing for longer than a silent worker is waited for. */
const long = async (): Promise<Json> => {
  await setTimeout(LIMITS.silentActivityMs + 5_000);
  return null;
};

/** Starts a worker process, waits until it has taken a task, kills it. */
const takeAndDie = async (): Promise<void> => {
  const script = path.join(import.meta.dirname, "hanging-worker.ts");
  const child = spawn(process.execPath, [script, temporalServer().address, engine().queue], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
};

/** A worker that does its work, from now on. */
const startGoodWorker = async (): Promise<void> => {
  const worker = await Worker.create({
    connection: engine().native,
    taskQueue: engine().queue,
    activities: {
      sql: engine().activities.sql,
      endedWorkflows: engine().activities.endedWorkflows,
      ...ownActivitiesOf({ own: async () => ({ done: true }), long }),
    },
    // As Downbeat's own workers: by default it keeps beats back until a few seconds before the time is over.
    maxHeartbeatThrottleInterval: "500ms",
  });
  const done = worker.run();
  workers.push(async () => {
    worker.shutdown();
    await done;
  });
};

const once_ = { retry: { attempts: 1, backoffMs: 1, maxBackoffMs: 1, neverOn: [] } };
const policies = [{ ...once_, timeout: { attemptMs: 60_000, totalMs: 120_000, heartbeatMs: 1_000 } }];

describe("a killed worker", () => {
  it("does not fail a task that has one attempt: the successor tells of the lost ones", async () => {
    const run = await engine().start(planOf({ a: {} }, { policies }));
    await takeAndDie();
    await takeAndDie();
    await startGoodWorker();
    expect(await run.end()).toEqual({ outcome: "succeeded" });
    expect(run.tasks()["a"]).toMatchObject({ status: "succeeded", attempts: 1 });
    expect(run.attempts("a")).toMatchObject([{ attempt: 1, status: "succeeded", lostAttempts: 2 }]);
  });

  it("keeps the slot of a connection for its run, and says nothing of the connection", async () => {
    const name = freshName("connection");
    const plan = planOf({ a: { connections: [{ name }] } }, { policies });
    const pool = connectionPool(name);
    const limits: ConfigureSignal = { capacity: 1, breaker: { failures: 1, withinMs: 60_000, openForMs: 60_000 } };
    await engine().client.workflow.signalWithStart(POOL_WORKFLOW, {
      workflowId: poolWorkflowId(pool),
      taskQueue: engine().queue,
      args: [{ pool }],
      signal: POOL_SIGNALS.configure,
      signalArgs: [limits],
    });
    const run = await engine().start(plan);
    await takeAndDie();
    const next = await engine().start(plan);
    const state = () => engine().client.workflow.getHandle(poolWorkflowId(pool)).query<PoolState>(POOL_QUERY);
    await until("the next waits", async () => (await state()).slots.waiting.length === 1);
    expect((await state()).slots.holders.map(({ owner }) => owner)).toEqual([run.id]);
    await startGoodWorker();
    for (const one of [run, next]) expect(await one.end()).toEqual({ outcome: "succeeded" });
    expect(run.attempts("a")).toMatchObject([{ lostAttempts: 1 }]);
    await until("all slots are free", async () => (await state()).slots.holders.length === 0);
    expect((await state()).breaker?.circuit).toEqual({ state: "closed", failures: [] });
  });

  it("does not fail a user's own activity that heartbeats either", async () => {
    const run = await engine().start(planOf({ a: { operator: "activity", activity: { name: "own", input: null } } }, { policies }));
    await takeAndDie();
    await startGoodWorker();
    expect(await run.end()).toEqual({ outcome: "succeeded" });
    expect(run.attempts("a")).toMatchObject([{ attempt: 1, status: "succeeded", lostAttempts: 1 }]);
    const { events } = await run.handle.fetchHistory();
    expect(events?.flatMap((event) => event.activityTaskScheduledEventAttributes?.activityId ?? [])).toEqual(["a", "a#2"]);
  });

  it("is noticed within a minute where the activity does not heartbeat: its worker does, long enough for what takes longer", async () => {
    const silent = [{ ...once_, timeout: { attemptMs: 1_800_000, totalMs: 1_800_000, heartbeatMs: 0 } }];
    const calling = (name: string) => planOf({ a: { operator: "activity", activity: { name, input: null } } }, { policies: silent });
    const run = await engine().start(calling("own"));
    await takeAndDie();
    await startGoodWorker();
    const longRun = await engine().run(calling("long"));
    expect(longRun.outcome).toBe("succeeded");
    expect(longRun.attempts("a")[0]).not.toHaveProperty("lostAttempts");
    expect(await run.end()).toEqual({ outcome: "succeeded" });
    expect(run.attempts("a")).toMatchObject([{ attempt: 1, status: "succeeded", lostAttempts: 1 }]);
  }, 180_000);
});

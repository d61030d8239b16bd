// A running worker: workflows and activities on its task queues, wired to the store and the connectors.

import { mkdirSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import path from "node:path";
import { Runtime, Worker, type NativeConnection, type WorkerOptions } from "@temporalio/worker";
import { createConnectionOpener } from "../activities/connections.ts";
import { createActivities } from "../activities/index.ts";
import { ownActivitiesOf, type OwnActivity } from "../activities/own-activities.ts";
import type { VerbHost } from "../activities/run-verb.ts";
import { createOrchestrator } from "../api/orchestrator.ts";
import { DATA_CONVERTER } from "../api/payload-codec.ts";
import { checkParams } from "../api/params.ts";
import { runInput } from "../api/run-input.ts";
import { DownbeatError } from "../core/errors.ts";
import { DEFAULT_QUEUE } from "../core/ids.ts";
import { isRunEnded } from "../core/run-changes.ts";
import type { JsonObject } from "../core/json.ts";
import type { CompiledPlan } from "../core/plan.ts";
import type { Store } from "../store/open-store.ts";
import { bundleWorkflows } from "./bundle-workflows.ts";
import type { Config } from "./config.ts";
import { createFailpoint } from "./failpoints.ts";
import { temporalLogger, type Logger } from "./log.ts";
import { poolOwners } from "./pool-owners.ts";
import { commandHost } from "./command-host.ts";
import { createLastReports } from "./last-reports.ts";
import { createProgress } from "./progress.ts";
import { createSecretResolver } from "./secrets.ts";
import type { Telemetry } from "./telemetry.ts";
import { openTempFolder } from "./temp-folder.ts";
import type { LoadedCatalogue } from "./user-config.ts";
import { deploymentModules, deploymentOptions } from "./worker-deployment.ts";
import { withoutPromiseStacks } from "./workflow-threads.ts";

export interface WorkerDeps {
  readonly config: Config;
  readonly store: Store;
  readonly loaded: LoadedCatalogue;
  readonly connection: NativeConnection;
  readonly log: Logger;
  readonly telemetry: Telemetry;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface RunningWorker {
  /** Settles when the worker has stopped; rejects when it broke. */
  readonly done: Promise<void>;
  stop(): Promise<void>;
}

/** What Downbeat keeps in its data folder for itself. */
const OWN_FILES = ["secret.key", "store", "store.lock", "{store,store.lock}/**", "temporal.*"] as const;

const PLAN_CACHE = 200;

/** Plans never change, so a worker asks the store for each only once. */
const planCache = (store: Store): ((hash: string, taskId: string) => Promise<JsonObject>) => {
  const plans = new Map<string, Promise<CompiledPlan>>();
  const load = async (hash: string): Promise<CompiledPlan> => {
    const plan = await store.definitions.findPlan(hash);
    if (plan === undefined) throw new DownbeatError("INTERNAL", `the store has no plan ${hash}; do API and worker use the same store?`);
    return plan;
  };
  return async (hash, taskId) => {
    const known = plans.get(hash);
    const plan = known ?? load(hash);
    if (known === undefined) {
      if (plans.size >= PLAN_CACHE) plans.clear();
      plans.set(hash, plan);
      plan.catch(() => plans.delete(hash));
    }
    const config = (await plan).configs[taskId];
    if (config === undefined) throw new DownbeatError("INTERNAL", `plan ${hash} has no task "${taskId}"`);
    return config;
  };
};

export const installRuntime = (log: Logger, telemetry: Telemetry): void => {
  Runtime.install({ logger: temporalLogger(log), telemetryOptions: { ...telemetry.runtimeOptions }, shutdownSignals: [] });
};

export const startWorker = async (deps: WorkerDeps): Promise<RunningWorker> => {
  const { config, store, loaded, connection, log, telemetry, env } = deps;
  const temp = await openTempFolder(path.join(tmpdir(), "downbeat"));
  mkdirSync(config.dataDir, { recursive: true });
  const identity = `${process.pid}@${hostname()}`;
  const progress = createProgress(store.runs, log);
  const orchestrator = createOrchestrator({ connection, namespace: config.temporal.namespace });
  const ownActivities = loaded.implementations as Readonly<Record<string, OwnActivity>>;
  const saveOutput: VerbHost["saveOutput"] = (place, output) => store.items.saveOutput(place, output);
  const resolveSecret = createSecretResolver(env);
  const commands = commandHost(config, env);
  const stopping = new AbortController();
  const activities = createActivities({
    resolveSecret,
    stopping: stopping.signal,
    findConfig: planCache(store),
    openConnection: createConnectionOpener({
      findConnection: (name) => store.connections.findOpened(name),
      findSpec: (kind) => loaded.catalogue.find(kind),
      resolveSecret,
      tempRoot: temp.path,
      baseDir: config.dataDir,
      reserved: OWN_FILES,
      programs: commands,
    }),
    commands,
    files: { baseDir: config.dataDir, reserved: OWN_FILES },
    failpoint: createFailpoint(config.failpoints),
    findOutput: async (place) => (await store.items.findOutput(place)) ?? null,
    saveOutput,
    items: store.items,
    poolOwners: poolOwners(connection, config.temporal.namespace, store),
    ownActivities,
    findAsset: (name) => store.assets.find(name),
    findPlan: (hash) => store.definitions.findPlan(hash),
    guardedConnections: () => store.connections.guarded(),
    findPause: (pipeline) => store.definitions.findPause(pipeline),
    findVersion: (pipeline, version) => store.definitions.find(pipeline, version),
    firstStartedBy: (task, pipeline) => store.runs.firstStartedBy(task, pipeline),
    checkParams,
    createRun: (run) => store.runs.create(run),
    backfills: store.backfills,
    triggers: store.triggers,
    findRun: (id) => store.runs.find(id),
    tellTrigger: (settings, event) => orchestrator.triggers.tell(settings, event),
    startRun: async (run, plan, priority) => orchestrator.startRun(await runInput(store, run, plan), priority),
    recordLoad: (load) => store.loads.record(load),
    showMetrics: (task, metrics) => store.runs.showMetrics(task, metrics),
    async applyRunChanges(changes) {
      const applied = await store.runs.apply(changes);
      if (isRunEnded(changes.status)) progress.forget(changes.runId);
      telemetry.onRunChanges(changes, applied.missed);
      return applied;
    },
    log,
    worker: identity,
    onAttempt: telemetry.onAttempt,
    onMoved: telemetry.onMoved,
  });
  const shared: Omit<WorkerOptions, "taskQueue"> = {
    connection,
    namespace: config.temporal.namespace,
    dataConverter: DATA_CONVERTER,
    identity,
    activities: { ...ownActivitiesOf(ownActivities, { saveOutput }), ...activities },
    ...deploymentOptions(config.buildId),
    maxConcurrentActivityTaskExecutions: config.maxActivities,
    maxConcurrentActivityTaskPolls: 5,
    maxHeartbeatThrottleInterval: "500ms",
    defaultHeartbeatThrottleInterval: "500ms",
    shutdownGraceTime: config.shutdownGraceMs,
    shutdownForceTime: config.shutdownGraceMs + 5_000,
    interceptors: telemetry.workerInterceptors,
    sinks: {
      ...telemetry.sinks,
      progress: {
        show: progress.show,
        end: createLastReports({
          record: (changes) => activities.recordRun(changes),
          connection,
          namespace: config.temporal.namespace,
          taskQueue: DEFAULT_QUEUE,
          log,
        }),
      },
    } as NonNullable<WorkerOptions["sinks"]>,
  };
  /** Runs go by the default queue; all others bring nothing but tasks. */
  const workflowOptions = async (): Promise<Partial<WorkerOptions>> => ({
    workflowBundle: await bundleWorkflows([...telemetry.workflowInterceptorModules, ...deploymentModules(config.buildId)]),
    maxConcurrentWorkflowTaskPolls: 5,
    maxCachedWorkflows: config.maxWorkflows,
  });
  const workers = await withoutPromiseStacks(() =>
    Promise.all(
      config.queues.map(async (taskQueue) =>
        Worker.create({ ...shared, taskQueue, ...(taskQueue === DEFAULT_QUEUE ? await workflowOptions() : {}) }),
      ),
    ),
  );
  const stopAll = (): void => {
    stopping.abort();
    for (const worker of workers) if (worker.getState() === "RUNNING") worker.shutdown();
  };
  const running = workers.map((worker) => worker.run());
  // One that broke takes the others with it.
  const done = Promise.all(running).then(
    () => undefined,
    async (error: unknown) => {
      stopAll();
      await Promise.allSettled(running);
      throw error;
    },
  );
  return {
    done,
    async stop() {
      stopAll();
      await done.catch(() => undefined);
      await progress.stop();
      await temp.remove();
    },
  };
};

// A worker on a real server: the product's workflows, verbs whose behaviour each run is given, reports kept in memory.

import { randomBytes } from "node:crypto";
import { type Client, Connection, WorkflowFailedError, type WorkflowHandle } from "@temporalio/client";
import {
  bundleWorkflowCode,
  DefaultLogger,
  type InjectedSinks,
  NativeConnection,
  Runtime,
  Worker,
  type WorkflowBundle,
} from "@temporalio/worker";
import { type BackfillDeps, createBackfillActivities } from "../../activities/backfills.ts";
import { createMapped } from "../../activities/mapped.ts";
import { createSingleItems } from "../../activities/single-items.ts";
import { ownActivitiesOf } from "../../activities/own-activities.ts";
import { createRenderInput } from "../../activities/render-input.ts";
import { createPools } from "../../activities/pools.ts";
import { toFailure } from "../../activities/failure.ts";
import { runVerb, type VerbContext } from "../../activities/run-verb.ts";
import { DATA_CONVERTER } from "../../api/payload-codec.ts";
import { temporalClient } from "../../api/orchestrator-client.ts";
import { bundleWorkflows, PRELOADED } from "../../bin/bundle-workflows.ts";
import { createLastReports } from "../../bin/last-reports.ts";
import { poolOwners } from "../../bin/pool-owners.ts";
import { registerSearchAttributes } from "../../bin/temporal.ts";
import { withoutPromiseStacks } from "../../bin/workflow-threads.ts";
import { DownbeatError } from "../../core/errors.ts";
import { runWorkflowId } from "../../core/ids.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import type { Plan } from "../../core/plan.ts";
import type { ActionChange, AttemptChange, RunChanges, TaskChange, TaskResult } from "../../core/run-changes.ts";
import { CURRENT_MANNER } from "../../core/run-manner.ts";
import type { DagActivities, OpenedRun, ProgressSinks, TaskCall } from "../../workflows/ports.ts";
import type { Items } from "../../store/items.ts";
import type { Store } from "../../store/open-store.ts";
import { type OpenedInput, RUN_WORKFLOW, type RunInput, type RunResult, type ScheduledInput } from "../../workflows/messages.ts";

export type Behaviour = (call: TaskCall, context: VerbContext) => Promise<TaskResult>;
export type OwnActivities = Readonly<Record<string, (input: Json) => Promise<Json>>>;

const silent = (): void => undefined;
export const silentLog = { debug: silent, info: silent, warn: silent, error: silent };

// Refused reports and failing tasks are what these tests are about: the SDK need not tell of them.
Runtime.install({
  logger: new DefaultLogger("ERROR", silent),
  telemetryOptions: { logging: { forward: {}, filter: { core: "ERROR", other: "ERROR" } } },
});

/** Of other workflows than the product's. */
export const bundleFile = (workflowsPath: string): Promise<WorkflowBundle> =>
  bundleWorkflowCode({
    workflowsPath,
    preloadModules: [...PRELOADED],
    logger: { ...silentLog, trace: silent, error: console.error, log: silent },
  });

export interface Outcome {
  readonly outcome: "succeeded" | "failed" | "cancelled";
  /** Type and message of the workflow's failure. */
  readonly error?: { readonly code: string; readonly message: string };
}

export interface StartedRun {
  readonly id: string;
  readonly handle: WorkflowHandle<(input: RunInput | ScheduledInput | OpenedInput) => Promise<RunResult>>;
  readonly reports: readonly RunChanges[];
  /** What its worker was let know at once. */
  readonly shown: readonly RunChanges[];
  end(): Promise<Outcome>;
  /** By task id, the newest report of each. */
  tasks(): Readonly<Record<string, TaskChange>>;
  attempts(taskId: string): readonly AttemptChange[];
  /** By number, as the store keeps them: a report that is done again with more in it repeats them. */
  actions(): readonly ActionChange[];
}

export interface StartOptions {
  /** For tests whose runs' inputs name the run itself. */
  readonly id?: string;
  readonly verbs?: Readonly<Record<string, Behaviour>>;
  readonly params?: JsonObject;
  readonly pipeline?: string;
  /** What tasks with the operator pipeline run, by the tasks' ids. */
  readonly pipelines?: Readonly<Record<string, Plan>>;
  readonly rerun?: NonNullable<RunInput["rerun"]>;
  /** What a rerun takes over. */
  readonly continued?: NonNullable<RunInput["continued"]>;
  /** Its workflow has the id that the API gives it, not the run's own. */
  readonly isNamed?: boolean;
  /** Another than the engine's own: the test brings its worker. */
  readonly queue?: string;
  /** As a schedule starts it: its first step opens it. */
  readonly isScheduled?: boolean;
  /** Throws while the store is to be away. */
  readonly onReport?: (changes: RunChanges, tries: number) => Promise<void> | void;
}

interface Registered {
  readonly options: StartOptions;
  readonly opened: OpenedRun;
  readonly reports: RunChanges[];
  readonly shown: RunChanges[];
  tries: number;
}

/** The default names process and machine, which recorded histories should not. */
const IDENTITY = "the test";

/** Activities whose verbs do what the test of the run says; a task without a behaviour succeeds. */
const activitiesOf = (
  runs: Map<string, Registered>,
  { items, own = {}, backfills }: EngineOptions,
  owners: () => ReturnType<typeof poolOwners>,
): DagActivities => {
  const behave: Behaviour = (call, context) =>
    runs.get(call.run.id)?.options.verbs?.[call.taskId]?.(call, context) ?? Promise.resolve({ output: null });
  const verb = (operator: string) => (call: TaskCall) =>
    runVerb(operator, behave, call, {
      log: silentLog,
      worker: IDENTITY,
      ...(items === undefined ? {} : { saveOutput: items.saveOutput }),
    });
  const openSubRun: DagActivities["openSubRun"] = ({ run, taskId, tries, item, attempt, each, params, priority }) => {
    const parent = runs.get(run.id);
    const plan = parent?.options.pipelines?.[taskId];
    if (parent === undefined || plan === undefined)
      return Promise.reject(toFailure(new DownbeatError("NOT_FOUND", "there is no such pipeline"), {}));
    const id = [run.id, taskId, tries, ...(item === undefined ? [] : [item, attempt])].join(".");
    const facts = {
      ...run,
      id,
      pipeline: taskId,
      trigger: "pipeline",
      depth: (run.depth ?? 0) + 1,
      ...(priority === undefined ? {} : { priority }),
    };
    const opened = { ...CURRENT_MANNER, run: facts };
    const start = { plan, params: { ...params, ...each } };
    if (!runs.has(id)) runs.set(id, { options: parent.options, opened: { ...opened, ...start }, reports: [], shown: [], tries: 0 });
    return Promise.resolve({ ...opened, planHash: "hash" });
  };
  const inspect: DagActivities["checkConnection"] = ({ connection }) => Promise.resolve({ ok: connection !== "broken", milliseconds: 1 });
  return {
    transfer: verb("transfer"),
    sql: verb("sql"),
    http: verb("http"),
    check: verb("check"),
    publish: verb("publish"),
    command: verb("command"),
    file: verb("file"),
    ...createMapped(
      {
        items: items ?? missingStore,
        ownActivities: own,
        findOutput: async (place) => (await items?.findOutput(place)) ?? null,
        ...(items === undefined ? {} : { saveOutput: items.saveOutput }),
        log: silentLog,
        worker: IDENTITY,
      },
      Object.fromEntries(["transfer", "sql", "http", "check", "publish", "command", "file"].map((operator) => [operator, behave])),
    ),
    probe: verb("probe"),
    renderInput: createRenderInput({ findOutput: async (place) => (await items?.findOutput(place)) ?? null }),
    ...createPools(
      {
        ensurePool: (pool) => owners().ensurePool(pool),
        recountSlots: (pool) => owners().recountSlots(pool),
        endedWorkflows: (ids) => owners().endedWorkflows(ids),
      },
      IDENTITY,
    ),
    ...createSingleItems({
      items: items ?? missingStore,
      findOutput: async (place) => (await items?.findOutput(place)) ?? null,
      openSubRun,
    }),
    openSubRun,
    ...createBackfillActivities(
      backfills ?? { backfills: missingStore, createRun: missing, findPause: missing, findPlan: missing, startRun: missing },
    ),
    startEventRuns: missing,
    waitingEvents: missing,
    watchEvents: missing,
    readStart({ runId }) {
      const run = runs.get(runId);
      return run === undefined ? Promise.reject(new Error(`there is no run ${runId}`)) : Promise.resolve(run.opened);
    },
    openRun({ workflowId }) {
      const run = runs.get(workflowId);
      return run === undefined ? Promise.reject(new Error(`${workflowId} is no run of this test`)) : Promise.resolve(run.opened);
    },
    async recordRun(changes) {
      const run = runs.get(changes.runId);
      await backfills?.applyRun(changes);
      if (run === undefined) return;
      run.tries += 1;
      await run.options.onReport?.(changes, run.tries);
      // As the store does: a report that is not newer changes nothing.
      if (changes.seq > (run.reports.at(-1)?.seq ?? 0)) run.reports.push(changes);
    },
    checkConnection: inspect,
    discoverConnection: inspect,
  };
};

export interface Engine {
  readonly queue: string;
  readonly client: Client;
  readonly native: NativeConnection;
  readonly bundle: WorkflowBundle;
  readonly activities: DagActivities;
  readonly sinks: InjectedSinks<ProgressSinks>;
  start(plan: Plan, options?: StartOptions): Promise<StartedRun>;
  /** Starts a run and waits for its end. */
  run(plan: Plan, options?: StartOptions): Promise<StartedRun & Outcome>;
  stop(): Promise<void>;
}

export interface EngineOptions {
  readonly own?: OwnActivities;
  readonly pools?: Pick<Store["pools"], "find">;
  readonly connections?: Pick<Store["connections"], "find">;
  /** A real store's, for tasks with `for_each` and large outputs. */
  readonly items?: Items;
  /** For backfills: a real store's, and what starts the runs of their partitions. */
  readonly backfills?: BackfillDeps & { readonly applyRun: (changes: RunChanges) => Promise<void> };
  /** Tasks that its worker carries out at a time. */
  readonly slots?: number;
  /** False: workflows and reports alone, tasks are left to others. */
  readonly runsTasks?: boolean;
}

const missingPools = { find: () => Promise.resolve(undefined) };

const missing = (): Promise<never> => Promise.reject(new Error("this test has given the engine no store"));
const missingStore = new Proxy({} as Items & BackfillDeps["backfills"], { get: () => missing });

const fresh = (prefix: string): string => `${prefix}_${randomBytes(6).toString("hex")}`;

const sinksOf = (
  runs: ReadonlyMap<string, Registered>,
  end: InjectedSinks<ProgressSinks>["progress"]["end"],
): InjectedSinks<ProgressSinks> => ({
  progress: { show: { callDuringReplay: false, fn: (_info, changes) => void runs.get(changes.runId)?.shown.push(changes) }, end },
});

export const startEngine = async (address: string, options: EngineOptions = {}): Promise<Engine> => {
  const runs = new Map<string, Registered>();
  const queue = fresh("queue");
  const activities = activitiesOf(runs, options, () =>
    poolOwners(native, "default", { pools: options.pools ?? missingPools, connections: options.connections ?? missingPools }, queue),
  );
  const connection = await Connection.connect({ address });
  await registerSearchAttributes(connection, "default");
  const client = temporalClient({ connection, identity: IDENTITY });
  const native = await NativeConnection.connect({ address });
  const bundle = await bundleWorkflows([]);
  const sinks = sinksOf(
    runs,
    createLastReports({ record: activities.recordRun, connection, namespace: "default", taskQueue: queue, log: silentLog }),
  );
  const worker = await withoutPromiseStacks(() =>
    Worker.create({
      connection: native,
      taskQueue: queue,
      identity: IDENTITY,
      dataConverter: DATA_CONVERTER,
      workflowBundle: bundle,
      activities: {
        ...ownActivitiesOf(options.own ?? {}, options.items === undefined ? {} : { saveOutput: options.items.saveOutput }),
        ...activities,
      },
      sinks: sinks as never,
      enableNonLocalActivities: options.runsTasks ?? true,
      ...(options.slots === undefined ? {} : { maxConcurrentActivityTaskExecutions: options.slots }),
      maxHeartbeatThrottleInterval: "200ms",
      shutdownGraceTime: 0,
      shutdownForceTime: "5s",
    }),
  );
  const done = worker.run();

  const start = async (plan: Plan, startOptions: StartOptions = {}): Promise<StartedRun> => {
    const { id = fresh("run") } = startOptions;
    const run = {
      id,
      origin: id,
      pipeline: startOptions.pipeline ?? "tested",
      version: 1,
      trigger: "test",
      triggeredAt: "2026-01-01T00:00:00.000Z",
    };
    const { params = {}, rerun, continued, isScheduled = false } = startOptions;
    const registered: Registered = {
      options: startOptions,
      opened: { ...CURRENT_MANNER, run, plan, params },
      reports: [],
      shown: [],
      tries: 0,
    };
    runs.set(id, registered);
    const scheduled = { pipeline: run.pipeline, schedule: "tested", version: run.version, planHash: "hash", params };
    const handle = await client.workflow.start<(input: RunInput | ScheduledInput) => Promise<RunResult>>(RUN_WORKFLOW, {
      workflowId: startOptions.isNamed === true ? runWorkflowId(run.pipeline, id) : id,
      taskQueue: startOptions.queue ?? queue,
      args: [
        isScheduled
          ? { scheduled }
          : {
              ...CURRENT_MANNER,
              run,
              planHash: "hash",
              plan,
              params,
              ...(rerun === undefined ? {} : { rerun }),
              ...(continued === undefined ? {} : { continued }),
            },
      ],
    });
    return {
      id,
      handle,
      reports: registered.reports,
      shown: registered.shown,
      end: () => outcomeOf(handle),
      ...viewOf(registered.reports),
    };
  };

  return {
    queue,
    activities,
    sinks,
    client,
    native,
    bundle,
    start,
    async run(plan, startOptions) {
      const run = await start(plan, startOptions);
      return { ...run, ...(await run.end()) };
    },
    async stop() {
      worker.shutdown();
      await done.catch(silent);
      await native.close();
      await connection.close();
    },
  };
};

const outcomeOf = async (handle: StartedRun["handle"]): Promise<Outcome> => {
  try {
    return await handle.result();
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const { cause } = error;
    if (cause?.name === "CancelledFailure") return { outcome: "cancelled" };
    return { outcome: "failed", error: { code: (cause as { type?: string }).type ?? "", message: cause?.message ?? "" } };
  }
};

const viewOf = (reports: readonly RunChanges[]): Pick<StartedRun, "tasks" | "attempts" | "actions"> => ({
  tasks: () => Object.fromEntries(reports.flatMap(({ tasks }) => tasks).map((task) => [task.taskId, task])),
  attempts: (taskId) => {
    const all = reports.flatMap(({ attempts }) => attempts).filter((attempt) => attempt.taskId === taskId);
    return [...new Map(all.map((attempt) => [attempt.attempt, attempt])).values()];
  },
  actions: () => [...new Map(reports.flatMap(({ actions = [] }) => actions).map((action) => [action.number, action])).values()],
});

// Downbeat in one process on a namespace of its own: the app, a store, a worker with the product's activities, and an own activity to hold runs open.

import { createHmac } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { AddressInfo } from "node:net";
import { type Client, Connection } from "@temporalio/client";
import { NativeConnection, Worker } from "@temporalio/worker";
import { createConnectionOpener } from "../../activities/connections.ts";
import { checkParams } from "../../api/params.ts";
import { createActivities } from "../../activities/index.ts";
import { createApp } from "../../api/app.ts";
import type { ApiDeps } from "../../api/deps.ts";
import { createOrchestrator } from "../../api/orchestrator.ts";
import { DATA_CONVERTER } from "../../api/payload-codec.ts";
import { temporalClient } from "../../api/orchestrator-client.ts";
import { runInput } from "../../api/run-input.ts";
import { poolOwners } from "../../bin/pool-owners.ts";
import { bundleWorkflows } from "../../bin/bundle-workflows.ts";
import { createLastReports } from "../../bin/last-reports.ts";
import { createProgress } from "../../bin/progress.ts";
import { waitUntil } from "../../bin/services/wait.ts";
import { registerSearchAttributes } from "../../bin/temporal.ts";
import { withoutPromiseStacks } from "../../bin/workflow-threads.ts";
import { createCatalogue } from "../../connectors/catalogue.ts";
import { builtinConnectors } from "../../connectors/registry.ts";
import { DownbeatError } from "../../core/errors.ts";
import { DEFAULT_QUEUE } from "../../core/ids.ts";
import type { Json } from "../../core/json.ts";
import { openStore, type Store } from "../../store/open-store.ts";
import { freshName, temporalServer } from "../fixtures/services.ts";
import { freshStore, STORE_KEY } from "../fixtures/store.ts";
import { silentLog } from "../workflow/engine.ts";
import { until } from "../workflow/kit.ts";

export interface WholeKit {
  readonly store: Store;
  readonly client: Client;
  readonly connection: Connection;
  readonly deps: ApiDeps;
  readonly url: string;
  /** Where files lie that are named without a connection. */
  readonly dataDir: string;
  /** What the tasks of runs were given, in order. */
  readonly seen: readonly Json[];
  /** What such a task does. */
  whileSeen: (input: Json) => Promise<Json>;
  /** While true, runs cannot be written down. */
  storeIsAway: boolean;
  /** With a key it is done once, however often it is asked. */
  call<Body>(method: string, path: string, body?: unknown, key?: string): Promise<Body>;
  stop(): Promise<void>;
}

/** What a run's view always has. */
interface ListedRun {
  readonly status: string;
}

export const freshPipeline = (prefix = "p"): string => freshName(prefix).replaceAll("_", "-");

/** The oldest first; of more than 200 runs the newest 200. */
export const runsOf = async <Run extends ListedRun>({ call }: Pick<WholeKit, "call">, pipeline: string): Promise<readonly Run[]> =>
  (await call<{ readonly items: readonly Run[] }>("GET", `/v1/runs?pipeline=${pipeline}&limit=200`)).items.toReversed();

/** Until it has so many runs, and all have succeeded. */
export const succeeded = (kit: Pick<WholeKit, "call">, pipeline: string, count: number): Promise<void> =>
  until(`${count} runs of ${pipeline} have succeeded`, async () => {
    const runs = await runsOf(kit, pipeline);
    return runs.length === count && runs.every(({ status }) => status === "succeeded");
  });

export const WEBHOOK_SECRET = "a secret of the test";

/** So often an event is sent again that a busy server does not take, as senders of webhooks do. */
const MOST_SENT = 60;

/** A signed event of a webhook trigger; the same id is the same event. */
export const sendEvent = async (
  { url }: Pick<WholeKit, "url">,
  { pipeline, trigger = "push" }: { readonly pipeline: string; readonly trigger?: string },
  id: string,
  data: Json = {},
): Promise<{ readonly event: string; readonly run: string | null }> => {
  const body = JSON.stringify(data);
  const timestamp = String(Math.floor(Date.now() / 1_000));
  const signature = createHmac("sha256", WEBHOOK_SECRET).update(`${id}.${timestamp}.${body}`).digest("base64");
  const headers = {
    "content-type": "application/json",
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": `v1,${signature}`,
  };
  for (let times = 1; ; times += 1) {
    const response = await fetch(`${url}/v1/hooks/${pipeline}/${trigger}`, { method: "POST", headers, body });
    if (response.status === 202) return (await response.json()) as never;
    if (response.status !== 503 || times === MOST_SENT) throw new Error(`${response.status} ${await response.text()}`);
    await pause(1_000);
  }
};

const unused = (): Promise<never> => Promise.reject(new Error("no test of this kit needs it"));

const isAway = (): Promise<never> => Promise.reject(new DownbeatError("STORE_UNAVAILABLE", "the test took it away"));

/** On the tests' servers. `recordedAt`: of Temporal where histories are recorded, and no other server may be there. */
export const startWhole = async (recordedAt?: string): Promise<WholeKit> => {
  const address = recordedAt ?? temporalServer().address;
  const connection = await Connection.connect({ address });
  // Schedules of ours that other stores know nothing of are removed: nobody else may have this namespace.
  const namespace = freshName("schedules").replaceAll("_", "-");
  await connection.workflowService.registerNamespace({ namespace, workflowExecutionRetentionPeriod: { seconds: 86_400 as never } });
  await waitUntil(() => registerSearchAttributes(connection, namespace), { timeoutMs: 60_000 });
  const store = await (recordedAt === undefined ? freshStore() : openStore({ url: "pglite:memory", secretKey: STORE_KEY }));
  const orchestrator = createOrchestrator({ connection, namespace });
  await waitUntil(() => orchestrator.schedules.list(), { timeoutMs: 60_000 });
  const catalogue = createCatalogue(builtinConnectors, [{ name: "see" }]);
  const log = { info: () => undefined, warn: () => undefined, error: console.error };
  const resolveSecret = (): Promise<string> => Promise.resolve(WEBHOOK_SECRET);
  const deps: ApiDeps = { store, orchestrator, catalogue, log, resolveSecret };
  const server = createApp(deps).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const seen: Json[] = [];
  const dataDir = mkdtempSync(path.join(tmpdir(), "downbeat-kit-"));
  const native = await NativeConnection.connect({ address });

  const kit: WholeKit = {
    store,
    connection,
    client: temporalClient({ connection, namespace }),
    deps,
    url,
    dataDir,
    seen,
    whileSeen: () => Promise.resolve(null),
    storeIsAway: false,
    async call(method, path, body, key) {
      const headers = {
        "content-type": typeof body === "string" ? "application/yaml" : "application/json",
        ...(key === undefined ? {} : { "idempotency-key": key }),
      };
      const init = body === undefined ? { method } : { method, headers, body: typeof body === "string" ? body : JSON.stringify(body) };
      const response = await fetch(`${url}${path}`, init);
      const text = await response.text();
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
      return JSON.parse(text) as never;
    },
    async stop() {
      worker.shutdown();
      await done.catch(() => undefined);
      await progress.stop();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await native.close();
      await connection.close();
      await store.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
  const see = (input: Json): Promise<Json> => {
    seen.push(input);
    return kit.whileSeen(input);
  };
  const activities = createActivities({
    findConfig: async (hash, taskId) => (await store.definitions.findPlan(hash))?.configs[taskId] ?? {},
    openConnection: createConnectionOpener({
      findConnection: (name) => store.connections.findOpened(name),
      findSpec: (kind) => catalogue.find(kind),
      resolveSecret: unused,
      tempRoot: tmpdir(),
      baseDir: dataDir,
    }),
    failpoint: () => Promise.resolve(),
    resolveSecret,
    recordLoad: (load) => store.loads.record(load),
    showMetrics: (task, metrics) => store.runs.showMetrics(task, metrics),
    findOutput: async (place) => (await store.items.findOutput(place)) ?? null,
    findAsset: unused,
    poolOwners: poolOwners(native, namespace, store),
    backfills: store.backfills,
    triggers: store.triggers,
    findRun: (id) => store.runs.find(id),
    tellTrigger: (settings, event) => orchestrator.triggers.tell(settings, event),
    startRun: async (run, plan, priority) => orchestrator.startRun(await runInput(store, run, plan), priority),
    items: store.items,
    files: { baseDir: dataDir, reserved: [] },
    commands: { allowed: [], images: [], shell: false, environment: {}, folder: tmpdir(), resolveSecret: unused },
    findPause: (pipeline) => store.definitions.findPause(pipeline),
    findVersion: (pipeline, version) => store.definitions.find(pipeline, version),
    firstStartedBy: (task, pipeline) => store.runs.firstStartedBy(task, pipeline),
    checkParams,
    ownActivities: { see },
    applyRunChanges: (changes) => (kit.storeIsAway ? isAway() : store.runs.apply(changes)),
    findPlan: (hash) => store.definitions.findPlan(hash),
    guardedConnections: () => store.connections.guarded(),
    createRun: (run) => (kit.storeIsAway ? isAway() : store.runs.create(run)),
    log: silentLog,
    worker: "the test",
  });
  const progress = createProgress(store.runs, silentLog);
  const workflowBundle = await bundleWorkflows([]);
  const worker = await withoutPromiseStacks(() =>
    Worker.create({
      connection: native,
      namespace,
      taskQueue: DEFAULT_QUEUE,
      dataConverter: DATA_CONVERTER,
      workflowBundle,
      activities: { ...activities, see },
      sinks: {
        progress: {
          show: progress.show,
          end: createLastReports({
            record: activities.recordRun,
            connection: native,
            namespace,
            taskQueue: DEFAULT_QUEUE,
            log: silentLog,
          }),
        },
      } as never,
      // As Downbeat's own workers: by default it keeps beats back until two seconds before the time is over.
      maxHeartbeatThrottleInterval: "500ms",
      shutdownGraceTime: 0,
      shutdownForceTime: "5s",
    }),
  );
  const done = worker.run();
  return kit;
};

// `npm start`: everything in one process on embedded defaults, and the quickstart run to see it work.

import { mkdirSync } from "node:fs";
import path from "node:path";
import { openStore } from "../store/open-store.ts";
import { startApi } from "./api-process.ts";
import type { Config } from "./config.ts";
import { keepTemporal } from "./keep-temporal.ts";
import { createLogger } from "./log.ts";
import { portFrom } from "./ports.ts";
import { publishCatalogue } from "./publish-catalogue.ts";
import { runProcess, type ProcessHandle } from "./process.ts";
import { runQuickstart } from "./quickstart.ts";
import { secretKeyOf } from "./secrets.ts";
import { findTemporal } from "./services/temporal.ts";
import { startTelemetry } from "./telemetry.ts";
import { connectClient, connectNative, registerSearchAttributes } from "./temporal.ts";
import { loadCatalogue } from "./user-config.ts";
import { installRuntime, startWorker } from "./worker-process.ts";

const USAGE = `npm start [-- --once] [-- --no-quickstart]

Runs Downbeat in one process: API, worker and store, with Temporal as its child.

  --once           run the quickstart, then stop; the exit code tells whether it succeeded
  --no-quickstart  only start`;

const say = (line: string): void => console.log(line);

/** Temporal at the given address, or a child of ours on a file database, adopted when it outlived us. */
const ensureTemporal = async (config: Config, handle: ProcessHandle): Promise<Config> => {
  if (config.temporal.address !== undefined) return config;
  const found = await findTemporal(say);
  if (found.kind === "address") return { ...config, temporal: { ...config.temporal, address: found.address } };
  const server = await keepTemporal(
    {
      program: found.path,
      dbFile: path.join(config.dataDir, "temporal.db"),
      logFile: path.join(config.dataDir, "temporal.log"),
      stateFile: path.join(config.dataDir, "temporal.json"),
    },
    say,
  );
  handle.onStop(server.stop);
  say(`Temporal ${server.adopted ? "was still running and is used again" : "started"} at ${server.address}`);
  return { ...config, temporal: { ...config.temporal, address: server.address, uiUrl: config.temporal.uiUrl ?? server.uiUrl } };
};

await runProcess(USAGE, async (environment, handle) => {
  // One process has one build: pinned runs would wait for a build that is never started again.
  const given = { ...environment, buildId: undefined };
  const once = process.argv.includes("--once");
  mkdirSync(given.dataDir, { recursive: true });
  const log = createLogger(process.env["DOWNBEAT_LOG_LEVEL"] === undefined ? "warn" : given.logLevel, "downbeat");
  // The lock on the data folder comes first: a second start must not touch the first one's Temporal.
  const store = await openStore({
    url: given.databaseUrl ?? `pglite:${path.join(given.dataDir, "store")}`,
    secretKey: secretKeyOf(given, "one process"),
  });
  handle.onStop(store.close);
  const config = await ensureTemporal(given, handle);
  const telemetry = await startTelemetry(config, "downbeat");
  handle.onStop(telemetry.shutdown);
  installRuntime(log, telemetry);
  const loaded = await loadCatalogue(config.userConfigFile);
  const client = await connectClient(config.temporal);
  await registerSearchAttributes(client, config.temporal.namespace);
  await client.close();
  const connection = await connectNative(config.temporal);
  handle.onStop(() => connection.close());
  const worker = await startWorker({ config, store, loaded, connection, log, telemetry, env: process.env });
  handle.onStop(worker.stop);
  const port = await portFrom(config.port, config.host);
  if (port !== config.port) say(`port ${config.port} is taken; the API takes ${port}`);
  const api = await startApi({ config, store, loaded, connection, log, telemetry, port, env: process.env });
  handle.onStop(api.stop);
  const stopPublishing = await publishCatalogue(store.catalogues, "worker", loaded.catalogue.hash, log);
  handle.onStop(async () => stopPublishing());
  say(`Downbeat listens at ${api.url} (reference: ${api.url}/reference)`);

  let succeeded = true;
  if (!process.argv.includes("--no-quickstart")) succeeded = await runQuickstart(api.url, config.apiKey, say);
  if (once) await handle.stop(succeeded ? 0 : 1);
  say("Ctrl-C stops everything.");
  await worker.done;
});

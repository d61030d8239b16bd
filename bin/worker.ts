// `npm run worker`: a worker as a process of its own; any number of them share the work.

import { openStore } from "../store/open-store.ts";
import { requireServers } from "./config.ts";
import { createLogger } from "./log.ts";
import { publishCatalogue } from "./publish-catalogue.ts";
import { runProcess } from "./process.ts";
import { secretKeyOf } from "./secrets.ts";
import { startTelemetry } from "./telemetry.ts";
import { connectNative, registerSearchAttributes } from "./temporal.ts";
import { loadCatalogue } from "./user-config.ts";
import { serveProbe } from "./worker-probe.ts";
import { installRuntime, startWorker } from "./worker-process.ts";

await runProcess("npm run worker: runs workflows and tasks", async (config, handle) => {
  const url = requireServers(config);
  const log = createLogger(config.logLevel, "worker");
  const telemetry = await startTelemetry(config, "downbeat-worker");
  handle.onStop(telemetry.shutdown);
  installRuntime(log, telemetry);
  const loaded = await loadCatalogue(config.userConfigFile);
  const store = await openStore({ url, secretKey: secretKeyOf(config, "several processes") });
  handle.onStop(store.close);
  const connection = await connectNative(config.temporal);
  handle.onStop(() => connection.close());
  // It may come before the API of its release.
  await registerSearchAttributes(connection, config.temporal.namespace);
  const probe = await serveProbe(config, telemetry.metricsText, log);
  handle.onStop(probe.close);
  const worker = await startWorker({ config, store, loaded, connection, log, telemetry, env: process.env });
  handle.onStop(worker.stop);
  const stopPublishing = await publishCatalogue(store.catalogues, "worker", loaded.catalogue.hash, log);
  handle.onStop(async () => stopPublishing());
  log.info({ metrics: `${probe.url}/metrics` }, "the worker runs");
  await worker.done;
});

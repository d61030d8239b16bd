// `npm run worker`: a worker as a process of its own; any number of them share the work.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { openStore } from "../store/open-store.ts";
import { requireServers } from "./config.ts";
import { createLogger } from "./log.ts";
import { publishCatalogue } from "./publish-catalogue.ts";
import { runProcess } from "./process.ts";
import { secretKeyOf } from "./secrets.ts";
import { startTelemetry, type Telemetry } from "./telemetry.ts";
import { connectNative } from "./temporal.ts";
import { loadCatalogue } from "./user-config.ts";
import { installRuntime, startWorker } from "./worker-process.ts";

/** /health/live and /metrics on loopback or where the configuration says: a worker has no API. */
const serveMetrics = async (
  telemetry: Telemetry,
  host: string,
  port: number,
): Promise<{ readonly port: number; readonly close: () => void }> => {
  const server = createServer((request, response) => {
    if (request.url === "/health/live") {
      response.writeHead(200, { "content-type": "application/json" }).end('{"status":"ok"}');
      return;
    }
    if (request.url !== "/metrics") {
      response.writeHead(404).end();
      return;
    }
    telemetry.metricsText().then(
      (text) => response.writeHead(200, { "content-type": "text/plain; version=0.0.4" }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
};

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
  const metrics = await serveMetrics(telemetry, "127.0.0.1", config.workerPort);
  handle.onStop(async () => metrics.close());
  const worker = await startWorker({ config, store, loaded, connection, log, telemetry, env: process.env });
  handle.onStop(worker.stop);
  const stopPublishing = await publishCatalogue(store.catalogues, "worker", loaded.catalogue.hash, log);
  handle.onStop(async () => stopPublishing());
  log.info({ metrics: `http://127.0.0.1:${metrics.port}/metrics` }, "the worker runs");
  await worker.done;
});

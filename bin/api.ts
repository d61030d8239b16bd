// `npm run api`: the HTTP API as a process of its own, on a PostgreSQL store and a Temporal server.

import { openStore } from "../store/open-store.ts";
import { startApi } from "./api-process.ts";
import { requireServers } from "./config.ts";
import { createLogger } from "./log.ts";
import { publishCatalogue } from "./publish-catalogue.ts";
import { runProcess } from "./process.ts";
import { secretKeyOf } from "./secrets.ts";
import { startTelemetry } from "./telemetry.ts";
import { connectClient, registerSearchAttributes } from "./temporal.ts";
import { loadCatalogue } from "./user-config.ts";

await runProcess("npm run api: serves the HTTP API", async (config, handle) => {
  const url = requireServers(config);
  const log = createLogger(config.logLevel, "api");
  const telemetry = await startTelemetry(config, "downbeat-api");
  handle.onStop(telemetry.shutdown);
  const loaded = await loadCatalogue(config.userConfigFile);
  const store = await openStore({ url, secretKey: secretKeyOf(config, "several processes") });
  handle.onStop(store.close);
  const connection = await connectClient(config.temporal);
  handle.onStop(() => connection.close());
  await registerSearchAttributes(connection, config.temporal.namespace);
  const stopPublishing = await publishCatalogue(store.catalogues, "api", loaded.catalogue.hash, log);
  handle.onStop(async () => stopPublishing());
  const api = await startApi({ config, store, loaded, connection, log, telemetry, env: process.env, port: config.port });
  handle.onStop(api.stop);
  log.info({ url: api.url, reference: `${api.url}/reference` }, "the API listens");
});

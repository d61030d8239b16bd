// A running API: the app listening, and the reconciler beside it.

import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { ConnectionLike } from "@temporalio/client";
import { createApp } from "../api/app.ts";
import type { ApiDeps } from "../api/deps.ts";
import { forgetEvents } from "../api/forget-events.ts";
import { createOrchestrator } from "../api/orchestrator.ts";
import { reconcile } from "../api/reconcile.ts";
import { reconcileBackfills } from "../api/reconcile-backfills.ts";
import { countWithoutNext, reconcileSchedules } from "../api/reconcile-schedules.ts";
import { reconcileTriggers } from "../api/reconcile-triggers.ts";
import type { Store } from "../store/open-store.ts";
import type { Config } from "./config.ts";
import { createSecretResolver } from "./secrets.ts";
import type { Logger } from "./log.ts";
import type { Telemetry } from "./telemetry.ts";
import type { LoadedCatalogue } from "./user-config.ts";

export interface ApiProcessDeps {
  readonly config: Config;
  readonly store: Store;
  readonly loaded: LoadedCatalogue;
  /** A native connection starts runs quickest; a client's own does as well. */
  readonly connection: ConnectionLike;
  readonly log: Logger;
  readonly telemetry: Telemetry;
  readonly port: number;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface RunningApi {
  readonly url: string;
  stop(): Promise<void>;
}

const RECONCILE_EVERY_MS = 15_000;
/** Each is asked for by itself, and what changes by way of the API is done at once. */
const COMPARE_EVERY_MS = 60_000;
const FORGET_EVERY_MS = 3_600_000;

export const startApi = async ({ config, store, loaded, connection, log, telemetry, port, env }: ApiProcessDeps): Promise<RunningApi> => {
  const orchestrator = createOrchestrator({ connection, namespace: config.temporal.namespace, interceptors: telemetry.clientInterceptors });
  telemetry.watchQueue(() => orchestrator.queueDepth());
  telemetry.watchSchedules(() => countWithoutNext({ store, orchestrator }));
  telemetry.watchEvents(() => store.triggers.figures());
  const deps: ApiDeps = {
    store,
    orchestrator,
    catalogue: loaded.catalogue,
    log,
    resolveSecret: createSecretResolver(env, "API"),
    metrics: telemetry.metricsText,
    ...(config.apiKey === undefined ? {} : { apiKey: config.apiKey }),
    ...(config.temporal.uiUrl === undefined ? {} : { temporalUiUrl: config.temporal.uiUrl }),
  };
  const server = await new Promise<Server>((resolve, reject) => {
    const listening = createApp(deps).listen(port, config.host, (error?: Error) =>
      error === undefined ? resolve(listening) : reject(error),
    );
  });
  let reconciling: Promise<unknown> = Promise.resolve();
  /** One after the other. */
  const later = (round: (of: ApiDeps) => Promise<unknown>, failed: string): void => {
    reconciling = reconciling.then(() => round(deps)).catch((error: unknown) => log.warn({ err: error }, failed));
  };
  const timer = setInterval(() => {
    later(reconcile, "reconciling failed; it is tried again");
    later(reconcileBackfills, "backfills could not be reconciled; it is tried again");
  }, RECONCILE_EVERY_MS);
  const compareNamed = (): void => {
    later(reconcileSchedules, "schedules could not be compared; it is tried again");
    later(reconcileTriggers, "triggers could not be compared; it is tried again");
  };
  compareNamed();
  const comparing = setInterval(compareNamed, COMPARE_EVERY_MS);
  const forget = (): void => later((of) => forgetEvents(of, config.keepEventsMs), "old events could not be deleted; it is tried again");
  forget();
  const forgetting = setInterval(forget, FORGET_EVERY_MS);
  const { port: bound } = server.address() as AddressInfo;
  const host = config.host.includes(":") ? `[${config.host}]` : config.host;
  return {
    url: `http://${host}:${bound}`,
    async stop() {
      clearInterval(timer);
      clearInterval(comparing);
      clearInterval(forgetting);
      await reconciling;
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        // Clients that wait for a run would hold the server open for minutes.
        setTimeout(() => server.closeAllConnections(), 1_000).unref();
      });
    },
  };
};

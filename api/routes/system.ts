// Health, readiness, the connectors' catalogue and the metrics of this process.

import { Router } from "express";
import type { ApiDeps } from "../deps.ts";

export const healthRoutes = (deps: ApiDeps): Router => {
  const router = Router();
  router.get("/live", (_request, response) => {
    response.json({ status: "ok" });
  });

  router.get("/ready", async (_request, response) => {
    const probe = async (check: () => Promise<void>): Promise<{ ok: boolean; error?: string }> => {
      try {
        await check();
        return { ok: true };
      } catch (error) {
        return { ok: false, error: error instanceof Error ? error.message : String(error) };
      }
    };
    const [store, temporal] = await Promise.all([probe(() => deps.store.check()), probe(() => deps.orchestrator.check())]);
    const workers = store.ok ? (await deps.store.catalogues.live()).filter(({ role }) => role === "worker") : [];
    const strangers = workers.filter(({ hash }) => hash !== deps.catalogue.hash);
    const catalogue =
      strangers.length === 0
        ? { ok: true }
        : {
            ok: false,
            error: `${strangers.length} of ${workers.length} workers know other connectors or activities than this API; start them all with the same downbeat.config.ts`,
          };
    const ready = store.ok && temporal.ok && catalogue.ok;
    response.status(ready ? 200 : 503).json({ status: ready ? "ok" : "not ready", store, temporal, catalogue, workers: workers.length });
  });
  return router;
};

export const connectorRoutes = (deps: ApiDeps): Router => {
  const router = Router();
  router.get("/", (_request, response) => {
    response.json({ items: deps.catalogue.describe(), hash: deps.catalogue.hash, next: null });
  });
  return router;
};

export const metricsRoutes = (metrics: () => Promise<string>): Router => {
  const router = Router();
  router.get("/", async (_request, response) => {
    response.type("text/plain; version=0.0.4").send(await metrics());
  });
  return router;
};

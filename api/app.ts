// createApp: the HTTP API as an Express app that does not listen.

import express, { type Express, type RequestHandler } from "express";
import { DownbeatError } from "../core/errors.ts";
import { LIMITS } from "../core/limits.ts";
import { requireApiKey } from "./auth.ts";
import type { ApiDeps } from "./deps.ts";
import { methodsAt, openApiDocument } from "./openapi.ts";
import { problemHandler } from "./problem.ts";
import { referencePage } from "./reference-page.ts";
import { assetRoutes } from "./routes/assets.ts";
import { backfillRoutes, pipelineBackfillRoutes } from "./routes/backfills.ts";
import { connectionRoutes } from "./routes/connections.ts";
import { controlRoutes } from "./routes/control.ts";
import { pipelineRoutes } from "./routes/pipelines.ts";
import { poolRoutes } from "./routes/pools.ts";
import { hookRoutes } from "./routes/hooks.ts";
import { rerunRoutes } from "./routes/rerun.ts";
import { pipelineRunRoutes, runRoutes } from "./routes/runs.ts";
import { triggerRoutes } from "./routes/triggers.ts";
import { pipelinePauseRoutes } from "./routes/pipeline-pause.ts";
import { pipelineScheduleRoutes, scheduleRoutes } from "./routes/schedules.ts";
import { connectorRoutes, healthRoutes, metricsRoutes } from "./routes/system.ts";
import { traceRequests } from "./trace.ts";

const securityHeaders: RequestHandler = (_request, response, next) => {
  response.set({
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    // The pages that need more say so themselves.
    "content-security-policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
  });
  next();
};

const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS"]);

/** Without an API key a page of any site could trigger runs through its visitor's browser; browsers say where a request comes from. */
const refuseOtherSites: RequestHandler = (request, _response, next) => {
  const site = request.headers["sec-fetch-site"];
  const { origin, host } = request.headers;
  const isForeign = site === "cross-site" || site === "same-site" || (origin !== undefined && URL.parse(origin)?.host !== host);
  if (isForeign && !SAFE_METHODS.has(request.method)) {
    throw new DownbeatError("FORBIDDEN", `a page of ${origin ?? "another site"} may not send ${request.method} here`);
  }
  next();
};

export const createApp = (deps: ApiDeps): Express => {
  const app = express();
  app.disable("x-powered-by");
  app.set("query parser", "simple");
  app.use(securityHeaders, traceRequests(deps.log));
  app.use("/health", healthRoutes(deps));
  app.use(refuseOtherSites);
  app.use("/v1/hooks", hookRoutes(deps));
  if (deps.apiKey !== undefined) app.use(requireApiKey(deps.apiKey));
  if (deps.metrics !== undefined) app.use("/metrics", metricsRoutes(deps.metrics));
  app.get("/openapi.json", (_request, response) => {
    response.json(openApiDocument());
  });
  app.use("/reference", referencePage());
  app.use(express.json({ limit: LIMITS.bodyBytes }));
  app.use("/v1/pipelines/:name/runs", pipelineRunRoutes(deps));
  app.use("/v1/pipelines/:name/triggers", triggerRoutes(deps));
  app.use("/v1/pipelines/:name", pipelinePauseRoutes(deps));
  app.use("/v1/pipelines/:name/schedules", pipelineScheduleRoutes(deps));
  app.use("/v1/pipelines/:name/backfills", pipelineBackfillRoutes(deps));
  app.use("/v1/backfills", backfillRoutes(deps));
  app.use("/v1/schedules", scheduleRoutes(deps));
  app.use("/v1/pipelines", pipelineRoutes(deps));
  app.use("/v1/connections", connectionRoutes(deps));
  app.use("/v1/pools", poolRoutes(deps));
  app.use("/v1/assets", assetRoutes(deps));
  app.use("/v1/connectors", connectorRoutes(deps));
  app.use("/v1/runs/:id", controlRoutes(deps), rerunRoutes(deps));
  app.use("/v1/runs", runRoutes(deps));
  app.get("/", (_request, response) => {
    response.redirect("/reference");
  });
  app.use((request, response) => {
    const allowed = methodsAt(request.path);
    if (allowed.length > 0 && !allowed.includes(request.method)) {
      response.set("allow", allowed.join(", "));
      throw new DownbeatError("METHOD_NOT_ALLOWED", `${request.path} takes ${allowed.join(", ")}, not ${request.method}`);
    }
    throw new DownbeatError("NOT_FOUND", `there is nothing at ${request.method} ${request.path}; the API is described at /reference`);
  });
  app.use(problemHandler(deps.log));
  return app;
};

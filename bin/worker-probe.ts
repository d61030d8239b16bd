// What a worker of its own answers over HTTP: /health/live and /metrics, since it has no API.

import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import { requireApiKey } from "../api/auth.ts";
import { problemHandler } from "../api/problem.ts";
import { metricsRoutes } from "../api/routes/system.ts";
import type { Config } from "./config.ts";
import type { Logger } from "./log.ts";

export interface WorkerProbe {
  readonly url: string;
  close(): Promise<void>;
}

type ProbeConfig = Pick<Config, "workerHost" | "workerPort" | "apiKey">;

/** With an API key configured /metrics asks for it, as the API's own does. */
export const serveProbe = async (config: ProbeConfig, metricsText: () => Promise<string>, log: Logger): Promise<WorkerProbe> => {
  const app = express();
  app.disable("x-powered-by");
  app.get("/health/live", (_request, response) => {
    response.json({ status: "ok" });
  });
  if (config.apiKey !== undefined) app.use(requireApiKey(config.apiKey));
  app.use("/metrics", metricsRoutes(metricsText));
  app.use(problemHandler(log));
  const { workerHost, workerPort } = config;
  const server = await new Promise<Server>((resolve, reject) => {
    const listening = app.listen(workerPort, workerHost, (error?: Error) => (error === undefined ? resolve(listening) : reject(error)));
  });
  const host = workerHost.includes(":") ? `[${workerHost}]` : workerHost;
  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
};

// Says in the store, while the process lives, which connectors and activities it knows.

import { hostname } from "node:os";
import { HEARTBEAT_MS, type Catalogues } from "../store/catalogues.ts";
import type { Logger } from "./log.ts";

export const publishCatalogue = async (catalogues: Catalogues, role: "api" | "worker", hash: string, log: Logger): Promise<() => void> => {
  const record = { process: `${role}:${process.pid}@${hostname()}`, role, hash };
  await catalogues.publish(record);
  const timer = setInterval(() => {
    catalogues
      .publish(record)
      .catch((error: unknown) => log.warn({ err: error }, "the catalogue could not be published; it is tried again"));
  }, HEARTBEAT_MS);
  return () => clearInterval(timer);
};

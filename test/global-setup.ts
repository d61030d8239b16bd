// Starts the real servers once for a run of the integration project, and gives tests their addresses by `inject`.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestProject } from "vitest/node";
import {
  isServiceName,
  SERVICE_NAMES,
  type ServiceAddresses,
  type ServiceName,
  type StartedServices,
  startServices,
} from "../bin/services/all.ts";

declare module "vitest" {
  interface ProvidedContext {
    services: ServiceAddresses;
  }
}

/** All of them, or those that DOWNBEAT_TEST_SERVICES names (mysql,postgres), for work on a few test files. */
const wanted = (): readonly ServiceName[] => {
  const text = process.env["DOWNBEAT_TEST_SERVICES"];
  if (text === undefined) return SERVICE_NAMES;
  return text
    .split(",")
    .filter((name) => name !== "")
    .map((name) => {
      if (!isServiceName(name)) throw new Error(`DOWNBEAT_TEST_SERVICES names "${name}"; it takes ${SERVICE_NAMES.join(", ")}`);
      return name;
    });
};

let folder: string | undefined;
let services: StartedServices | undefined;

const clean = (): void => {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
};

export const setup = async (project: TestProject): Promise<void> => {
  folder = mkdtempSync(path.join(tmpdir(), "downbeat-services-"));
  process.once("exit", clean);
  services = await startServices(wanted(), folder, (line) => console.log(`services: ${line}`));
  project.provide("services", services.addresses);
};

export const teardown = async (): Promise<void> => {
  await services?.stop();
  clean();
};

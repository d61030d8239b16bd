// Starts the real servers once for a run of the integration project, and gives tests their addresses by `inject`.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestProject } from "vitest/node";
import { bundleWorkflows } from "../bin/bundle-workflows.ts";
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

/** Test files and all processes that they start inherit this: what a whole run does over and over it need not do anew each time. */
const shareWork = (dir: string): void => {
  // A process of ours takes the types out of some hundred files and compiles them as it starts, a third of the time until it is there.
  process.env["NODE_COMPILE_CACHE"] ??= path.join(dir, "compiled");
  // By default Temporal's server cleans up its memory so often that this is an eighth of all that it does.
  process.env["GOGC"] ??= "400";
};

export const setup = async (project: TestProject): Promise<void> => {
  folder = mkdtempSync(path.join(tmpdir(), "downbeat-services-"));
  process.once("exit", clean);
  shareWork(folder);
  const names = wanted();
  // Workflows run on Temporal alone. What is bundled now is there for all files and all workers that they start.
  const bundled = names.includes("temporal") ? bundleWorkflows([]) : Promise.resolve();
  bundled.catch(() => undefined);
  services = await startServices(names, folder, (line) => console.log(`services: ${line}`));
  try {
    await bundled;
  } catch (error) {
    await teardown();
    throw error;
  }
  project.provide("services", services.addresses);
};

export const teardown = async (): Promise<void> => {
  await services?.stop();
  clean();
};

// Services as containers, where a Docker engine answers.
import { randomBytes } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { waitUntil } from "./wait.ts";
import type { ServiceControl } from "./server-process.ts";
import { runCommand } from "./run-command.ts";
import { findProgram } from "./cache.ts";
import type { Say } from "./say.ts";

/** Resolves with the docker program when an engine answers and the image is there or can be pulled. */
export const dockerImage = async (image: string, env: NodeJS.ProcessEnv, say: Say): Promise<string> => {
  const docker = findProgram("docker", [], env);
  if (docker === undefined) throw new Error("there is no docker on the PATH");
  await runCommand(docker, ["info", "--format", "{{.ServerVersion}}"], { env, timeoutMs: 5_000 }).catch(() => {
    throw new Error("no engine answers `docker info`");
  });
  const present = await runCommand(docker, ["image", "inspect", image], { env, timeoutMs: 10_000 }).then(
    () => true,
    () => false,
  );
  if (!present) {
    say(`docker pull ${image} …`);
    await runCommand(docker, ["pull", "-q", image], { env, timeoutMs: 600_000, say, title: `docker pull ${image}` });
  }
  return docker;
};

export interface Container {
  readonly docker: string;
  readonly image: string;
  readonly name: string;
  /** Environment of the container; goes by a file, never by the command line, which others can read. */
  readonly settings: Readonly<Record<string, string>>;
  readonly port: number;
  readonly innerPort: number;
  readonly args: readonly string[];
  /** Folders inside it that are to be there, empty, at its start. */
  readonly volumes?: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly folder: string;
  readonly probe: () => Promise<void>;
}

/** Runs a container with its port on loopback. Its data lives until `stop`. */
export const runContainer = async (container: Container): Promise<ServiceControl> => {
  const { docker, env, folder } = container;
  const name = `downbeat-${container.name}-${randomBytes(4).toString("hex")}`;
  const call = (args: readonly string[]): Promise<string> => runCommand(docker, args, { env, timeoutMs: 60_000 });
  const ready = (): Promise<void> => waitUntil(container.probe, { timeoutMs: 120_000 });
  const settingsFile = path.join(folder, `${name}.env`);
  await mkdir(folder, { recursive: true });
  const text = Object.entries(container.settings).map(([key, value]) => `${key}=${value}\n`);
  await writeFile(settingsFile, text.join(""), { mode: 0o600 });
  const remove = async (): Promise<void> => {
    await call(["rm", "--force", "--volumes", name]);
  };
  try {
    const publish = `127.0.0.1:${container.port}:${container.innerPort}`;
    const volumes = (container.volumes ?? []).flatMap((volume) => ["--volume", volume]);
    const own = ["--detach", "--name", name, "--env-file", settingsFile, "--publish", publish, ...volumes];
    await call(["run", ...own, container.image, ...container.args]);
    await ready();
  } catch (error) {
    await remove().catch(() => undefined);
    throw error;
  } finally {
    await rm(settingsFile, { force: true });
  }
  return {
    pid: undefined,
    halt: async (signal) => {
      await call(signal === "SIGKILL" ? ["kill", name] : ["stop", name]);
    },
    resume: async () => {
      await call(["start", name]);
      await ready();
    },
    stop: remove,
  };
};

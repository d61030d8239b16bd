// What benches of runs measure on: a Temporal server, a store, our API and worker, and the floor's worker, each a process of its own.

import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Client, Connection } from "@temporalio/client";
import { ApiClient } from "../../bin/api-client.ts";
import { freePort } from "../../bin/ports.ts";
import { startPostgres } from "../../bin/services/postgres.ts";
import { findTemporal, startTemporal } from "../../bin/services/temporal.ts";

/** Task queue of the floor's worker. */
export const FLOOR_QUEUE = "bare";

/** The processes that do the work, by id. */
export interface Pids {
  readonly api: number;
  readonly worker: number;
  /** Temporal's, for ours and for the floor. */
  readonly server: number;
  /** PostgreSQL's first process; connections have their own. Undefined where it is no process of this machine. */
  readonly store: number | undefined;
  readonly floorWorker: number;
}

export interface Stack {
  readonly api: ApiClient;
  readonly client: Client;
  readonly pids: Pids;
}

type Cleanup = () => Promise<void> | void;

/** Starts everything, does the work, and stops everything; when it fails, what the logs end with is told. */
export const withStack = async <Result>(say: (line: string) => void, work: (stack: Stack) => Promise<Result>): Promise<Result> => {
  const folder = mkdtempSync(path.join(tmpdir(), "downbeat-bench-"));
  // PostgreSQL refuses to run as root, and its own user has to pass through.
  chmodSync(folder, 0o755);
  const cleanups: Cleanup[] = [() => rmSync(folder, { recursive: true, force: true })];
  try {
    return await work(await start(folder, cleanups, say));
  } catch (error) {
    for (const log of readdirSync(folder).filter((name) => name.endsWith(".log")))
      say(`${log} ends: ${readFileSync(path.join(folder, log), "utf8").trim().split("\n").slice(-5).join(" | ")}`);
    throw error;
  } finally {
    for (const cleanup of cleanups.toReversed()) await cleanup();
  }
};

const start = async (folder: string, cleanups: Cleanup[], say: (line: string) => void): Promise<Stack> => {
  const startScript = (script: string, args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess => {
    const log = openSync(path.join(folder, `${path.basename(script)}.log`), "a");
    const child = spawn(process.execPath, [path.resolve(import.meta.dirname, "..", script), ...args], {
      env: { ...process.env, ...env },
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    cleanups.push(
      () =>
        new Promise<void>((resolve) => {
          if (child.exitCode !== null || child.signalCode !== null) return resolve();
          child.once("exit", () => resolve());
          child.kill("SIGKILL");
        }),
    );
    return child;
  };
  const found = await findTemporal(say, { ...process.env, TEMPORAL_ADDRESS: "" });
  if (found.kind === "address") throw new Error("the bench starts a server of its own");
  const temporal = await startTemporal({
    program: found.path,
    dbFile: path.join(folder, "temporal.db"),
    logFile: path.join(folder, "temporal.log"),
    port: await freePort(),
  });
  cleanups.push(temporal.stop);
  const postgres = await startPostgres({ dir: path.join(folder, "postgres"), say });
  cleanups.push(postgres.stop);
  const port = await freePort();
  const env = {
    DATABASE_URL: postgres.address.url,
    TEMPORAL_ADDRESS: temporal.address,
    DOWNBEAT_PORT: String(port),
    DOWNBEAT_SECRET_KEY: randomBytes(32).toString("hex"),
    DOWNBEAT_DATA_DIR: path.join(folder, "data"),
    DOWNBEAT_CONFIG: path.join(import.meta.dirname, "../overhead/downbeat.config.ts"),
    DOWNBEAT_LOG_LEVEL: "error",
  };
  const pidOf = ({ pid = -1 }: ChildProcess): number => pid;
  const pids = {
    api: pidOf(startScript("../bin/api.ts", [], env)),
    worker: pidOf(startScript("../bin/worker.ts", [], env)),
    server: temporal.pid,
    store: postgres.pid,
    floorWorker: pidOf(startScript("floor/bare-worker.ts", [temporal.address, FLOOR_QUEUE], {})),
  };
  const api = new ApiClient({ baseUrl: `http://127.0.0.1:${port}`, patienceMs: 60_000 });
  await api.call("GET", "/health/live");
  const connection = await Connection.connect({ address: temporal.address });
  cleanups.push(() => connection.close());
  return { api, client: new Client({ connection }), pids };
};

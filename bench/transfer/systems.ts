// The servers and processes that bench:transfer, bench:changes and bench:changes-soak measure on: sources, PostgreSQL, Temporal, Downbeat's API and worker.

import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { ApiClient } from "../../bin/api-client.ts";
import { freePort } from "../../bin/ports.ts";
import { startMysql, type MysqlAddress } from "../../bin/services/mysql.ts";
import { startKafka, type KafkaAddress } from "../../bin/services/kafka.ts";
import { startPostgres, type PostgresAddress } from "../../bin/services/postgres.ts";
import { startS3, type S3Address } from "../../bin/services/s3.ts";
import { findTemporal, startTemporal } from "../../bin/services/temporal.ts";

export type Say = (line: string) => void;

export interface Systems {
  readonly folder: string;
  /** Throws where it was not asked for, like the other sources. */
  readonly mysql: MysqlAddress;
  readonly s3: S3Address;
  readonly kafka: KafkaAddress;
  readonly postgres: PostgresAddress;
  readonly api: ApiClient;
  readonly apiPid: number;
  workerPid(): number;
  /** Its /metrics. */
  readonly workerUrl: string;
  /** A worker without a past: what it has used at most is then of one transfer. */
  freshWorker(): Promise<void>;
  endWorker(): Promise<void>;
  stop(): Promise<void>;
}

/** Enough for the whole table: the bench measures transfers, not disks. */
const MYSQL_SETTINGS = {
  "innodb-buffer-pool-size": "2560M",
  "innodb-log-file-size": "512M",
  "innodb-flush-log-at-trx-commit": "2",
  "performance-schema": "0",
};
const POSTGRES_SETTINGS = { shared_buffers: "1GB", max_wal_size: "8GB", checkpoint_timeout: "30min" };

export type SourceSystem = "mysql" | "s3" | "kafka";

export interface SystemsOptions {
  readonly sources: ReadonlySet<SourceSystem>;
  /** Whether MySQL logs changes, which slows its seeding. */
  readonly binlog?: boolean;
}

export const startSystems = async (say: Say, { sources, binlog = false }: SystemsOptions): Promise<Systems> => {
  const folder = mkdtempSync(path.join(tmpdir(), "downbeat-transfer-"));
  // Servers refuse to run as root, and their own users have to pass through.
  chmodSync(folder, 0o755);
  const cleanups: (() => Promise<void> | void)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  };
  try {
    const found = await findTemporal(say, { ...process.env, TEMPORAL_ADDRESS: "" });
    if (found.kind === "address") throw new Error("the bench starts a server of its own");
    const started = async <Address>(
      source: SourceSystem,
      start: () => Promise<{ readonly address: Address; readonly stop: () => Promise<void> }>,
    ): Promise<() => Address> => {
      const service = sources.has(source) ? await start() : undefined;
      if (service !== undefined) cleanups.push(() => service.stop());
      return () => {
        if (service === undefined) throw new Error(`the bench has not started ${source}`);
        return service.address;
      };
    };
    const mysql = await started("mysql", () => startMysql({ dir: path.join(folder, "mysql"), say, binlog, settings: MYSQL_SETTINGS }));
    const s3 = await started("s3", () => startS3({ dir: path.join(folder, "s3"), say }));
    const kafka = await started("kafka", () => startKafka({ dir: path.join(folder, "kafka"), say }));
    const postgres = await startPostgres({ dir: path.join(folder, "postgres"), say, settings: POSTGRES_SETTINGS });
    cleanups.push(() => postgres.stop());
    const temporal = await startTemporal({
      program: found.path,
      dbFile: path.join(folder, "temporal.db"),
      logFile: path.join(folder, "temporal.log"),
      port: await freePort(),
    });
    cleanups.push(temporal.stop);

    const port = await freePort();
    const workerPort = await freePort();
    const configFile = path.join(folder, "downbeat.config.ts");
    writeFileSync(configFile, "export default {};\n");
    const env = {
      DATABASE_URL: postgres.address.url,
      TEMPORAL_ADDRESS: temporal.address,
      DOWNBEAT_PORT: String(port),
      DOWNBEAT_WORKER_PORT: String(workerPort),
      DOWNBEAT_SECRET_KEY: randomBytes(32).toString("hex"),
      DOWNBEAT_DATA_DIR: path.join(folder, "data"),
      DOWNBEAT_CONFIG: configFile,
      DOWNBEAT_LOG_LEVEL: "error",
    };
    const start = (script: "api" | "worker"): ChildProcess => startScript(script, env, path.join(folder, `${script}.log`));
    const apiProcess = start("api");
    cleanups.push(() => end(apiProcess));
    const api = new ApiClient({ baseUrl: `http://127.0.0.1:${port}`, patienceMs: 60_000 });
    await api.call("GET", "/health/live");
    let worker: ChildProcess | undefined;
    cleanups.push(() => end(worker));
    return {
      folder,
      get mysql() {
        return mysql();
      },
      get s3() {
        return s3();
      },
      get kafka() {
        return kafka();
      },
      postgres: postgres.address,
      api,
      apiPid: apiProcess.pid ?? -1,
      workerPid: () => worker?.pid ?? -1,
      workerUrl: `http://127.0.0.1:${workerPort}`,
      freshWorker: async () => {
        await end(worker);
        worker = start("worker");
      },
      endWorker: () => end(worker),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
};

const ROOT = path.resolve(import.meta.dirname, "../..");

/** As `npm run` starts it, but without npm between the process and its id. */
const startScript = (script: string, env: NodeJS.ProcessEnv, logFile: string): ChildProcess => {
  const { scripts } = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8")) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  const [, ...args] = (scripts[script] ?? "").split(" ");
  const log = openSync(logFile, "a");
  const child = spawn(process.execPath, args, { cwd: ROOT, env: { ...process.env, ...env }, stdio: ["ignore", log, log] });
  closeSync(log);
  return child;
};

const end = async (child: ChildProcess | undefined): Promise<void> => {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
};

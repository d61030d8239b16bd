// A whole Downbeat to be killed: API and worker as processes, a store and a Temporal of their own; and the effects, which live.

import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { type Client, Connection } from "@temporalio/client";
import { temporalClient } from "../../api/orchestrator-client.ts";
import { ApiClient, ApiError } from "../../bin/api-client.ts";
import { SupervisedProcess } from "../../bin/demo/processes.ts";
import { SupervisedTemporal } from "../../bin/demo/temporal.ts";
import { freePort } from "../../bin/ports.ts";
import { type PostgresAddress, startPostgres } from "../../bin/services/postgres.ts";
import { familyOf } from "../../bin/services/process-family.ts";
import type { Service } from "../../bin/services/server-process.ts";
import { waitUntil } from "../../bin/services/wait.ts";
import { Effects } from "./effects.ts";

export const VICTIMS = ["worker", "api", "store", "temporal"] as const;
export type Victim = (typeof VICTIMS)[number];

/** How the store is away: its server has ended, or it takes connections and requests and answers none. */
export type Absence = "gone" | "silent";

/** How long a request is repeated while something is down. */
const PATIENCE_MS = 60_000;

export class World {
  readonly effects: Effects;
  /** Where the API answers. */
  readonly url: string;
  readonly #api: ApiClient;
  readonly #processes: Readonly<Record<"api" | "worker", SupervisedProcess>>;
  readonly #store: Service<PostgresAddress>;
  readonly #temporal: SupervisedTemporal;
  readonly #destination: PostgresAddress;
  readonly #close: () => Promise<void>;

  private constructor(parts: {
    effects: Effects;
    url: string;
    api: ApiClient;
    processes: Readonly<Record<"api" | "worker", SupervisedProcess>>;
    store: Service<PostgresAddress>;
    temporal: SupervisedTemporal;
    destination: PostgresAddress;
    close: () => Promise<void>;
  }) {
    this.effects = parts.effects;
    this.url = parts.url;
    this.#api = parts.api;
    this.#processes = parts.processes;
    this.#store = parts.store;
    this.#temporal = parts.temporal;
    this.#destination = parts.destination;
    this.#close = parts.close;
  }

  /** Starts everything in the folder; `close` ends it and removes the folder. `more`: of the environment of API and worker. */
  static async start(folder: string, say: (line: string) => void, more: NodeJS.ProcessEnv = {}): Promise<World> {
    const temporal = new SupervisedTemporal(folder, say);
    // Addresses that a user gives are servers that nobody may kill.
    const env = { ...process.env, DOWNBEAT_TEST_POSTGRES_URL: "" };
    const [store, destination] = await Promise.all([
      startPostgres({ dir: path.join(folder, "store"), say, env }),
      startPostgres({ dir: path.join(folder, "effects"), say, env }),
      temporal.start(),
    ]);
    const effects = new Effects(destination.address);
    await effects.create();
    const port = await freePort();
    const dataDir = path.join(folder, "data");
    mkdirSync(dataDir, { recursive: true });
    const environment: NodeJS.ProcessEnv = {
      ...process.env,
      DATABASE_URL: store.address.url,
      TEMPORAL_ADDRESS: temporal.address,
      DOWNBEAT_PORT: String(port),
      DOWNBEAT_DATA_DIR: dataDir,
      DOWNBEAT_SECRET_KEY: randomBytes(32).toString("hex"),
      DOWNBEAT_SHUTDOWN_GRACE: "1s",
      ...more,
    };
    const supervised = (name: "api" | "worker"): SupervisedProcess =>
      new SupervisedProcess({ script: `bin/${name}.ts`, env: () => environment, logFile: path.join(folder, `${name}.log`) });
    const processes = { api: supervised("api"), worker: supervised("worker") };
    processes.api.start();
    processes.worker.start();
    const url = `http://127.0.0.1:${port}`;
    const api = new ApiClient({ baseUrl: url, patienceMs: PATIENCE_MS });
    const close = async (): Promise<void> => {
      await Promise.all([processes.api.stop(), processes.worker.stop()]);
      await effects.close();
      await Promise.all([store.stop(), destination.stop(), temporal.stop()]);
      rmSync(folder, { recursive: true, force: true });
    };
    const world = new World({ effects, url, api, processes, store, temporal, destination: destination.address, close });
    await world.connect("effects");
    return world;
  }

  /** A connection to what tasks write to; `limits` as the API takes them. */
  async connect(name: string, limits: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const { host, port, database, user, password } = this.#destination;
    await this.call("PUT", `/v1/connections/${name}`, { kind: "postgres", config: { host, port, database, user, password }, ...limits });
  }

  /** Repeats the request while something is down; with a key it is done once all the same. */
  async call<Answer>(method: string, route: string, body?: unknown, key?: string): Promise<Answer> {
    const until = Date.now() + PATIENCE_MS;
    for (;;) {
      this.assertHealthy();
      try {
        return await this.#api.call<Answer>(method, route, body, key === undefined ? {} : { "idempotency-key": key });
      } catch (error) {
        const isRefused = error instanceof ApiError && error.status < 500;
        if (isRefused || Date.now() >= until) throw error;
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
    }
  }

  /** A process that ended by itself is a fault, whatever was killed around it. */
  assertHealthy(): void {
    this.#processes.api.assertHealthy();
    this.#processes.worker.assertHealthy();
  }

  /** SIGKILL; resolves when it has been started again. */
  async kill(victim: Victim): Promise<void> {
    if (victim === "worker" || victim === "api") return this.#processes[victim].kill();
    if (victim === "temporal") return this.#temporal.killAndRestart();
    await this.#store.halt("SIGKILL");
    // Its backends notice the postmaster's death a moment later; until then the data folder is theirs.
    await waitUntil(() => this.#store.resume(), { timeoutMs: 30_000 });
  }

  /** Takes the store away; what it gives back brings it back, with all that it had. */
  async takeStoreAway(how: Absence): Promise<() => Promise<void>> {
    if (how === "gone") {
      await this.#store.halt();
      return () => this.#store.resume();
    }
    const { pid } = this.#store;
    if (pid === undefined) throw new Error("the store is no process that could be stopped");
    const family = familyOf(pid);
    for (const each of family) process.kill(each, "SIGSTOP");
    return async () => {
      for (const each of family) process.kill(each, "SIGCONT");
    };
  }

  /** Temporal takes connections and requests and answers none, until what it gives back is called. */
  silenceTemporal(): () => void {
    const { pid } = this.#temporal;
    if (pid === undefined) throw new Error("Temporal does not run");
    process.kill(pid, "SIGSTOP");
    return () => void process.kill(pid, "SIGCONT");
  }

  /** Asks Temporal itself. */
  async withTemporal<Answer>(work: (client: Client) => Promise<Answer>): Promise<Answer> {
    const connection = await Connection.connect({ address: this.#temporal.address });
    try {
      return await work(temporalClient({ connection }));
    } finally {
      await connection.close();
    }
  }

  close(): Promise<void> {
    return this.#close();
  }
}

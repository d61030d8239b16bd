// The demo's Temporal server: on a file database, killed on demand and started again at the same place.

import path from "node:path";
import { freePort } from "../ports.ts";
import { findTemporal, startTemporal, type RunningTemporal } from "../services/temporal.ts";

export class SupervisedTemporal {
  readonly #folder: string;
  readonly #say: (line: string) => void;
  #running: RunningTemporal | undefined;
  #ports: { readonly port: number; readonly uiPort: number } | undefined;

  constructor(folder: string, say: (line: string) => void) {
    this.#folder = folder;
    this.#say = say;
  }

  get address(): string {
    return this.#running?.address ?? "";
  }

  get uiUrl(): string {
    return this.#running?.uiUrl ?? "";
  }

  get pid(): number | undefined {
    return this.#running?.pid;
  }

  async start(): Promise<void> {
    const found = await findTemporal(this.#say, { ...process.env, TEMPORAL_ADDRESS: "" });
    if (found.kind === "address") throw new Error("the demo kills its Temporal, so it starts one of its own");
    this.#ports ??= { port: await freePort(), uiPort: await freePort() };
    this.#running = await startTemporal({
      program: found.path,
      dbFile: path.join(this.#folder, "temporal.db"),
      logFile: path.join(this.#folder, "temporal.log"),
      ...this.#ports,
    });
  }

  /** SIGKILL, and a new server on the same database and ports. */
  async killAndRestart(): Promise<void> {
    const pid = this.#running?.pid;
    if (pid !== undefined) process.kill(pid, "SIGKILL");
    // The old process's port is free only once it is gone.
    await this.#running?.stop().catch(() => undefined);
    await this.start();
  }

  async stop(): Promise<void> {
    await this.#running?.stop();
  }
}

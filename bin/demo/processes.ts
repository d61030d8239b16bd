// The demo's own processes: API and worker as a user would run them, started again when they are killed.

import { spawn, type ChildProcess } from "node:child_process";
import { openSync, readFileSync } from "node:fs";
import path from "node:path";

export interface ProcessOptions {
  readonly script: string;
  /** Environment of the n-th start, from 0. */
  readonly env: (start: number) => NodeJS.ProcessEnv;
  readonly logFile: string;
  readonly onKilled?: () => void;
}

/** Of the log of a process that ended by itself. */
const LAST_LINES = 5;

/** Keeps one process running: a death by signal starts it again, an exit of its own ends the demo. */
export class SupervisedProcess {
  readonly #options: ProcessOptions;
  #child: ChildProcess | undefined;
  #starts = 0;
  #stopping = false;
  #failure: string | undefined;

  constructor(options: ProcessOptions) {
    this.#options = options;
  }

  start(): void {
    this.#stopping = false;
    this.#spawn();
  }

  #spawn(): void {
    const log = openSync(this.#options.logFile, "a");
    const script = path.resolve(import.meta.dirname, "../..", this.#options.script);
    const child = spawn(process.execPath, [script], { env: this.#options.env(this.#starts), stdio: ["ignore", log, log] });
    this.#child = child;
    this.#starts += 1;
    child.on("exit", (code, signal) => {
      if (this.#stopping || this.#child !== child) return;
      if (signal === null) {
        const last = readFileSync(this.#options.logFile, "utf8").trim().split("\n").slice(-LAST_LINES).join(" | ");
        this.#failure = `${this.#options.script} ended by itself with code ${code}; ${this.#options.logFile} ends: ${last}`;
        return;
      }
      this.#options.onKilled?.();
      this.#spawn();
    });
  }

  /** Throws when the process ended in a way that nobody asked for. */
  assertHealthy(): void {
    if (this.#failure !== undefined) throw new Error(this.#failure);
  }

  /** Of the process that runs now, as attempts name their worker. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  kill(): void {
    this.#child?.kill("SIGKILL");
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    await new Promise<void>((resolve) => {
      const force = setTimeout(() => child.kill("SIGKILL"), 20_000);
      child.once("exit", () => {
        clearTimeout(force);
        resolve();
      });
      child.kill("SIGTERM");
    });
  }
}

// Processes that make attempts: kept ready, used again while they live, killed, suspended and continued.

import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Attempt, Report } from "./attempt.ts";

const SCRIPT = fileURLToPath(new URL("attempt.ts", import.meta.url));
/** An attempt that takes longer hangs. */
const PATIENCE_MS = 180_000;
const CONTINUE_MS = 200;

export type Outcome = Exclude<Report, { is: "ready" | "suspending" }> | { readonly is: "killed" };

export interface RunningAttempt {
  readonly outcome: Promise<Outcome>;
  /** Resolves when its process has started, and the attempt begins. */
  readonly begun: Promise<void>;
  /** Resolves when it stops itself; never, if it does not come by the place. */
  readonly suspended: Promise<void>;
  readonly kill: () => void;
  /** Goes on with what is suspended; it may be repeated. */
  readonly resume: () => void;
}

/** More than two attempts never go on at once. */
const MOST_IDLE = 2;

interface Worker {
  readonly child: ChildProcess;
  readonly ready: Promise<void>;
  /** It has loaded the drivers of an earlier attempt. */
  isUsed: boolean;
}

export class Attempts {
  readonly #cache: string;
  readonly #idle: Worker[] = [];
  readonly #all = new Set<ChildProcess>();
  readonly #onExit = (): void => {
    for (const child of this.#all) child.kill("SIGKILL");
  };

  /** `cache`: a folder in which processes leave compiled modules for those that come after them. */
  constructor(cache: string) {
    this.#cache = cache;
    process.once("exit", this.#onExit);
  }

  /** `fresh`: in a process that has done nothing yet, so that how long it takes can be compared. */
  start(attempt: Attempt, { fresh = false } = {}): RunningAttempt {
    const place = this.#idle.findIndex(({ isUsed }) => !fresh || !isUsed);
    const worker = (place < 0 ? undefined : this.#idle.splice(place, 1)[0]) ?? this.#spawn();
    worker.isUsed = true;
    const suspended = Promise.withResolvers<void>();
    const { child } = worker;
    const outcome = worker.ready.then(() => this.#outcomeOf(worker, attempt, suspended.resolve));
    return {
      outcome,
      begun: worker.ready,
      suspended: suspended.promise,
      kill: () => void child.kill("SIGKILL"),
      resume: () => void child.kill("SIGCONT"),
    };
  }

  #outcomeOf(worker: Worker, attempt: Attempt, suspended: () => void): Promise<Outcome> {
    const { child } = worker;
    return new Promise((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) return resolve(endOf(child.exitCode, child.signalCode));
      const hangs = setTimeout(() => {
        settle({ is: "failed", code: "HANGS", message: `the attempt has not ended within ${PATIENCE_MS / 1_000} s` });
        child.kill("SIGKILL");
      }, PATIENCE_MS);
      const settle = (what: Outcome): void => {
        clearTimeout(hangs);
        child.off("message", onMessage).off("exit", onExit);
        resolve(what);
      };
      const onMessage = (message: unknown): void => {
        const report = message as Report;
        if (report.is === "suspending") return suspended();
        if (report.is === "ready") return;
        settle(report);
        if (this.#idle.length < MOST_IDLE) this.#idle.push(worker);
        else child.disconnect();
      };
      const onExit = (code: number | null, signal: NodeJS.Signals | null): void => settle(endOf(code, signal));
      child.on("message", onMessage).on("exit", onExit);
      child.send(attempt, () => undefined);
      // It is killed while nothing else goes on: the next one begins meanwhile.
      if (attempt.stop !== undefined && this.#idle.length === 0) this.#idle.push(this.#spawn());
    });
  }

  #spawn(): Worker {
    const child = fork(SCRIPT, {
      execArgv: [],
      env: { ...process.env, NODE_OPTIONS: "", NODE_COMPILE_CACHE: this.#cache },
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    this.#all.add(child);
    child.once("exit", () => {
      this.#all.delete(child);
      const place = this.#idle.findIndex((worker) => worker.child === child);
      if (place >= 0) this.#idle.splice(place, 1);
    });
    const ready = new Promise<void>((resolve) => {
      child.once("message", () => resolve());
      child.once("exit", () => resolve());
    });
    return { child, ready, isUsed: false };
  }

  close(): void {
    process.off("exit", this.#onExit);
    this.#onExit();
  }
}

const endOf = (code: number | null, signal: NodeJS.Signals | null): Outcome =>
  signal === "SIGKILL" ? { is: "killed" } : { is: "failed", code: "DIED", message: `the process ended by itself: ${signal ?? code}` };

/** A process that is told to go on before it has quite stopped would stop for ever: told again until it has ended. */
export const resumed = async (attempt: RunningAttempt): Promise<Outcome> => {
  attempt.resume();
  const again = setInterval(attempt.resume, CONTINUE_MS);
  return attempt.outcome.finally(() => clearInterval(again));
};

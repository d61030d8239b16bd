// A server as a child process: logs to a file, waits until it really answers, stops by its own pid.

import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";

export interface DaemonOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly logFile: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Some servers refuse to run as root. */
  readonly uid?: number;
  readonly gid?: number;
  /** One try; rejects while the server does not answer yet. */
  readonly probe: () => Promise<unknown>;
  /** Told as soon as the process is there, before it answers. */
  readonly onSpawn?: (pid: number) => void;
  readonly readyWithinMs?: number;
  readonly stopSignal?: NodeJS.Signals;
}

export interface Daemon {
  readonly pid: number;
  /** Ends it, forcibly after a while. Safe to call twice. */
  stop(): Promise<void>;
  kill(): void;
}

const PROBE_EVERY_MS = 100;
const FORCE_AFTER_MS = 15_000;

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

const lastLines = (file: string): string => {
  try {
    return readFileSync(file, "utf8").trim().split("\n").slice(-5).join(" | ");
  } catch {
    return "(no log)";
  }
};

export const startDaemon = async (options: DaemonOptions): Promise<Daemon> => {
  const { command, args, logFile, env, cwd, uid, gid, probe, readyWithinMs = 60_000, stopSignal = "SIGTERM" } = options;
  const log = openSync(logFile, "a");
  const child = spawn(command, [...args], {
    stdio: ["ignore", log, log],
    // Its own process group: Ctrl-C reaches us alone, and we stop it in order.
    detached: true,
    env: env ?? process.env,
    ...(cwd === undefined ? {} : { cwd }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  });
  closeSync(log);
  if (child.pid !== undefined) options.onSpawn?.(child.pid);
  let ended: string | undefined;
  const exit = new Promise<void>((resolve) => {
    child.once("error", (error) => {
      ended = error.message;
      resolve();
    });
    child.once("exit", (code, signal) => {
      ended = `it ended with ${signal ?? `code ${code}`}`;
      resolve();
    });
  });
  const daemon: Daemon = {
    pid: child.pid ?? -1,
    async stop() {
      if (ended !== undefined) return;
      child.kill(stopSignal);
      const force = setTimeout(() => child.kill("SIGKILL"), FORCE_AFTER_MS);
      await exit;
      clearTimeout(force);
    },
    kill() {
      child.kill("SIGKILL");
    },
  };
  const until = Date.now() + readyWithinMs;
  let reason = "";
  while (ended === undefined && Date.now() < until) {
    try {
      await probe();
      child.unref();
      return daemon;
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
    await pause(PROBE_EVERY_MS);
  }
  await daemon.stop();
  throw new Error(
    `${command} did not start: ${ended ?? `no answer within ${readyWithinMs / 1_000} s (${reason})`}; its log ends: ${lastLines(logFile)}`,
  );
};

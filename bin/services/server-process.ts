// A server as a child process: started, awaited, halted, resumed and stopped; none outlives its owner's orderly end.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { DownbeatError } from "../../core/errors.ts";
import { waitUntil } from "./wait.ts";

/** What every running service can do; data stays in its folder until the folder's owner removes it. */
export interface ServiceControl {
  /** Undefined where the service is not a process of ours: an address given by the user, or a container. */
  readonly pid: number | undefined;
  /** Takes the server away but keeps its data and port; SIGKILL by `halt("SIGKILL")`. */
  halt(signal?: "SIGKILL"): Promise<void>;
  /** Brings a halted server back at the same address. */
  resume(): Promise<void>;
  stop(): Promise<void>;
}

/** A running service and where it is. */
export interface Service<Address> extends ServiceControl {
  readonly address: Address;
}

export interface ServerProcess {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly folder: string;
  readonly uid?: number;
  readonly gid?: number;
  /** One real request; throws while the server does not answer yet. */
  readonly probe: () => Promise<void>;
  readonly startupMs?: number;
  /** What asks it to end soon: PostgreSQL takes SIGTERM as "when every client has left". */
  readonly stopSignal?: "SIGTERM" | "SIGINT";
}

const STOP_MS = 20_000;

const living = new Set<ChildProcess>();
let watching = false;
/** Whatever ends this process in an orderly way also ends its servers; the exit event allows nothing asynchronous. */
const watchExit = (): void => {
  if (watching) return;
  watching = true;
  process.once("exit", () => {
    for (const child of living) child.kill("SIGKILL");
  });
};

const TAIL_LINES = 6;
const ERROR_LINES = 3;

/** What a server's log says of its end, for messages: its last lines, and before them the last ones that name an error. */
const lastWords = (file: string): string => {
  try {
    const lines = readFileSync(file, "utf8").trimEnd().split("\n");
    const errors = lines.slice(0, -TAIL_LINES).filter((line) => /\b(error|fatal|\w*exception)\b/i.test(line));
    return [...errors.slice(-ERROR_LINES), ...lines.slice(-TAIL_LINES)].map((line) => line.slice(0, 300)).join(" | ");
  } catch {
    return "";
  }
};

/** A child without a pid was never there. */
const hasEnded = (child: ChildProcess): boolean => child.pid === undefined || child.exitCode !== null || child.signalCode !== null;

const endChild = async (child: ChildProcess, signal: NodeJS.Signals): Promise<void> => {
  if (hasEnded(child)) return;
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill(signal);
  const harder = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await ended;
  clearTimeout(harder);
};

/** Starts the server and resolves once it answers. Fails with the end of its log when it does not. */
export const runServer = async (server: ServerProcess): Promise<ServiceControl> => {
  const logFile = path.join(server.folder, `${server.name}.log`);
  await mkdir(server.folder, { recursive: true });
  watchExit();
  let child: ChildProcess | undefined;

  const start = async (): Promise<void> => {
    const log = openSync(logFile, "a", 0o600);
    const started = spawn(server.program, server.args, {
      env: { ...server.env },
      cwd: server.folder,
      stdio: ["ignore", log, log],
      // A terminal's Ctrl-C reaches the owner alone, which then stops its servers in order.
      detached: true,
      ...(server.uid === undefined ? {} : { uid: server.uid }),
      ...(server.gid === undefined ? {} : { gid: server.gid }),
    });
    closeSync(log);
    let failure: string | undefined;
    started.once("error", (error) => {
      failure = `it cannot be run: ${error.message}`;
    });
    started.once("exit", (code, signal) => {
      living.delete(started);
      failure ??= `it ended with ${code ?? signal}`;
    });
    living.add(started);
    child = started;
    try {
      await waitUntil(server.probe, { timeoutMs: server.startupMs ?? 60_000, givenUp: () => failure });
    } catch (error) {
      await endChild(started, "SIGKILL");
      const why = error instanceof Error ? error.message : String(error);
      throw new DownbeatError("SERVICE_MISSING", `${server.name} did not start: ${why}. Its log ends: ${lastWords(logFile) || "empty"}`, {
        details: { server: server.name, logFile },
        cause: error,
      });
    }
  };

  const halt = async (signal: NodeJS.Signals = server.stopSignal ?? "SIGTERM"): Promise<void> => {
    const running = child;
    child = undefined;
    if (running !== undefined) await endChild(running, signal);
  };

  await start();
  return {
    get pid(): number | undefined {
      return child?.pid;
    },
    halt,
    resume: async () => {
      if (child === undefined || hasEnded(child)) await start();
    },
    stop: () => halt(),
  };
};

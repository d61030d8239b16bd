// Temporal: finds a server or its program, in a fixed order, and starts the tuned development server.

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Connection } from "@temporalio/client";
import { DownbeatError } from "../../core/errors.ts";
import { SEARCH_ATTRIBUTES } from "../../workflows/messages.ts";
import { portFrom } from "../ports.ts";
import { cacheDir, findProgram } from "./cache.ts";
import { startDaemon } from "./daemon.ts";
import { runCommand } from "./run-command.ts";
import type { Say } from "./say.ts";

/** The newest CLI that the Go module proxy can build: later ones have replace directives. Its server is 1.29.1. */
const CLI_MODULE = "github.com/temporalio/cli/cmd/temporal@v1.5.1";
const DOWNLOAD_WITHIN_MS = 90_000;
const BUILD_WITHIN_MS = 20 * 60_000;

export type FoundTemporal = { readonly kind: "address"; readonly address: string } | { readonly kind: "program"; readonly path: string };

/** TEMPORAL_ADDRESS → PATH → cache → official download → `go install`; each step that fails says so and leads to the next. */
export const findTemporal = async (say: Say, env: NodeJS.ProcessEnv = process.env): Promise<FoundTemporal> => {
  const address = env["TEMPORAL_ADDRESS"];
  if (address !== undefined && address !== "") return { kind: "address", address };
  const onPath = findProgram("temporal", [], env);
  if (onPath !== undefined) return { kind: "program", path: onPath };
  const folder = path.join(cacheDir(env), "bin");
  const cached = path.join(folder, "temporal");
  if (existsSync(cached)) return { kind: "program", path: cached };
  mkdirSync(folder, { recursive: true });
  const tries: string[] = [];
  const attempt = async (title: string, work: () => Promise<string>): Promise<string | undefined> => {
    try {
      return await work();
    } catch (error) {
      const reason = (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";
      tries.push(`${title}: ${reason}`);
      say(`Temporal: ${title} failed (${reason.slice(0, 160)}) → next way`);
      return undefined;
    }
  };
  const downloaded = await attempt("the official download", () => download(folder));
  if (downloaded !== undefined) return { kind: "program", path: downloaded };
  const built = await attempt("go install of the official CLI", () => build(folder, say, env));
  if (built !== undefined) return { kind: "program", path: built };
  throw new DownbeatError(
    "SERVICE_MISSING",
    `no Temporal server could be had: ${tries.join("; ")}. Install the Temporal CLI (https://docs.temporal.io/cli) so that \`temporal\` is on the PATH, or set TEMPORAL_ADDRESS to a running server`,
  );
};

/** The SDK's own downloader: it leaves the program in the folder, and starts it once to see that it works. */
const download = async (folder: string): Promise<string> => {
  const { TestWorkflowEnvironment } = await import("@temporalio/testing");
  const deadline = AbortSignal.timeout(DOWNLOAD_WITHIN_MS);
  const starting = TestWorkflowEnvironment.createLocal({ server: { executable: { type: "cached-download", downloadDir: folder } } });
  const late = new Promise<never>((_resolve, reject) => {
    deadline.addEventListener("abort", () => reject(new Error(`it took longer than ${DOWNLOAD_WITHIN_MS / 1_000} s`)));
  });
  const environment = await Promise.race([starting, late]);
  await environment.teardown();
  const { readdirSync } = await import("node:fs");
  const name = readdirSync(folder).find((file) => /^temporal(-cli)?/.test(file));
  if (name === undefined) throw new Error(`nothing was left in ${folder}`);
  return path.join(folder, name);
};

const build = async (folder: string, say: Say, env: NodeJS.ProcessEnv): Promise<string> => {
  const go = findProgram("go", ["/usr/local/go/bin"], env);
  if (go === undefined) throw new Error("there is no `go` on the PATH");
  say("Temporal: building the official CLI from source; this takes a few minutes and happens once");
  await runCommand(go, ["install", "-ldflags=-s -w", CLI_MODULE], {
    env: { ...env, GOBIN: folder },
    timeoutMs: BUILD_WITHIN_MS,
    say,
    title: "go install temporal",
  });
  return path.join(folder, "temporal");
};

export interface TemporalOptions {
  readonly program: string;
  /** Undefined: everything is in memory. */
  readonly dbFile?: string;
  readonly logFile: string;
  readonly port?: number;
  readonly uiPort?: number;
  /** Remembers the server, so that a later start adopts one that outlived its parent. */
  readonly stateFile?: string;
}

export interface RunningTemporal {
  readonly address: string;
  readonly uiUrl: string;
  readonly pid: number;
  readonly adopted: boolean;
  stop(): Promise<void>;
}

/** Without the first two a chain of tasks waits about 100 ms a hop once a burst is used up; the others make priorities count. */
const DYNAMIC_CONFIG = [
  "history.transferProcessorMaxPollRPS=5000",
  "history.timerProcessorMaxPollRPS=5000",
  "matching.useNewMatcher=true",
  "matching.enableFairness=true",
  "matching.numTaskqueueReadPartitions=1",
  "matching.numTaskqueueWritePartitions=1",
] as const;

const ATTRIBUTE_TYPES = { KEYWORD: "Keyword", INT: "Int" } as const;

export const startTemporal = async (options: TemporalOptions): Promise<RunningTemporal> => {
  const adopted = options.stateFile === undefined ? undefined : await adopt(options.stateFile);
  if (adopted !== undefined) return adopted;
  const port = await portFrom(options.port ?? 7_233);
  const uiPort = await portFrom(options.uiPort ?? port + 1_000);
  const address = `127.0.0.1:${port}`;
  const args = [
    ["server", "start-dev", "--ip", "127.0.0.1", "--port", String(port), "--ui-port", String(uiPort), "--log-level", "error"],
    ...DYNAMIC_CONFIG.map((entry) => ["--dynamic-config-value", entry]),
    ...Object.entries(SEARCH_ATTRIBUTES).map(([name, type]) => ["--search-attribute", `${name}=${ATTRIBUTE_TYPES[type]}`]),
    options.dbFile === undefined
      ? []
      : ["--db-filename", options.dbFile, "--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal"],
  ].flat();
  const daemon = await startDaemon({ command: options.program, args, logFile: options.logFile, probe: () => probe(address) });
  const uiUrl = `http://127.0.0.1:${uiPort}`;
  if (options.stateFile !== undefined)
    writeFileSync(options.stateFile, JSON.stringify({ pid: daemon.pid, birth: birthOf(daemon.pid), address, uiUrl }));
  return {
    address,
    uiUrl,
    pid: daemon.pid,
    adopted: false,
    async stop() {
      await daemon.stop();
      if (options.stateFile !== undefined) rmSync(options.stateFile, { force: true });
    },
  };
};

const probe = async (address: string): Promise<void> => {
  const connection = await Connection.connect({ address, connectTimeout: 2_000 });
  await connection.close();
};

/** The process's start time: a pid alone may belong to somebody else by now. Undefined where there is no /proc. */
const birthOf = (pid: number): string | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
};

interface TemporalState {
  readonly pid: number;
  readonly birth?: string;
  readonly address: string;
  readonly uiUrl: string;
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

const adopt = async (stateFile: string): Promise<RunningTemporal | undefined> => {
  let state: TemporalState;
  try {
    state = JSON.parse(readFileSync(stateFile, "utf8")) as TemporalState;
  } catch {
    return undefined;
  }
  const isOurs = isAlive(state.pid) && state.birth === birthOf(state.pid);
  try {
    if (!isOurs) throw new Error("it is gone");
    await probe(state.address);
  } catch {
    rmSync(stateFile, { force: true });
    return undefined;
  }
  return {
    address: state.address,
    uiUrl: state.uiUrl,
    pid: state.pid,
    adopted: true,
    async stop() {
      process.kill(state.pid, "SIGTERM");
      const until = Date.now() + 15_000;
      while (isAlive(state.pid) && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 100));
      if (isAlive(state.pid)) process.kill(state.pid, "SIGKILL");
      rmSync(stateFile, { force: true });
    },
  };
};

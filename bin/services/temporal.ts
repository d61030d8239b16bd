// Temporal: finds a server or its program, in a fixed order, and starts the tuned development server.

import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Connection } from "@temporalio/client";
import { SEARCH_ATTRIBUTES } from "../../workflows/messages.ts";
import { portFrom } from "../ports.ts";
import { cacheDir, findProgram } from "./cache.ts";
import { startDaemon } from "./daemon.ts";
import { goInstall } from "./install.ts";
import { type BornProcess, birthOf, isAlive } from "./process-birth.ts";
import { firstWay } from "./provision.ts";
import { runCommand } from "./run-command.ts";
import type { Say } from "./say.ts";
import { waitUntil } from "./wait.ts";

/** The newest CLI that the Go module proxy can build: later ones have replace directives. Its server is 1.29.1. */
const CLI_MODULE = "github.com/temporalio/cli/cmd/temporal@v1.5.1";
const DOWNLOAD_WITHIN_MS = 90_000;

export type FoundTemporal =
  | { readonly kind: "address"; readonly address: string }
  | { readonly kind: "program"; readonly path: string; readonly version: string };

/** Asks the program itself: a file that is there may still be broken or another machine's. */
const checked = async (program: string, env: NodeJS.ProcessEnv): Promise<FoundTemporal> => {
  const answer = await runCommand(program, ["--version"], { env, timeoutMs: 15_000, title: `${program} --version` });
  return { kind: "program", path: program, version: answer.trim().split("\n")[0] ?? "" };
};

/** TEMPORAL_ADDRESS → PATH → cache → official download → `go install`; each step that fails says so and leads to the next. */
export const findTemporal = async (say: Say, env: NodeJS.ProcessEnv = process.env): Promise<FoundTemporal> => {
  const address = env["TEMPORAL_ADDRESS"];
  if (address !== undefined && address !== "") return { kind: "address", address };
  const cache = cacheDir(env);
  const cached = path.join(cache, "bin", "temporal");
  return firstWay<FoundTemporal>(
    "Temporal",
    [
      {
        name: "temporal on the PATH",
        attempt: async () => {
          const program = findProgram("temporal", [], env);
          if (program === undefined) throw new Error("there is none");
          return checked(program, env);
        },
      },
      {
        name: "cached program",
        attempt: async () => {
          if (!existsSync(cached)) throw new Error("there is none");
          return checked(cached, env);
        },
      },
      { name: "official download", attempt: async () => checked(await download(cache, say, env), env) },
      { name: "go install", attempt: async () => checked(await goInstall(CLI_MODULE, { env, cacheDir: cache, say }), env) },
    ],
    say,
    "Install the Temporal CLI (https://docs.temporal.io/cli) so that `temporal` is on the PATH, or Go (https://go.dev/dl), or set TEMPORAL_ADDRESS to a running server.",
  );
};

/** The SDK's own downloader, in a process of its own: it cannot be broken off, and it would claim this one's SDK runtime. */
const download = async (cache: string, say: Say, env: NodeJS.ProcessEnv): Promise<string> => {
  const folder = path.join(cache, `download-temporal-${randomBytes(4).toString("hex")}`);
  mkdirSync(folder, { recursive: true });
  const script = path.join(import.meta.dirname, "temporal-download.ts");
  try {
    const output = await runCommand(process.execPath, [script, folder], {
      env,
      timeoutMs: DOWNLOAD_WITHIN_MS,
      say,
      title: "Temporal's download",
    });
    const printed = output.trim().split("\n").at(-1) ?? "";
    const target = path.join(cache, "bin", "temporal");
    mkdirSync(path.dirname(target), { recursive: true });
    chmodSync(printed, 0o755);
    renameSync(printed, target);
    return target;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

export interface TemporalOptions {
  readonly program: string;
  /** Undefined: everything is in memory. */
  readonly dbFile?: string;
  readonly logFile: string;
  readonly port?: number;
  readonly uiPort?: number;
  /** `key=value` in Temporal's dynamic configuration, beside what every server of ours has. */
  readonly settings?: readonly string[];
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

/**
 * Without the first two a chain of tasks waits about 100 ms a hop once a burst is used up. With 100 events, its default, the third ends a workflow task in vain
 * during which so much has happened: with many short tasks at once that is a fifth of a second. By the fourth, a second by default, any timer may be late, a
 * schedule's too. Every 30 s, by their default, queues forget what they have done: where they do more than some hundred tasks a second, a fifth of the server's
 * CPU goes into sorting that. The others make priorities count.
 */
const DYNAMIC_CONFIG = [
  "history.transferProcessorMaxPollRPS=5000",
  "history.timerProcessorMaxPollRPS=5000",
  "history.maximumBufferedEventsBatch=1000",
  'history.timerProcessorMaxTimeShift="50ms"',
  'history.transferProcessorUpdateAckInterval="1s"',
  'history.visibilityProcessorUpdateAckInterval="1s"',
  'history.timerProcessorUpdateAckInterval="1s"',
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
    ...[...DYNAMIC_CONFIG, ...(options.settings ?? [])].map((entry) => ["--dynamic-config-value", entry]),
    ...Object.entries(SEARCH_ATTRIBUTES).map(([name, type]) => ["--search-attribute", `${name}=${ATTRIBUTE_TYPES[type]}`]),
    options.dbFile === undefined
      ? []
      : ["--db-filename", options.dbFile, "--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal"],
  ].flat();
  const uiUrl = `http://127.0.0.1:${uiPort}`;
  const daemon = await startDaemon({
    command: options.program,
    args,
    logFile: options.logFile,
    probe: () => probe(address),
    // Before it answers: were we killed now, the next start has to find this server, not start a second one on its database.
    onSpawn: (pid) => {
      if (options.stateFile !== undefined) writeFileSync(options.stateFile, JSON.stringify({ pid, birth: birthOf(pid), address, uiUrl }));
    },
  });
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

interface TemporalState extends BornProcess {
  readonly address: string;
  readonly uiUrl: string;
}

const signal = (state: TemporalState, name: NodeJS.Signals): void => {
  if (isAlive(state)) process.kill(state.pid, name);
};

const adopt = async (stateFile: string): Promise<RunningTemporal | undefined> => {
  let state: TemporalState;
  try {
    state = JSON.parse(readFileSync(stateFile, "utf8")) as TemporalState;
  } catch {
    return undefined;
  }
  const stop = async (): Promise<void> => {
    signal(state, "SIGTERM");
    const until = Date.now() + 15_000;
    while (isAlive(state) && Date.now() < until) await pause(100);
    signal(state, "SIGKILL");
    while (isAlive(state)) await pause(20);
    rmSync(stateFile, { force: true });
  };
  try {
    const givenUp = (): string | undefined => (isAlive(state) ? undefined : "it is gone");
    await waitUntil(() => probe(state.address), { timeoutMs: 10_000, givenUp });
  } catch {
    // Two servers on one database file lose data: one that hangs goes first, and would not hear a polite word.
    signal(state, "SIGKILL");
    await stop();
    return undefined;
  }
  return { address: state.address, uiUrl: state.uiUrl, pid: state.pid, adopted: true, stop };
};

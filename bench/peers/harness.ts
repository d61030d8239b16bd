// The peers' own harness (Airflow, Prefect and Dagster on PostgreSQL, each tuned), where somebody has installed it.

import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

/** Its names of what both sides run. */
export const SCENARIOS = ["hello", "chain", "fan100", "throughput", "fan1000"] as const;
export type Scenario = (typeof SCENARIOS)[number];

/** `dagster_ip` is Dagster with its in-process executor, from the same installation. */
export const PEERS = ["airflow", "prefect", "dagster", "dagster_ip"] as const;
export type Peer = (typeof PEERS)[number];

const SCENARIO_LIMIT_MS = 45 * 60_000;

const home = (): string => process.env["PEERS_HOME"] ?? path.join(homedir(), ".cache/downbeat-peers");

const installationOf = (peer: Peer): string => (peer === "dagster_ip" ? "dagster" : peer);

/** Those whose programs are there. */
export const installedPeers = (): readonly Peer[] => {
  const folder = path.join(home(), "venv");
  if (!existsSync(path.join(home(), "bench.py")) || !existsSync(folder)) return [];
  const installed = new Set(readdirSync(folder));
  return PEERS.filter((peer) => installed.has(installationOf(peer)));
};

const call = async (peer: Peer, args: readonly string[]): Promise<string> => {
  const options = { cwd: home(), timeout: SCENARIO_LIMIT_MS, maxBuffer: 64 * 1024 * 1024 };
  const { stdout } = await promisify(execFile)("python3", ["bench.py", peer, ...args], options);
  return stdout;
};

/** Seconds of each repetition that succeeded. */
export const runPeer = async (peer: Peer, scenario: Scenario, repetitions: number): Promise<readonly number[]> => {
  const output = await call(peer, [scenario, String(repetitions)]);
  return output.split("\n").flatMap((line) => {
    if (!line.startsWith("{")) return [];
    const {
      scenario: name,
      secs,
      state,
      done,
    } = JSON.parse(line) as {
      readonly scenario?: string;
      readonly secs?: number;
      readonly state?: string;
      readonly done?: number;
    };
    const isMeasure = name?.startsWith(scenario) === true && (state === "ok" || done === 50);
    return isMeasure && secs !== undefined ? [secs] : [];
  });
};

export const stopPeer = async (peer: Peer): Promise<void> => {
  await call(peer, ["stop"]);
};

export const stopStore = async (peer: Peer): Promise<void> => {
  await call(peer, ["pgstop"]);
};

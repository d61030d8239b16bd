// `npm run bench:peers`: from the trigger over HTTP to success by the API, beside Airflow, Prefect and Dagster on the same machine.
// Peers that are not installed (PEERS_HOME, default ~/.cache/downbeat-peers) stand in with their recorded figures, and are marked.

import { formatTable } from "../bin/table.ts";
import { median, spreadOf } from "./lib/pairs.ts";
import { type Stack, withStack } from "./lib/stack.ts";
import { chain, definitionOf, noop } from "./overhead/shapes.ts";
import { installedPeers, type Peer, PEERS, runPeer, type Scenario, SCENARIOS, stopPeer, stopStore } from "./peers/harness.ts";
import { RECORDED } from "./peers/recorded.ts";

const REPETITIONS = Number(process.env["REPETITIONS"] ?? 5);
const PEER_REPETITIONS = Number(process.env["PEER_REPETITIONS"] ?? 3);
const say = (line: string): void => console.log(line);

/** As the peers' flows have it: a first task, its items mapped, a last one that joins them. */
const fan = (items: number) => [
  { id: "start", ...noop },
  { id: "work", needs: ["start"], for_each: { in: { range: { from: 1, to: items } }, window: 200 }, ...noop },
  { id: "join", needs: ["work"], ...noop },
];

interface Work {
  readonly title: string;
  readonly tasks: readonly Readonly<Record<string, unknown>>[];
  readonly runs: number;
  /** So many times faster than the best peer. */
  readonly wanted: number;
}

const WORK: Readonly<Record<Scenario, Work>> = {
  hello: { title: "one task", tasks: chain(1), runs: 1, wanted: 10 },
  chain: { title: "chain of 20", tasks: chain(20), runs: 1, wanted: 7 },
  fan100: { title: "1 → 100 mapped → 1", tasks: fan(100), runs: 1, wanted: 10 },
  throughput: { title: "50 runs of 5", tasks: chain(5), runs: 50, wanted: 10 },
  fan1000: { title: "1 → 1,000 mapped → 1", tasks: fan(1_000), runs: 1, wanted: 10 },
};

const measureOurs = async ({ api }: Stack): Promise<Readonly<Record<Scenario, readonly number[]>>> => {
  const seconds = { hello: [], chain: [], fan100: [], throughput: [], fan1000: [] } as Record<Scenario, number[]>;
  for (const scenario of SCENARIOS) {
    const { tasks, runs } = WORK[scenario];
    await api.call("PUT", `/v1/pipelines/${scenario}`, definitionOf(scenario, { tasks }));
    // The first ones warm both processes up, as the peers' harness does with its own.
    for (let repetition = -2; repetition < REPETITIONS; repetition += 1) {
      const started = performance.now();
      const trigger = async (): Promise<void> => {
        const { status } = await api.call<{ readonly status: string }>("POST", `/v1/pipelines/${scenario}/runs?wait=300s`, {});
        if (status !== "succeeded") throw new Error(`${scenario}: the run ended ${status}`);
      };
      await Promise.all(Array.from({ length: runs }, trigger));
      if (repetition >= 0) seconds[scenario].push((performance.now() - started) / 1_000);
    }
  }
  return seconds;
};

const measurePeer = async (peer: Peer): Promise<Readonly<Partial<Record<Scenario, number>>>> => {
  const own: Partial<Record<Scenario, number>> = {};
  for (const scenario of SCENARIOS) {
    // What did not end when it was recorded would not end now.
    if (RECORDED[scenario][peer] === undefined) continue;
    say(`${peer}: ${scenario}`);
    const measured = await runPeer(peer, scenario, PEER_REPETITIONS);
    if (measured.length > 0) own[scenario] = median(measured);
  }
  return own;
};

const measurePeers = async (
  peers: readonly Peer[],
): Promise<Readonly<Partial<Record<Peer, Readonly<Partial<Record<Scenario, number>>>>>>> => {
  const all: Partial<Record<Peer, Readonly<Partial<Record<Scenario, number>>>>> = {};
  for (const peer of peers) {
    try {
      all[peer] = await measurePeer(peer);
    } catch (error) {
      const reason = (error instanceof Error ? error.message : String(error)).trim().split("\n").at(-1);
      say(`${peer} is installed and does not run, recorded figures stand in: ${reason}`);
    }
    await stopPeer(peer);
  }
  return all;
};

const installed = installedPeers();
const missing = PEERS.filter((peer) => !installed.includes(peer));
if (missing.length > 0) say(`not installed, recorded figures stand in: ${missing.join(", ")}`);
const ours = await withStack(say, measureOurs);
const peers = await measurePeers(installed);
const [first] = installed;
if (first !== undefined) await stopStore(first);

const rows: string[][] = [];
const figures = SCENARIOS.map((scenario) => {
  const { title, wanted } = WORK[scenario];
  const own = spreadOf(ours[scenario]);
  const theirs = PEERS.flatMap((peer) => {
    const measured = peers[peer]?.[scenario];
    const seconds = measured ?? RECORDED[scenario][peer];
    return seconds === undefined ? [] : [{ peer, seconds, recorded: measured === undefined }];
  });
  const best = theirs.toSorted((left, right) => left.seconds - right.seconds)[0];
  const times = (best?.seconds ?? 0) / own.median;
  const shown = (peer: Peer): string => {
    const found = theirs.find((one) => one.peer === peer);
    return found === undefined ? "–" : `${found.seconds.toFixed(2)}${found.recorded ? " *" : ""}`;
  };
  rows.push([title, own.median.toFixed(3), ...PEERS.map(shown), `${times.toFixed(1)} ×`, `${wanted} ×`]);
  return { scenario, ours: own, peers: theirs, times_faster_than_best: times, wanted };
});
say("");
say(formatTable(["work", "Downbeat s", ...PEERS.map((peer) => `${peer} s`), "best peer ÷ ours", "wanted"], rows));
say("* recorded on another day, not measured in this run");
const worst = Math.max(...figures.map(({ times_faster_than_best: times, wanted }) => wanted / times));
say(JSON.stringify({ bench: "peers", worst_ratio: worst, figures }));
process.exitCode = worst <= 1 ? 0 : 1;

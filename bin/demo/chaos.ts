// The demo's kills: a seeded sequence of failpoints at which the worker dies, and the deaths of Temporal and the API beside them.

import type { FailpointName } from "../../connectors/connector.ts";
import type { RunView } from "../api-client.ts";
import type { SupervisedProcess } from "./processes.ts";
import type { SupervisedTemporal } from "./temporal.ts";

interface KillPoint {
  readonly failpoint: FailpointName;
  /** The worker dies the n-th time that it reaches the failpoint. */
  readonly hit: number;
}

const FAILPOINTS: readonly FailpointName[] = [
  "before-commit",
  "between-rows-and-cursor",
  "within-commit",
  "after-commit",
  "between-staging-and-swap",
];

/** Mulberry32: small, well spread, and the same sequence for the same seed everywhere. */
const seededRandom = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
};

/** `count` kill points; every failpoint comes up once in each `FAILPOINTS.length` of them. */
export const killPoints = (seed: number, count: number): readonly KillPoint[] => {
  const random = seededRandom(seed);
  const points: KillPoint[] = [];
  while (points.length < count) {
    const round = FAILPOINTS.map((failpoint) => ({ failpoint, order: random() })).toSorted((left, right) => left.order - right.order);
    // Few loads are swapped, so that boundary is hit at its first chance.
    for (const { failpoint } of round)
      points.push({ failpoint, hit: failpoint === "between-staging-and-swap" ? 1 : 1 + Math.floor(random() * 2) });
  }
  return points.slice(0, count);
};

/** Runs that share the kills: two warehouses, twice each. */
const RUNS = 4;
/** Temporal and the API die after so many worker deaths of the first two runs. */
const TEMPORAL_AFTER = 2;
const API_AFTER = 4;

const INGEST = ["orders", "clicks", "prices", "reviews", "stock"];

export class Chaos {
  readonly #say: (line: string) => void;
  readonly #wanted: number;
  readonly #points: KillPoint[];
  readonly #hits = new Map<FailpointName, number>();
  #armed: KillPoint | undefined;
  #left = 0;
  #runs = 0;
  #killsOfRun = 0;
  #kills = 0;
  #temporalKills = 0;
  #apiKills = 0;
  #inFlight = false;
  #api: SupervisedProcess | undefined;
  #worker: SupervisedProcess | undefined;
  #temporal: SupervisedTemporal | undefined;
  #restarting: Promise<void> = Promise.resolve();

  constructor(seed: number, kills: number, say: (line: string) => void) {
    this.#wanted = kills;
    // A few more than needed: one that a run never reaches is made up for later.
    this.#points = [...killPoints(seed, kills + 2 * FAILPOINTS.length)];
    this.#say = say;
    say(`  kill points: ${this.#points.map(({ failpoint, hit }) => `${failpoint}:${hit}`).join(" ")}`);
  }

  attach(victims: { readonly api: SupervisedProcess; readonly worker: SupervisedProcess; readonly temporal: SupervisedTemporal }): void {
    this.#api = victims.api;
    this.#worker = victims.worker;
    this.#temporal = victims.temporal;
  }

  /** Every run gets its share of what is left, and a worker that is armed with the first of it. */
  async beginRun(): Promise<void> {
    this.#left = Math.ceil(this.#points.length / (RUNS - this.#runs));
    this.#runs += 1;
    this.#killsOfRun = 0;
    this.#inFlight = true;
    this.disarm();
    await this.#worker?.stop();
    this.#worker?.start();
  }

  /** A kill point that no run reached goes back to the others. */
  disarm(): void {
    if (this.#armed !== undefined) this.#points.push(this.#armed);
    this.#armed = undefined;
  }

  nextWorkerEnvironment(): NodeJS.ProcessEnv {
    this.#armed = this.#points.length > 0 && this.#left !== 0 ? this.#points.shift() : undefined;
    if (this.#armed === undefined) return {};
    this.#left -= 1;
    return { DOWNBEAT_FAILPOINTS: `${this.#armed.failpoint}:${this.#armed.hit}` };
  }

  /** A death counts when it was ours and a transfer was in flight: publishing files passes the same boundaries. */
  workerDied(): void {
    const point = this.#armed;
    if (point === undefined) return;
    this.#armed = undefined;
    if (!this.#inFlight) {
      this.#say(`        ☠ worker killed at ${point.failpoint} (no transfer in flight: not counted)`);
      return;
    }
    this.#kills += 1;
    this.#killsOfRun += 1;
    this.#hits.set(point.failpoint, (this.#hits.get(point.failpoint) ?? 0) + 1);
    this.#say(`        ☠ worker killed at ${point.failpoint} (${this.#kills})`);
    if (this.#runs <= 2 && this.#killsOfRun === TEMPORAL_AFTER) this.#killTemporal();
    if (this.#runs <= 2 && this.#killsOfRun === API_AFTER) this.#killApi();
  }

  observe(run: RunView): void {
    this.#inFlight = run.tasks.some((task) => INGEST.includes(task.id) && !["succeeded", "failed", "cancelled"].includes(task.status));
  }

  #killTemporal(): void {
    if (!this.#inFlight) return;
    this.#temporalKills += 1;
    this.#say(`        ☠ Temporal killed (${this.#temporalKills})`);
    this.#restarting = this.#restarting.then(() => this.#temporal?.killAndRestart());
  }

  #killApi(): void {
    if (!this.#inFlight) return;
    this.#apiKills += 1;
    this.#say(`        ☠ API killed (${this.#apiKills})`);
    this.#api?.kill();
  }

  /** Says what was killed; whether that was enough. */
  summary(): boolean {
    const boundaries = FAILPOINTS.map((failpoint) => `${failpoint} ${this.#hits.get(failpoint) ?? 0}`).join(", ");
    const isEnough =
      this.#kills >= this.#wanted &&
      this.#temporalKills >= 2 &&
      this.#apiKills >= 2 &&
      FAILPOINTS.every((failpoint) => (this.#hits.get(failpoint) ?? 0) > 0);
    this.#say(
      `Kills: worker ${this.#kills} of ${this.#wanted} (${boundaries}), Temporal ${this.#temporalKills}, API ${this.#apiKills}: ${isEnough ? "enough" : "TOO FEW"}`,
    );
    return isEnough;
  }
}

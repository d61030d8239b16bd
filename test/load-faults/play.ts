// Plays one case: loads, kills, loads again until it has ended, and judges what is in the destination at every step.

import { setTimeout as pause } from "node:timers/promises";
import type { Attempt } from "./attempt.ts";
import { type Outcome, resumed, type RunningAttempt } from "./attempts.ts";
import { type Case, idOf, type Place } from "./cases.ts";
import { randomOf } from "./pairs.ts";
import { isIncremental, momentsOf, plansOf, type Run, type RunPlan, timesOf } from "./plans.ts";
import { eventsOf, lineOf, type Part } from "./rows.ts";
import { NATURES } from "./sources.ts";
import { changesBetween, faultsAtEnd, faultsBetween } from "./verdict.ts";
import type { Lane, World } from "./world.ts";

export interface Verdict {
  readonly faults: readonly string[];
  /** Of processes, also those that were suspended. */
  readonly stops: number;
}

/** Until it has ended: what is let go by a killed process may take its system a moment. */
const MOST_ATTEMPTS = 10;
const ATTEMPT_PAUSE_MS = 100;

const WRITTEN = new Set(eventsOf("all").map(({ texts }) => lineOf(texts)));

class Play {
  readonly faults: string[] = [];
  stops = 0;
  readonly #world: World;
  readonly #lane: Lane;
  readonly #case: Case;
  readonly #at: ReturnType<Lane["place"]>;

  constructor(world: World, lane: Lane, one: Case) {
    this.#world = world;
    this.#lane = lane;
    this.#case = one;
    this.#at = lane.place(one.destination);
  }

  async start(plan: Pick<RunPlan, "origin" | "part">, stop?: Attempt["stop"], fresh = false): Promise<RunningAttempt> {
    const { folder, key, place } = this.#at;
    const { source: name, mode } = this.#case;
    const source = this.#world.sources[name];
    await source.come?.(this.#lane.sourceFolder, plan.part);
    const attempt: Attempt = {
      folder,
      from: { kind: source.kind, config: source.config(this.#lane.sourceFolder), request: source.request(plan.part) },
      to: {
        kind: place.kind,
        config: place.config,
        target: {
          key,
          origin: plan.origin,
          incremental: isIncremental(this.#case),
          table: place.table,
          mode,
          keyColumns: mode === "merge" ? ["id"] : [],
        },
      },
      ...(stop === undefined ? {} : { stop }),
    };
    return this.#lane.attempts.start(attempt, { fresh });
  }

  look(): ReturnType<ReturnType<Lane["place"]>["place"]["look"]> {
    return this.#at.place.look(this.#at.key);
  }

  blocked(): Promise<boolean> {
    return this.#at.place.isBlocked();
  }

  fault(what: string, ...faults: readonly string[]): void {
    this.faults.push(...faults.map((fault) => `${what}: ${fault}`));
  }

  async finish(plan: Pick<RunPlan, "origin" | "part">, fresh = false): Promise<Run | undefined> {
    let last: Outcome | undefined;
    for (let attempts = 0; attempts < MOST_ATTEMPTS; attempts += 1) {
      const attempt = await this.start(plan, undefined, fresh);
      await attempt.begun;
      const began = performance.now();
      last = await attempt.outcome;
      if (last.is === "ended") return { hits: last.hits, ms: performance.now() - began };
      if (last.is === "failed" && !last.code.endsWith("_UNAVAILABLE")) break;
      await pause(ATTEMPT_PAUSE_MS);
    }
    this.fault(plan.origin, `an attempt that nobody disturbed ${describe(last)}`);
    return undefined;
  }

  async judge(plan: RunPlan): Promise<readonly string[]> {
    const sight = await this.look();
    const { mode } = this.#case;
    const goesOn = isIncremental(this.#case);
    // What the first run has read of the source's growth, the second one does not read again.
    const earlier = goesOn ? sight.letters.filter(({ origin }) => origin !== plan.origin).length : 0;
    const wanted = plan.wanted.map(({ lines, letters }) => ({ lines, letters: letters - earlier }));
    this.fault(`${plan.origin}, ended`, ...faultsAtEnd(sight, { mode, isIncremental: goesOn, origin: plan.origin, wanted }));
    return sight.lines ?? [];
  }

  clear(): Promise<void> {
    return this.#at.place.clear();
  }
}

const describe = (outcome: Outcome | undefined): string =>
  outcome?.is === "failed" ? `failed: ${outcome.code}: ${outcome.message}` : `was ${outcome?.is ?? "not made"}`;

/** Loads without kills: what the kills are measured by. It must be right itself, and a further attempt change nothing. */
export const playUndisturbed = async (
  world: World,
  lane: Lane,
  group: Pick<Case, "source" | "destination" | "mode">,
): Promise<{ readonly runs: readonly Run[]; readonly faults: readonly string[] }> => {
  const one: Case = { ...group, boundary: "reading", death: "suspended" };
  const play = new Play(world, lane, one);
  try {
    const runs: Run[] = [];
    for (const plan of plansOf(one)) {
      const run = await play.finish(plan, true);
      if (run === undefined) break;
      runs.push(run);
      await play.judge(plan);
    }
    const before = await play.look();
    const [again] = plansOf(one).slice(-1);
    if (again !== undefined) await play.finish(again);
    play.fault("a further attempt", ...changesBetween(before, await play.look()));
    return { runs, faults: play.faults };
  } finally {
    await play.clear();
  }
};

interface Harm {
  readonly plan: RunPlan;
  /** Where the source has come when a killed load goes on. */
  readonly later: Part;
  readonly usual: Run;
  readonly random: () => number;
}

const between = async (play: Play, one: Case, { plan }: Harm, before: readonly string[], what: string): Promise<void> => {
  const after = plan.wanted.map(({ lines }) => lines);
  play.fault(`${plan.origin}, ${what}`, ...faultsBetween(await play.look(), { mode: one.mode, before, after, written: WRITTEN }));
};

const killAtMoments = async (play: Play, one: Case, harm: Harm, before: readonly string[]): Promise<void> => {
  for (const [index, moment] of momentsOf(one, harm.usual.ms, harm.random).entries()) {
    const attempt = await play.start({ ...harm.plan, part: index === 0 ? harm.plan.part : harm.later }, undefined, true);
    await attempt.begun;
    const timer = setTimeout(attempt.kill, moment);
    const outcome = await attempt.outcome.finally(() => clearTimeout(timer));
    if (outcome.is === "failed" && !outcome.code.endsWith("_UNAVAILABLE")) play.fault(harm.plan.origin, describe(outcome));
    if (outcome.is === "killed") play.stops += 1;
    await between(play, one, harm, before, "after a kill");
  }
};

const killAtPlace = async (play: Play, one: Case, at: Place, harm: Harm, before: readonly string[]): Promise<void> => {
  for (const [index, time] of timesOf(one, harm.usual.hits[at] ?? 0).entries()) {
    const part = index === 0 ? harm.plan.part : harm.later;
    const attempt = await play.start({ ...harm.plan, part }, { at, time, how: "kill" });
    const outcome = await attempt.outcome;
    if (outcome.is === "killed") play.stops += 1;
    // A second attempt may have nothing left to do.
    else if (outcome.is === "failed" || (index === 0 && (one.death !== "last" || NATURES[one.source].repeatsItself)))
      play.fault(harm.plan.origin, `it should have died at ${at} ${time}, but ${describe(outcome)}`);
    await between(play, one, harm, before, "after a kill");
  }
};

/** MySQL's view of lock waits is a cache that is made anew only where nobody has looked for 100 ms; lanes beside each other look at it, too. */
const BLOCKED_EVERY_MS = 500;

/** The second attempt ends; or it waits for, or is refused for, what the suspended one holds. Then that one goes on. */
const suspendAt = async (play: Play, one: Case, at: Place, harm: Harm, before: readonly string[]): Promise<void> => {
  const [time = 1] = timesOf(one, harm.usual.hits[at] ?? 0);
  const slow = await play.start(harm.plan, { at, time, how: "suspend" });
  const early = await Promise.race([slow.suspended.then(() => undefined), slow.outcome]);
  if (early !== undefined) return play.fault(harm.plan.origin, `it should have been suspended at ${at} ${time}, but ${describe(early)}`);
  play.stops += 1;
  await between(play, one, harm, before, "beside a suspended attempt");
  const quick = await play.start(harm.plan);
  let overtook: Outcome | "waits" | undefined;
  void quick.outcome.then((outcome) => (overtook ??= outcome));
  while (overtook === undefined) {
    if (await play.blocked()) overtook ??= "waits";
    await pause(BLOCKED_EVERY_MS);
  }
  const sight = await play.look();
  const late = await resumed(slow);
  const outcome = await quick.outcome;
  if (overtook !== "waits" && overtook.is === "ended") {
    if (late.is !== "failed" || late.code !== "LOAD_FENCED")
      play.fault(harm.plan.origin, `the overtaken attempt is not fenced, but ${describe(late)}`);
    play.fault(harm.plan.origin, ...changesBetween(sight, await play.look()));
    return;
  }
  // Neither of them may do worse than lose.
  for (const loser of [late, outcome]) {
    if (loser.is !== "failed" || loser.code === "LOAD_FENCED" || loser.code.endsWith("_UNAVAILABLE")) continue;
    play.fault(harm.plan.origin, `of two attempts one ${describe(loser)}`);
  }
  await between(play, one, harm, before, "after a suspended attempt went on");
};

/** The faults that it has found. `usual`: of the runs of the same group; without it only the first time of a place can be told. */
export const playCase = async (world: World, lane: Lane, one: Case, usual: readonly Run[], seed: number): Promise<Verdict> => {
  const play = new Play(world, lane, one);
  const random = randomOf(seed ^ hashOf(idOf(one)));
  try {
    let before: readonly string[] = [];
    for (const [index, plan] of plansOf(one).entries()) {
      const grows = isIncremental(one) && plan.part === "first" && one.death !== "suspended";
      const later: Part = grows ? "grown" : plan.part;
      const harm: Harm = { plan, later, usual: usual[index] ?? { hits: {}, ms: 0 }, random };
      if (plan.isHarmed) {
        if (one.boundary === "any-moment") await killAtMoments(play, one, harm, before);
        else if (one.death === "suspended") await suspendAt(play, one, one.boundary, harm, before);
        else await killAtPlace(play, one, one.boundary, harm, before);
      }
      await play.finish({ ...plan, part: plan.isHarmed ? later : plan.part });
      before = await play.judge(plan);
    }
    return { faults: play.faults, stops: play.stops };
  } finally {
    await play.clear();
  }
};

const hashOf = (text: string): number => Buffer.from(text).reduce((hash, byte) => (Math.imul(hash, 31) + byte) | 0, 7);

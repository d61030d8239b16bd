// Plays many cases on lanes beside each other; what a load does without kills is learnt once for each source, destination and mode.

import { type Case, idOf } from "./cases.ts";
import { playCase, playUndisturbed } from "./play.ts";
import { groupOf, type Lane, type World } from "./world.ts";

export interface Result {
  readonly case: string;
  readonly faults: readonly string[];
  readonly stops: number;
  readonly seconds: number;
}

type Undisturbed = ReturnType<typeof playUndisturbed>;

/** In the order given; each lane takes the next case. `tell` is called after each. */
export const playAll = async (
  world: World,
  lanes: readonly Lane[],
  cases: readonly Case[],
  seed: number,
  tell: (result: Result) => void,
): Promise<void> => {
  const left = [...cases];
  const learnt = new Map<string, Undisturbed>();
  const undisturbed = (lane: Lane, one: Case): Undisturbed => {
    const group = groupOf(one);
    const known = learnt.get(group) ?? playUndisturbed(world, lane, one);
    learnt.set(group, known);
    return known;
  };
  await Promise.all(
    lanes.map(async (lane) => {
      for (let one = left.shift(); one !== undefined; one = left.shift()) {
        const began = performance.now();
        const usual = needsUsual(one) ? await undisturbed(lane, one) : UNKNOWN;
        const { faults, stops } = await playOne(world, lane, one, usual, seed);
        tell({ case: idOf(one), faults, stops, seconds: Math.round(performance.now() - began) / 1_000 });
      }
    }),
  );
};

const UNKNOWN: Awaited<Undisturbed> = { runs: [], faults: [] };

/** The first time of a place comes without counting. */
const needsUsual = ({ boundary, death }: Case): boolean => boundary === "any-moment" || !(death === "first" || death === "twice");

const playOne = async (
  world: World,
  lane: Lane,
  one: Case,
  usual: Awaited<Undisturbed>,
  seed: number,
): Promise<{ readonly faults: readonly string[]; readonly stops: number }> => {
  // What goes wrong by itself tells nothing of kills.
  if (usual.faults.length > 0) return { faults: usual.faults.map((fault) => `without a kill: ${fault}`), stops: 0 };
  return playCase(world, lane, one, usual.runs, seed).catch((error: unknown) => ({
    faults: [error instanceof Error ? (error.stack ?? error.message) : String(error)],
    stops: 0,
  }));
};

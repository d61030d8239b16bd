// A small sample in which every two values of two dimensions that can meet do meet.

import { type Case, DIMENSIONS } from "./cases.ts";

/** Mulberry32: the same numbers below 1 for the same seed. */
export const randomOf = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
};

export const pairsOf = (one: Case): readonly string[] =>
  DIMENSIONS.flatMap((left, place) => DIMENSIONS.slice(place + 1).map((right) => `${left}=${one[left]} ${right}=${one[right]}`));

/** The same sample for the same seed; greedy: each next case brings the most pairs that are still missing. */
export const pairwise = (cases: readonly Case[], seed: number): readonly Case[] => {
  const random = randomOf(seed);
  const left = cases.map((one) => ({ one, pairs: pairsOf(one), draw: random() })).toSorted((a, b) => a.draw - b.draw);
  const missing = new Set(left.flatMap(({ pairs }) => pairs));
  const sample: Case[] = [];
  while (missing.size > 0) {
    let best: Case | undefined;
    let most = 0;
    for (const { one, pairs } of left) {
      const brought = pairs.filter((pair) => missing.has(pair)).length;
      if (brought > most) [best, most] = [one, brought];
    }
    if (best === undefined) break;
    sample.push(best);
    for (const pair of pairsOf(best)) missing.delete(pair);
  }
  return sample;
};

/** The sample first, then the others as drawn: a run that is stopped early has seen something of everything. */
export const drawnOrder = (cases: readonly Case[], seed: number): readonly Case[] => {
  const sample = pairwise(cases, seed);
  const first = new Set(sample);
  const random = randomOf(seed);
  const rest = cases.filter((one) => !first.has(one)).map((one) => ({ one, draw: random() }));
  return [...sample, ...rest.toSorted((a, b) => a.draw - b.draw).map(({ one }) => one)];
};

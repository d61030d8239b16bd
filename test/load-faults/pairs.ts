// Samples: every two values of two dimensions that can meet do meet; or each boundary of each source, destination and mode, with some death.

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

interface Drawn {
  readonly one: Case;
  readonly draw: number;
}

const drawn = (cases: readonly Case[], seed: number): readonly Case[] => {
  const random = randomOf(seed);
  return cases
    .map((one): Drawn => ({ one, draw: random() }))
    .toSorted((a, b) => a.draw - b.draw)
    .map(({ one }) => one);
};

/** The same sample for the same seed; greedy: each next case brings the most pairs that are still missing. */
export const pairwise = (cases: readonly Case[], seed: number): readonly Case[] => {
  const numbers = new Map<string, number>();
  const numberOf = (pair: string): number => {
    const known = numbers.get(pair) ?? numbers.size;
    numbers.set(pair, known);
    return known;
  };
  const left = drawn(cases, seed).map((one) => ({ one, pairs: pairsOf(one).map(numberOf) }));
  const missing = new Uint8Array(numbers.size).fill(1);
  const sample: Case[] = [];
  for (;;) {
    let best: (typeof left)[number] | undefined;
    let most = 0;
    for (const candidate of left) {
      const brought = candidate.pairs.reduce((sum, pair) => sum + (missing[pair] ?? 0), 0);
      if (brought > most) [best, most] = [candidate, brought];
    }
    if (best === undefined) return sample;
    sample.push(best.one);
    for (const pair of best.pairs) missing[pair] = 0;
  }
};

/** Which death it is, is drawn. */
export const eachBoundary = (cases: readonly Case[], seed: number): readonly Case[] => {
  const found = new Map<string, Case>();
  for (const one of drawn(cases, seed)) {
    const { source, destination, mode, boundary } = one;
    const group = [source, destination, mode, boundary].join("/");
    if (!found.has(group)) found.set(group, one);
  }
  return [...found.values()];
};

/** The samples first, the smaller one before the larger, then the others as drawn: a run that is stopped early has seen something of everything. */
export const drawnOrder = (cases: readonly Case[], seed: number): readonly Case[] => [
  ...new Set([...pairwise(cases, seed), ...eachBoundary(cases, seed), ...drawn(cases, seed)]),
];

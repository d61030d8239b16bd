// The demo's kill plan: a seeded sequence of failpoints at which the worker dies, and when Temporal and the API die.

import type { FailpointName } from "../../connectors/connector.ts";

export interface KillPoint {
  readonly failpoint: FailpointName;
  /** The worker dies the n-th time that it reaches the failpoint. */
  readonly hit: number;
}

export const FAILPOINTS: readonly FailpointName[] = [
  "before-commit",
  "between-rows-and-cursor",
  "within-commit",
  "after-commit",
  "between-staging-and-swap",
];

/** Mulberry32: small, well spread, and the same sequence for the same seed everywhere. */
export const seededRandom = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
};

/** `count` kill points; every failpoint comes up at least once in each `FAILPOINTS.length` of them. */
export const killPoints = (seed: number, count: number): readonly KillPoint[] => {
  const random = seededRandom(seed);
  const points: KillPoint[] = [];
  while (points.length < count) {
    const round = FAILPOINTS.map((failpoint) => ({ failpoint, order: random() })).toSorted((left, right) => left.order - right.order);
    for (const { failpoint } of round) {
      // Few loads are swapped, so that boundary is hit at its first chance.
      points.push({ failpoint, hit: failpoint === "between-staging-and-swap" ? 1 : 1 + Math.floor(random() * 2) });
    }
  }
  return points.slice(0, count);
};

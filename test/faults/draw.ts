// Rounds drawn by a seed: which victim, in which states, at which moment.

import fc from "fast-check";
import type { Round } from "./round.ts";
import { LONG_STATES } from "./long-states.ts";
import { type State, STATES } from "./states.ts";
import { VICTIMS } from "./world.ts";

export const ALL_STATES: readonly State[] = [...STATES, ...LONG_STATES];

const drawn = (states: readonly State[]) =>
  fc.record({
    victim: fc.constantFrom(...VICTIMS),
    states: fc.uniqueArray(fc.constantFrom(...states), { minLength: 1, maxLength: 5, size: "max" }),
    moment: fc.oneof(
      fc.constant({ at: "state" } as const),
      fc.record({ at: fc.constant("going-on" as const), afterMs: fc.integer({ min: 0, max: 1_500 }) }),
    ),
  });

/** The same rounds for the same seed. */
export const drawRounds = (seed: number, count: number, states = ALL_STATES): readonly Round[] =>
  fc.sample(drawn(states), { seed, numRuns: count }).map((round, index) => ({ ...round, key: `${seed}-${index + 1}` }));

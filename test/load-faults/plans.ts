// What a case does: its runs with what must be there at the end of each, and when their processes die.

import type { Case, Place } from "./cases.ts";
import { eventsOf, expected, type Expected, type Part, PARTS } from "./rows.ts";
import { heldEvents, NATURES } from "./sources.ts";

/** What a load without kills did: how often it came by each place, and how long it took. */
export interface Run {
  readonly hits: Partial<Record<Place, number>>;
  readonly ms: number;
}

export interface RunPlan {
  readonly origin: string;
  readonly part: Part;
  readonly isHarmed: boolean;
  /** What must be there at its end: one of these. */
  readonly wanted: readonly Expected[];
}

export const isIncremental = ({ source, mode }: Pick<Case, "source" | "mode">): boolean =>
  NATURES[source].isIncremental && mode !== "replace";

/** Where a first load ends that was killed and went on, by whether the source fixes its end. */
const ENDS: Readonly<Record<"true" | "midway" | "false", readonly Part[]>> = {
  true: ["first"],
  midway: ["first", "grown"],
  false: ["grown"],
};

/** An incremental source has grown when a killed load goes on; and its next run is killed too. A replace finds an older table. */
export const plansOf = (one: Case): readonly RunPlan[] => {
  const { source, mode, boundary, death } = one;
  const { canBeBad, fixesEnd } = NATURES[source];
  const goesOn = isIncremental(one);
  const wanted = (part: Part): Expected => expected(goesOn ? eventsOf(part) : heldEvents(source, part), mode, canBeBad);
  if (goesOn) {
    const ends = boundary === "any-moment" ? PARTS : death === "suspended" ? (["first"] as const) : ENDS[`${fixesEnd}`];
    return [
      { origin: "run-1", part: "first", isHarmed: true, wanted: ends.map(wanted) },
      { origin: "run-2", part: "all", isHarmed: true, wanted: [wanted("all")] },
    ];
  }
  const last: RunPlan = { origin: "run-2", part: "all", isHarmed: true, wanted: [wanted("all")] };
  return mode === "replace" ? [{ origin: "run-1", part: "first", isHarmed: false, wanted: [wanted("first")] }, last] : [last];
};

/** Which time it comes by. */
export const timesOf = ({ death }: Case, hits: number): readonly number[] => {
  const middle = Math.max(1, Math.ceil(hits / 2));
  return { first: [1], middle: [middle], last: [Math.max(1, hits)], twice: [1, 1], suspended: [middle] }[death];
};

/** Milliseconds after its beginning, as parts of how long it takes: early, in its midst, late. */
export const momentsOf = ({ death }: Case, ms: number, random: () => number): readonly number[] => {
  const within = (from: number): number => ms * (from + random() / 3);
  return { first: [within(0)], middle: [within(1 / 3)], last: [within(2 / 3)], twice: [within(1 / 3), within(1 / 3)], suspended: [] }[
    death
  ];
};

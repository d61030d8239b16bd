// A compiled schedule: when a pipeline's runs start by themselves, and how. Plain JSON, kept with the version's plan.

import type { JsonObject } from "./json.ts";

/** Every `step`-th value from `start` to `end`, both included. */
export interface Range {
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** Moments whose every field is in one of the field's ranges. Days of the week count from Sunday, 0; no `year` is any. */
export interface Calendar {
  readonly second: readonly Range[];
  readonly minute: readonly Range[];
  readonly hour: readonly Range[];
  readonly dayOfMonth: readonly Range[];
  readonly month: readonly Range[];
  readonly dayOfWeek: readonly Range[];
  readonly year: readonly Range[];
  /** As it was written, for people. */
  readonly comment?: string;
}

export interface Interval {
  readonly everyMs: number;
  /** After whole multiples of `everyMs` since 1970. */
  readonly offsetMs: number;
}

export interface ScheduleTimes {
  readonly calendars: readonly Calendar[];
  readonly intervals: readonly Interval[];
  /** What fits one of these is left out. */
  readonly exclude: readonly Calendar[];
  /** IANA name: the zone of calendars and exclusions. */
  readonly timezone: string;
  /** ISO 8601 UTC; both ends included. */
  readonly startAt?: string;
  readonly endAt?: string;
  readonly jitterMs?: number;
}

export const OVERLAPS = ["skip", "buffer-one", "buffer-all", "cancel-other", "terminate-other", "allow-all"] as const;

/** What becomes of a firing while a run of the same schedule is open. */
export type Overlap = (typeof OVERLAPS)[number];

export interface SchedulePlan {
  readonly name: string;
  /** One line for people: "15 * * * * Europe/Berlin". */
  readonly summary: string;
  readonly times: ScheduleTimes;
  readonly overlap: Overlap;
  /** A firing that could not happen in time happens later, at most this much. */
  readonly catchUpMs: number;
  readonly paused: boolean;
  readonly params: JsonObject;
}

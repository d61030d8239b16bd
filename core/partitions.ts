// How the range of a backfill or of a loop falls into partitions: by the firings of a schedule, or by a period of a time zone's calendar.

import { parseDuration } from "./duration.ts";
import { DownbeatError } from "./errors.ts";
import { nextFirings } from "./firings.ts";
import { LIMITS } from "./limits.ts";
import type { ScheduleTimes } from "./schedule.ts";
import { isoIn, momentOf, wallTimeAt } from "./time-zone.ts";

export const CALENDAR_PERIODS = ["day", "week", "month", "year"] as const;

export interface Cut {
  /** Milliseconds since 1970; `to` is not part of it. */
  readonly from: number;
  readonly to: number;
  /** The zone of periods, and of the intervals' offsets. */
  readonly timezone: string;
  /** The schedule whose data intervals the partitions are: those that lie wholly inside. */
  readonly times?: ScheduleTimes;
  /** Else: a period of the calendar, or a duration, from `from` on; the last one ends with the range. */
  readonly every?: string;
}

export interface Partition {
  /** From 0, in the order of time. */
  readonly partition: number;
  /** ISO 8601 with the offset of the zone. */
  readonly start: string;
  readonly end: string;
}

/** Where partitions begin, in the order of time, and at last where the last one ends. */
export interface Partitions {
  readonly bounds: readonly number[];
  readonly timezone: string;
}

const DAY_MS = 86_400_000;

export const countOf = ({ bounds }: Partitions): number => Math.max(bounds.length - 1, 0);

/** Throws REQUEST_INVALID: a range that is empty, a period that is none, more partitions than there may be. */
export const cutPartitions = (cut: Cut, most: number = LIMITS.backfillPartitions): Partitions => {
  if (cut.from >= cut.to) throw new DownbeatError("REQUEST_INVALID", "the range is empty: from must lie before to");
  const bounds = cut.times === undefined ? periodBounds(cut, most) : firingBounds(cut.times, cut, most);
  if (bounds.length - 1 > most)
    throw new DownbeatError("REQUEST_INVALID", `the range has more than ${most} partitions; take a longer period, or a shorter range`);
  return { bounds, timezone: cut.timezone };
};

const firingBounds = (times: ScheduleTimes, { from, to }: Cut, most: number): readonly number[] => {
  // The schedule's own beginning is no bound: a backfill is for the time before it.
  const { startAt: _, endAt: __, ...always } = times;
  return nextFirings(always, from - 1, most + 2, to);
};

const periodBounds = ({ from, to, timezone, every = "day" }: Cut, most: number): readonly number[] => {
  const boundAt = boundsBy(every, from, timezone);
  const bounds: number[] = [];
  for (let number = 0; bounds.length <= most + 1; number += 1) {
    const bound = boundAt(number);
    if (bound >= to) break;
    // Where clocks jump, two readings may be one moment.
    if (bound > (bounds.at(-1) ?? -Infinity)) bounds.push(bound);
  }
  return [...bounds, to];
};

const boundsBy = (every: string, from: number, timezone: string): ((number: number) => number) => {
  if (!(CALENDAR_PERIODS as readonly string[]).includes(every)) {
    const length = parseDuration(every);
    if (length === undefined || length < 1_000)
      throw new DownbeatError(
        "REQUEST_INVALID",
        `every is "${every}": give ${CALENDAR_PERIODS.join(", ")} or a duration of a second or more`,
      );
    return (number) => from + number * length;
  }
  const wall = wallTimeAt(timezone, from);
  const at = new Date(wall);
  const [year, month, day, time] = [at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate(), ((wall % DAY_MS) + DAY_MS) % DAY_MS];
  const inMonth = (months: number): number => {
    const last = new Date(Date.UTC(year, month + months + 1, 0)).getUTCDate();
    return Date.UTC(year, month + months, Math.min(day, last)) + time;
  };
  const wallOf = (number: number): number => {
    if (every === "month") return inMonth(number);
    if (every === "year") return inMonth(12 * number);
    return wall + number * (every === "week" ? 7 : 1) * DAY_MS;
  };
  return (number) => (number === 0 ? from : momentOf(timezone, wallOf(number)));
};

/** Undefined outside of the plan. */
export const partitionAt = ({ bounds, timezone }: Partitions, partition: number): Partition | undefined => {
  const [start, end] = [bounds[partition], bounds[partition + 1]];
  if (start === undefined || end === undefined) return undefined;
  return { partition, start: isoIn(timezone, start), end: isoIn(timezone, end) };
};

/** Numbers of the partitions that begin in [from, to): first and last, or undefined when there are none. */
export const partitionsWithin = ({ bounds }: Partitions, from: number, to: number): readonly [number, number] | undefined => {
  const starts = bounds.slice(0, -1);
  const first = starts.findIndex((start) => start >= from);
  const last = starts.findLastIndex((start) => start < to);
  return first === -1 || last < first ? undefined : [first, last];
};

const DATE = /^\d{4}-\d{2}-\d{2}$/;

/** A date is its midnight in the zone. Undefined: neither a date nor a moment. */
export const readBound = (text: string, timezone: string): number | undefined => {
  if (!DATE.test(text)) {
    const moment = Date.parse(text);
    return /^\d{4}-\d{2}-\d{2}T.*(?:Z|[+-]\d{2}:\d{2})$/.test(text) && !Number.isNaN(moment) ? moment : undefined;
  }
  const wall = Date.parse(`${text}T00:00:00Z`);
  return Number.isNaN(wall) || !new Date(wall).toISOString().startsWith(text) ? undefined : momentOf(timezone, wall);
};

/** Plans that are kept: each may have many thousand bounds. */
const MOST_PLANS = 20;

/** Cuts once what has the same key. */
export const partitionsCache = (): ((key: string, cut: Cut) => Partitions) => {
  const plans = new Map<string, Partitions>();
  return (key, cut) => {
    const known = plans.get(key);
    if (known !== undefined) return known;
    const plan = cutPartitions(cut);
    if (plans.size >= MOST_PLANS) plans.clear();
    plans.set(key, plan);
    return plan;
  };
};

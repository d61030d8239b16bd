// When a schedule fires: the same moments as Temporal's, in both directions of time.

import type { Calendar, Interval, Range, ScheduleTimes } from "./schedule.ts";
import { momentOf, wallTimeAt } from "./time-zone.ts";

type Direction = 1 | -1;

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** A February 29th that is a certain weekday comes every 28 years, or 40 around 2100. */
const HORIZON_DAYS = 50 * 366;
/** Firings in a row that may be excluded before the schedule counts as one that never fires. */
const MOST_EXCLUDED = 1_000_000;
/** Clocks are never moved by more than this at once. */
const SLACK_MS = 3 * HOUR_MS;

const isIn = (ranges: readonly Range[], value: number): boolean =>
  ranges.some(({ start, end, step }) => value >= start && value <= end && (value - start) % step === 0);

const valuesOf = (ranges: readonly Range[], most: number, direction: Direction): readonly number[] => {
  const values = Array.from({ length: most + 1 }, (_, value) => value).filter((value) => isIn(ranges, value));
  return direction === 1 ? values : values.toReversed();
};

const isDay = (calendar: Calendar, day: Date): boolean =>
  isIn(calendar.month, day.getUTCMonth() + 1) &&
  isIn(calendar.dayOfMonth, day.getUTCDate()) &&
  isIn(calendar.dayOfWeek, day.getUTCDay()) &&
  (calendar.year.length === 0 || isIn(calendar.year, day.getUTCFullYear()));

const fits = (calendar: Calendar, timezone: string, moment: number): boolean => {
  const wall = new Date(wallTimeAt(timezone, moment));
  return (
    isIn(calendar.hour, wall.getUTCHours()) &&
    isIn(calendar.minute, wall.getUTCMinutes()) &&
    isIn(calendar.second, wall.getUTCSeconds()) &&
    isDay(calendar, wall)
  );
};

/** Strictly beyond `from`, an hour of the wall clock at a time. */
function* calendarFirings(calendar: Calendar, timezone: string, from: number, direction: Direction): Generator<number> {
  const [hours, minutes, seconds] = [
    valuesOf(calendar.hour, 23, direction),
    valuesOf(calendar.minute, 59, direction),
    valuesOf(calendar.second, 59, direction),
  ];
  const wall = wallTimeAt(timezone, from);
  const first = Math.floor(wall / DAY_MS) * DAY_MS - direction * DAY_MS;
  for (let days = 0; days < HORIZON_DAYS; days += 1) {
    const day = first + direction * days * DAY_MS;
    if (!isDay(calendar, new Date(day))) continue;
    for (const hour of hours) {
      const start = day + hour * HOUR_MS;
      if (direction === 1 ? start < wall - SLACK_MS : start > wall + SLACK_MS) continue;
      const found = new Set<number>();
      for (const minute of minutes) {
        for (const second of seconds) {
          const moment = momentOf(timezone, start + minute * 60_000 + second * 1_000);
          // Clocks that jump over a whole hour of the day show another one.
          if (new Date(wallTimeAt(timezone, moment)).getUTCHours() === hour && (moment - from) * direction > 0) found.add(moment);
        }
      }
      yield* [...found].toSorted((left, right) => (left - right) * direction);
    }
  }
}

function* intervalFirings({ everyMs, offsetMs }: Interval, from: number, direction: Direction): Generator<number> {
  const periods = (from - offsetMs) / everyMs;
  let period = direction === 1 ? Math.floor(periods) + 1 : Math.ceil(periods) - 1;
  for (; ; period += direction) yield period * everyMs + offsetMs;
}

/** Of all sources in order, each moment once. */
function* merged(sources: readonly Generator<number>[], direction: Direction): Generator<number> {
  const heads = sources.map((source) => ({ source, value: next(source) }));
  for (;;) {
    const values = heads.flatMap(({ value }) => (value === undefined ? [] : [value]));
    if (values.length === 0) return;
    const nearest = direction === 1 ? Math.min(...values) : Math.max(...values);
    yield nearest;
    for (const head of heads) if (head.value === nearest) head.value = next(head.source);
  }
}

const next = (source: Generator<number>): number | undefined => {
  const { done, value } = source.next();
  return done === true ? undefined : (value as number);
};

function* firings({ calendars, intervals, exclude, timezone }: ScheduleTimes, from: number, direction: Direction): Generator<number> {
  const sources = [
    ...calendars.map((calendar) => calendarFirings(calendar, timezone, from, direction)),
    ...intervals.map((interval) => intervalFirings(interval, from, direction)),
  ];
  let excluded = 0;
  for (const moment of merged(sources, direction)) {
    if (exclude.some((calendar) => fits(calendar, timezone, moment))) {
      excluded += 1;
      if (excluded > MOST_EXCLUDED) return;
      continue;
    }
    excluded = 0;
    yield moment;
  }
}

/** The next moments after `after`, at most `count`: fewer where the schedule ends before. Jitter comes on top. */
export const nextFirings = (times: ScheduleTimes, after: number, count: number): readonly number[] => {
  const from = times.startAt === undefined ? after : Math.max(after, Date.parse(times.startAt) - 1);
  const until = times.endAt === undefined ? Infinity : Date.parse(times.endAt);
  const found: number[] = [];
  for (const moment of firings(times, from, 1)) {
    if (moment > until || found.push(moment) >= count) break;
  }
  return found;
};

/** The moment before `before` that the schedule would fire at, also when it had not begun then. */
export const previousFiring = (times: ScheduleTimes, before: number): number | undefined => next(firings(times, before, -1));

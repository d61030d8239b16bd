// One calendar in one zone: whether a moment is in it, and which one is next, reckoned as Temporal's server reckons it.

import type { Calendar, Range } from "./schedule.ts";
import { momentOf, wallTimeAt } from "./time-zone.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** Temporal looks no farther than the year 2100. */
const MOST_DAYS = 75 * 366;

const isIn = (ranges: readonly Range[], value: number): boolean =>
  ranges.some(({ start, end, step }) => value >= start && value <= end && (value - start) % step === 0);

/** Of each value of a field the next one that is in the calendar, itself included; `size`: none. */
const nextValues = (ranges: readonly Range[], size: number): readonly number[] => {
  const next = Array<number>(size);
  for (let value = size - 1, found = size; value >= 0; value -= 1) next[value] = found = isIn(ranges, value) ? value : found;
  return next;
};

interface Clock {
  readonly hours: readonly number[];
  readonly minutes: readonly number[];
  readonly seconds: readonly number[];
}

/** Backfills are cut by a hundred thousand firings. */
const clocks = new WeakMap<Calendar, Clock>();

const clockOf = (calendar: Calendar): Clock => {
  const known = clocks.get(calendar);
  if (known !== undefined) return known;
  const { hour, minute, second } = calendar;
  const clock = { hours: nextValues(hour, 24), minutes: nextValues(minute, 60), seconds: nextValues(second, 60) };
  clocks.set(calendar, clock);
  return clock;
};

const isDay = (calendar: Calendar, wall: number): boolean => {
  const day = new Date(wall);
  return (
    isIn(calendar.month, day.getUTCMonth() + 1) &&
    isIn(calendar.dayOfMonth, day.getUTCDate()) &&
    isIn(calendar.dayOfWeek, day.getUTCDay()) &&
    (calendar.year.length === 0 || isIn(calendar.year, day.getUTCFullYear()))
  );
};

export const isInCalendar = (calendar: Calendar, timezone: string, moment: number): boolean => {
  const wall = wallTimeAt(timezone, moment);
  const date = new Date(wall);
  return (
    isIn(calendar.hour, date.getUTCHours()) &&
    isIn(calendar.minute, date.getUTCMinutes()) &&
    isIn(calendar.second, date.getUTCSeconds()) &&
    isDay(calendar, wall)
  );
};

const isAny = (ranges: readonly Range[], least: number, most: number): boolean =>
  ranges.some(({ start, end, step }) => start <= least && end >= most && step === 1);

/** It has moments in every hour of every day. */
export const isZoneless = ({ hour, dayOfMonth, month, dayOfWeek, year }: Calendar): boolean =>
  year.length === 0 && isAny(hour, 0, 23) && isAny(dayOfMonth, 1, 31) && isAny(month, 1, 12) && isAny(dayOfWeek, 0, 6);

const hourAt = (timezone: string, moment: number): number => new Date(wallTimeAt(timezone, moment)).getUTCHours();

/**
 * The next moment after `after`; undefined: none within decades. Walks the clock's face, within an hour at a time where it has moments. `again` is an hour while it walks what it takes
 * for the second round of an hour that comes twice: the face alone would lead to the same moments once more.
 */
export const nextInCalendar = (calendar: Calendar, timezone: string, after: number): number | undefined => {
  const from = Math.floor(after / SECOND_MS) * SECOND_MS;
  let wall = wallTimeAt(timezone, from);
  let again = hourAt(timezone, from - HOUR_MS) === new Date(wall).getUTCHours() ? HOUR_MS : 0;
  wall += SECOND_MS;
  let isCarry = wall % HOUR_MS === 0;
  const last = wall + MOST_DAYS * DAY_MS;
  const { hours, minutes, seconds } = clockOf(calendar);
  let [day, isInDay] = [NaN, false];
  while (wall < last) {
    if (isCarry) {
      const hour = wall - HOUR_MS;
      const isJump = again === 0 && momentOf(timezone, wall) - momentOf(timezone, hour) > HOUR_MS;
      if (isJump) wall = hour;
      again = isJump ? HOUR_MS : 0;
      isCarry = false;
    }
    const midnight = Math.floor(wall / DAY_MS) * DAY_MS;
    if (midnight !== day) [day, isInDay] = [midnight, isDay(calendar, midnight)];
    if (!isInDay) {
      wall = midnight + DAY_MS;
      again = 0;
      continue;
    }
    const hour = Math.floor((wall - midnight) / HOUR_MS);
    const nextHour = hours[hour] ?? 24;
    if (nextHour !== hour) {
      wall = midnight + nextHour * HOUR_MS;
      again = 0;
      continue;
    }
    const inHour = wall - midnight - hour * HOUR_MS;
    const minute = Math.floor(inHour / MINUTE_MS);
    const nextMinute = minutes[minute] ?? 60;
    if (nextMinute !== minute) {
      wall += nextMinute * MINUTE_MS - inHour;
      isCarry = nextMinute === 60;
      continue;
    }
    const second = (inHour - minute * MINUTE_MS) / SECOND_MS;
    const nextSecond = seconds[second] ?? 60;
    if (nextSecond !== second) {
      wall += (nextSecond - second) * SECOND_MS;
      isCarry = wall % HOUR_MS === 0;
      continue;
    }
    const moment = momentOf(timezone, wall);
    // Clocks that jump over the hour show another one.
    if (hourAt(timezone, moment) === hour) return moment + again;
    wall = (Math.floor(wall / HOUR_MS) + 1) * HOUR_MS;
  }
  return undefined;
};

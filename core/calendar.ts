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
 * The next moment after `after`; undefined: none within decades. Walks the clock's face, an hour at most at a time. `again` is an hour while it walks what it takes
 * for the second round of an hour that comes twice: the face alone would lead to the same moments once more.
 */
export const nextInCalendar = (calendar: Calendar, timezone: string, after: number): number | undefined => {
  const from = Math.floor(after / SECOND_MS) * SECOND_MS;
  let wall = wallTimeAt(timezone, from);
  let again = hourAt(timezone, from - HOUR_MS) === new Date(wall).getUTCHours() ? HOUR_MS : 0;
  wall += SECOND_MS;
  let isCarry = wall % HOUR_MS === 0;
  const last = wall + MOST_DAYS * DAY_MS;
  while (wall < last) {
    if (isCarry) {
      const hour = wall - HOUR_MS;
      const isJump = again === 0 && momentOf(timezone, wall) - momentOf(timezone, hour) > HOUR_MS;
      if (isJump) wall = hour;
      again = isJump ? HOUR_MS : 0;
      isCarry = false;
    }
    if (!isDay(calendar, wall)) {
      wall = (Math.floor(wall / DAY_MS) + 1) * DAY_MS;
      again = 0;
      continue;
    }
    const { hour, minute, second } = calendar;
    const date = new Date(wall);
    if (!isIn(hour, date.getUTCHours())) {
      wall = (Math.floor(wall / HOUR_MS) + 1) * HOUR_MS;
      again = 0;
      continue;
    }
    if (!isIn(minute, date.getUTCMinutes())) {
      wall = (Math.floor(wall / MINUTE_MS) + 1) * MINUTE_MS;
      isCarry = wall % HOUR_MS === 0;
      continue;
    }
    if (!isIn(second, date.getUTCSeconds())) {
      wall += SECOND_MS;
      isCarry = wall % HOUR_MS === 0;
      continue;
    }
    const moment = momentOf(timezone, wall);
    // Clocks that jump over the hour show another one.
    if (hourAt(timezone, moment) === date.getUTCHours()) return moment + again;
    wall = (Math.floor(wall / HOUR_MS) + 1) * HOUR_MS;
  }
  return undefined;
};

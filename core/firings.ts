// When a schedule fires: the same moments as Temporal's, also where clocks change.

import { nextInCalendar, isInCalendar, isZoneless } from "./calendar.ts";
import type { Calendar, Interval, ScheduleTimes } from "./schedule.ts";
import { hasWholeHours, offsetAt } from "./time-zone.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Firings in a row that may be excluded, and for how long, before the schedule counts as one that never fires. */
const MOST_EXCLUDED = 1_000_000;
/** … where these are days, not leap years. */
const MANY_EXCLUDED = 1_400;
const MOST_EXCLUDED_MS = 3 * 366 * DAY_MS;
/** Farther ahead than this, a calendar's next moment does not depend on where one looks from. */
const FAR_MS = 2 * DAY_MS;

/**
 * The zone in which Temporal is to read the calendars. Those that fire at any hour of any day mean the same in UTC, and there no firing is lost when an hour comes
 * twice: east of Greenwich Temporal misses some of the first one.
 */
export const firingZone = ({ calendars, exclude, timezone }: ScheduleTimes): string =>
  exclude.length === 0 && calendars.every(isZoneless) && hasWholeHours(timezone) ? "UTC" : timezone;

const nextInInterval = ({ everyMs, offsetMs }: Interval, after: number): number =>
  (Math.floor((after - offsetMs) / everyMs) + 1) * everyMs + offsetMs;

/** One after the other, each reckoned from the one before, as Temporal does. */
function* firings(times: ScheduleTimes, from: number): Generator<number> {
  const { calendars, intervals, exclude } = times;
  const zone = firingZone(times);
  const heads = new Map<Calendar, number>();
  const nextOf = (calendar: Calendar, after: number): number => {
    const known = heads.get(calendar);
    if (known !== undefined && known - after > FAR_MS) return known;
    const found = nextInCalendar(calendar, zone, after) ?? Infinity;
    heads.set(calendar, found);
    return found;
  };
  let excluded = 0;
  let yielded = from;
  for (let after = from; ; ) {
    after = Math.min(
      ...calendars.map((calendar) => nextOf(calendar, after)),
      ...intervals.map((interval) => nextInInterval(interval, after)),
    );
    if (after === Infinity || excluded > MOST_EXCLUDED || (excluded > MANY_EXCLUDED && after - yielded > MOST_EXCLUDED_MS)) return;
    if (exclude.some((calendar) => isInCalendar(calendar, zone, after))) {
      excluded += 1;
      continue;
    }
    excluded = 0;
    yielded = after;
    yield after;
  }
}

/** The next moments after `after`, at most `count` and none after `last`: fewer where the schedule ends before. Jitter comes on top. */
export const nextFirings = (times: ScheduleTimes, after: number, count: number, last = Infinity): readonly number[] => {
  const from = times.startAt === undefined ? after : Math.max(after, Date.parse(times.startAt) - 1);
  const until = Math.min(last, times.endAt === undefined ? Infinity : Date.parse(times.endAt));
  const found: number[] = [];
  for (const moment of firings(times, from)) {
    if (moment > until || found.push(moment) >= count) break;
  }
  return found;
};

/** How far back one looks, and then farther. */
const WINDOWS_MS = [2 * 60_000, 2 * HOUR_MS, 26 * HOUR_MS, 8 * DAY_MS, 40 * DAY_MS, 400 * DAY_MS, 6 * 366 * DAY_MS, 75 * 366 * DAY_MS];

/** The moment before `before` that the schedule would fire at, also when it had not begun then. */
export const previousFiring = (times: ScheduleTimes, before: number): number | undefined => {
  for (const window of WINDOWS_MS) {
    let found: number | undefined;
    for (const moment of firings(times, calmBefore(times.timezone, before - window))) {
      if (moment >= before) break;
      found = moment;
    }
    if (found !== undefined) return found;
  }
  return undefined;
};

const CALM_MS = 4 * HOUR_MS;

/** Not while the zone's clocks change: firings then depend on the ones before. */
const calmBefore = (timezone: string, moment: number): number => {
  const changes = offsetAt(timezone, moment - CALM_MS) !== offsetAt(timezone, moment + CALM_MS);
  return changes ? moment - 2 * CALM_MS : moment;
};

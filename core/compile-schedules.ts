// A definition's schedules → plans of them, or every fault of their meaning.

import { anyOf, CalendarFault, readCron, readField, type CalendarField } from "./cron.ts";
import type { CalendarDefinition, ScheduleDefinition } from "./definition-schedules.ts";
import { parseDuration, parseMoment } from "./duration.ts";
import { nextFirings } from "./firings.ts";
import { didYouMean, type Fault, type PathPart } from "./issues.ts";
import type { JsonObject } from "./json.ts";
import type { Calendar, Interval, Range, SchedulePlan, ScheduleTimes } from "./schedule.ts";
import { isTimeZone, momentOf, zoneNames } from "./time-zone.ts";

const FORMS = ["cron", "every", "calendar"] as const;

/** The key of each field, and what it is in a calendar that does not give it. */
const FIELDS: readonly (readonly [CalendarField, keyof CalendarDefinition, string])[] = [
  ["second", "second", "0"],
  ["minute", "minute", "0"],
  ["hour", "hour", "0"],
  ["dayOfMonth", "day_of_month", "*"],
  ["month", "month", "*"],
  ["dayOfWeek", "day_of_week", "*"],
  ["year", "year", "*"],
];

/** Whether a schedule ever fires is looked at from here on: compiling has no clock. */
const BEGINNING = Date.UTC(2026, 0, 1);
const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;

export const compileSchedules = (schedules: readonly ScheduleDefinition[], fault: Fault): readonly SchedulePlan[] => {
  const names = new Set<string>();
  return schedules.map((schedule, position) => {
    const path = ["schedules", position];
    if (names.has(schedule.name)) {
      fault("DUPLICATE_SCHEDULE", [...path, "name"], `there are two schedules named "${schedule.name}"; give each a name of its own`);
    }
    names.add(schedule.name);
    return compileSchedule(schedule, path, fault);
  });
};

/** One schedule by itself. Where it reports a fault, its answer means nothing. */
export const compileSchedule = (schedule: ScheduleDefinition, path: readonly PathPart[], fault: Fault): SchedulePlan => {
  let isRight = true;
  const refuse = (key: readonly PathPart[], message: string, known?: readonly string[]): void => {
    isRight = false;
    fault("INVALID_SCHEDULE", [...path, ...key], message, known);
  };
  const attempt = <Value>(key: readonly PathPart[], read: () => Value, otherwise: Value): Value => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof CalendarFault)) throw error;
      refuse(key, error.message);
      return otherwise;
    }
  };
  const given = FORMS.filter((form) => schedule[form] !== undefined);
  if (given.length !== 1) {
    const what = given.length === 0 ? "says nothing of when it fires" : `has ${given.join(" and ")}`;
    refuse([], `schedule "${schedule.name}" ${what}; give exactly one of ${FORMS.join(", ")}`, FORMS);
  }
  const zoned = isTimeZone(schedule.timezone);
  if (!zoned) {
    const names = zoneNames();
    refuse(
      ["timezone"],
      `"${schedule.timezone}" is no time zone; write an IANA name such as "Europe/Berlin"${didYouMean(schedule.timezone, names)}`,
    );
  }
  const timezone = zoned ? schedule.timezone : "UTC";
  const calendars = [
    ...attempt(["cron"], () => (schedule.cron === undefined ? [] : readCron(schedule.cron)), []),
    ...listOf(schedule.calendar).flatMap(([calendar, index]) => readCalendar(calendar, false, ["calendar", ...index], attempt)),
  ];
  const exclude = (schedule.exclude ?? []).flatMap((entry, index) =>
    typeof entry === "string"
      ? attempt(["exclude", index], () => [readDate(entry)], [])
      : readCalendar(entry, true, ["exclude", index], attempt),
  );
  const startAt = attempt(["start"], () => readBound(schedule.start, timezone, "start"), undefined);
  const endAt = attempt(["end"], () => readBound(schedule.end, timezone, "end"), undefined);
  if (startAt !== undefined && endAt !== undefined && endAt < startAt)
    refuse(["end"], `it ends (${iso(endAt)}) before it starts (${iso(startAt)})`);
  const jitterMs = milliseconds(schedule.jitter);
  const times: ScheduleTimes = {
    calendars,
    intervals: intervalsOf(schedule, refuse),
    exclude,
    timezone,
    ...(startAt === undefined ? {} : { startAt: iso(startAt) }),
    ...(endAt === undefined ? {} : { endAt: iso(endAt) }),
    ...(jitterMs === 0 ? {} : { jitterMs }),
  };
  if (isRight && nextFirings(times, (startAt ?? BEGINNING) - 1, 1).length === 0)
    refuse([given[0] ?? ""], `schedule "${schedule.name}" never fires${schedule.exclude === undefined ? "" : " outside what it excludes"}`);
  return {
    name: schedule.name,
    summary: summaryOf(schedule),
    times,
    overlap: schedule.overlap,
    catchUpMs: milliseconds(schedule.catch_up),
    paused: schedule.paused,
    params: schedule.params as JsonObject,
  };
};

type Attempt = <Value>(key: readonly PathPart[], read: () => Value, otherwise: Value) => Value;

/** With the index of each where they came as a list. */
const listOf = <Value>(value: Value | readonly Value[] | undefined): readonly (readonly [Value, readonly number[]])[] => {
  if (value === undefined) return [];
  return Array.isArray(value) ? (value as readonly Value[]).map((entry, index) => [entry, [index]] as const) : [[value as Value, []]];
};

const readCalendar = (
  calendar: CalendarDefinition,
  isExclusion: boolean,
  path: readonly PathPart[],
  attempt: Attempt,
): readonly Calendar[] => {
  const ranges = FIELDS.map(([field, key, otherwise]): readonly [CalendarField, readonly Range[]] => {
    const value = calendar[key];
    const texts = value === undefined ? [isExclusion ? "*" : otherwise] : (Array.isArray(value) ? value : [value]).map(String);
    if (texts.includes("*")) return [field, anyOf(field)];
    return [field, attempt([...path, key], () => texts.flatMap((text) => readField(text, field)), [])];
  });
  return [Object.fromEntries(ranges) as unknown as Calendar];
};

const DATE = /^(\d{4})-(\d{2})-(\d{2})$/;

const dateOf = (text: string): number | undefined => {
  const [, year, month, day] = (DATE.exec(text) ?? []).map(Number);
  if (year === undefined || month === undefined || day === undefined) return undefined;
  const wall = Date.UTC(year, month - 1, day);
  return new Date(wall).toISOString().startsWith(text) ? wall : undefined;
};

/** A whole day. */
const readDate = (text: string): Calendar => {
  const date = dateOf(text);
  if (date === undefined) throw new CalendarFault(`"${text}" is no date; write "2026-12-25", or a calendar`);
  const [year, month, day] = text.split("-").map(Number);
  const only = (value = 0): readonly Range[] => [{ start: value, end: value, step: 1 }];
  return {
    second: anyOf("second"),
    minute: anyOf("minute"),
    hour: anyOf("hour"),
    dayOfMonth: only(day),
    month: only(month),
    dayOfWeek: anyOf("dayOfWeek"),
    year: only(year),
    comment: text,
  };
};

const readBound = (text: string | undefined, timezone: string, side: "start" | "end"): number | undefined => {
  if (text === undefined) return undefined;
  const moment = parseMoment(text);
  if (moment !== undefined) return moment;
  const date = dateOf(text);
  if (date === undefined)
    throw new CalendarFault(`"${text}" is no moment; write a date such as "2026-12-24", or with a zone "2026-12-24T18:00:00+01:00"`);
  return side === "start" ? momentOf(timezone, date) : momentOf(timezone, date + DAY_MS) - SECOND_MS;
};

const intervalsOf = (
  { every, offset }: ScheduleDefinition,
  refuse: (key: readonly PathPart[], message: string) => void,
): readonly Interval[] => {
  const [everyMs, offsetMs] = [milliseconds(every), milliseconds(offset)];
  if (every === undefined) {
    if (offset !== undefined) refuse(["offset"], "offset belongs to every");
    return [];
  }
  for (const [key, value] of [
    ["every", everyMs],
    ["offset", offsetMs],
  ] as const)
    if (value % SECOND_MS !== 0) refuse([key], `${key} is whole seconds`);
  if (offsetMs >= everyMs) refuse(["offset"], `an offset of ${offset} is not below every, ${every}`);
  return [{ everyMs, offsetMs }];
};

/** The schema has let only durations through. */
const milliseconds = (text: string | undefined): number => parseDuration(text ?? "0s") ?? 0;

const iso = (moment: number): string => new Date(moment).toISOString();

const summaryOf = ({ cron, every, offset, calendar, timezone }: ScheduleDefinition): string => {
  if (cron !== undefined) return `${cron} ${timezone}`;
  if (every !== undefined) return `every ${every}${offset === undefined ? "" : ` + ${offset}`}`;
  return `${JSON.stringify(calendar)} ${timezone}`.replaceAll('"', "").slice(0, 200);
};

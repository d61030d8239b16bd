// Cron expressions and calendar fields as people write them, to calendars.

import type { Calendar, Range } from "./schedule.ts";

export type CalendarField = "second" | "minute" | "hour" | "dayOfMonth" | "month" | "dayOfWeek" | "year";

interface FieldRule {
  /** As messages call it. */
  readonly title: string;
  readonly least: number;
  readonly most: number;
  /** Names of the values from `least` on; their first three letters are enough. */
  readonly names?: readonly string[];
}

const MONTHS = "january february march april may june july august september october november december".split(" ");
const DAYS = "sunday monday tuesday wednesday thursday friday saturday".split(" ");

const RULES: Readonly<Record<CalendarField, FieldRule>> = {
  second: { title: "second", least: 0, most: 59 },
  minute: { title: "minute", least: 0, most: 59 },
  hour: { title: "hour", least: 0, most: 23 },
  dayOfMonth: { title: "day of the month", least: 1, most: 31 },
  month: { title: "month", least: 1, most: 12, names: MONTHS },
  // 7 is Sunday once more.
  dayOfWeek: { title: "day of the week", least: 0, most: 7, names: DAYS },
  year: { title: "year", least: 1970, most: 2100 },
};

const SUNDAY_AGAIN = 7;

/** A value that cannot be read; the message says what and why. */
export class CalendarFault extends Error {}

const valueOf = (text: string, { title, least, most, names }: FieldRule): number => {
  const named = text.length >= 3 ? names?.findIndex((name) => name === text.toLowerCase() || name.slice(0, 3) === text.toLowerCase()) : -1;
  if (named !== undefined && named !== -1) return least + named;
  const value = /^\d{1,4}$/.test(text) ? Number(text) : NaN;
  if (Number.isNaN(value)) throw new CalendarFault(`${title} "${text}" is no number${names === undefined ? "" : " and no name"}`);
  if (value < least || value > most) throw new CalendarFault(`${title} ${value} is not in ${least}–${most}`);
  return value;
};

const readPart = (part: string, rule: FieldRule): Range => {
  const [span = "", stepText, ...more] = part.split("/");
  const [from = "", to, ...others] = span.split("-");
  if (more.length > 0 || others.length > 0 || span === "") throw new CalendarFault(`${rule.title} "${part}" cannot be read`);
  const step = stepText === undefined ? 1 : /^\d{1,4}$/.test(stepText) ? Number(stepText) : 0;
  if (step < 1) throw new CalendarFault(`${rule.title} "${part}": the step after "/" must be a number from 1`);
  // The second Sunday would be counted twice.
  const last = rule.most === SUNDAY_AGAIN ? SUNDAY_AGAIN - 1 : rule.most;
  if (from === "*" || from === "?") {
    if (to !== undefined) throw new CalendarFault(`${rule.title} "${part}" cannot be read`);
    return { start: rule.least, end: last, step };
  }
  const start = valueOf(from, rule);
  const end = to !== undefined ? valueOf(to, rule) : stepText !== undefined ? last : start;
  if (end < start) throw new CalendarFault(`${rule.title} "${part}" runs backwards; write it as two, with a comma`);
  return { start, end, step };
};

/** Ranges that say 7 for Sunday, as ranges from 0 to 6. */
const withoutSeven = ({ start, end, step }: Range): readonly Range[] => {
  if (end < SUNDAY_AGAIN) return [{ start, end, step }];
  const days = Array.from({ length: end - start + 1 }, (_, index) => start + index).filter((day) => (day - start) % step === 0);
  return [...new Set(days.map((day) => day % SUNDAY_AGAIN))].toSorted().map((day) => ({ start: day, end: day, step: 1 }));
};

/** `5`, `1-5`, `mon-fri`, `*\/15`, `1,15`. Throws a CalendarFault. */
export const readField = (text: string, field: CalendarField): readonly Range[] => {
  const ranges = text.split(",").map((part) => readPart(part.trim(), RULES[field]));
  return field === "dayOfWeek" ? ranges.flatMap(withoutSeven) : ranges;
};

/** All values of a field. */
export const anyOf = (field: CalendarField): readonly Range[] => (field === "year" ? [] : readField("*", field));

const MACROS: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};

/** The five fields of cron, or a macro. A day that fits either is taken when both fields of days say something, as cron always did. Throws a CalendarFault. */
export const readCron = (text: string): readonly Calendar[] => {
  const written = text.trim();
  if (written.startsWith("@") && MACROS[written] === undefined)
    throw new CalendarFault(`"${written}" is not known; there are ${Object.keys(MACROS).join(", ")}, and "every" for intervals`);
  const fields = (MACROS[written] ?? written).split(/\s+/);
  if (fields.length !== 5)
    throw new CalendarFault(
      `a cron expression has 5 fields (minute, hour, day of the month, month, day of the week), this one has ${written === "" ? 0 : fields.length}; for seconds and years there is "calendar", for zones "timezone"`,
    );
  const [minute = "", hour = "", dayOfMonth = "", month = "", dayOfWeek = ""] = fields;
  const calendar: Calendar = {
    second: readField("0", "second"),
    minute: readField(minute, "minute"),
    hour: readField(hour, "hour"),
    dayOfMonth: readField(dayOfMonth, "dayOfMonth"),
    month: readField(month, "month"),
    dayOfWeek: readField(dayOfWeek, "dayOfWeek"),
    year: [],
    comment: written,
  };
  const isOpen = (field: string): boolean => field.startsWith("*") || field.startsWith("?");
  if (isOpen(dayOfMonth) || isOpen(dayOfWeek)) return [calendar];
  return [
    { ...calendar, dayOfWeek: anyOf("dayOfWeek") },
    { ...calendar, dayOfMonth: anyOf("dayOfMonth") },
  ];
};

// Rows as the server writes them (text) into columns; what cannot be carried is named with its column.

import type { Column, ColumnType } from "../batch.ts";
import type { BatchBuilder, FixedColumnBuilder, TextColumnBuilder } from "../lib/batch-builder.ts";
import { daysFromCivil, MICROS_PER_DAY, parseTime } from "../lib/calendar.ts";
import { appendValue } from "../lib/rows.ts";

/** One row of values: text, booleans, NULL. */
export type TextRow = readonly (string | boolean | null)[];

/** Appends the row, or leaves the builder as it was and says why. */
export const appendRow = (builder: BatchBuilder, columns: readonly Column[], row: TextRow): string | undefined => {
  for (const [place, column] of columns.entries()) {
    const target = builder.columns[place]!;
    const value = row[place] ?? null;
    if (value === null) target.appendNull();
    else if (!appendText(target, column.type, value)) {
      builder.dropRow();
      return `column "${column.name}": ${String(value).slice(0, 100)} cannot be carried as ${column.type.kind}`;
    }
  }
  builder.endRow();
  return undefined;
};

const appendText = (target: FixedColumnBuilder | TextColumnBuilder, type: ColumnType, value: string | boolean): boolean => {
  if (typeof value === "boolean") return appendValue(target, type, value);
  switch (type.kind) {
    case "string":
    case "json":
    case "uuid":
      (target as TextColumnBuilder).appendText(value);
      return true;
    case "binary":
      (target as TextColumnBuilder).appendBytes(Buffer.from(value.slice(2), "hex"));
      return true;
    case "date": {
      const days = parseDay(value);
      if (days !== undefined) (target as FixedColumnBuilder).appendInt32(days);
      return days !== undefined;
    }
    case "timestamp":
    case "timestamptz": {
      const micros = parseMoment(value);
      if (micros !== undefined) (target as FixedColumnBuilder).appendInt64(micros);
      return micros !== undefined;
    }
    default:
      return appendValue(target, type, value);
  }
};

const DAY = /^(\d{4,7})-(\d{2})-(\d{2})$/;
const ERA = " BC";

/** The server's ISO dates: years of four digits and more, before our era with a suffix. There is no year 0: 1 BC comes before 1. Infinity is none. */
const parseDay = (text: string): number | undefined => {
  const isBefore = text.endsWith(ERA);
  const [, year, month, day] = DAY.exec(isBefore ? text.slice(0, -ERA.length) : text) ?? [];
  if (year === undefined) return undefined;
  return daysFromCivil(isBefore ? 1 - Number(year) : Number(year), Number(month), Number(day));
};

/** The session's time zone is UTC, so an offset is always +00. */
const MOMENT = /^(\S+) (\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?)(?:\+00)?( BC)?$/;

const parseMoment = (text: string): bigint | undefined => {
  const [, day, clock, era = ""] = MOMENT.exec(text) ?? [];
  const days = day === undefined ? undefined : parseDay(`${day}${era}`);
  const time = clock === undefined ? undefined : parseTime(clock);
  if (days === undefined || time === undefined) return undefined;
  const micros = BigInt(days) * MICROS_PER_DAY + time;
  // The server counts from 2000: its last thirty years lie beyond 64 bits counted from 1970.
  return BigInt.asIntN(64, micros) === micros ? micros : undefined;
};

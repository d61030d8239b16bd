// Avro's dates, times and moments as values of columns.

import { formatDate, formatNanos, formatTime, formatTimestamp, MICROS_PER_DAY, MICROS_PER_SECOND } from "../calendar.ts";
import type { AvroLogical } from "./schema.ts";

/**
 * native: as rows of the field's own column type take it; raw: the number that is written; plain: what JSON says, texts by ISO 8601;
 * moment: a date as the beginning of its day.
 */
export type Form = "native" | "raw" | "plain" | "moment";

const INT64_MOST = 2n ** 63n;

export const readLogical = (logical: AvroLogical, number: number | bigint, form: Form): unknown => {
  if (logical.name === "date") return form === "moment" ? BigInt(number) * MICROS_PER_DAY : formatDate(Number(number));
  // A decimal or uuid is no number.
  if (!("perSecond" in logical)) return number;
  const { name, perSecond } = logical;
  const value = BigInt(number);
  if (form === "native") return microsOf(value, perSecond);
  if (name === "time") return formatTime(scaled(value, perSecond));
  const text = perSecond > MICROS_PER_SECOND ? formatNanos(value) : formatTimestamp(scaled(value, perSecond));
  return name === "timestamp" ? `${text}Z` : text;
};

/** Microseconds of units that are not finer. */
const scaled = (value: bigint, perSecond: bigint): bigint => (value * MICROS_PER_SECOND) / perSecond;

const microsOf = (value: bigint, perSecond: bigint): bigint => {
  const isFiner = perSecond > MICROS_PER_SECOND;
  if (isFiner && value % 1_000n !== 0n) {
    throw new Error(`is ${value} nanoseconds: a column of moments ends at microseconds; declare it as int64 or string in columns`);
  }
  const micros = isFiner ? value / 1_000n : scaled(value, perSecond);
  if (micros < -INT64_MOST || micros >= INT64_MOST) throw new Error(`is ${value}, beyond what a column of times can hold`);
  return micros;
};

// Avro's dates, times and moments as values of columns.

import { formatDate, formatTime, formatTimestamp, MICROS_PER_DAY, MICROS_PER_SECOND } from "../calendar.ts";
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
  if (form === "native") return microsOf(BigInt(number), perSecond);
  const { micros, nanos } = split(BigInt(number), perSecond);
  if (name === "time") return formatTime(micros);
  const text = nanos === 0n ? formatTimestamp(micros) : withNanos(formatTimestamp(micros), nanos);
  return name === "timestamp" ? `${text}Z` : text;
};

const microsOf = (value: bigint, perSecond: bigint): bigint => {
  const { micros, nanos } = split(value, perSecond);
  if (nanos !== 0n) {
    throw new Error(`is ${value} nanoseconds: a column of moments ends at microseconds; declare it as int64 or string in columns`);
  }
  if (micros < -INT64_MOST || micros >= INT64_MOST) throw new Error(`is ${value}, beyond what a column of times can hold`);
  return micros;
};

/** `nanos`: what is left behind the microseconds, 0 to 999. */
const split = (value: bigint, perSecond: bigint): { readonly micros: bigint; readonly nanos: bigint } => {
  if (perSecond <= MICROS_PER_SECOND) return { micros: (value * MICROS_PER_SECOND) / perSecond, nanos: 0n };
  const nanos = ((value % 1_000n) + 1_000n) % 1_000n;
  return { micros: (value - nanos) / 1_000n, nanos };
};

const withNanos = (text: string, nanos: bigint): string =>
  `${text.includes(".") ? text : `${text}.000000`}${nanos.toString().padStart(3, "0")}`;

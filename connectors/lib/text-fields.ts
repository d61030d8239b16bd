// Values of a batch as the text that bulk loads read and INSERTs take: one way to write each type, so that all give the same.

import { isUtf8 } from "node:buffer";
import { DownbeatError } from "../../core/errors.ts";
import type { Batch, FixedVector, TextVector, Vector } from "../batch.ts";
import { civilFromDays, formatTime } from "./calendar.ts";
import { copyRange, viewedBytes, type ViewedBytes } from "./copy-bytes.ts";
import type { InsertColumn } from "./load/session.ts";
import { decimalText } from "./rows.ts";

const ZERO = 48;
const MINUS = 45;
const QUOTE = 34;
const BACKSLASH = 92;
/** What a field of LOAD DATA must not hold as it is: tab, line feed and the backslash itself. */
const SPECIAL = [9, 10, BACKSLASH] as const;
const MICROS_PER_DAY = 86_400_000_000;
const TWO_32 = 2 ** 32;
/** High words between which a 64-bit number is exact as a double. */
const EXACT_HIGH = 2 ** 21;
/** 0001-01-01 and 9999-12-31. */
const FIRST_DAY = -719_162;
const LAST_DAY = 2_932_896;

/** Text under way. */
export class FieldText {
  #out: ViewedBytes;
  length = 0;

  constructor(size: number) {
    this.#out = viewedBytes(Buffer.allocUnsafeSlow(size));
  }

  get bytes(): Buffer {
    return this.#out.bytes.subarray(0, this.length);
  }

  reserve(more: number): void {
    const { bytes } = this.#out;
    if (this.length + more <= bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.length + more, bytes.length * 2));
    bytes.copy(grown, 0, 0, this.length);
    this.#out = viewedBytes(grown);
  }

  byte(value: number): void {
    this.#out.bytes[this.length++] = value;
  }

  ascii(text: string): void {
    this.reserve(text.length);
    this.length += this.#out.bytes.write(text, this.length, "latin1");
  }

  /** A whole number from 0 to 2^53, with at least so many digits. */
  digits(value: number, width: number): void {
    const start = this.length;
    let count = 1;
    for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) count += 1;
    this.length = start + Math.max(count, width);
    const { bytes } = this.#out;
    let rest = value;
    for (let at = this.length - 1; at >= start; at -= 1) {
      const quotient = Math.floor(rest / 10);
      bytes[at] = ZERO + (rest - quotient * 10);
      rest = quotient;
    }
  }

  copy(from: ViewedBytes, start: number, end: number): void {
    this.reserve(end - start);
    copyRange(from, start, end, this.#out, this.length);
    this.length += end - start;
  }

  copyQuoted(from: ViewedBytes, start: number, end: number): void {
    this.reserve(2 * (end - start));
    const source = from.bytes;
    const target = this.#out.bytes;
    let at = this.length;
    for (let place = start; place < end; place += 1) {
      const byte = source[place]!;
      if (byte === QUOTE) target[at++] = QUOTE;
      target[at++] = byte;
    }
    this.length = at;
  }

  copyEscaped(from: ViewedBytes, start: number, end: number): void {
    this.reserve(2 * (end - start));
    const source = from.bytes;
    const target = this.#out.bytes;
    let at = this.length;
    for (let place = start; place < end; place += 1) {
      const byte = source[place]!;
      if (byte === 9 || byte === 10 || byte === BACKSLASH) target[at++] = BACKSLASH;
      target[at++] = byte;
    }
    this.length = at;
  }
}

/** What a system reads, and what of values it cannot hold. */
export interface FieldStyle {
  /** For messages: "MySQL". */
  readonly title: string;
  /** How texts are written: as they are, with a backslash before tabs, line feeds and backslashes, or in double quotes. */
  readonly texts: "plain" | "escaped" | "quoted";
  /** False and true. */
  readonly booleans: readonly [string, string];
  /** Whether NaN and infinity are values. */
  readonly takesNonFinite: boolean;
  /** Why a text or binary value of so many bytes is refused; undefined: it is not. */
  readonly refuses?: (type: "string" | "json" | "uuid" | "binary", value: Buffer) => string | undefined;
}

/** One column's values, each put behind what is there. NULL is the caller's to write. */
export interface LoadField {
  readonly valid: Uint8Array | null;
  readonly put: (row: number, out: FieldText) => void;
}

/** Bytes that any number, date or time needs at most. */
const SMALL = 32;

export const loadField = (batch: Batch, { index, name, type }: InsertColumn, style: FieldStyle): LoadField => {
  const vector: Vector = batch.columns[index]!;
  const fixed = vector as FixedVector;
  const refuse = (row: number, why: string): never => {
    throw new DownbeatError("DESTINATION_DATA_REFUSED", `column "${name}", row ${row + 1} of a batch: ${why}`, {
      details: { column: name },
    });
  };
  const field = (put: LoadField["put"]): LoadField => ({ valid: vector.valid, put });
  switch (type.kind) {
    case "bool":
      return field((row, out) => out.ascii(style.booleans[fixed.data[row]!]!));
    case "int32":
      return int32Field(fixed);
    case "int64":
      return int64Field(fixed, false);
    case "uint64":
      return int64Field(fixed, true);
    case "float32":
      return floatField(fixed.valid, new Float32Array(fixed.data.buffer, fixed.data.byteOffset, fixed.data.length >> 2), { style, refuse });
    case "float64":
      return floatField(fixed.valid, new Float64Array(fixed.data.buffer, fixed.data.byteOffset, fixed.data.length >> 3), { style, refuse });
    case "decimal": {
      if (vector.layout === "text") return textField(vector, "plain");
      const values = longs(fixed);
      return field((row, out) => out.ascii(decimalText(String(values[row]), type.scale)));
    }
    case "date": {
      const days = words(fixed);
      return field((row, out) => putDate(days[row]!, row, out, { style, refuse }));
    }
    case "time": {
      const values = longs(fixed);
      return field((row, out) => out.ascii(formatTime(values[row]!)));
    }
    case "timestamp":
    case "timestamptz":
      return timestampField(fixed, { style, refuse });
    case "binary":
      refuseValues(batch.rows, vector as TextVector, type.kind, { style, refuse });
      return hexField(vector as TextVector);
    case "string":
    case "json":
    case "uuid":
      refuseBadText(batch.rows, vector as TextVector, refuse);
      refuseValues(batch.rows, vector as TextVector, type.kind, { style, refuse });
      return textField(vector as TextVector, style.texts);
  }
};

type Refuse = (row: number, why: string) => never;

interface Refusals {
  readonly style: FieldStyle;
  readonly refuse: Refuse;
}

const words = ({ data }: FixedVector): Int32Array => new Int32Array(data.buffer, data.byteOffset, data.length >> 2);
const longs = ({ data }: FixedVector): BigInt64Array => new BigInt64Array(data.buffer, data.byteOffset, data.length >> 3);

const int32Field = (vector: FixedVector): LoadField => {
  const values = words(vector);
  return {
    valid: vector.valid,
    put(row, out) {
      out.reserve(SMALL);
      const value = values[row]!;
      if (value < 0) out.byte(MINUS);
      out.digits(Math.abs(value), 1);
    },
  };
};

const int64Field = (vector: FixedVector, isUnsigned: boolean): LoadField => {
  const halves = words(vector);
  const whole = longs(vector);
  return {
    valid: vector.valid,
    put(row, out) {
      const high = halves[row * 2 + 1]!;
      if (high < -EXACT_HIGH || high >= EXACT_HIGH) {
        out.ascii(String(isUnsigned ? BigInt.asUintN(64, whole[row]!) : whole[row]));
        return;
      }
      if (isUnsigned && high < 0) {
        out.ascii(String(BigInt.asUintN(64, whole[row]!)));
        return;
      }
      const value = high * TWO_32 + (halves[row * 2]! >>> 0);
      out.reserve(SMALL);
      if (value < 0) out.byte(MINUS);
      out.digits(Math.abs(value), 1);
    },
  };
};

/** The shortest text of a double is read back as that double, and a float's is one. */
const floatField = (valid: Uint8Array | null, values: Float32Array | Float64Array, { style, refuse }: Refusals): LoadField => ({
  valid,
  put(row, out) {
    const value = values[row]!;
    if (!style.takesNonFinite && !Number.isFinite(value))
      refuse(row, `${value} is no number to ${style.title}; replace it in the source's query, e.g. by NULL`);
    out.ascii(Object.is(value, -0) ? "-0" : String(value));
  },
});

const putDate = (day: number, row: number, out: FieldText, { style, refuse }: Refusals): void => {
  if (day < FIRST_DAY || day > LAST_DAY) refuse(row, `the date is not within the years 1 to 9999 that ${style.title} knows`);
  const { year, month, day: dayOfMonth } = civilFromDays(day);
  out.reserve(SMALL);
  out.digits(year, 4);
  out.byte(MINUS);
  out.digits(month, 2);
  out.byte(MINUS);
  out.digits(dayOfMonth, 2);
};

const timestampField = (vector: FixedVector, refusals: Refusals): LoadField => {
  const halves = words(vector);
  const whole = longs(vector);
  const perDay = BigInt(MICROS_PER_DAY);
  return {
    valid: vector.valid,
    put(row, out) {
      const high = halves[row * 2 + 1]!;
      let day: number;
      let micros: number;
      if (high >= -EXACT_HIGH && high < EXACT_HIGH) {
        const value = high * TWO_32 + (halves[row * 2]! >>> 0);
        day = Math.floor(value / MICROS_PER_DAY);
        micros = value - day * MICROS_PER_DAY;
      } else {
        const value = whole[row]!;
        const within = ((value % perDay) + perDay) % perDay;
        day = Number((value - within) / perDay);
        micros = Number(within);
      }
      putDate(day, row, out, refusals);
      const seconds = Math.floor(micros / 1_000_000);
      out.byte(32);
      out.digits(Math.floor(seconds / 3_600), 2);
      out.byte(58);
      out.digits(Math.floor(seconds / 60) % 60, 2);
      out.byte(58);
      out.digits(seconds % 60, 2);
      out.byte(46);
      out.digits(micros % 1_000_000, 6);
    },
  };
};

const viewed = ({ data }: TextVector): ViewedBytes => viewedBytes(Buffer.from(data.buffer, data.byteOffset, data.length));

const textField = (vector: TextVector, texts: FieldStyle["texts"]): LoadField => {
  const { offsets, valid } = vector;
  const source = viewed(vector);
  if (texts === "quoted") return quotedField(vector, source);
  const isPlain = texts === "plain" || SPECIAL.every((byte) => !source.bytes.includes(byte));
  return {
    valid,
    put: isPlain
      ? (row, out) => out.copy(source, offsets[row]!, offsets[row + 1]!)
      : (row, out) => out.copyEscaped(source, offsets[row]!, offsets[row + 1]!),
  };
};

const quotedField = ({ offsets, valid }: TextVector, source: ViewedBytes): LoadField => {
  const hasQuotes = source.bytes.includes(QUOTE);
  return {
    valid,
    put(row, out) {
      out.reserve(2);
      out.byte(QUOTE);
      if (hasQuotes) out.copyQuoted(source, offsets[row]!, offsets[row + 1]!);
      else out.copy(source, offsets[row]!, offsets[row + 1]!);
      out.reserve(1);
      out.byte(QUOTE);
    },
  };
};

const hexField = (vector: TextVector): LoadField => {
  const { offsets, valid } = vector;
  const { bytes } = viewed(vector);
  return { valid, put: (row, out) => out.ascii(bytes.toString("hex", offsets[row], offsets[row + 1])) };
};

const refuseBadText = (rows: number, { offsets, data }: TextVector, refuse: Refuse): void => {
  if (isUtf8(data.subarray(offsets[0], offsets[rows]))) return;
  for (let row = 0; row < rows; row += 1) {
    if (!isUtf8(data.subarray(offsets[row], offsets[row + 1]))) refuse(row, "the text is not UTF-8; carry the column as binary");
  }
};

const refuseValues = (
  rows: number,
  { offsets, data, valid }: TextVector,
  kind: "string" | "json" | "uuid" | "binary",
  { style, refuse }: Refusals,
): void => {
  const { refuses } = style;
  if (refuses === undefined) return;
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
  for (let row = 0; row < rows; row += 1) {
    if (valid !== null && valid[row] === 0) continue;
    const why = refuses(kind, bytes.subarray(offsets[row], offsets[row + 1]));
    if (why !== undefined) refuse(row, why);
  }
};

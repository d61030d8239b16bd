// Reads a JSON object's bytes straight into columns, without a JavaScript value for each: the way of all rows that hold nothing unusual.

import { type Column, layoutOf } from "../batch.ts";
import type { FixedColumnBuilder, TextColumnBuilder } from "./batch-builder.ts";
import {
  BACKSLASH,
  bareEnd,
  CLOSE,
  COLON,
  COMMA,
  escapedEnd,
  FALSE,
  isNested,
  isWord,
  MINUS,
  nestedEnd,
  NINE,
  NULL,
  OPEN,
  plainEnd,
  POINT,
  QUOTE,
  skipSpace,
  SPACE,
  TRUE,
  UNUSUAL,
  ZERO,
} from "./json-bytes.ts";
import { isRawNumber, jsonText, parseJson } from "./json-text.ts";
import { appendValue } from "./rows.ts";

/** So many digits are exact as a double, and so is their quotient by a power of ten: it is the double that is nearest to the text. */
const EXACT_DIGITS = 15;
const POWERS = Array.from({ length: EXACT_DIGITS + 1 }, (_, exponent) => 10 ** exponent);

const UNESCAPED: Readonly<Record<number, number>> = { 0x22: 0x22, 0x5c: 0x5c, 0x2f: 0x2f, 0x62: 8, 0x66: 12, 0x6e: 10, 0x72: 13, 0x74: 9 };

interface Target {
  readonly column: Column;
  readonly key: Buffer;
  readonly builder: FixedColumnBuilder | TextColumnBuilder;
}

export class ObjectScanner {
  readonly #targets: readonly Target[];
  readonly #places: ReadonlyMap<string, number>;
  readonly #areInferred: boolean;
  /** Which key came last behind which: messages of one kind have theirs in one order. The last is of the beginning. */
  readonly #next: Int32Array;
  #scratch = Buffer.alloc(1_024);
  #mantissa = 0;
  #fractionDigits = 0;

  /** `areInferred`: columns that the rows themselves have shown, so that a value of another type would change them. */
  constructor(columns: readonly Column[], builders: readonly (FixedColumnBuilder | TextColumnBuilder)[], areInferred: boolean) {
    this.#targets = columns.map((column, place) => ({ column, key: Buffer.from(column.name), builder: builders[place]! }));
    this.#places = new Map(columns.map(({ name }, place) => [name, place]));
    this.#areInferred = areInferred;
    this.#next = Int32Array.from({ length: columns.length + 1 }, (_, place) => (place === columns.length ? 0 : place + 1));
  }

  /**
   * Appends a value to each column and answers true; or answers false and leaves some of them longer than others: what it does not take
   * has to be parsed. The bytes must be UTF-8. What it takes it reads as `parseObject` and `appendValue` would.
   */
  append(bytes: Buffer, row: number): boolean {
    let at = skipSpace(bytes, 0);
    if (bytes[at] !== OPEN) return false;
    at = skipSpace(bytes, at + 1);
    let last = this.#targets.length;
    let isOpen = bytes[at] !== CLOSE;
    while (isOpen) {
      if (bytes[at] !== QUOTE) return false;
      const keyEnd = plainEnd(bytes, at + 1);
      if (keyEnd === UNUSUAL) return false;
      const place = this.#placeOf(bytes, at + 1, keyEnd, last);
      at = skipSpace(bytes, keyEnd + 1);
      if (bytes[at] !== COLON) return false;
      at = skipSpace(bytes, at + 1);
      const target = this.#targets[place];
      if (target === undefined) at = this.#pass(bytes, at);
      else if (target.builder.rows === row) {
        at = this.#take(bytes, at, target);
        last = place;
      } else return false;
      if (at === UNUSUAL) return false;
      at = skipSpace(bytes, at);
      if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1);
      else if (bytes[at] === CLOSE) isOpen = false;
      else return false;
    }
    return skipSpace(bytes, at + 1) === bytes.length && this.#fillUp(row);
  }

  #fillUp(row: number): boolean {
    for (const { column, builder } of this.#targets) {
      if (builder.rows > row) continue;
      if (!column.nullable) return false;
      builder.appendNull();
    }
    return true;
  }

  #placeOf(bytes: Buffer, from: number, end: number, last: number): number {
    const guess = this.#next[last] ?? UNUSUAL;
    const key = this.#targets[guess]?.key;
    if (key !== undefined && key.length === end - from) {
      let same = 0;
      while (same < key.length && key[same] === bytes[from + same]) same += 1;
      if (same === key.length) return guess;
    }
    const place = this.#places.get(bytes.toString("utf8", from, end)) ?? UNUSUAL;
    if (place !== UNUSUAL) this.#next[last] = place;
    return place;
  }

  /** Passes over the value of a key that no column has. */
  #pass(bytes: Buffer, at: number): number {
    const end = bytes[at] === QUOTE ? escapedEnd(bytes, at + 1) + 1 : isNested(bytes[at]) ? nestedEnd(bytes, at) : bareEnd(bytes, at);
    // Where columns are inferred only a null shows none.
    if (end <= at || (this.#areInferred && !isWord(bytes, at, end, NULL))) return UNUSUAL;
    return this.#parse(bytes, at, end) === undefined ? UNUSUAL : end;
  }

  /** Appends the value that begins here; answers the place behind it. */
  #take(bytes: Buffer, at: number, target: Target): number {
    const byte = bytes[at]!;
    if (byte === QUOTE) return this.#takeText(bytes, at, target);
    if (byte === MINUS || (byte >= ZERO && byte <= NINE)) return this.#takeNumber(bytes, at, target);
    if (isNested(byte)) return this.#takeParsed(bytes, at, nestedEnd(bytes, at), target);
    return this.#takeWord(bytes, at, bareEnd(bytes, at), target);
  }

  #takeWord(bytes: Buffer, at: number, end: number, target: Target): number {
    const { column, builder } = target;
    if (isWord(bytes, at, end, NULL)) {
      if (!column.nullable) return UNUSUAL;
      builder.appendNull();
      return end;
    }
    const isTrue = isWord(bytes, at, end, TRUE);
    if (column.type.kind !== "bool" || !(isTrue || isWord(bytes, at, end, FALSE))) return this.#takeParsed(bytes, at, end, target);
    (builder as FixedColumnBuilder).appendBool(isTrue);
    return end;
  }

  #takeText(bytes: Buffer, at: number, target: Target): number {
    const builder = target.builder as TextColumnBuilder;
    const isText = target.column.type.kind === "string";
    const end = plainEnd(bytes, at + 1);
    if (end !== UNUSUAL) {
      if (!isText) return this.#takeParsed(bytes, at, end + 1, target);
      builder.appendRange(bytes, at + 1, end);
      return end + 1;
    }
    const close = escapedEnd(bytes, at + 1);
    const length = isText && close !== UNUSUAL ? this.#unescape(bytes, at + 1, close) : UNUSUAL;
    if (length === UNUSUAL) return this.#takeParsed(bytes, at, close + 1, target);
    builder.appendRange(this.#scratch, 0, length);
    return close + 1;
  }

  /** The string's bytes in `#scratch`; answers how many they are. Code units by number are left to `JSON.parse`. */
  #unescape(bytes: Buffer, from: number, end: number): number {
    if (this.#scratch.length < end - from) this.#scratch = Buffer.alloc((end - from) * 2);
    const scratch = this.#scratch;
    let length = 0;
    for (let at = from; at < end; at += 1) {
      let byte: number | undefined = bytes[at]!;
      if (byte === BACKSLASH) {
        at += 1;
        byte = UNESCAPED[bytes[at]!];
      } else if (byte < SPACE) byte = undefined;
      if (byte === undefined) return UNUSUAL;
      scratch[length] = byte;
      length += 1;
    }
    return length;
  }

  #takeNumber(bytes: Buffer, at: number, target: Target): number {
    const { kind } = target.column.type;
    const isTaken = !this.#areInferred || kind === "int64" || kind === "float64";
    const end = isTaken ? this.#scanNumber(bytes, at) : UNUSUAL;
    if (end === UNUSUAL || !this.#appendNumber(target, bytes[at] === MINUS)) return this.#takeParsed(bytes, at, bareEnd(bytes, at), target);
    return end;
  }

  /** Leaves the digits without the point in `#mantissa`. */
  #scanNumber(bytes: Buffer, from: number): number {
    let at = bytes[from] === MINUS ? from + 1 : from;
    const first = at;
    let mantissa = 0;
    let byte = bytes[at];
    for (; byte !== undefined && byte >= ZERO && byte <= NINE; byte = bytes[at]) {
      mantissa = mantissa * 10 + byte - ZERO;
      at += 1;
    }
    let digits = at - first;
    if (digits === 0 || (bytes[first] === ZERO && digits > 1)) return UNUSUAL;
    this.#fractionDigits = 0;
    if (byte === POINT) {
      at += 1;
      const point = at;
      for (byte = bytes[at]; byte !== undefined && byte >= ZERO && byte <= NINE; byte = bytes[at]) {
        mantissa = mantissa * 10 + byte - ZERO;
        at += 1;
      }
      this.#fractionDigits = at - point;
      if (at === point) return UNUSUAL;
      digits += at - point;
    }
    this.#mantissa = mantissa;
    // Something else behind it, such as an exponent, is part of it or at fault.
    return digits <= EXACT_DIGITS && at === bareEnd(bytes, at) ? at : UNUSUAL;
  }

  #appendNumber({ column: { type }, builder }: Target, isNegative: boolean): boolean {
    const fixed = builder as FixedColumnBuilder;
    const fraction = this.#fractionDigits;
    const mantissa = isNegative ? -this.#mantissa : this.#mantissa;
    switch (type.kind) {
      case "int32":
        if (fraction > 0 || mantissa !== (mantissa | 0)) return false;
        fixed.appendInt32(mantissa);
        return true;
      case "int64":
        if (fraction > 0) return false;
        fixed.appendSafeInteger(mantissa);
        return true;
      case "float64":
        fixed.appendFloat64(mantissa / POWERS[fraction]!);
        return true;
      case "decimal": {
        const shift = type.scale - fraction;
        if (shift < 0 || shift > EXACT_DIGITS || layoutOf(type) !== "bytes8") return false;
        const scaled = mantissa * POWERS[shift]!;
        if (Math.abs(scaled) >= 10 ** Math.min(type.precision, EXACT_DIGITS)) return false;
        fixed.appendSafeInteger(scaled);
        return true;
      }
      default:
        return false;
    }
  }

  /** Any value by way of JavaScript's. */
  #takeParsed(bytes: Buffer, from: number, end: number, { column: { type }, builder }: Target): number {
    const value = end > from ? this.#parse(bytes, from, end) : undefined;
    if (value === undefined) return UNUSUAL;
    if (this.#areInferred && !isOfInferred(type.kind, value)) return UNUSUAL;
    return appendValue(builder, type, value, jsonText) ? end : UNUSUAL;
  }

  #parse(bytes: Buffer, from: number, end: number): unknown {
    try {
      return parseJson(bytes.toString("utf8", from, end));
    } catch {
      return undefined;
    }
  }
}

/** Whether a column that was inferred with this type stays as it is by the value, as far as `appendValue` does not tell. */
const isOfInferred = (kind: Column["type"]["kind"], value: unknown): boolean => {
  if (kind === "string") return true;
  switch (typeof value) {
    case "number":
      return kind === "int64" || kind === "float64";
    case "bigint":
      return kind === "int64";
    case "boolean":
      return kind === "bool";
    case "object":
      return kind === "json" && !isRawNumber(value);
    default:
      return false;
  }
};

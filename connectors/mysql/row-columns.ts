// Rows of the binary protocol written straight into typed columns: no JavaScript value for a field.
// https://mariadb.com/kb/en/resultset-row/#binary-resultset-row

import { DownbeatError } from "../../core/errors.ts";
import { layoutOf, type Layout, type Reject, type Vector } from "../batch.ts";
import { copyRange, viewedBytes, type ViewedBytes } from "../lib/copy-bytes.ts";
import { civilFromDays, daysFromCivil } from "../lib/calendar.ts";
import { rowAsText } from "./row-text.ts";
import type { Decoding, ResultColumn, ZeroDates } from "./types.ts";

const TINY_BOOL = 0;
const TINY_SIGNED = 1;
const TINY_UNSIGNED = 2;
const SHORT_SIGNED = 3;
const SHORT_UNSIGNED = 4;
const WORD = 5;
const UNSIGNED_WORD = 6;
const TWO_WORDS = 7;
const SCALED_DECIMAL = 8;
const TEXT_DECIMAL = 9;
const DATE = 10;
const DATETIME = 11;
const TIME = 12;
const BIT_BOOL = 13;
const BITS = 14;
const TEXT = 15;

const OPERATION: Readonly<Record<Decoding, number>> = {
  tinyBool: TINY_BOOL,
  tinySigned: TINY_SIGNED,
  tinyUnsigned: TINY_UNSIGNED,
  shortSigned: SHORT_SIGNED,
  shortUnsigned: SHORT_UNSIGNED,
  word: WORD,
  unsignedWord: UNSIGNED_WORD,
  twoWords: TWO_WORDS,
  scaledDecimal: SCALED_DECIMAL,
  textDecimal: TEXT_DECIMAL,
  date: DATE,
  datetime: DATETIME,
  time: TIME,
  bitBool: BIT_BOOL,
  bits: BITS,
  text: TEXT,
};

const TWO_32 = 4_294_967_296;
/** Seconds beyond which microseconds are no exact double: the year 2255. */
const EXACT_SECONDS = 9_000_000_000;
/** Characters of a decimal with at most 15 digits, which is exact as a double: digits, sign, point. */
const QUICK_DECIMAL = 17;
const FIRST_CAPACITY = 4_096;
const FIRST_TEXT = 16 * 1_024;
/** Characters of a refused row that are kept. */
const RAW_LENGTH = 64 * 1_024;

/** One column under way. All columns have the same shape, so that the loop over them stays quick. */
class Cells {
  readonly operation: number;
  readonly layout: Layout;
  readonly scale: number;
  valid = new Uint8Array(0);
  bytes = new Uint8Array(0);
  words = new Int32Array(0);
  offsets = new Int32Array(0);
  text = viewedBytes(Buffer.alloc(0));
  used = 0;
  /** The last date, packed, and its day: rows that follow each other often share it. */
  dateKey = -1;
  day = 0;

  constructor({ column, decoding }: ResultColumn) {
    this.operation = OPERATION[decoding];
    this.layout = layoutOf(column.type);
    this.scale = column.type.kind === "decimal" ? column.type.scale : 0;
  }

  get wordsPerRow(): number {
    return this.layout === "bytes8" ? 2 : 1;
  }

  allocate(capacity: number, text: number): void {
    this.valid = new Uint8Array(capacity);
    if (this.layout === "bytes1") this.bytes = new Uint8Array(capacity);
    else if (this.layout === "text") {
      this.offsets = new Int32Array(capacity + 1);
      this.text = viewedBytes(Buffer.from(new ArrayBuffer(text)));
      this.used = 0;
    } else this.words = new Int32Array(capacity * this.wordsPerRow);
  }

  /** Copies rows [from, to) of earlier arrays to the front. */
  adopt(
    before: { valid: Uint8Array; bytes: Uint8Array; words: Int32Array; offsets: Int32Array; text: ViewedBytes },
    from: number,
    to: number,
  ): void {
    this.valid.set(before.valid.subarray(from, to));
    if (this.layout === "bytes1") this.bytes.set(before.bytes.subarray(from, to));
    else if (this.layout === "text") {
      const start = before.offsets[from]!;
      const end = before.offsets[to]!;
      for (let row = from; row <= to; row += 1) this.offsets[row - from] = before.offsets[row]! - start;
      if (end - start > this.text.bytes.length) this.growText(end - start);
      before.text.bytes.copy(this.text.bytes, 0, start, end);
      this.used = end - start;
    } else this.words.set(before.words.subarray(from * this.wordsPerRow, to * this.wordsPerRow));
  }

  growText(needed: number): void {
    const grown = Buffer.from(new ArrayBuffer(Math.max(needed, this.text.bytes.length * 2)));
    this.text.bytes.copy(grown, 0, 0, this.used);
    this.text = viewedBytes(grown);
  }
}

/** What is wrong with a value. */
interface Fault {
  readonly place: number;
  readonly reason: string;
  /** Whether the option for dates that are none decides. */
  readonly isDate?: boolean;
}

export interface RowColumnsOptions {
  readonly zeroDates: ZeroDates;
  /** Takes every row as a reject for this reason. */
  readonly rejectAll?: { readonly code: Reject["code"]; readonly reason: string };
  /** Columns that say where a row lies. */
  readonly orderNames: readonly string[];
  /** For messages: what is read. */
  readonly what: string;
}

/** A row that was refused behind the last one that was taken: its order columns' values as text. */
interface Tail {
  readonly behind: number;
  readonly values: readonly string[] | null;
}

/** A row that was refused, and how many of the rows that wait here came before it. */
interface Refused {
  readonly behind: number;
  readonly reject: Reject;
}

export class RowColumns {
  readonly columns: readonly ResultColumn[];
  readonly #cells: readonly Cells[];
  readonly #options: RowColumnsOptions;
  readonly #isNullDates: boolean;
  #capacity = FIRST_CAPACITY;
  #fault: Fault | undefined;
  #tail: Tail | undefined;
  #refused: Refused[] = [];
  /** What the last row lay in: many rows come in one piece. */
  #source = viewedBytes(Buffer.alloc(0));
  rows = 0;
  /** Bytes of the rows as they came: close to what they take in memory. */
  bytes = 0;

  constructor(columns: readonly ResultColumn[], options: RowColumnsOptions) {
    this.columns = columns;
    this.#options = options;
    this.#isNullDates = options.zeroDates === "null";
    this.#cells = columns.map((column) => new Cells(column));
    for (const cells of this.#cells) cells.allocate(this.#capacity, FIRST_TEXT);
  }

  /** Decodes one row at [at, end): a zero byte, the bitmap of nulls, the values. */
  decode(b: Buffer, at: number, end: number): void {
    const row = this.rows;
    if (row === this.#capacity) this.#grow();
    const cells = this.#cells;
    const count = cells.length;
    if (this.#source.bytes !== b) this.#source = viewedBytes(b);
    const source = this.#source;
    const { view } = source;
    let p = at + 1 + ((count + 9) >> 3);
    for (let place = 0; place < count; place += 1) {
      const cell = cells[place]!;
      const bit = place + 2;
      if ((b[at + 1 + (bit >> 3)]! & (1 << (bit & 7))) !== 0) {
        cell.valid[row] = 0;
        if (cell.layout === "text") cell.offsets[row + 1] = cell.used;
        continue;
      }
      cell.valid[row] = 1;
      switch (cell.operation) {
        case WORD:
          cell.words[row] = view.getInt32(p, true);
          p += 4;
          break;
        case TWO_WORDS:
          cell.words[row * 2] = view.getInt32(p, true);
          cell.words[row * 2 + 1] = view.getInt32(p + 4, true);
          p += 8;
          break;
        case TEXT: {
          let length = b[p++]!;
          if (length > 250) {
            if (length === 252) {
              length = b[p]! | (b[p + 1]! << 8);
              p += 2;
            } else if (length === 253) {
              length = b[p]! | (b[p + 1]! << 8) | (b[p + 2]! << 16);
              p += 3;
            } else {
              length = view.getUint32(p, true);
              p += 8;
            }
          }
          const used = cell.used;
          if (used + length > cell.text.bytes.length) cell.growText(used + length);
          copyRange(source, p, p + length, cell.text, used);
          p += length;
          cell.used = used + length;
          cell.offsets[row + 1] = used + length;
          break;
        }
        case SCALED_DECIMAL: {
          const length = b[p]!;
          const stop = p + 1 + length;
          let from = p + 1;
          const negative = b[from] === 45;
          if (negative) from += 1;
          let value = 0;
          let point = stop - 1;
          for (; from < stop; from += 1) {
            const code = b[from]!;
            if (code === 46) point = from;
            else value = value * 10 + (code - 48);
          }
          if (length <= QUICK_DECIMAL && stop - 1 - point === cell.scale) putInteger(cell.words, row, negative ? -value : value);
          else this.#scaledDecimal(cell, place, row, b.toString("latin1", p + 1, stop));
          p = stop;
          break;
        }
        case DATETIME: {
          const length = b[p]!;
          const day = length < 4 ? Number.NaN : dayAt(cell, b, p + 1);
          let seconds = day * 86_400;
          let micros = 0;
          if (length > 4) seconds += b[p + 5]! * 3_600 + b[p + 6]! * 60 + b[p + 7]!;
          if (length > 7) micros = view.getUint32(p + 8, true);
          if (Number.isNaN(day)) this.#noDate(cell, place, row, b, p);
          else if (seconds < EXACT_SECONDS && seconds > -EXACT_SECONDS) putInteger(cell.words, row, seconds * 1e6 + micros);
          else putBigInteger(cell.words, row, BigInt(seconds) * 1_000_000n + BigInt(micros));
          p += 1 + length;
          break;
        }
        case DATE: {
          const length = b[p]!;
          const day = length < 4 ? Number.NaN : dayAt(cell, b, p + 1);
          if (Number.isNaN(day)) this.#noDate(cell, place, row, b, p);
          else cell.words[row] = day;
          p += 1 + length;
          break;
        }
        case TINY_BOOL: {
          const value = b[p++]!;
          cell.bytes[row] = value;
          if (value > 1)
            this.#fault ??= { place, reason: `${(value << 24) >> 24} is neither 0 nor 1; read it as a number with tinyint1: int` };
          break;
        }
        case TINY_SIGNED:
          cell.words[row] = (b[p++]! << 24) >> 24;
          break;
        case TINY_UNSIGNED:
          cell.words[row] = b[p++]!;
          break;
        case SHORT_SIGNED:
          cell.words[row] = ((b[p]! | (b[p + 1]! << 8)) << 16) >> 16;
          p += 2;
          break;
        case SHORT_UNSIGNED:
          cell.words[row] = b[p]! | (b[p + 1]! << 8);
          p += 2;
          break;
        case UNSIGNED_WORD:
          cell.words[row * 2] = view.getInt32(p, true);
          cell.words[row * 2 + 1] = 0;
          p += 4;
          break;
        case TIME: {
          const length = b[p]!;
          let micros = 0;
          if (length >= 8) {
            const days = view.getUint32(p + 2, true);
            micros = (days * 86_400 + b[p + 6]! * 3_600 + b[p + 7]! * 60 + b[p + 8]!) * 1e6;
            if (length > 8) micros += view.getUint32(p + 9, true);
            if (b[p + 1] === 1) micros = -micros;
          }
          putInteger(cell.words, row, micros);
          p += 1 + length;
          break;
        }
        case BIT_BOOL:
          cell.bytes[row] = b[p + 1]! & 1;
          p += 1 + b[p]!;
          break;
        case BITS: {
          // Big-endian, as many bytes as the column needs.
          const length = b[p]!;
          let low = 0;
          let high = 0;
          for (let from = p + 1; from <= p + length; from += 1) {
            high = (high << 8) | (low >>> 24);
            low = (low << 8) | b[from]!;
          }
          cell.words[row * 2] = low;
          cell.words[row * 2 + 1] = high;
          p += 1 + length;
          break;
        }
        case TEXT_DECIMAL: {
          const length = b[p]!;
          const text = withoutLeadingZeros(b.toString("latin1", p + 1, p + 1 + length));
          if (cell.used + text.length > cell.text.bytes.length) cell.growText(cell.used + text.length);
          cell.used += cell.text.bytes.write(text, cell.used, "latin1");
          cell.offsets[row + 1] = cell.used;
          p += 1 + length;
          break;
        }
      }
    }
    if (this.#fault === undefined && this.#options.rejectAll === undefined) {
      this.rows = row + 1;
      this.bytes += end - at;
    } else this.#reject(b, at, row);
  }

  #grow(): void {
    const capacity = this.#capacity * 2;
    for (const cells of this.#cells) {
      const { valid, bytes, words, offsets, text } = cells;
      cells.allocate(capacity, text.bytes.length);
      cells.adopt({ valid, bytes, words, offsets, text }, 0, this.rows);
    }
    this.#capacity = capacity;
  }

  /** More than 15 digits, or not as many places as were announced. */
  #scaledDecimal(cell: Cells, place: number, row: number, text: string): void {
    const [whole = "", fraction = ""] = text.split(".");
    if (fraction.length > cell.scale) {
      this.#fault ??= { place, reason: `${text} has more than ${cell.scale} places` };
      return;
    }
    const value = BigInt(`${whole}${fraction.padEnd(cell.scale, "0")}`);
    if (value >= 10n ** 18n || value <= -(10n ** 18n)) this.#fault ??= { place, reason: `${text} has more than 18 digits` };
    else putBigInteger(cell.words, row, value);
  }

  #noDate(cell: Cells, place: number, row: number, b: Buffer, p: number): void {
    if (this.#isNullDates) cell.valid[row] = 0;
    else {
      const date =
        b[p]! < 4
          ? "0000-00-00"
          : [b.readUInt16LE(p + 1), b[p + 3]!, b[p + 4]!].map((part, place) => String(part).padStart(place === 0 ? 4 : 2, "0")).join("-");
      this.#fault ??= {
        place,
        reason: `"${date}" is no date; read such dates as NULL with zero_dates: "null", or divert the rows with zero_dates: dead_letter`,
        isDate: true,
      };
    }
  }

  #reject(b: Buffer, at: number, row: number): void {
    for (const cell of this.#cells) if (cell.layout === "text") cell.used = cell.offsets[row]!;
    const fault = this.#fault;
    this.#fault = undefined;
    const { rejectAll, orderNames, zeroDates, what } = this.#options;
    const text = rowAsText(this.columns, b, at);
    const faulty = fault === undefined ? undefined : this.columns[fault.place]!.column.name;
    const values = orderNames.map((name) => (name === faulty ? null : (text[name] ?? null)));
    this.#tail = { behind: row, values: values.every((value) => value !== null) ? values : null };
    const where =
      orderNames.length === 0 ? "a row" : `the row with ${orderNames.map((name) => `${name} ${text[name] ?? "NULL"}`).join(", ")}`;
    const reason = fault === undefined ? (rejectAll?.reason ?? "") : `column "${faulty}": ${fault.reason}`;
    if (fault?.isDate === true && zeroDates === "fail" && rejectAll === undefined) {
      throw new DownbeatError("SOURCE_DATA_INVALID", `${what}: ${where}: ${reason}`, { details: { column: faulty } });
    }
    const code = rejectAll?.code ?? "SOURCE_DATA_INVALID";
    this.#refused.push({ behind: row, reject: { where, code, reason, raw: JSON.stringify(text).slice(0, RAW_LENGTH) } });
  }

  get rejects(): number {
    return this.#refused.length;
  }

  /** Order values of a row that was refused and lies behind all that were taken: undefined = there is none, null = they cannot be told. */
  get tailValues(): readonly string[] | null | undefined {
    return this.#tail?.behind === this.rows ? this.#tail.values : undefined;
  }

  /** The last row that differs from its predecessor in one of the columns, and has no refused row between, which might be like either; 0 = there is none. */
  lastChange(places: readonly number[]): number {
    const cells = places.map((place) => this.#cells[place]!);
    const refused = new Set(this.#refused.map(({ behind }) => behind));
    for (let row = this.rows - 1; row > 0; row -= 1) if (!refused.has(row) && cells.some((cell) => differs(cell, row))) return row;
    return 0;
  }

  /** Hands over the first `rows` rows; the others become the first ones of what follows. */
  take(rows: number): readonly Vector[] {
    const rest = this.rows - rows;
    const kept = rest === 0 ? 0 : Math.ceil((this.bytes * rest) / this.rows);
    const capacity = Math.max(FIRST_CAPACITY, rest * 2, rows + (rows >> 3));
    const vectors = this.#cells.map((cell) => {
      const { valid, bytes, words, offsets, text } = cell;
      const used = cell.layout === "text" ? offsets[rows]! : 0;
      const vector = vectorOf(cell, rows, used);
      cell.allocate(capacity, Math.max(FIRST_TEXT, used + (used >> 3)));
      cell.adopt({ valid, bytes, words, offsets, text }, rows, rows + rest);
      return vector;
    });
    this.#capacity = capacity;
    this.#tail = this.#tail === undefined ? undefined : { ...this.#tail, behind: this.#tail.behind - rows };
    this.rows = rest;
    this.bytes = kept;
    return vectors;
  }

  /** Those that came before the last of the first `rows` rows, or behind it where no row follows: a load that goes on behind it meets the others again. To be called before `take`. */
  takeRejects(rows: number): readonly Reject[] {
    const isAll = rows === this.rows;
    const taken = this.#refused.filter(({ behind }) => isAll || behind < rows);
    this.#refused = this.#refused.slice(taken.length).map(({ behind, reject }) => ({ behind: behind - rows, reject }));
    return taken.map(({ reject }) => reject);
  }
}

const differs = ({ layout, valid, bytes, words, offsets, text }: Cells, row: number): boolean => {
  if (valid[row] !== valid[row - 1]) return true;
  if (valid[row] === 0) return false;
  switch (layout) {
    case "bytes1":
      return bytes[row] !== bytes[row - 1];
    case "bytes4":
      return words[row] !== words[row - 1];
    case "bytes8":
      return words[row * 2] !== words[row * 2 - 2] || words[row * 2 + 1] !== words[row * 2 - 1];
    case "text":
      return text.bytes.compare(text.bytes, offsets[row - 1], offsets[row], offsets[row], offsets[row + 1]) !== 0;
  }
};

/** The arrays themselves where they are mostly full, else a copy that fits. */
const vectorOf = (cell: Cells, rows: number, used: number): Vector => {
  const firstNull = cell.valid.indexOf(0);
  const valid = firstNull < 0 || firstNull >= rows ? null : fitted(cell.valid, rows);
  if (cell.layout === "text") {
    const offsets = rows * 2 < cell.offsets.length ? cell.offsets.slice(0, rows + 1) : cell.offsets.subarray(0, rows + 1);
    const { buffer, byteOffset, length } = cell.text.bytes;
    const whole = new Uint8Array(buffer as ArrayBuffer, byteOffset, length);
    return { layout: "text", offsets, data: fitted(whole, used), valid };
  }
  if (cell.layout === "bytes1") return { layout: "bytes1", data: fitted(cell.bytes, rows), valid };
  const { buffer, byteLength } = cell.words;
  return { layout: cell.layout, data: fitted(new Uint8Array(buffer, 0, byteLength), rows * cell.wordsPerRow * 4), valid };
};

const fitted = (bytes: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> =>
  length * 2 < bytes.length ? bytes.slice(0, length) : bytes.subarray(0, length);

const putInteger = (words: Int32Array, row: number, value: number): void => {
  const high = Math.floor(value / TWO_32);
  words[row * 2] = value - high * TWO_32;
  words[row * 2 + 1] = high;
};

const putBigInteger = (words: Int32Array, row: number, value: bigint): void => {
  words[row * 2] = Number(BigInt.asIntN(32, value));
  words[row * 2 + 1] = Number(value >> 32n);
};

/** Days since 1970 of the date at `p`: two bytes of year, month, day; NaN when there is no such day. */
const dayAt = (cell: Cells, b: Buffer, p: number): number => {
  const year = b[p]! | (b[p + 1]! << 8);
  const month = b[p + 2]!;
  const day = b[p + 3]!;
  const key = (year << 9) | (month << 5) | day;
  if (key === cell.dateKey) return cell.day;
  cell.dateKey = key;
  cell.day = realDay(year, month, day);
  return cell.day;
};

/** Servers store 2020-00-00 and, when told to, 2020-02-31. */
export const realDay = (year: number, month: number, day: number): number => {
  if (month === 0 || day === 0) return Number.NaN;
  const days = daysFromCivil(year, month, day);
  return day <= 28 || civilFromDays(days).day === day ? days : Number.NaN;
};

const withoutLeadingZeros = (text: string): string => text.replace(/^(-?)0+(?=\d)/, "$1");

// Rows as JavaScript values ↔ columnar batches, exactly: what does not fit becomes a reject with its column and reason.

import { isUtf8 } from "node:buffer";
import type { Json } from "../../core/json.ts";
import { layoutOf, type Batch, type Column, type ColumnType, type Position, type Reject, type Vector } from "../batch.ts";
import { BatchBuilder, type FixedColumnBuilder, type TextColumnBuilder } from "./batch-builder.ts";
import { formatDate, formatTime, formatTimestamp, parseDate, parseTime, parseTimestamp } from "./calendar.ts";
import { isRawNumber, jsonText } from "./json-text.ts";

export type Row = Readonly<Record<string, unknown>>;

export interface FromRowsOptions {
  readonly position: Position | null;
  readonly items?: readonly string[];
  /** Rejects that were found before, such as lines that are no JSON. */
  readonly rejects?: readonly Reject[];
  /** Where row i lay, for people. */
  readonly where?: (index: number) => string;
  /** Whether the rows are parsed JSON: then a string in a json column is a JSON string, else it is JSON text. */
  readonly areParsedJson?: boolean;
}

/** Characters of a dead letter's text at most. */
export const RAW_LENGTH = 64 * 1024;

export const rawText = (value: unknown): string => (typeof value === "string" ? value : jsonText(value)).slice(0, RAW_LENGTH);

/** Keys of a row that no column names are left out: columns say what is wanted. */
export const fromRows = (columns: readonly Column[], rows: Iterable<Row>, options: FromRowsOptions): Batch => {
  const builder = new BatchBuilder({ columns });
  const rejects: Reject[] = [...(options.rejects ?? [])];
  const append = rowAppender(builder, options.areParsedJson === true);
  let index = 0;
  for (const row of rows) {
    const fault = append(row);
    if (fault !== undefined) {
      rejects.push({ where: options.where?.(index) ?? `row ${index + 1}`, code: "SOURCE_DATA_INVALID", reason: fault, raw: rawText(row) });
    }
    index += 1;
  }
  return builder.take(options.position, { rejects, ...(options.items === undefined ? {} : { items: options.items }) });
};

/** Appends a row, or says why it does not fit and leaves nothing of it. */
export const rowAppender = (builder: BatchBuilder, areParsedJson: boolean): ((row: Row) => string | undefined) => {
  const { columns } = builder.schema;
  // Names that every object inherits, such as "constructor", must be the row's own.
  const inherited = columns.map(({ name }) => name in Object.prototype);
  const jsonOf = areParsedJson ? jsonText : checkedJson;
  return (row) => {
    const fault = appendRow(builder, columns, row, inherited, jsonOf);
    if (fault === undefined) builder.endRow();
    else builder.dropRow();
    return fault;
  };
};

type JsonOf = (value: unknown) => string | undefined;

/** A string is JSON text. */
const trustedJson: JsonOf = (value) => (typeof value === "string" ? value : jsonText(value));

/** A string is JSON text only if it is some. */
export const checkedJson: JsonOf = (value) => {
  if (typeof value !== "string") return jsonText(value);
  try {
    JSON.parse(value);
    return value;
  } catch {
    return undefined;
  }
};

const appendRow = (
  builder: BatchBuilder,
  columns: readonly Column[],
  row: Row,
  inherited: readonly boolean[],
  jsonOf: JsonOf,
): string | undefined => {
  for (const [place, column] of columns.entries()) {
    const value = inherited[place] === true && !Object.hasOwn(row, column.name) ? undefined : row[column.name];
    const target = builder.columns[place];
    if (target === undefined) continue;
    if (value === null || value === undefined) {
      if (!column.nullable) return `column "${column.name}" must not be NULL`;
      target.appendNull();
    } else if (!appendValue(target, column.type, value, jsonOf)) {
      return misfit(column.name, value, column.type);
    }
  }
  return undefined;
};

const INT32 = { least: -(2 ** 31), most: 2 ** 31 - 1 };
const INT64 = { least: -(2n ** 63n), most: 2n ** 63n - 1n };
const UINT64_MOST = 2n ** 64n - 1n;

/** Appends and answers true, or answers false: the value is not of this type. */
export const appendValue = (
  target: FixedColumnBuilder | TextColumnBuilder,
  type: ColumnType,
  given: unknown,
  jsonOf: JsonOf = trustedJson,
): boolean => {
  const value = isRawNumber(given) && type.kind !== "json" ? given.rawJSON : given;
  const fixed = target as FixedColumnBuilder;
  const text = target as TextColumnBuilder;
  switch (type.kind) {
    case "bool": {
      const bool = asBool(value);
      if (bool === undefined) return false;
      fixed.appendBool(bool);
      return true;
    }
    case "int32": {
      const integer = asInteger(value);
      if (integer === undefined || integer < INT32.least || integer > INT32.most) return false;
      fixed.appendInt32(Number(integer));
      return true;
    }
    case "int64":
    case "uint64": {
      const integer = asInteger(value);
      const [least, most] = type.kind === "int64" ? [INT64.least, INT64.most] : [0n, UINT64_MOST];
      if (integer === undefined || integer < least || integer > most) return false;
      fixed.appendInt64(integer);
      return true;
    }
    case "float32":
    case "float64": {
      const number = asNumber(value);
      if (number === undefined) return false;
      if (type.kind === "float64") fixed.appendFloat64(number);
      else fixed.appendFloat32(number);
      return true;
    }
    case "decimal":
      return appendDecimal(target, type, value);
    case "date": {
      const days =
        value instanceof Date ? Math.floor(value.getTime() / 86_400_000) : typeof value === "string" ? parseDate(value) : undefined;
      if (days === undefined || Number.isNaN(days)) return false;
      fixed.appendInt32(days);
      return true;
    }
    case "time": {
      const micros = typeof value === "bigint" ? value : typeof value === "string" ? parseTime(value) : undefined;
      if (micros === undefined) return false;
      fixed.appendInt64(micros);
      return true;
    }
    case "timestamp":
    case "timestamptz": {
      const micros = asMicros(value, type.kind === "timestamptz");
      if (micros === undefined) return false;
      fixed.appendInt64(micros);
      return true;
    }
    case "binary": {
      const bytes =
        value instanceof Uint8Array ? value : typeof value === "string" && BASE64.test(value) ? Buffer.from(value, "base64") : undefined;
      if (bytes === undefined) return false;
      text.appendBytes(bytes);
      return true;
    }
    case "json": {
      const json = jsonOf(value);
      if (json === undefined) return false;
      text.appendText(json);
      return true;
    }
    case "uuid":
      if (typeof value !== "string" || !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value)) return false;
      text.appendText(value.toLowerCase());
      return true;
    case "string": {
      const string = asText(value);
      if (string === undefined) return false;
      text.appendText(string);
      return true;
    }
  }
};

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const asText = (value: unknown): string | undefined => {
  // Half of a surrogate pair has no UTF-8.
  if (typeof value === "string") return value.isWellFormed() ? value : undefined;
  if (value instanceof Uint8Array)
    return isUtf8(value) ? Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("utf8") : undefined;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : value.toISOString();
  return typeof value === "object" ? jsonText(value) : String(value);
};

const asBool = (value: unknown): boolean | undefined => {
  if (typeof value === "boolean") return value;
  const text = typeof value === "string" ? value.toLowerCase() : value;
  if (text === "true" || text === 1 || text === "1") return true;
  return text === "false" || text === 0 || text === "0" ? false : undefined;
};

const asInteger = (value: unknown): bigint | undefined => {
  if (typeof value === "bigint") return value;
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  if (typeof value === "string" && /^[+-]?\d+$/.test(value)) return BigInt(value);
  return undefined;
};

const asNumber = (value: unknown): number | undefined => {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return BigInt(Number(value)) === value ? Number(value) : undefined;
  if (
    typeof value === "string" &&
    value.trim() !== "" &&
    (Number.isFinite(Number(value)) || ["NaN", "Infinity", "-Infinity"].includes(value))
  )
    return Number(value);
  return undefined;
};

const asMicros = (value: unknown, hasZone: boolean): bigint | undefined => {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : BigInt(value.getTime()) * 1_000n;
  if (typeof value === "bigint") return value;
  if (typeof value !== "string") return undefined;
  const parsed = parseTimestamp(value);
  if (parsed === undefined) return undefined;
  // A wall clock has no offset to drop, and a moment needs one: UTC is taken where none is given.
  if (!hasZone) return parsed.offsetMinutes === undefined ? parsed.micros : undefined;
  return parsed.micros - BigInt(parsed.offsetMinutes ?? 0) * 60_000_000n;
};

const DECIMAL = /^([+-])?0*(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/;

const appendDecimal = (
  target: FixedColumnBuilder | TextColumnBuilder,
  type: { readonly precision: number; readonly scale: number },
  value: unknown,
): boolean => {
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "bigint") return false;
  const scaled = scaleDecimal(String(value), type.scale);
  if (scaled === undefined) return false;
  const digits = scaled.replace("-", "");
  if (digits.length > type.precision) return false;
  if (layoutOf({ kind: "decimal", ...type }) === "bytes8") (target as FixedColumnBuilder).appendInt64(BigInt(scaled));
  else (target as TextColumnBuilder).appendText(decimalText(scaled, type.scale));
  return true;
};

/** "12.5" at scale 2 → "1250"; undefined when digits would be lost or it is no decimal. */
const scaleDecimal = (text: string, scale: number): string | undefined => {
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = DECIMAL.exec(text.trim()) ?? [undefined, "", undefined];
  if (whole === undefined || !/\d/.test(text)) return undefined;
  const shift = Number(exponent) + scale - fraction.length;
  const digits = `${whole}${fraction}`;
  if (Math.abs(shift) > 10_000) return undefined;
  const shifted = shift >= 0 ? digits + "0".repeat(shift) : digits.slice(0, shift);
  if (shift < 0 && /[1-9]/.test(digits.slice(shift))) return undefined;
  const trimmed = shifted.replace(/^0+/, "") || "0";
  return sign === "-" && trimmed !== "0" ? `-${trimmed}` : trimmed;
};

export const decimalText = (scaled: string, scale: number): string => {
  if (scale === 0) return scaled;
  const negative = scaled.startsWith("-");
  const digits = (negative ? scaled.slice(1) : scaled).padStart(scale + 1, "0");
  return `${negative ? "-" : ""}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
};

/** For JSON, which has no number for all that a double can be. */
export const finiteOrText = (value: number): number | string => (Number.isFinite(value) ? value : String(value));

export const typeName = (type: ColumnType): string => (type.kind === "decimal" ? `decimal(${type.precision},${type.scale})` : type.kind);

/** Why a value makes its row one that cannot be read. */
export const misfit = (column: string, value: unknown, type: ColumnType): string =>
  `column "${column}": ${shortText(value)} is not a ${typeName(type)}`;

/** As much of a value as a message may quote. */
export const shortText = (value: unknown): string => rawText(value).slice(0, 200);

// ---- batch → rows

/** Rows as JSON: integers beyond 2^53 and decimals as text, times ISO 8601, binary base64. */
export const toRows = (batch: Batch): readonly Record<string, Json>[] => {
  const readers = batch.schema.columns.map((column, place) => ({ name: column.name, read: readerOf(column.type, batch.columns[place]) }));
  return Array.from({ length: batch.rows }, (_, row) => Object.fromEntries(readers.map(({ name, read }) => [name, read(row)])));
};

/** Reads one column's values as JSON, row by row. */
export const readerOf = (type: ColumnType, vector: Vector | undefined): ((row: number) => Json) => {
  if (vector === undefined) return () => null;
  const { valid } = vector;
  const read = vector.layout === "text" ? textReader(type, vector.offsets, vector.data) : fixedReader(type, vector.data);
  return (row) => (valid !== null && valid[row] === 0 ? null : read(row));
};

const textReader = (type: ColumnType, offsets: Int32Array, data: Uint8Array): ((row: number) => Json) => {
  const buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const encoding = type.kind === "binary" ? "base64" : "utf8";
  const text = (row: number): string => buffer.toString(encoding, offsets[row], offsets[row + 1]);
  return type.kind === "json" ? (row) => JSON.parse(text(row)) as Json : text;
};

const fixedReader = (type: ColumnType, data: Uint8Array): ((row: number) => Json) => {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const int64 = (row: number): bigint => view.getBigInt64(row * 8, true);
  const integer = (value: bigint): Json => (Number.isSafeInteger(Number(value)) ? Number(value) : value.toString());
  const finite = (value: number): Json => (Number.isFinite(value) ? value : String(value));
  switch (type.kind) {
    case "bool":
      return (row) => data[row] === 1;
    case "int32":
      return (row) => view.getInt32(row * 4, true);
    case "float32":
      return (row) => finite(view.getFloat32(row * 4, true));
    case "date":
      return (row) => formatDate(view.getInt32(row * 4, true));
    case "float64":
      return (row) => finite(view.getFloat64(row * 8, true));
    case "uint64":
      return (row) => integer(view.getBigUint64(row * 8, true));
    case "decimal":
      return (row) => decimalText(int64(row).toString(), type.scale);
    case "time":
      return (row) => formatTime(int64(row));
    case "timestamp":
      return (row) => formatTimestamp(int64(row));
    case "timestamptz":
      return (row) => `${formatTimestamp(int64(row))}Z`;
    default:
      return (row) => integer(int64(row));
  }
};

// How the values of a logged column become those of a batch's column: the same logical types as queries give.

import { type Column, type ColumnType, layoutOf } from "../../batch.ts";
import type { FixedColumnBuilder, TextColumnBuilder } from "../../lib/batch-builder.ts";
import { decimalText } from "../../lib/rows.ts";
import type { ResultColumn, TypeOptions } from "../types.ts";
import { BINARY_COLLATION, type Transcode } from "./charsets.ts";
import { jsonText } from "./json-binary.ts";
import { date3, datetime2, decimalBytes, fractionBytes, scaledDigits, time2, timestamp2 } from "./packed-values.ts";
import { RefusedValue } from "./refused-value.ts";
import { LOGGED, type LoggedColumn } from "./table-map.ts";

export type Builder = FixedColumnBuilder | TextColumnBuilder;

export interface LoggedValue {
  readonly type: ColumnType;
  /** Appends the value at [at, end), which is not NULL. Throws RefusedValue, and has appended nothing then. */
  append(bytes: Buffer, at: number, end: number, builder: Builder): void;
}

/** Bytes that a value takes. */
export const lengthOf = ({ type, meta }: LoggedColumn, bytes: Buffer, at: number): number => {
  switch (type) {
    case LOGGED.tiny:
    case LOGGED.year:
      return 1;
    case LOGGED.short:
      return 2;
    case LOGGED.int24:
    case LOGGED.date:
    case LOGGED.newdate:
    case LOGGED.time:
      return 3;
    case LOGGED.long:
    case LOGGED.float:
    case LOGGED.timestamp:
      return 4;
    case LOGGED.longlong:
    case LOGGED.double:
    case LOGGED.datetime:
      return 8;
    case LOGGED.timestamp2:
      return 4 + fractionBytes(meta);
    case LOGGED.datetime2:
      return 5 + fractionBytes(meta);
    case LOGGED.time2:
      return 3 + fractionBytes(meta);
    case LOGGED.newdecimal:
      return decimalBytes(meta >> 8, meta & 255);
    case LOGGED.bit:
      return (meta + 7) >> 3;
    case LOGGED.enum:
    case LOGGED.set:
      return meta;
    case LOGGED.string:
    case LOGGED.varchar:
    case LOGGED.varString:
    case LOGGED.compressedVarchar:
      return meta < 256 ? 1 + bytes[at]! : 2 + bytes.readUInt16LE(at);
    case LOGGED.blob:
    case LOGGED.json:
    case LOGGED.geometry:
    case LOGGED.vector:
    case LOGGED.compressedBlob:
      return meta + bytes.readUIntLE(at, meta);
    default:
      throw new RefusedValue(`the log has a type ${type}, which is not known`);
  }
};

export interface ValueOptions extends TypeOptions {
  /** What makes UTF-8 of a character set's text; `null` where we cannot. */
  readonly transcode: (collation: number) => Transcode | null;
}

/** `current`: the column of that name as it is now. A text says why it cannot be carried. */
export const loggedValue = (column: LoggedColumn, current: ResultColumn | undefined, options: ValueOptions): LoggedValue | string => {
  const { type, meta, isUnsigned } = column;
  switch (type) {
    case LOGGED.tiny:
      if (current?.column.type.kind === "bool") return { type: { kind: "bool" }, append: appendTinyBool };
      return int32((bytes, at) => (isUnsigned ? bytes[at]! : bytes.readInt8(at)));
    case LOGGED.short:
      return int32((bytes, at) => (isUnsigned ? bytes.readUInt16LE(at) : bytes.readInt16LE(at)));
    case LOGGED.year:
      return int32((bytes, at) => (bytes[at] === 0 ? 0 : 1_900 + bytes[at]!));
    case LOGGED.int24:
      return int32((bytes, at) => (isUnsigned ? bytes.readUIntLE(at, 3) : bytes.readIntLE(at, 3)));
    case LOGGED.long:
      return isUnsigned
        ? fixed({ kind: "int64" }, (bytes, at, to) => to.appendSafeInteger(bytes.readUInt32LE(at)))
        : int32((bytes, at) => bytes.readInt32LE(at));
    case LOGGED.longlong:
      return fixed({ kind: isUnsigned ? "uint64" : "int64" }, (bytes, at, to) => to.appendInt64(bytes.readBigInt64LE(at)));
    case LOGGED.float:
      return fixed({ kind: "float32" }, (bytes, at, to) => to.appendFloat32(bytes.readFloatLE(at)));
    case LOGGED.double:
      return fixed({ kind: "float64" }, (bytes, at, to) => to.appendFloat64(bytes.readDoubleLE(at)));
    case LOGGED.newdecimal:
      return decimal(meta >> 8, meta & 255);
    case LOGGED.date:
    case LOGGED.newdate:
      return orNoDate({ kind: "date" }, options, date3, (to, days) => to.appendInt32(days));
    case LOGGED.datetime2:
      return orNoDate({ kind: "timestamp" }, options, (bytes, at) => datetime2(bytes, at, meta), appendMicros);
    case LOGGED.timestamp2:
      return orNoDate({ kind: "timestamptz" }, options, (bytes, at) => timestamp2(bytes, at, meta), appendMicros);
    case LOGGED.time2:
      return fixed({ kind: "time" }, (bytes, at, to) => to.appendSafeInteger(time2(bytes, at, meta)));
    case LOGGED.bit:
      return meta === 1
        ? fixed({ kind: "bool" }, (bytes, at, to) => to.appendBool(bytes[at] !== 0))
        : fixed({ kind: "uint64" }, (bytes, at, to) => to.appendInt64(bigEndian(bytes, at, (meta + 7) >> 3)));
    case LOGGED.enum:
    case LOGGED.set:
      return label(column);
    case LOGGED.json:
      return text({ kind: "json" }, (bytes, at, end, to) => to.appendText(jsonText(bytes.subarray(at + meta, end))));
    case LOGGED.vector:
      return text({ kind: "binary" }, (bytes, at, end, to) => to.appendBytes(bytes.subarray(at + meta, end)));
    case LOGGED.string:
    case LOGGED.varchar:
    case LOGGED.varString:
    case LOGGED.blob:
      return textual(column, current, options);
    case LOGGED.time:
    case LOGGED.datetime:
    case LOGGED.timestamp:
      return "its times are in the format of MySQL 5.5; rebuild the table with ALTER TABLE … FORCE";
    case LOGGED.compressedBlob:
    case LOGGED.compressedVarchar:
      return "compressed columns are not read from the log";
    case LOGGED.geometry:
      return "geometry cannot be carried without loss";
    default:
      return `the log has a type ${type}, which is not known`;
  }
};

const fixed = (type: ColumnType, append: (bytes: Buffer, at: number, to: FixedColumnBuilder) => void): LoggedValue => ({
  type,
  append: (bytes, at, _end, builder) => append(bytes, at, builder as FixedColumnBuilder),
});

const text = (type: ColumnType, append: (bytes: Buffer, at: number, end: number, to: TextColumnBuilder) => void): LoggedValue => ({
  type,
  append: (bytes, at, end, builder) => append(bytes, at, end, builder as TextColumnBuilder),
});

const int32 = (read: (bytes: Buffer, at: number) => number): LoggedValue =>
  fixed({ kind: "int32" }, (bytes, at, to) => to.appendInt32(read(bytes, at)));

const appendMicros = (to: FixedColumnBuilder, micros: bigint): void => to.appendInt64(micros);

const appendTinyBool: LoggedValue["append"] = (bytes, at, _end, builder) => {
  const value = bytes.readInt8(at);
  if (value !== 0 && value !== 1) throw new RefusedValue(`${value} is neither 0 nor 1; read it as a number with tinyint1: int`);
  (builder as FixedColumnBuilder).appendBool(value === 1);
};

const orNoDate = <Value>(
  type: ColumnType,
  { zeroDates }: TypeOptions,
  read: (bytes: Buffer, at: number) => Value | undefined,
  append: (to: FixedColumnBuilder, value: Value) => void,
): LoggedValue =>
  fixed(type, (bytes, at, to) => {
    const value = read(bytes, at);
    if (value !== undefined) append(to, value);
    else if (zeroDates === "null") to.appendNull();
    else
      throw new RefusedValue(
        `the value is no date; read such dates as NULL with zero_dates: "null", or divert the rows with zero_dates: dead_letter`,
        true,
      );
  });

const decimal = (precision: number, scale: number): LoggedValue => {
  const type: ColumnType = { kind: "decimal", precision, scale };
  if (layoutOf(type) === "bytes8") return fixed(type, (bytes, at, to) => to.appendInt64(BigInt(scaledDigits(bytes, at, precision, scale))));
  return text(type, (bytes, at, _end, to) =>
    to.appendText(decimalText(BigInt(scaledDigits(bytes, at, precision, scale)).toString(), scale)),
  );
};

const bigEndian = (bytes: Buffer, at: number, length: number): bigint => {
  let value = 0n;
  for (let place = at; place < at + length; place += 1) value = (value << 8n) | BigInt(bytes[place]!);
  return BigInt.asIntN(64, value);
};

/** Numbers in the log: the place of an enum's label from 1 on, 0 for a value that was none; a bit for each of a set's. */
const label = ({ type, meta, labels }: LoggedColumn): LoggedValue =>
  text({ kind: "string" }, (bytes, at, _end, to) => {
    if (type === LOGGED.enum) {
      const number = bytes.readUIntLE(at, meta);
      to.appendText(number === 0 ? "" : (labels[number - 1] ?? missingLabel(number)));
      return;
    }
    let bits = 0n;
    for (let place = meta - 1; place >= 0; place -= 1) bits = (bits << 8n) | BigInt(bytes[at + place]!);
    to.appendText(labels.filter((_, place) => ((bits >> BigInt(place)) & 1n) === 1n).join(","));
  });

const missingLabel = (number: number): never => {
  throw new RefusedValue(`the log has label ${number} of an enum, but not its text`);
};

/** MariaDB's types that travel as binary strings. */
const OWN_BYTES: ReadonlySet<string> = new Set(["inet4", "inet6"]);

const textual = (column: LoggedColumn, current: ResultColumn | undefined, options: ValueOptions): LoggedValue | string => {
  const { type, meta, collation } = column;
  const head = type === LOGGED.blob ? meta : meta < 256 ? 1 : 2;
  if (current?.column.type.kind === "uuid") {
    return text({ kind: "uuid" }, (bytes, at, end, to) => to.appendText(uuidText(bytes.subarray(at + head, end))));
  }
  if (OWN_BYTES.has(current?.definition.extended ?? "")) return "the log has its bytes, and not its text";
  if (collation === undefined) return "the log does not tell its character set";
  if (collation === BINARY_COLLATION) {
    // Fixed lengths lose the zeros at their end.
    const length = type === LOGGED.string ? meta : 0;
    return text({ kind: "binary" }, (bytes, at, end, to) => to.appendBytes(padded(bytes.subarray(at + head, end), length)));
  }
  const logical: ColumnType = { kind: current?.column.type.kind === "json" ? "json" : "string" };
  const transcode = options.transcode(collation);
  if (transcode === null) return `its character set (collation ${collation}) cannot be read from the log; convert the column to utf8mb4`;
  if (transcode === undefined) return text(logical, (bytes, at, end, to) => to.appendBytes(bytes.subarray(at + head, end)));
  return text(logical, (bytes, at, end, to) => {
    try {
      to.appendText(transcode(bytes.subarray(at + head, end)));
    } catch {
      throw new RefusedValue("the text is none in its column's character set");
    }
  });
};

const padded = (bytes: Buffer, length: number): Buffer => (bytes.length >= length ? bytes : Buffer.concat([bytes], length));

const uuidText = (bytes: Buffer): string => {
  const hex = padded(bytes, 16).toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
};

/** What a batch's column is called and holds. Any may be NULL: earlier rows of the log may lack it. */
export const batchColumn = (name: string, { type }: LoggedValue): Column => ({ name, type, nullable: true });

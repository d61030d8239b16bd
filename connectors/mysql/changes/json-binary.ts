// MySQL's binary JSON as text, spaced as the server prints it. MariaDB logs JSON as text.
// https://dev.mysql.com/doc/dev/mysql-server/latest/json__binary_8h.html

import { daysFromCivil, formatDate, formatTime, formatTimestamp } from "../../lib/calendar.ts";
import { decimalText } from "../../lib/rows.ts";
import { scaledDigits } from "./packed-values.ts";
import { RefusedValue } from "./refused-value.ts";
import { LOGGED } from "./table-map.ts";

const SMALL_OBJECT = 0x00;
const LARGE_OBJECT = 0x01;
const SMALL_ARRAY = 0x02;
const LARGE_ARRAY = 0x03;
const LITERAL = 0x04;
const INT16 = 0x05;
const UINT16 = 0x06;
const INT32 = 0x07;
const UINT32 = 0x08;
const INT64 = 0x09;
const UINT64 = 0x0a;
const DOUBLE = 0x0b;
const STRING = 0x0c;
const OPAQUE = 0x0f;

const LITERALS = ["null", "true", "false"] as const;

/** Throws RefusedValue for what is no binary JSON. An empty value, as servers log it for a row that broke a rule, is null. */
export const jsonText = (bytes: Buffer): string => (bytes.length === 0 ? "null" : valueText(bytes[0]!, bytes, 1));

const valueText = (type: number, bytes: Buffer, at: number): string => {
  switch (type) {
    case SMALL_OBJECT:
    case LARGE_OBJECT:
      return containerText(bytes, at, type === LARGE_OBJECT, true);
    case SMALL_ARRAY:
    case LARGE_ARRAY:
      return containerText(bytes, at, type === LARGE_ARRAY, false);
    case LITERAL:
      return LITERALS[bytes[at]!] ?? unknown(type);
    case INT16:
      return String(bytes.readInt16LE(at));
    case UINT16:
      return String(bytes.readUInt16LE(at));
    case INT32:
      return String(bytes.readInt32LE(at));
    case UINT32:
      return String(bytes.readUInt32LE(at));
    case INT64:
      return String(bytes.readBigInt64LE(at));
    case UINT64:
      return String(bytes.readBigUInt64LE(at));
    case DOUBLE:
      return doubleText(bytes.readDoubleLE(at));
    case STRING: {
      const { value, end } = variableLength(bytes, at);
      return JSON.stringify(bytes.toString("utf8", end, end + value));
    }
    case OPAQUE:
      return opaqueText(bytes, at);
    default:
      return unknown(type);
  }
};

const unknown = (type: number): never => {
  throw new RefusedValue(`binary JSON has no type ${type}`);
};

/** 1.0 stays a double. */
const doubleText = (value: number): string => (Number.isInteger(value) && Math.abs(value) < 1e15 ? value.toFixed(1) : String(value));

/** Seven bits a byte, the lowest first. */
const variableLength = (bytes: Buffer, at: number): { readonly value: number; readonly end: number } => {
  let value = 0;
  for (let place = 0; ; place += 1) {
    const byte = bytes[at + place]!;
    value += (byte & 0x7f) * 128 ** place;
    if ((byte & 0x80) === 0) return { value, end: at + place + 1 };
  }
};

/** Offsets count from the container's own beginning. */
const containerText = (bytes: Buffer, start: number, isLarge: boolean, isObject: boolean): string => {
  const width = isLarge ? 4 : 2;
  const number = (at: number): number => bytes.readUIntLE(at, width);
  const count = number(start);
  const keys = start + 2 * width;
  const values = keys + (isObject ? count * (width + 2) : 0);
  const parts = Array.from({ length: count }, (_, index) => {
    const entry = values + index * (1 + width);
    const type = bytes[entry]!;
    const value = valueText(type, bytes, isInlined(type, isLarge) ? entry + 1 : start + number(entry + 1));
    if (!isObject) return value;
    const key = keys + index * (width + 2);
    const from = start + number(key);
    return `${JSON.stringify(bytes.toString("utf8", from, from + bytes.readUInt16LE(key + width)))}: ${value}`;
  });
  return isObject ? `{${parts.join(", ")}}` : `[${parts.join(", ")}]`;
};

const isInlined = (type: number, isLarge: boolean): boolean =>
  type === LITERAL || type === INT16 || type === UINT16 || (isLarge && (type === INT32 || type === UINT32));

/** Values of the server's own types inside of JSON. */
const opaqueText = (bytes: Buffer, at: number): string => {
  const type = bytes[at]!;
  const { value: length, end } = variableLength(bytes, at + 1);
  switch (type) {
    case LOGGED.newdecimal: {
      const [precision, scale] = [bytes[end]!, bytes[end + 1]!];
      return decimalText(BigInt(scaledDigits(bytes, end + 2, precision, scale)).toString(), scale);
    }
    case LOGGED.date:
    case LOGGED.datetime:
    case LOGGED.timestamp:
      return JSON.stringify(momentText(bytes.readBigInt64LE(end), type === LOGGED.date));
    case LOGGED.time:
      return JSON.stringify(timeText(bytes.readBigInt64LE(end)));
    default:
      return JSON.stringify(`base64:type${type}:${bytes.toString("base64", end, end + length)}`);
  }
};

const momentText = (packed: bigint, isDate: boolean): string => {
  const micros = packed & 0xff_ffffn;
  const time = Number((packed >> 24n) & 0x1_ffffn);
  const date = Number(packed >> 41n);
  const months = date >> 5;
  const days = daysFromCivil(Math.floor(months / 13), months % 13, date & 31);
  if (isDate) return formatDate(days);
  const seconds = BigInt(days * 86_400 + (time >> 12) * 3_600 + ((time >> 6) & 63) * 60 + (time & 63));
  return withMicros(formatTimestamp(seconds * 1_000_000n + micros).replace("T", " "));
};

const timeText = (packed: bigint): string => {
  const size = packed < 0n ? -packed : packed;
  const time = Number(size >> 24n);
  const seconds = BigInt(((time >> 12) & 1_023) * 3_600 + ((time >> 6) & 63) * 60 + (time & 63));
  const micros = seconds * 1_000_000n + (size & 0xff_ffffn);
  return withMicros(formatTime(packed < 0n ? -micros : micros));
};

/** The server prints all six places. */
const withMicros = (text: string): string => (text.includes(".") ? text : `${text}.000000`);

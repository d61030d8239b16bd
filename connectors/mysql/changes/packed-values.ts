// Numbers and times as the log packs them. https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html, strings/decimal.c, sql-common/my_time.cc

import { realDay } from "../row-columns.ts";

const DIGITS = 9;
/** Bytes of a group of so many digits. */
const GROUP_BYTES = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4] as const;

export const decimalBytes = (precision: number, scale: number): number => groupBytes(precision - scale) + groupBytes(scale);

const groupBytes = (digits: number): number => Math.floor(digits / DIGITS) * 4 + GROUP_BYTES[digits % DIGITS]!;

/** All digits, `scale` of them behind the point, with a sign where it is negative: "-0012". */
export const scaledDigits = (bytes: Buffer, at: number, precision: number, scale: number): string => {
  const isNegative = (bytes[at]! & 0x80) === 0;
  const packed = Buffer.from(bytes.subarray(at, at + decimalBytes(precision, scale)));
  packed[0]! ^= 0x80;
  if (isNegative) for (let place = 0; place < packed.length; place += 1) packed[place]! ^= 0xff;
  let from = 0;
  const take = (digits: number): string => {
    const length = GROUP_BYTES[digits]!;
    if (length === 0) return "";
    const group = String(packed.readUIntBE(from, length)).padStart(digits, "0");
    from += length;
    return group;
  };
  // The odd group comes first before the point, and last behind it.
  const whole = precision - scale;
  let text = take(whole % DIGITS);
  for (let groups = Math.floor(whole / DIGITS); groups > 0; groups -= 1) text += take(DIGITS);
  for (let groups = Math.floor(scale / DIGITS); groups > 0; groups -= 1) text += take(DIGITS);
  text += take(scale % DIGITS);
  return isNegative ? `-${text}` : text;
};

export const fractionBytes = (places: number): number => (places + 1) >> 1;

/** Microseconds; big-endian, in hundredths, ten thousandths or millionths of a second. */
const fraction = (bytes: Buffer, at: number, places: number): number => {
  const length = fractionBytes(places);
  return length === 0 ? 0 : bytes.readUIntBE(at, length) * 100 ** (3 - length);
};

const TWO_17 = 131_072;
const DATETIME_BYTES = 5;
const DATETIME_ZERO = 0x80_0000_0000;

/** Microseconds on a wall clock since 1970; undefined when there is no such day. */
export const datetime2 = (bytes: Buffer, at: number, places: number): bigint | undefined => {
  const packed = bytes.readUIntBE(at, DATETIME_BYTES) - DATETIME_ZERO;
  const date = Math.floor(packed / TWO_17);
  const time = packed % TWO_17;
  const months = date >> 5;
  const day = realDay(Math.floor(months / 13), months % 13, date & 31);
  if (Number.isNaN(day)) return undefined;
  const seconds = day * 86_400 + (time >> 12) * 3_600 + ((time >> 6) & 63) * 60 + (time & 63);
  return BigInt(seconds) * 1_000_000n + BigInt(fraction(bytes, at + DATETIME_BYTES, places));
};

/** Microseconds since 1970 in UTC; undefined for the zero timestamp. */
export const timestamp2 = (bytes: Buffer, at: number, places: number): bigint | undefined => {
  const seconds = bytes.readUInt32BE(at);
  const micros = fraction(bytes, at + 4, places);
  return seconds === 0 && micros === 0 ? undefined : BigInt(seconds) * 1_000_000n + BigInt(micros);
};

const TWO_24 = 16_777_216;

/** Microseconds, perhaps below zero. */
export const time2 = (bytes: Buffer, at: number, places: number): number => {
  const length = fractionBytes(places);
  let packed: number;
  if (length === 3) packed = bytes.readUIntBE(at, 6) - 0x8000_0000_0000;
  else {
    let whole = bytes.readUIntBE(at, 3) - 0x80_0000;
    let part = length === 0 ? 0 : bytes.readUIntBE(at + 3, length);
    // Below zero the fraction counts down from the next second.
    if (whole < 0 && part > 0) {
      whole += 1;
      part -= 256 ** length;
    }
    packed = whole * TWO_24 + part * 100 ** (3 - length);
  }
  const size = Math.abs(packed);
  const time = Math.floor(size / TWO_24);
  const seconds = (time >> 12) * 3_600 + ((time >> 6) & 63) * 60 + (time & 63);
  const micros = seconds * 1_000_000 + (size % TWO_24);
  return packed < 0 ? -micros : micros;
};

/** Days since 1970; undefined when there is no such day. */
export const date3 = (bytes: Buffer, at: number): number | undefined => {
  const packed = bytes.readUIntLE(at, 3);
  const day = realDay(packed >> 9, (packed >> 5) & 15, packed & 31);
  return Number.isNaN(day) ? undefined : day;
};

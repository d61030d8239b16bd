// PostgreSQL's binary numeric from scaled integers and from ASCII digits. Every value of a column gets the same number of base-10000 digits:
// the server strips leading and trailing zeros, and so the size of a value is known without looking at it.

import type { FixedVector, TextVector } from "../batch.ts";
import type { CopyField } from "./pg-copy-fields.ts";

const BASE = 10_000;
const BIG_BASE = 10_000n;
/** hi word below which an unsigned 64-bit number is exact as a double. */
const EXACT_HIGH = 2 ** 21;

interface Groups {
  /** Base-10000 digits before and behind the point. */
  readonly whole: number;
  readonly fraction: number;
  readonly scale: number;
}

const groupsOf = (precision: number, scale: number): Groups => ({
  whole: Math.ceil((precision - scale) / 4),
  fraction: Math.ceil(scale / 4),
  scale,
});

const sizeOf = ({ whole, fraction }: Groups): number => 8 + 2 * (whole + fraction);

/** Length and header; the digits follow at `at + 12`. */
const putHeader = (view: DataView, at: number, { whole, fraction, scale }: Groups, negative: boolean): void => {
  const size = 8 + 2 * (whole + fraction);
  const count = whole + fraction;
  const weight = whole - 1;
  view.setInt32(at, size);
  view.setInt16(at + 4, count);
  view.setInt16(at + 6, weight);
  view.setUint16(at + 8, negative ? 0x4000 : 0);
  view.setInt16(at + 10, scale);
};

/** Writes `count` digits of a number that is exact as a double, the last one ending before `end`. */
const putDigits = (view: DataView, end: number, count: number, value: number): void => {
  let rest = value;
  for (let digit = 0, at = end - 2; digit < count; digit += 1, at -= 2) {
    const quotient = Math.floor(rest / BASE);
    const group = rest - quotient * BASE;
    view.setInt16(at, group);
    rest = quotient;
  }
};

const putBigDigits = (view: DataView, end: number, count: number, value: bigint): void => {
  let rest = value;
  for (let digit = 0, at = end - 2; digit < count; digit += 1, at -= 2) {
    const group = Number(rest % BIG_BASE);
    view.setInt16(at, group);
    rest /= BIG_BASE;
  }
};

/** Scaled 64-bit integers; `unsigned` for whole numbers beyond the signed range. */
export const scaledField = (vector: FixedVector, precision: number, scale: number, unsigned: boolean): CopyField => {
  const groups = groupsOf(precision, scale);
  const { whole, fraction } = groups;
  const words = new Int32Array(vector.data.buffer, vector.data.byteOffset, vector.data.length >> 2);
  const unit = 10 ** scale;
  const shift = 10 ** (fraction * 4 - scale);
  const bigUnit = 10n ** BigInt(scale);
  const bigShift = BigInt(shift);
  // Beyond 12 places the shifted fraction is no exact double any more.
  const isQuick = scale <= 12;
  return {
    fixedSize: 4 + sizeOf(groups),
    valid: vector.valid,
    fill({ view }, from, to, ends) {
      const { valid } = vector;
      for (let row = from; row < to; row += 1) {
        const at = ends[row - from]!;
        if (valid !== null && valid[row] === 0) {
          view.setInt32(at, -1);
          ends[row - from] = at + 4;
          continue;
        }
        let low = words[row * 2]! >>> 0;
        let high = words[row * 2 + 1]!;
        const negative = high < 0 && !unsigned;
        if (negative) {
          high = ~high + (low === 0 ? 1 : 0);
          low = low === 0 ? 0 : 2 ** 32 - low;
        }
        high >>>= 0;
        putHeader(view, at, groups, negative);
        const middle = at + 12 + whole * 2;
        const end = middle + fraction * 2;
        if (isQuick && high < EXACT_HIGH) {
          const value = high * 2 ** 32 + low;
          const integer = Math.floor(value / unit);
          putDigits(view, middle, whole, integer);
          putDigits(view, end, fraction, (value - integer * unit) * shift);
        } else {
          const value = (BigInt(high) << 32n) | BigInt(low);
          putBigDigits(view, middle, whole, value / bigUnit);
          putBigDigits(view, end, fraction, (value % bigUnit) * bigShift);
        }
        ends[row - from] = end;
      }
    },
  };
};

const ZERO = 48;
const MINUS = 45;
const PLUS = 43;
const POINT = 46;

/** ASCII digits with an optional sign and point; `refuse` is called with the row of anything else, or of digits beyond the declared ones. */
export const asciiField = (vector: TextVector, precision: number, scale: number, refuse: (row: number) => never): CopyField => {
  const groups = groupsOf(precision, scale);
  const { whole, fraction } = groups;
  const { data, offsets, valid } = vector;
  const digitAt = (at: number, row: number): number => {
    const digit = data[at]! - ZERO;
    return digit >= 0 && digit <= 9 ? digit : refuse(row);
  };
  return {
    fixedSize: 4 + sizeOf(groups),
    valid,
    fill({ view }, from, to, ends) {
      for (let row = from; row < to; row += 1) {
        const at = ends[row - from]!;
        if (valid !== null && valid[row] === 0) {
          view.setInt32(at, -1);
          ends[row - from] = at + 4;
          continue;
        }
        let start = offsets[row]!;
        const last = offsets[row + 1]!;
        const negative = data[start] === MINUS;
        if (negative || data[start] === PLUS) start += 1;
        let point = start;
        while (point < last && data[point] !== POINT) point += 1;
        if (start === last) refuse(row);
        while (start < point && data[start] === ZERO) start += 1;
        if (point - start > whole * 4 || last - point - 1 > scale) refuse(row);
        putHeader(view, at, groups, negative);
        let to4 = at + 12;
        for (let group = 0, place = point - whole * 4; group < whole; group += 1, place += 4) {
          let value = 0;
          for (let digit = place; digit < place + 4; digit += 1) value = value * 10 + (digit < start ? 0 : digitAt(digit, row));
          view.setInt16(to4, value);
          to4 += 2;
        }
        for (let group = 0, place = point + 1; group < fraction; group += 1, place += 4) {
          let value = 0;
          for (let digit = place; digit < place + 4; digit += 1) value = value * 10 + (digit < last ? digitAt(digit, row) : 0);
          view.setInt16(to4, value);
          to4 += 2;
        }
        ends[row - from] = to4;
      }
    },
  };
};

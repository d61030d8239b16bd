// The fields of PostgreSQL's binary COPY, column by column: one plain loop for each width, so that each stays quick.

import type { FixedVector, TextVector } from "../batch.ts";
import { copyRange, viewedBytes, type ViewedBytes } from "./copy-bytes.ts";

/** Writes one column's fields. */
export interface CopyField {
  /** Bytes of a field that is there, with its length; undefined = they differ, and `addSizes` tells. */
  readonly fixedSize: number | undefined;
  readonly valid: Uint8Array | null;
  /** Adds the field's bytes to each row's size. */
  readonly addSizes?: (from: number, to: number, sizes: Int32Array) => void;
  /** Writes the fields of rows [from, to) at `ends` and moves those on. */
  fill(out: ViewedBytes, from: number, to: number, ends: Int32Array): void;
}

/** A length of -1 says NULL. */
const putNull = (view: DataView, at: number): void => view.setInt32(at, -1);

const wordsOf = ({ data }: FixedVector): Int32Array => new Int32Array(data.buffer, data.byteOffset, data.length >> 2);

export const boolField = ({ data, valid }: FixedVector): CopyField => ({
  fixedSize: 5,
  valid,
  fill({ view }, from, to, ends) {
    for (let row = from; row < to; row += 1) {
      const at = ends[row - from]!;
      if (valid !== null && valid[row] === 0) {
        putNull(view, at);
        ends[row - from] = at + 4;
        continue;
      }
      view.setInt32(at, 1);
      view.setInt8(at + 4, data[row]!);
      ends[row - from] = at + 5;
    }
  },
});

/** int4, float4, and date with its own day 0; `least` is the smallest value that the shift leaves in 32 bits. */
export const fourByteField = (vector: FixedVector, shift = 0, refuse?: (row: number) => never): CopyField => {
  const { valid } = vector;
  const words = wordsOf(vector);
  const least = -(2 ** 31) + shift;
  return {
    fixedSize: 8,
    valid,
    fill({ view }, from, to, ends) {
      for (let row = from; row < to; row += 1) {
        const at = ends[row - from]!;
        if (valid !== null && valid[row] === 0) {
          putNull(view, at);
          ends[row - from] = at + 4;
          continue;
        }
        const word = words[row]!;
        if (word < least) refuse?.(row);
        const value = word - shift;
        view.setInt32(at, 4);
        view.setInt32(at + 4, value);
        ends[row - from] = at + 8;
      }
    },
  };
};

/** int8, float8, time; and timestamps, whose microsecond 0 is 2000-01-01: `shift` as high and low word. */
export const eightByteField = (
  vector: FixedVector,
  shift: { readonly high: number; readonly low: number } = { high: 0, low: 0 },
  refuse?: (row: number) => never,
): CopyField => {
  const { valid } = vector;
  const words = wordsOf(vector);
  const least = -(2 ** 31) + shift.high + 1;
  return {
    fixedSize: 12,
    valid,
    fill({ view }, from, to, ends) {
      for (let row = from; row < to; row += 1) {
        const at = ends[row - from]!;
        if (valid !== null && valid[row] === 0) {
          putNull(view, at);
          ends[row - from] = at + 4;
          continue;
        }
        let low = (words[row * 2]! >>> 0) - shift.low;
        let high = words[row * 2 + 1]!;
        if (refuse !== undefined && high < least) refuse(row);
        high -= shift.high;
        if (low < 0) {
          low += 2 ** 32;
          high -= 1;
        }
        view.setInt32(at, 8);
        view.setInt32(at + 4, high);
        view.setUint32(at + 8, low);
        ends[row - from] = at + 12;
      }
    },
  };
};

/** text, bytea, json; `prefix` is jsonb's version byte. */
export const bytesField = ({ offsets, data, valid }: TextVector, prefix?: number): CopyField => {
  const source = viewedBytes(Buffer.from(data.buffer, data.byteOffset, data.length));
  const extra = prefix === undefined ? 0 : 1;
  return {
    fixedSize: undefined,
    valid,
    addSizes(from, to, sizes) {
      for (let row = from; row < to; row += 1) {
        const isThere = valid === null || valid[row] === 1;
        sizes[row - from] = sizes[row - from]! + 4 + (isThere ? offsets[row + 1]! - offsets[row]! + extra : 0);
      }
    },
    fill(out, from, to, ends) {
      const { view } = out;
      for (let row = from; row < to; row += 1) {
        let at = ends[row - from]!;
        if (valid !== null && valid[row] === 0) {
          putNull(view, at);
          ends[row - from] = at + 4;
          continue;
        }
        const start = offsets[row]!;
        const end = offsets[row + 1]!;
        const length = end - start + extra;
        view.setInt32(at, length);
        at += 4;
        if (prefix !== undefined) view.setUint8(at++, prefix);
        copyRange(source, start, end, out, at);
        ends[row - from] = at + end - start;
      }
    },
  };
};

const HYPHENS = new Set([8, 13, 18, 23]);
const PLACES = Array.from({ length: 36 }, (_, place) => place).filter((place) => !HYPHENS.has(place));

const nibble = (code: number): number => {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
};

export const uuidField = ({ offsets, data, valid }: TextVector, refuse: (row: number) => never): CopyField => ({
  fixedSize: 20,
  valid,
  fill({ view }, from, to, ends) {
    for (let row = from; row < to; row += 1) {
      const at = ends[row - from]!;
      if (valid !== null && valid[row] === 0) {
        putNull(view, at);
        ends[row - from] = at + 4;
        continue;
      }
      const start = offsets[row]!;
      if (offsets[row + 1]! - start !== 36) refuse(row);
      view.setInt32(at, 16);
      for (let byte = 0; byte < 16; byte += 1) {
        const high = nibble(data[start + PLACES[byte * 2]!]!);
        const low = nibble(data[start + PLACES[byte * 2 + 1]!]!);
        if (high < 0 || low < 0) refuse(row);
        view.setUint8(at + 4 + byte, (high << 4) | low);
      }
      ends[row - from] = at + 20;
    }
  },
});

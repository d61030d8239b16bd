// The values of one column as the body of a Parquet data page: null slots taken out, text handed over without a copy.

import type { FixedVector, TextVector, Vector } from "../batch.ts";

/** Parquet's encodings, by their numbers in the format. */
export const ENCODING = { plain: 0, rle: 3, deltaLengthByteArray: 6 } as const;

export interface PageBody {
  readonly parts: readonly Uint8Array[];
  readonly encoding: number;
}

export const pageBody = (vector: Vector, rows: number): PageBody => {
  if (vector.layout === "text") return { parts: textParts(vector, rows), encoding: ENCODING.deltaLengthByteArray };
  return { parts: [fixedPart(vector, rows)], encoding: ENCODING.plain };
};

/** Definition levels: one bit a row behind the length and the header of one bit-packed run. */
export const definitionLevels = (valid: Uint8Array, rows: number): Buffer => {
  const groups = (rows + 7) >> 3;
  const header = varint(groups * 2 + 1);
  const levels = Buffer.alloc(4 + header.length + groups);
  levels.writeUInt32LE(header.length + groups, 0);
  levels.set(header, 4);
  let at = 4 + header.length;
  let row = 0;
  for (; row + 8 <= rows; row += 8) {
    levels[at++] =
      valid[row]! |
      (valid[row + 1]! << 1) |
      (valid[row + 2]! << 2) |
      (valid[row + 3]! << 3) |
      (valid[row + 4]! << 4) |
      (valid[row + 5]! << 5) |
      (valid[row + 6]! << 6) |
      (valid[row + 7]! << 7);
  }
  for (let bit = 0; row < rows; row += 1, bit += 1) levels[at] = levels[at]! | (valid[row]! << bit);
  return levels;
};

const varint = (value: number): number[] => {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return bytes;
};

const fixedPart = ({ layout, data, valid }: FixedVector, rows: number): Uint8Array => {
  if (layout === "bytes1") return packBits(data, valid, rows);
  const wordsPerRow = layout === "bytes4" ? 1 : 2;
  if (valid === null) return data.subarray(0, rows * wordsPerRow * 4);
  const words = new Int32Array(data.buffer, data.byteOffset, rows * wordsPerRow);
  const packed = new Int32Array(rows * wordsPerRow);
  let at = 0;
  if (wordsPerRow === 1) {
    for (let row = 0; row < rows; row += 1) {
      packed[at] = words[row]!;
      at += valid[row]!;
    }
  } else {
    for (let row = 0; row < rows; row += 1) {
      packed[at] = words[row * 2]!;
      packed[at + 1] = words[row * 2 + 1]!;
      at += valid[row]! * 2;
    }
  }
  return new Uint8Array(packed.buffer, 0, at * 4);
};

const packBits = (data: Uint8Array, valid: Uint8Array | null, rows: number): Uint8Array => {
  const bits = new Uint8Array((rows + 7) >> 3);
  let at = 0;
  for (let row = 0; row < rows; row += 1) {
    if (valid !== null && valid[row] === 0) continue;
    if (data[row] !== 0) bits[at >> 3] = bits[at >> 3]! | (1 << (at & 7));
    at += 1;
  }
  return bits.subarray(0, (at + 7) >> 3);
};

const BLOCK = 1_024;

/**
 * DELTA_LENGTH_BYTE_ARRAY: the lengths as deltas, then all bytes as they lie in memory (null rows are empty, so nothing lies between).
 * The deltas take whole bytes (8, 16 or 32 bits), shifted by the largest length so that none is negative.
 */
const textParts = ({ offsets, data, valid }: TextVector, rows: number): readonly Uint8Array[] => {
  const lengths = new Int32Array(rows);
  let count = 0;
  let longest = 0;
  let previous = offsets[0] ?? 0;
  const first = previous;
  for (let row = 0; row < rows; row += 1) {
    const end = offsets[row + 1]!;
    const length = end - previous;
    previous = end;
    if (length > longest) longest = length;
    lengths[count] = length;
    count += valid === null ? 1 : valid[row]!;
  }
  return [deltaLengths(lengths, count, longest), data.subarray(first, previous)];
};

const deltaLengths = (lengths: Int32Array, count: number, longest: number): Uint8Array => {
  const width = longest < 128 ? 1 : longest < 32_768 ? 2 : 4;
  const minimum = varint(longest === 0 ? 0 : longest * 2 - 1);
  const blocks = count < 2 ? 0 : Math.ceil((count - 1) / BLOCK);
  const header = [...varint(BLOCK), ...varint(1), ...varint(count), ...varint((count === 0 ? 0 : lengths[0]!) * 2)];
  const out = new Uint8Array(header.length + blocks * (minimum.length + 1 + BLOCK * width));
  out.set(header);
  let at = header.length;
  let previous = lengths[0] ?? 0;
  for (let block = 0; block < blocks; block += 1) {
    out.set(minimum, at);
    at += minimum.length;
    out[at++] = width * 8;
    const from = 1 + block * BLOCK;
    const to = Math.min(count, from + BLOCK);
    const next = at + BLOCK * width;
    for (let index = from; index < to; index += 1) {
      const length = lengths[index]!;
      const delta = length - previous + longest;
      previous = length;
      out[at++] = delta;
      if (width === 1) continue;
      out[at++] = delta >> 8;
      if (width === 2) continue;
      out[at++] = delta >> 16;
      out[at++] = delta >>> 24;
    }
    at = next;
  }
  return out;
};

// Protobuf's scalar types: how each is written, what it is when it is not, and how it is read.

import { isUtf8 } from "node:buffer";
import type { ScalarName } from "./schema.ts";
import { FIXED32, FIXED64, LENGTH, type ProtoCursor, VARINT, zigzag } from "./wire.ts";

export interface Scalar {
  readonly wire: number;
  readonly zero: unknown;
  readonly read: (cursor: ProtoCursor) => unknown;
}

/** What is small, and that is most, needs no large numbers. */
const MOST_SMALL = 2 ** 31;

const integer =
  (large: (value: bigint) => unknown) =>
  (cursor: ProtoCursor): unknown => {
    const value = cursor.readVarint();
    return typeof value === "number" && value < MOST_SMALL ? value : large(BigInt(value));
  };

export const readInt32 = integer((value) => Number(BigInt.asIntN(32, value))) as (cursor: ProtoCursor) => number;

const readText = (cursor: ProtoCursor): string => {
  const bytes = cursor.readBytes();
  if (isUtf8(bytes)) return bytes.toString("utf8");
  throw new Error("has a string that is not UTF-8");
};

export const SCALARS: Readonly<Record<ScalarName, Scalar>> = {
  double: { wire: FIXED64, zero: 0, read: (cursor) => cursor.readDouble() },
  float: { wire: FIXED32, zero: 0, read: (cursor) => cursor.readFloat() },
  int32: { wire: VARINT, zero: 0, read: readInt32 },
  sint32: { wire: VARINT, zero: 0, read: (cursor) => cursor.readZigzag() },
  sfixed32: { wire: FIXED32, zero: 0, read: (cursor) => cursor.readFixed32() | 0 },
  uint32: { wire: VARINT, zero: 0, read: integer((value) => Number(BigInt.asUintN(32, value))) },
  fixed32: { wire: FIXED32, zero: 0, read: (cursor) => cursor.readFixed32() },
  int64: { wire: VARINT, zero: 0, read: integer((value) => BigInt.asIntN(64, value)) },
  sint64: { wire: VARINT, zero: 0, read: (cursor) => zigzag(cursor.readVarint()) },
  sfixed64: { wire: FIXED64, zero: 0, read: (cursor) => BigInt.asIntN(64, cursor.readFixed64()) },
  uint64: { wire: VARINT, zero: 0, read: (cursor) => cursor.readVarint() },
  fixed64: { wire: FIXED64, zero: 0, read: (cursor) => cursor.readFixed64() },
  bool: { wire: VARINT, zero: false, read: (cursor) => Number(cursor.readVarint()) !== 0 },
  string: { wire: LENGTH, zero: "", read: readText },
  bytes: { wire: LENGTH, zero: Buffer.alloc(0), read: (cursor) => cursor.readBytes() },
};

// Events that hold rows: which change it is, and where the rows' images lie.

import { inflateSync } from "node:zlib";
import { lengthEncoded } from "../column-definition.ts";
import type { RowsKind } from "./changed-rows.ts";
import { EVENT, type LogEvent } from "./log-event.ts";

const KINDS: ReadonlyMap<number, RowsKind> = new Map([
  [EVENT.writeRows1, "write"],
  [EVENT.writeRows, "write"],
  [EVENT.writeRowsCompressed1, "write"],
  [EVENT.writeRowsCompressed, "write"],
  [EVENT.updateRows1, "update"],
  [EVENT.updateRows, "update"],
  [EVENT.updateRowsCompressed1, "update"],
  [EVENT.updateRowsCompressed, "update"],
  [EVENT.deleteRows1, "delete"],
  [EVENT.deleteRows, "delete"],
  [EVENT.deleteRowsCompressed1, "delete"],
  [EVENT.deleteRowsCompressed, "delete"],
]);
/** MySQL's second version has further data behind the flags. */
const WITH_EXTRA: ReadonlySet<number> = new Set([EVENT.writeRows, EVENT.updateRows, EVENT.deleteRows]);

/** Undefined: another kind of event. */
export const rowsKindOf = ({ type }: LogEvent): RowsKind | undefined => KINDS.get(type);

export interface LoggedRows {
  /** Images have all columns. */
  readonly isWhole: boolean;
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

export const parseRows = (event: LogEvent, kind: RowsKind): LoggedRows => {
  const { bytes, start, end } = event;
  let at = start + 8;
  if (WITH_EXTRA.has(event.type)) at += bytes.readUInt16LE(at);
  const { value: count, end: bitmaps } = lengthEncoded(bytes, at);
  const bitmap = (count + 7) >> 3;
  let isWhole = true;
  for (let place = 0; place < count; place += 1) isWhole &&= (bytes[bitmaps + (place >> 3)]! & (1 << (place & 7))) !== 0;
  const from = bitmaps + bitmap * (kind === "update" ? 2 : 1);
  if (event.type < EVENT.writeRowsCompressed1) return { isWhole, bytes, start: from, end };
  const plain = inflate(bytes.subarray(from, end));
  return { isWhole, bytes: plain, start: 0, end: plain.length };
};

/** MariaDB's compression: the length's length, the length, zlib. */
const inflate = (bytes: Buffer): Buffer => inflateSync(bytes.subarray(1 + (bytes[0]! & 7)));

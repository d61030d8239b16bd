// A batch as PostgreSQL's binary COPY: https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-BINARY

import type { Batch, ColumnType, FixedVector, TextVector } from "../batch.ts";
import { DownbeatError } from "../../core/errors.ts";
import { viewedBytes, type ViewedBytes } from "./copy-bytes.ts";
import { boolField, bytesField, eightByteField, fourByteField, uuidField, type CopyField } from "./pg-copy-fields.ts";
import { asciiField, scaledField } from "./pg-copy-numeric.ts";

/** A column of the batch, and what its table column wants. */
export interface CopyColumn {
  readonly index: number;
  readonly name: string;
  readonly type: ColumnType;
  readonly isJsonb: boolean;
}

const SIGNATURE = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");
const TRAILER = Buffer.from([255, 255]);

/** Rows that are laid out together: few enough that their bytes stay in the processor's cache. */
const BLOCK_ROWS = 2_048;

const DAYS_TO_2000 = 10_957;
/** 946,684,800,000,000 microseconds. */
const MICROS_TO_2000 = { high: 0x35d01, low: 0x3b37e000 };

/**
 * Smaller pieces get memory of their own: a socket says that it is done with what fits below its high-water mark (64 KB) before it is. Of larger ones it says so when
 * the kernel has them.
 */
const TAKES_TURNS = 256 * 1024;

/** Two buffers that take turns; kept by whoever encodes many batches, since fresh memory costs more than the encoding. */
export type CopyScratch = [ViewedBytes, ViewedBytes];

export const copyScratch = (): CopyScratch => [viewedBytes(Buffer.alloc(0)), viewedBytes(Buffer.alloc(0))];

const scratchOf = (scratch: CopyScratch, turn: number, size: number): ViewedBytes => {
  const place = turn % 2;
  if (scratch[place]!.bytes.length < size) scratch[place] = viewedBytes(Buffer.allocUnsafeSlow(size + (size >> 2)));
  return scratch[place]!;
};

/** Piece by piece, each laid out when it is asked for; a piece is gone when the one after the next is asked for. */
export function* encodeCopy(batch: Batch, columns: readonly CopyColumn[], scratch: CopyScratch = copyScratch()): Generator<Buffer> {
  const fields = columns.map((column) => fieldOf(batch, column));
  yield SIGNATURE;
  const sizes = new Int32Array(BLOCK_ROWS);
  const ends = new Int32Array(BLOCK_ROWS);
  for (let from = 0; from < batch.rows; from += BLOCK_ROWS) {
    const to = Math.min(from + BLOCK_ROWS, batch.rows);
    sizes.fill(2);
    for (const field of fields) addSizes(field, from, to, sizes);
    let total = 0;
    for (let row = 0; row < to - from; row += 1) {
      ends[row] = total;
      total += sizes[row]!;
    }
    const out = total < TAKES_TURNS ? viewedBytes(Buffer.allocUnsafe(total)) : scratchOf(scratch, from / BLOCK_ROWS, total);
    for (let row = 0; row < to - from; row += 1) {
      const at = ends[row]!;
      out.view.setInt16(at, fields.length);
      ends[row] = at + 2;
    }
    for (const field of fields) field.fill(out, from, to, ends);
    yield out.bytes.subarray(0, total);
  }
  yield TRAILER;
}

const addSizes = ({ fixedSize, valid, addSizes: addOwn }: CopyField, from: number, to: number, sizes: Int32Array): void => {
  if (fixedSize === undefined) addOwn?.(from, to, sizes);
  else if (valid === null) for (let row = 0; row < to - from; row += 1) sizes[row] = sizes[row]! + fixedSize;
  else for (let row = from; row < to; row += 1) sizes[row - from] = sizes[row - from]! + (valid[row] === 0 ? 4 : fixedSize);
};

const fieldOf = (batch: Batch, { index, name, type, isJsonb }: CopyColumn): CopyField => {
  const vector = batch.columns[index];
  const fixed = vector as FixedVector;
  const text = vector as TextVector;
  const refuse =
    (why: string) =>
    (row: number): never => {
      throw new DownbeatError("DESTINATION_DATA_REFUSED", `column "${name}", row ${row + 1} of a batch: ${why}`, {
        details: { column: name },
      });
    };
  switch (type.kind) {
    case "bool":
      return boolField(fixed);
    case "int32":
    case "float32":
      return fourByteField(fixed);
    case "date":
      return fourByteField(fixed, DAYS_TO_2000, refuse("the date is before 4714 BC, the first that PostgreSQL knows"));
    case "int64":
    case "float64":
    case "time":
      return eightByteField(fixed);
    case "timestamp":
    case "timestamptz":
      return eightByteField(fixed, MICROS_TO_2000, refuse("the time is before 4714 BC, the first that PostgreSQL knows"));
    case "uint64":
      return scaledField(fixed, 20, 0, true);
    case "decimal":
      return type.precision <= 18
        ? scaledField(fixed, type.precision, type.scale, false)
        : asciiField(text, type.precision, type.scale, refuse(`it is not a decimal(${type.precision},${type.scale})`));
    case "string":
      refuseNul(
        batch.rows,
        text,
        refuse("the text holds a NUL character, which PostgreSQL cannot; remove it in the source's query or carry the column as binary"),
      );
      return bytesField(text);
    case "json":
      return isJsonb ? bytesField(text, 1) : bytesField(text);
    case "binary":
      return bytesField(text);
    case "uuid":
      return uuidField(text, refuse("it is not a UUID"));
  }
};

const refuseNul = (rows: number, { offsets, data }: TextVector, refuse: (row: number) => never): void => {
  const at = data.subarray(0, offsets[rows]).indexOf(0, offsets[0]);
  if (at < 0) return;
  let row = 0;
  while (offsets[row + 1]! <= at) row += 1;
  refuse(row);
};

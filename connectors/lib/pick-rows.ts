// Some rows of a batch, in their order.

import { type Batch, sizeOf, type Vector, WIDTH } from "../batch.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** `rows`: places, in order. What the batch says beside its rows stays. */
export const pickRows = (batch: Batch, rows: readonly number[]): Batch => {
  const columns = batch.columns.map((vector) => pickValues(vector, rows));
  const bytes = columns.reduce((sum, vector) => sum + sizeOf(vector), 0);
  return {
    ...batch,
    rows: rows.length,
    columns,
    bytes,
    ...(batch.deleted === undefined ? {} : { deleted: pickBytes(batch.deleted, rows, 1) }),
  };
};

const pickValues = (vector: Vector, rows: readonly number[]): Vector => {
  const valid = vector.valid === null ? null : pickBytes(vector.valid, rows, 1);
  if (vector.layout !== "text") return { layout: vector.layout, data: pickBytes(vector.data, rows, WIDTH[vector.layout]), valid };
  const offsets = new Int32Array(rows.length + 1);
  const ends = (row: number): readonly [number, number] => [vector.offsets[row] ?? 0, vector.offsets[row + 1] ?? 0];
  for (const [place, row] of rows.entries()) {
    const [start, end] = ends(row);
    offsets[place + 1] = (offsets[place] ?? 0) + end - start;
  }
  const data = new Uint8Array(offsets.at(-1) ?? 0);
  for (const [place, row] of rows.entries()) data.set(vector.data.subarray(...ends(row)), offsets[place]);
  return { layout: "text", offsets, data, valid };
};

const pickBytes = (bytes: Bytes, rows: readonly number[], width: number): Bytes => {
  const picked = new Uint8Array(rows.length * width);
  for (const [place, row] of rows.entries()) picked.set(bytes.subarray(row * width, (row + 1) * width), place * width);
  return picked;
};

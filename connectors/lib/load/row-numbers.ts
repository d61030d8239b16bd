// Rows numbered as they come, for systems that do not number them.

import type { Batch, Column, FixedVector } from "../../batch.ts";

/** `before`: rows that came before. The numbers are the last column. */
export const withRowNumbers = (batch: Batch, before: number): Batch => {
  const numbers = new BigInt64Array(batch.rows);
  for (let row = 0; row < batch.rows; row += 1) numbers[row] = BigInt(before + row);
  const column: Column = { name: "", type: { kind: "int64" }, nullable: false };
  const vector: FixedVector = { layout: "bytes8", data: new Uint8Array(numbers.buffer), valid: null };
  return { ...batch, schema: { columns: [...batch.schema.columns, column] }, columns: [...batch.columns, vector] };
};

// Columns of one type as another, exactly: a row with a value that is none of that type cannot be read.

import type { Batch, Column, ColumnType, Reject, Vector } from "../connectors/batch.ts";
import { BatchBuilder } from "../connectors/lib/batch-builder.ts";
import { pickRows } from "../connectors/lib/pick-rows.ts";
import { appendValue, checkedJson, misfit, rawText, readerOf, shortText, toRows, typeName } from "../connectors/lib/rows.ts";
import type { Json } from "../core/json.ts";

const NUMBERS: ReadonlySet<ColumnType["kind"]> = new Set(["int32", "int64", "uint64", "float32", "float64", "decimal"]);
const INTEGERS: ReadonlySet<ColumnType["kind"]> = new Set(["int32", "int64", "uint64"]);

/** Whether values of the one type may be values of the other; whether one is shows when it is there. */
export const canCast = (from: ColumnType, to: ColumnType): boolean => {
  if (from.kind === to.kind) return true;
  if (to.kind === "string") return from.kind !== "binary";
  if (from.kind === "string") return true;
  if (NUMBERS.has(from.kind) && NUMBERS.has(to.kind)) return true;
  if (from.kind === "bool") return INTEGERS.has(to.kind);
  if (to.kind === "bool") return INTEGERS.has(from.kind);
  return from.kind === "timestamp" && to.kind === "timestamptz";
};

/** Values of the one lie in memory as values of the other do. */
const liesAs = (from: ColumnType, to: ColumnType): boolean =>
  typeName(from) === typeName(to) || (to.kind === "string" && (from.kind === "json" || from.kind === "uuid"));

/** A column by its place in the source's schema. */
export interface Cast {
  readonly place: number;
  readonly type: ColumnType;
}

/** The batch with these columns in their new types, and without the rows where one of them has no such value: those are rejects. */
export const castColumns = (batch: Batch, casts: readonly Cast[]): Batch => {
  const columns = [...batch.columns];
  const failed = new Map<number, Omit<Reject, "raw">>();
  for (const { place, type } of casts) {
    const [column, vector] = [batch.schema.columns[place], batch.columns[place]];
    if (column === undefined || vector === undefined || liesAs(column.type, type)) continue;
    columns[place] = castColumn(column, vector, batch.rows, type, (row, value) => {
      if (failed.has(row)) return;
      const where = `the row with ${column.name} ${shortText(value)}`;
      failed.set(row, { where, code: "SOURCE_DATA_INVALID", reason: misfit(column.name, value, type) });
    });
  }
  const whole = { ...batch, columns };
  if (failed.size === 0) return whole;
  const raws = toRows(pickRows(batch, [...failed.keys()]));
  const rejects = [...failed.values()].map((reject, index): Reject => ({ ...reject, raw: rawText(raws[index]) }));
  const good = Array.from({ length: batch.rows }, (_, row) => row).filter((row) => !failed.has(row));
  return { ...pickRows(whole, good), rejects: [...(batch.rejects ?? []), ...rejects] };
};

/** A value in the form that the new type takes it in. */
const preparedFor = (from: ColumnType, to: ColumnType): ((value: Json) => Json) => {
  if (!INTEGERS.has(to.kind)) return (value) => value;
  if (from.kind === "bool") return Number;
  return from.kind === "decimal" ? (value) => String(value).replace(/\.0+$/, "") : (value) => value;
};

const castColumn = (column: Column, vector: Vector, rows: number, type: ColumnType, fail: (row: number, value: Json) => void): Vector => {
  const read = readerOf(column.type, vector);
  const builder = new BatchBuilder({ columns: [{ ...column, type }] }, Math.max(rows, 1));
  const [target] = builder.columns;
  if (target === undefined) throw new Error("a builder has the columns that it was made with");
  const prepared = preparedFor(column.type, type);
  for (let row = 0; row < rows; row += 1) {
    const value = read(row);
    if (value === null) target.appendNull();
    else if (!appendValue(target, type, prepared(value), checkedJson)) {
      fail(row, value);
      target.appendNull();
    }
  }
  return target.take();
};

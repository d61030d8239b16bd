// Whole numbers on their way into columns of floating-point numbers, which hold them exactly up to 2^53; what lies beyond is refused, not rounded.

import type { Batch, Column, CsvRows, ParquetRows, Vector } from "../../batch.ts";
import { DownbeatError } from "../../../core/errors.ts";
import { parquetRelation } from "../formats/parquet-rows.ts";

const LARGEST = 9_007_199_254_740_992n;
const TWO_32 = 4_294_967_296;
/** The upper half of 2^53. */
const HIGH = 2_097_152;

/** A condition in SQL: whether a whole number is none that a double holds for certain. */
export const isRounded = (value: string): string => `${value} not between -${LARGEST} and ${LARGEST}`;

export const refuseRounding = (table: string, column: string): DownbeatError =>
  new DownbeatError(
    "DESTINATION_SCHEMA_MISMATCH",
    `table ${table}: column "${column}" has both fractions and whole numbers beyond ${LARGEST}, which no floating-point column holds without loss; ` +
      "declare its type from the start (from.columns, where the source takes them), or cast it (columns.cast, or in a query) to decimal or string",
    { details: { column } },
  );

/** The batch with its whole numbers as floating-point numbers in the columns for which `isDouble` holds. Throws DESTINATION_SCHEMA_MISMATCH where one would be rounded. */
export const withWholeDoubles = async (batch: Batch, isDouble: (column: string) => boolean, table: string): Promise<Batch> => {
  const places = new Set([...batch.schema.columns.entries()].flatMap(([place, column]) => (isMet(column, isDouble) ? [place] : [])));
  if (places.size === 0) return batch;
  const schema = {
    columns: batch.schema.columns.map((column, place): Column => (places.has(place) ? { ...column, type: { kind: "float64" } } : column)),
  };
  const nameOf = (place: number): string => batch.schema.columns[place]?.name ?? "";
  const { parquet, csv, rows } = batch;
  if (parquet !== undefined) {
    await refuseRoundedRows(parquetRelation(parquet.file, parquet.from, rows), { rows: parquet, places, nameOf, table });
    return { ...batch, schema, parquet: { ...parquet, select: castOf(parquet, places) } };
  }
  if (csv !== undefined) {
    await refuseRoundedRows(csv.relation, { rows: csv, places, nameOf, table });
    return { ...batch, schema, csv: { ...csv, select: castOf(csv, places) } };
  }
  const columns = batch.columns.map((vector, place) => {
    if (!places.has(place)) return vector;
    const doubles = asDoubles(vector, rows);
    if (doubles === undefined) throw refuseRounding(table, nameOf(place));
    return doubles;
  });
  return { ...batch, schema, columns };
};

const isMet = ({ name, type }: Column, isDouble: (column: string) => boolean): boolean => type.kind === "int64" && isDouble(name);

const castOf = ({ select }: ParquetRows | CsvRows, places: ReadonlySet<number>): readonly string[] =>
  select.map((value, place) => (places.has(place) ? `cast(${value} as double)` : value));

interface NamedRows {
  readonly rows: ParquetRows | CsvRows;
  readonly places: ReadonlySet<number>;
  readonly nameOf: (place: number) => string;
  readonly table: string;
}

const refuseRoundedRows = async (relation: string, { rows: { select, release }, places, nameOf, table }: NamedRows): Promise<void> => {
  const { DuckDBInstance } = await import("@duckdb/node-api");
  const instance = await DuckDBInstance.create(":memory:", { threads: "1", memory_limit: "200MB", autoinstall_known_extensions: "false" });
  try {
    const connection = await instance.connect();
    const counts = [...places].map((place) => `count(*) filter (where ${isRounded(select[place] ?? "null")})`);
    const found = await connection.runAndReadAll(`select ${counts.join(", ")} from ${relation}`);
    const first = (found.getRowsJson()[0] ?? []).findIndex((count) => Number(count) > 0);
    if (first >= 0) throw refuseRounding(table, nameOf([...places][first] ?? -1));
  } catch (error) {
    await release();
    throw error;
  } finally {
    instance.closeSync();
  }
};

/** Undefined: one of them would be rounded. */
const asDoubles = (vector: Vector, rows: number): Vector | undefined => {
  if (vector.layout === "text") return undefined;
  const { data, valid } = vector;
  const words = new Int32Array(data.buffer, data.byteOffset, rows * 2);
  const doubles = new Float64Array(rows);
  for (let row = 0; row < rows; row += 1) {
    if (valid?.[row] === 0) continue;
    const low = words[row * 2]! >>> 0;
    const high = words[row * 2 + 1]!;
    if (high < -HIGH || high > HIGH || (high === HIGH && low > 0)) return undefined;
    doubles[row] = high * TWO_32 + low;
  }
  return { layout: "bytes8", data: new Uint8Array(doubles.buffer), valid };
};

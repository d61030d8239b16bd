// DuckDB's result chunks as columnar batches; used by everything that lets DuckDB read.

import type { DuckDBConnection, DuckDBPreparedStatement, DuckDBType, DuckDBDataChunk, DuckDBResult, DuckDBValue } from "@duckdb/node-api";
import { DownbeatError } from "../../core/errors.ts";
import type { Batch, Column, ColumnType } from "../batch.ts";
import type { ConnectorContext } from "../connector.ts";
import { readCast, readType } from "../duckdb/types.ts";
import { BATCH_ROWS, BatchBuilder, type FixedColumnBuilder, type TextColumnBuilder } from "./batch-builder.ts";

export interface DescribedQuery {
  readonly columns: readonly Column[];
  /** The query with columns of other types cast to what batches carry. */
  readonly select: string;
  /** How they are selected, cast where they have to be, from a relation that has them under these names. */
  readonly selectFrom: (names: readonly string[]) => readonly string[];
}

/** Nothing but a parameter stands there: DuckDB has a type number 0 for it, which the driver does not know. */
const typeOf = (prepared: DuckDBPreparedStatement, place: number): DuckDBType => {
  try {
    return prepared.columnType(place);
  } catch (error) {
    const message = `column ${place + 1} is a parameter alone and has no type; cast it, such as :name::varchar`;
    throw new DownbeatError("SOURCE_TYPE_UNSUPPORTED", message, { cause: error });
  }
};

/** Learns a query's columns without running it; refuses types that would lose something. */
export const describeQuery = async (connection: DuckDBConnection, query: string): Promise<DescribedQuery> => {
  const prepared = await connection.prepare(query);
  try {
    const columns: Column[] = [];
    const casts: ((column: string) => string)[] = [];
    for (let place = 0; place < prepared.columnCount; place += 1) {
      const name = prepared.columnName(place);
      const duckdbType = typeOf(prepared, place);
      const sqlType = duckdbType.alias ?? String(duckdbType);
      const read = readType(sqlType);
      const cast = read === undefined ? readCast(sqlType) : undefined;
      const type = read ?? cast?.type;
      if (type === undefined) {
        throw new DownbeatError(
          "SOURCE_TYPE_UNSUPPORTED",
          `column "${name}" is ${sqlType}, which cannot be carried without loss; cast it in a query, or leave it out`,
        );
      }
      columns.push({ name, type, nullable: true });
      casts.push(cast?.cast ?? ((column) => column));
    }
    const selectFrom = (names: readonly string[]): readonly string[] => casts.map((cast, place) => cast(names[place] ?? ""));
    const places = columns.map((_, place) => `#${place + 1}`);
    const selected = selectFrom(places);
    const isPlain = selected.every((column, place) => column === places[place]);
    return { columns, select: isPlain ? query : `select ${selected.join(", ")} from (${query}\n)`, selectFrom };
  } finally {
    prepared.destroySync();
  }
};

type Append = (value: DuckDBValue) => void;

const appender = (type: ColumnType, target: FixedColumnBuilder | TextColumnBuilder): Append => {
  const fixed = target as FixedColumnBuilder;
  const text = target as TextColumnBuilder;
  switch (type.kind) {
    case "bool":
      return (value) => fixed.appendBool(value as boolean);
    case "int32":
      return (value) => fixed.appendInt32(value as number);
    case "int64":
    case "uint64":
      return (value) => fixed.appendInt64(BigInt(value as number | bigint));
    case "float32":
      return (value) => fixed.appendFloat32(value as number);
    case "float64":
      return (value) => fixed.appendFloat64(value as number);
    case "date":
      return (value) => fixed.appendInt32(finite((value as unknown as { days: number }).days));
    case "time":
    case "timestamp":
    case "timestamptz":
      return (value) => fixed.appendInt64(finite(microsOf(value as unknown as Moment)));
    case "decimal":
      if (type.precision <= 18) return (value) => fixed.appendInt64((value as unknown as { value: bigint }).value);
      return (value) => text.appendText(String(value));
    case "binary":
      return (value) => text.appendBytes((value as unknown as { bytes: Uint8Array }).bytes);
    default:
      return (value) => text.appendText(String(value));
  }
};

/** DuckDB marks infinite dates and times by the ends of their range. */
const INFINITE = new Set<number | bigint>([2_147_483_647, -2_147_483_647, 9_223_372_036_854_775_807n, -9_223_372_036_854_775_807n]);

const finite = <Value extends number | bigint>(value: Value): Value => {
  if (!INFINITE.has(value)) return value;
  throw new DownbeatError("SOURCE_DATA_INVALID", "a date or timestamp is infinite, which no other system can take; replace it in a query");
};

interface Moment {
  readonly micros?: bigint;
  readonly milliseconds?: bigint;
  readonly millis?: bigint;
  readonly seconds?: bigint;
}

const microsOf = ({ micros, milliseconds, millis, seconds }: Moment): bigint =>
  micros ?? (milliseconds ?? millis ?? (seconds ?? 0n) * 1_000n) * 1_000n;

/** The rows from `from` up to `to`. */
const appendRows = (chunk: DuckDBDataChunk, builder: BatchBuilder, from: number, to: number): void => {
  for (const [place, column] of builder.schema.columns.entries()) {
    const target = builder.columns[place];
    if (target === undefined) continue;
    const vector = chunk.getColumnVector(place);
    const append = appender(column.type, target);
    for (let row = from; row < to; row += 1) {
      const value = vector.getItem(row);
      if (value === null) target.appendNull();
      else append(value);
    }
  }
  for (let row = from; row < to; row += 1) builder.endRow();
};

/** Streams a result as batches without positions; one without rows when the result is empty. */
export async function* readResult(
  result: DuckDBResult,
  columns: readonly Column[],
  { signal, batchRows = BATCH_ROWS }: Pick<ConnectorContext, "signal" | "batchRows">,
): AsyncGenerator<Batch> {
  const builder = new BatchBuilder({ columns });
  let isEmpty = true;
  for (;;) {
    signal.throwIfAborted();
    const chunk = await result.fetchChunk();
    // Asked once: each time is a call into the driver's native part.
    const rows = chunk?.rowCount ?? 0;
    if (chunk === null || rows === 0) break;
    for (let from = 0; from < rows; ) {
      const to = Math.min(rows, from + batchRows - builder.rows);
      appendRows(chunk, builder, from, to);
      from = to;
      if (!builder.isFull && builder.rows < batchRows) continue;
      isEmpty = false;
      yield builder.take(null);
    }
  }
  if (builder.rows > 0 || isEmpty) yield builder.take(null);
}

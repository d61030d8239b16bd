// A Parquet file as batches: they name its rows where the destination lets DuckDB read them, and carry them elsewhere.

import type { DuckDBConnection } from "@duckdb/node-api";
import type { Column } from "../../batch.ts";
import { BatchBuilder } from "../batch-builder.ts";
import { readResult } from "../duckdb-decode.ts";
import { sqlText, tryQuery, type FileBatch, type FileRead } from "./engine.ts";
import type { SharedFile } from "./shared-file.ts";

/**
 * As many as a load commits at a time, so it may have begun at most so much in vain. DuckDB reads the row groups of a batch side by side and leaves some of
 * its own unfilled at the end, which it rewrites later: with a quarter of the rows that took as long as the load.
 */
export const MOST_ROWS = 1_048_576;
export const MOST_BYTES = 256 * 1024 * 1024;

/** Option of `read_parquet`, and what a column must not be called for it to work. */
const ROW_NUMBER = "file_row_number";

export interface ParquetColumns {
  readonly columns: readonly Column[];
  /** How each is selected from the file. */
  readonly select: readonly string[];
}

interface Group {
  readonly rows: number;
  readonly bytes: number;
}

export const canNameRows = (names: readonly string[]): boolean => names.every((name) => name.toLowerCase() !== ROW_NUMBER);

/** The relation of a file's rows from one number up to another. */
export const parquetRelation = (file: string, from: number, rows: number): string =>
  `read_parquet(${sqlText(file)}, ${ROW_NUMBER} = true) where ${ROW_NUMBER} >= ${from} and ${ROW_NUMBER} < ${from + rows}`;

/** One batch without rows when there are none behind the skipped ones. */
export async function* nameRows(
  connection: DuckDBConnection,
  file: SharedFile,
  { columns, select }: ParquetColumns,
  read: FileRead,
): AsyncGenerator<FileBatch> {
  const { skipRows, batchRows, signal } = read;
  const schema = { columns };
  let from = skipRows;
  for (const { end, bytesOfRow } of cuts(await groupsOf(connection, file.path), batchRows)) {
    if (end <= from) continue;
    signal.throwIfAborted();
    const rows = end - from;
    const relation = parquetRelation(file.path, from, rows);
    const parquet = {
      file: file.path,
      from,
      select,
      confirm: () => tryQuery(read, "Parquet", `select count(hash(${select.join(", ")})) from ${relation}`),
      release: file.hold(),
    };
    yield { batch: { schema, rows, columns: [], bytes: Math.round(rows * bytesOfRow), position: null, parquet }, rows: end };
    from = end;
  }
  if (from === skipRows) yield { batch: new BatchBuilder(schema).take(null), rows: from };
}

/** The rows in memory, which `query` selects in the file's order. */
export async function* carryRows(
  connection: DuckDBConnection,
  query: string,
  columns: readonly Column[],
  read: FileRead,
): AsyncGenerator<FileBatch> {
  let rows = read.skipRows;
  const result = await connection.stream(rows === 0 ? query : `${query} offset ${rows}`);
  for await (const batch of readResult(result, columns, read)) {
    rows += batch.rows;
    yield { batch, rows };
  }
}

/** `bytes`: of its values, without their compression. */
const groupsOf = async (connection: DuckDBConnection, file: string): Promise<readonly Group[]> => {
  const result = await connection.runAndReadAll(
    `select any_value(row_group_num_rows), sum(total_uncompressed_size) from parquet_metadata(${sqlText(file)}) group by row_group_id order by row_group_id`,
  );
  return result.getRowsJson().map(([rows, bytes]) => ({ rows: Number(rows), bytes: Number(bytes) }));
};

/** Where batches end: at the ends of groups, several together where there is room for them, or within a large one. */
function* cuts(groups: readonly Group[], mostRows = MOST_ROWS): Generator<{ readonly end: number; readonly bytesOfRow: number }> {
  const parts = groups.flatMap(({ rows, bytes }) => {
    const count = Math.max(Math.ceil(rows / mostRows), 1);
    const partRows = Math.ceil(rows / count);
    return Array.from({ length: count }, (_, part) => {
      const taken = Math.min(partRows, rows - part * partRows);
      return { rows: taken, bytes: (bytes * taken) / Math.max(rows, 1) };
    });
  });
  let [rows, bytes, end] = [0, 0, 0];
  for (const [place, part] of parts.entries()) {
    rows += part.rows;
    bytes += part.bytes;
    end += part.rows;
    const next = parts[place + 1];
    if (rows === 0 || (next !== undefined && rows + next.rows <= mostRows && bytes + next.bytes <= MOST_BYTES)) continue;
    yield { end, bytesOfRow: bytes / rows };
    [rows, bytes] = [0, 0];
  }
}

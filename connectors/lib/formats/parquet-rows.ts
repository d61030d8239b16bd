// A Parquet file as batches that name its rows: whoever lets DuckDB read them needs none of them in JavaScript.

import type { DuckDBConnection } from "@duckdb/node-api";
import type { Column } from "../../batch.ts";
import { BatchBuilder } from "../batch-builder.ts";
import { sqlText, tryQuery, type FileBatch, type FileRead } from "./engine.ts";
import type { SharedFile } from "./shared-file.ts";

/** About a chunk of a load. Two row groups of DuckDB: one for each of two threads. */
const MOST_ROWS = 245_760;
/** A row group that has more than these is read in parts, each of them from the group's beginning. */
const MOST_ROWS_OF_GROUP = 1_048_576;

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

/** `bytes`: of its values, without their compression. */
const groupsOf = async (connection: DuckDBConnection, file: string): Promise<readonly Group[]> => {
  const result = await connection.runAndReadAll(
    `select any_value(row_group_num_rows), sum(total_uncompressed_size) from parquet_metadata(${sqlText(file)}) group by row_group_id order by row_group_id`,
  );
  return result.getRowsJson().map(([rows, bytes]) => ({ rows: Number(rows), bytes: Number(bytes) }));
};

/** Where batches end: at the ends of groups, several small ones together. */
function* cuts(groups: readonly Group[], batchRows: number | undefined): Generator<{ readonly end: number; readonly bytesOfRow: number }> {
  const most = batchRows ?? MOST_ROWS;
  const mostOfGroup = batchRows ?? MOST_ROWS_OF_GROUP;
  let [begun, end] = [{ rows: 0, bytes: 0 }, 0];
  for (const [place, { rows, bytes }] of groups.entries()) {
    for (let left = rows; left > 0; ) {
      const taken = Math.min(left, mostOfGroup);
      left -= taken;
      end += taken;
      begun = { rows: begun.rows + taken, bytes: begun.bytes + (bytes * taken) / rows };
      const next = left > 0 ? left : (groups[place + 1]?.rows ?? 0);
      if (next > 0 && begun.rows + Math.min(next, mostOfGroup) <= most) continue;
      yield { end, bytesOfRow: begun.bytes / begun.rows };
      begun = { rows: 0, bytes: 0 };
    }
  }
}

// CSV and Parquet files, read by an embedded DuckDB: types, quoting and compression of columns are its trade.

import type { DuckDBConnection } from "@duckdb/node-api";
import { DownbeatError } from "../../../core/errors.ts";
import type { Batch, Column, Reject } from "../../batch.ts";
import { toSqlType } from "../../duckdb/types.ts";
import { describeQuery, readResult } from "../duckdb-decode.ts";

export interface TableFileOptions {
  readonly file: string;
  readonly name: string;
  readonly declared: readonly Column[] | undefined;
  readonly skipRows: number;
  readonly signal: AbortSignal;
}

export interface CsvOptions {
  readonly delimiter: string;
  readonly header: boolean;
}

const text = (value: string): string => `'${value.replaceAll("'", "''")}'`;

const withEngine = async function* (
  signal: AbortSignal,
  work: (connection: DuckDBConnection) => AsyncGenerator<FileBatch>,
): AsyncGenerator<FileBatch> {
  const { DuckDBInstance } = await import("@duckdb/node-api");
  const instance = await DuckDBInstance.create(":memory:", { threads: "2", memory_limit: "512MB", autoinstall_known_extensions: "false" });
  const connection = await instance.connect();
  const interrupt = (): void => connection.interrupt();
  signal.addEventListener("abort", interrupt);
  try {
    yield* work(connection);
  } finally {
    signal.removeEventListener("abort", interrupt);
    connection.closeSync();
    instance.closeSync();
  }
};

export interface FileBatch {
  readonly batch: Batch;
  /** Rows of the file up to the end of this batch. */
  readonly rows: number;
}

const broken = (name: string, format: string, error: unknown): DownbeatError => {
  const message = (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";
  return new DownbeatError("SOURCE_FILE_BROKEN", `${name} is not a readable ${format} file: ${message.slice(0, 500)}`, { cause: error });
};

const stream = async function* (
  connection: DuckDBConnection,
  query: string,
  { skipRows, signal }: TableFileOptions,
): AsyncGenerator<FileBatch> {
  const skipping = skipRows === 0 ? query : `${query} offset ${skipRows}`;
  const { columns, select } = await describeQuery(connection, skipping);
  let rows = skipRows;
  for await (const batch of readResult(await connection.stream(select), columns, signal)) {
    rows += batch.rows;
    yield { batch, rows };
  }
};

export const readParquet = (options: TableFileOptions): AsyncGenerator<FileBatch> =>
  withEngine(options.signal, async function* (connection) {
    try {
      yield* stream(connection, `select * from read_parquet(${text(options.file)})`, options);
    } catch (error) {
      if (options.signal.aborted || error instanceof DownbeatError) throw error;
      throw broken(options.name, "Parquet", error);
    }
  });

/** An unquoted empty field is NULL, a quoted one is the empty string. Ragged rows and values that are not of their column's type become rejects. */
export const readCsv = (options: TableFileOptions, { delimiter, header }: CsvOptions): AsyncGenerator<FileBatch> =>
  withEngine(options.signal, async function* (connection) {
    const { file, name, declared } = options;
    const columns = declared?.map((column) => `${text(column.name)}: ${text(toSqlType(column.type, column.name))}`).join(", ");
    // With a header the names are the file's own, in whatever order; without one the declared columns are the file's, in their order.
    const types =
      columns === undefined
        ? "sample_size = -1"
        : header
          ? `types = {${columns}}, sample_size = -1`
          : `columns = {${columns}}, auto_detect = false`;
    const reader = `read_csv(${text(file)}, delim = ${text(delimiter)}, quote = '"', escape = '"', header = ${header}, compression = 'none', allow_quoted_nulls = false, nullstr = '', store_rejects = true, rejects_limit = 0, strict_mode = true, ${types})`;
    try {
      let last: FileBatch | undefined;
      for await (const found of stream(connection, `select * from ${reader}`, options)) {
        if (last !== undefined) yield last;
        last = found;
      }
      // Rejects are known for the whole file, once it has been read.
      if (last !== undefined) yield { ...last, batch: { ...last.batch, rejects: await csvRejects(connection, name) } };
    } catch (error) {
      if (options.signal.aborted || error instanceof DownbeatError) throw error;
      throw broken(name, "CSV", error);
    }
  });

const csvRejects = async (connection: DuckDBConnection, name: string): Promise<readonly Reject[]> => {
  const rows = (
    await connection.runAndReadAll(
      "select line, any_value(csv_line) as raw, string_agg(error_message, '; ') as reason from reject_errors group by line order by line",
    )
  ).getRowObjectsJson();
  return rows.map((row) => ({
    where: `line ${String(row["line"])} of ${name}`,
    code: "SOURCE_DATA_INVALID",
    reason: String(row["reason"] ?? "cannot be read").split("\n")[0] ?? "",
    raw: String(row["raw"] ?? ""),
  }));
};

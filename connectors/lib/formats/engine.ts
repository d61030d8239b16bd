// An embedded DuckDB of its own for reading one file, and what readers of files share.

import type { DuckDBConnection } from "@duckdb/node-api";
import { DownbeatError } from "../../../core/errors.ts";
import type { Batch, Column } from "../../batch.ts";

export interface FileRead {
  readonly file: string;
  /** For people: the object's name. */
  readonly name: string;
  readonly declared: readonly Column[] | undefined;
  /** Columns seen in earlier files of the stream: types only widen. */
  readonly known: readonly Column[];
  /** Rows of this file that were read before. */
  readonly skipRows: number;
  readonly signal: AbortSignal;
  /** For files of the reader's own; removed by the host. */
  readonly tempDir: string;
  /** Whether batches may name rows of Parquet files. */
  readonly takesParquet: boolean;
  /** Whether batches may name CSV files. */
  readonly takesCsv: boolean;
  /** Whether the file is the reader's alone, and stays as it is while anybody holds it. */
  readonly isCopy: boolean;
  /** About how many rows a batch should have; undefined: as many as the format's reader likes. */
  readonly batchRows: number | undefined;
}

export interface FileBatch {
  readonly batch: Batch;
  /** Rows of the file up to the end of this batch. */
  readonly rows: number;
}

const broken = (name: string, format: string, error: unknown): DownbeatError => {
  const message = (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";
  return new DownbeatError("SOURCE_FILE_BROKEN", `${name} is not a readable ${format} file: ${message.slice(0, 500)}`, { cause: error });
};

/** What to throw for an error of reading: it is the file's fault, unless somebody interrupted it. */
export const failureOf = (error: unknown, { name, signal }: Pick<FileRead, "name" | "signal">, format: string): unknown =>
  signal.aborted ? signal.reason : error instanceof DownbeatError ? error : broken(name, format, error);

interface Engine extends Disposable {
  readonly connection: DuckDBConnection;
}

const openEngine = async ({ signal }: FileRead): Promise<Engine> => {
  const { DuckDBInstance } = await import("@duckdb/node-api");
  const instance = await DuckDBInstance.create(":memory:", {
    threads: "2",
    memory_limit: "512MB",
    autoinstall_known_extensions: "false",
    enable_external_file_cache: "false",
  });
  const connection = await instance.connect();
  const interrupt = (): void => connection.interrupt();
  signal.addEventListener("abort", interrupt);
  return {
    connection,
    [Symbol.dispose]() {
      signal.removeEventListener("abort", interrupt);
      connection.closeSync();
      instance.closeSync();
    },
  };
};

export async function* withEngine(
  read: FileRead,
  format: string,
  work: (connection: DuckDBConnection) => AsyncGenerator<FileBatch>,
): AsyncGenerator<FileBatch> {
  using engine = await openEngine(read);
  try {
    yield* work(engine.connection);
  } catch (error) {
    throw failureOf(error, read, format);
  }
}

/** Throws SOURCE_FILE_BROKEN where a query over the file fails. */
export const tryQuery = async (read: FileRead, format: string, query: string): Promise<void> => {
  using engine = await openEngine(read);
  try {
    await engine.connection.run(query);
  } catch (error) {
    throw failureOf(error, read, format);
  }
};

export const sqlText = (value: string): string => `'${value.replaceAll("'", "''")}'`;

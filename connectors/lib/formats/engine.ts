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
  /** About how many rows a batch should have; undefined: as many as the format's reader likes. */
  readonly batchRows: number | undefined;
}

export interface FileBatch {
  readonly batch: Batch;
  /** Rows of the file up to the end of this batch. */
  readonly rows: number;
}

export const broken = (name: string, format: string, error: unknown): DownbeatError => {
  const message = (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";
  return new DownbeatError("SOURCE_FILE_BROKEN", `${name} is not a readable ${format} file: ${message.slice(0, 500)}`, { cause: error });
};

/** What DuckDB cannot read is the file's fault, unless somebody interrupted it. */
export async function* withEngine(
  { name, signal }: FileRead,
  format: string,
  work: (connection: DuckDBConnection) => AsyncGenerator<FileBatch>,
): AsyncGenerator<FileBatch> {
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
  try {
    yield* work(connection);
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof DownbeatError ? error : broken(name, format, error);
  } finally {
    signal.removeEventListener("abort", interrupt);
    connection.closeSync();
    instance.closeSync();
  }
}

export const sqlText = (value: string): string => `'${value.replaceAll("'", "''")}'`;

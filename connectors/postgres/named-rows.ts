// Rows that lie in files on their way into PostgreSQL: DuckDB writes them as the CSV that COPY takes, without a JavaScript value in between.

import { rm } from "node:fs/promises";
import path from "node:path";
import { randomUUID } from "node:crypto";
import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import type { Batch, Column, ColumnType, ParquetRows } from "../batch.ts";
import { readResult } from "../lib/duckdb-decode.ts";
import { fetchAhead } from "../lib/fetch-ahead.ts";
import { parquetRelation } from "../lib/formats/parquet-rows.ts";
import { quoteText } from "../lib/load/names.ts";
import type { InsertColumn } from "../lib/load/session.ts";

/** Rows of one file: small enough that the server works on one while the next is written. */
const FILE_ROWS = 131_072;

export interface NamedBatch {
  readonly parquet: ParquetRows;
  readonly rows: number;
  /** Columns of the batch that go in. */
  readonly columns: readonly InsertColumn[];
}

interface RowsInSql {
  readonly relation: string;
  /** How each column of the batch's schema is selected. */
  readonly select: readonly string[];
  readonly columns: readonly InsertColumn[];
}

interface CsvFile extends AsyncDisposable {
  readonly path: string;
}

export class NamedRows implements AsyncDisposable {
  readonly #tempDir: string;
  readonly #signal: AbortSignal;
  #instance: Promise<DuckDBInstance> | undefined;

  constructor({ tempDir, signal }: { readonly tempDir: string; readonly signal: AbortSignal }) {
    this.#tempDir = tempDir;
    this.#signal = signal;
  }

  /** CSV files with all rows in their order, one after the other; each is gone when the next is asked for. Undefined: see `carry`. */
  async csvFiles(batch: NamedBatch): Promise<AsyncGenerator<string> | undefined> {
    return (await this.#isWrittenAlike(batch)) ? this.#csvFiles(batch) : undefined;
  }

  async *#csvFiles({ parquet, rows, columns }: NamedBatch): AsyncGenerator<string> {
    const count = Math.max(Math.ceil(rows / FILE_ROWS), 1);
    const slices = Array.from({ length: count }, (_, slice) => ({
      from: parquet.from + slice * FILE_ROWS,
      rows: Math.min(FILE_ROWS, rows - slice * FILE_ROWS),
    }));
    const values = columns.map(({ index, type }, place) => `${csvValue(parquet.select[index] ?? "null", type)} as c${place}`);
    // Then an empty text is not NULL.
    const quoted = columns.flatMap(({ type }, place) => (type.kind === "string" || type.kind === "json" ? [`c${place}`] : []));
    const options = `format csv, header false${quoted.length === 0 ? "" : `, force_quote (${quoted.join(", ")})`}`;
    const write = async (slice: { readonly from: number; readonly rows: number }): Promise<CsvFile> => {
      const file = path.join(this.#tempDir, `${randomUUID()}.csv`);
      const dispose = (): Promise<void> => rm(file, { force: true });
      try {
        const relation = parquetRelation(parquet.file, slice.from, slice.rows);
        await this.#using((connection) =>
          connection.run(`copy (select ${values.join(", ")} from ${relation}) to ${quoteText(file)} (${options})`),
        );
      } catch (error) {
        await dispose();
        throw error;
      }
      return { path: file, [Symbol.asyncDispose]: dispose };
    };
    for await (const [, file] of fetchAhead(slices, write)) {
      await using held = file;
      yield held.path;
    }
  }

  /** The rows in memory: for what DuckDB writes in other words than PostgreSQL reads. Their columns are those that go in, in that order. */
  async *carry({ relation, select, columns }: RowsInSql): AsyncGenerator<Batch> {
    const carried = columns.map(({ name, type }): Column => ({ name, type, nullable: true }));
    const values = columns.map(({ index }) => select[index] ?? "null");
    const connection = await this.#connect();
    try {
      const result = await connection.stream(`select ${values.join(", ")} from ${relation}`);
      yield* readResult(result, carried, { signal: this.#signal });
    } finally {
      connection.closeSync();
    }
  }

  /** Years that both write with four digits, and no NUL in texts: of that the server would not say in which column. */
  async #isWrittenAlike({ parquet, rows, columns }: NamedBatch): Promise<boolean> {
    const odd = columns.flatMap(({ index, type }) => {
      const value = parquet.select[index] ?? "null";
      switch (type.kind) {
        case "string":
        case "json":
          return [`contains(${value}, chr(0))`];
        case "date":
        case "timestamp":
          return [isFarAway(value)];
        case "timestamptz":
          return [isFarAway(wallClock(value))];
        default:
          return [];
      }
    });
    if (odd.length === 0) return true;
    const query = `select 1 from ${parquetRelation(parquet.file, parquet.from, rows)} and (${odd.join(" or ")}) limit 1`;
    const found = await this.#using((connection) => connection.runAndReadAll(query));
    return found.currentRowCount === 0;
  }

  async #using<Value>(work: (connection: DuckDBConnection) => Promise<Value>): Promise<Value> {
    const connection = await this.#connect();
    const interrupt = (): void => connection.interrupt();
    this.#signal.addEventListener("abort", interrupt);
    try {
      return await work(connection);
    } finally {
      this.#signal.removeEventListener("abort", interrupt);
      connection.closeSync();
    }
  }

  async #connect(): Promise<DuckDBConnection> {
    this.#instance ??= import("@duckdb/node-api").then(({ DuckDBInstance: Instance }) =>
      Instance.create(":memory:", { threads: "1", memory_limit: "200MB", autoinstall_known_extensions: "false" }),
    );
    return (await this.#instance).connect();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    (await this.#instance?.catch(() => undefined))?.closeSync();
  }
}

export const rowsInSql = ({ parquet, rows, columns }: NamedBatch): RowsInSql => ({
  relation: parquetRelation(parquet.file, parquet.from, rows),
  select: parquet.select,
  columns,
});

const isFarAway = (value: string): string => `${value} < '0001-01-01' or ${value} >= '9999-12-31'`;

/** A moment as what a clock in UTC shows. */
const wallClock = (value: string): string => `make_timestamp(epoch_us(${value}))`;

/** As PostgreSQL's input functions read it: https://www.postgresql.org/docs/current/datatype.html */
const csvValue = (value: string, type: ColumnType): string => {
  switch (type.kind) {
    case "binary":
      return `'\\x' || hex(${value})`;
    case "timestamptz":
      return `cast(${wallClock(value)} as varchar) || '+00'`;
    default:
      return value;
  }
};

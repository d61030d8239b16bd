// DuckDB as a destination: batches go as Parquet files through a temporary folder into the open transaction, beside the reading of the next batch. Rows that lie
// in such files already are taken from there.

import { rm } from "node:fs/promises";
import path from "node:path";
import type { DuckDBConnection } from "@duckdb/node-api";
import type { Batch, ParquetRows } from "../batch.ts";
import type { ConnectorContext } from "../connector.ts";
import type { SharedDuckdb } from "../lib/duckdb-instance.ts";
import { parquetRelation } from "../lib/formats/parquet-rows.ts";
import { quoteIdentifier, quoteTable, quoteText } from "../lib/load/names.ts";
import { writeParts } from "../lib/load/parts-file.ts";
import { PendingInsert } from "../lib/load/pending-insert.ts";
import { ownTables } from "../lib/load/own-tables.ts";
import type { Dialect, InsertColumn, LoadSession, RowOrder, SqlParam, SqlResult, TableColumn, TableName } from "../lib/load/session.ts";
import { encodeParquet } from "../lib/parquet-encoder.ts";
import { DownbeatError } from "../../core/errors.ts";
import { duckdbError } from "./errors.ts";
import { refuseLongTimes } from "../lib/load/day-times.ts";
import { heldType, toSqlType } from "./types.ts";

export const duckdbDialect: Dialect = {
  title: "DuckDB",
  defaultSchema: "main",
  ownTables,
  definesInTransactions: true,
  // Tables cannot be moved between schemas, so staging lies where it will be needed.
  stagingSchema: ({ schema }) => schema,
  checkName: (name) => {
    if (name === "" || name.includes("\0")) {
      throw new DownbeatError(
        "DESTINATION_TABLE_INVALID",
        `${JSON.stringify(name)} cannot be a name in DuckDB; rename the column or table`,
      );
    }
  },
  fold: (name) => name.toLowerCase(),
  sqlType: toSqlType,
  // With a length or a precision a type may cut or round instead, and only character types are known not to.
  takesText: (sqlType) => !/\(\d/.test(sqlType) || /^char/i.test(sqlType),
  temporary: (name) => `temp.main.${quoteIdentifier(name)}`,
  emptyTemporary: (relation) => `truncate table ${relation}`,
  rowNumber: { column: "rowid" },
  keyIndex: () => undefined,
  deleteMatching: (relation, other, condition) => `delete from ${relation} as t using ${other} as s where ${condition("t")}`,
  assign: (expression, _type, sqlType) => `cast(${expression} as ${sqlType})`,
  alterType: (relation, { name }, sqlType) => `alter table ${relation} alter column ${quoteIdentifier(name)} set data type ${sqlType}`,
};

export class DuckdbLoadSession implements LoadSession {
  readonly dialect = duckdbDialect;
  readonly takesParquet = true;
  inTransaction = false;
  readonly #shared: SharedDuckdb;
  readonly #connection: DuckDBConnection;
  readonly #context: ConnectorContext;
  readonly #what: string;
  readonly #interrupt: () => void;
  readonly #pending = new PendingInsert();
  #files = 0;
  #order: RowOrder = "kept";

  static async open(shared: SharedDuckdb, context: ConnectorContext, what: string): Promise<DuckdbLoadSession> {
    return new DuckdbLoadSession(shared, await shared.connect(), context, what);
  }

  private constructor(shared: SharedDuckdb, connection: DuckDBConnection, context: ConnectorContext, what: string) {
    this.#shared = shared;
    this.#connection = connection;
    this.#context = context;
    this.#what = what;
    this.#interrupt = () => connection.interrupt();
    context.signal.addEventListener("abort", this.#interrupt, { once: true });
  }

  async begin(): Promise<void> {
    await this.run("begin");
    this.inTransaction = true;
  }

  async commit(): Promise<void> {
    await this.run("commit");
    this.inTransaction = false;
  }

  async rollback(): Promise<void> {
    this.inTransaction = false;
    await this.#connection.run("rollback");
  }

  async run(sql: string, params: readonly SqlParam[] = []): Promise<SqlResult> {
    await this.settle();
    this.#context.signal.throwIfAborted();
    try {
      const result = await this.#connection.runAndReadAll(
        sql,
        params.map((param) => (typeof param === "number" ? BigInt(param) : param)),
      );
      return { rows: result.getRowObjectsJS() as SqlResult["rows"], changed: result.rowsChanged };
    } catch (error) {
      throw duckdbError(error, "destination", this.#what, this.#context.signal);
    }
  }

  async describe({ schema, name }: TableName): Promise<readonly TableColumn[] | undefined> {
    const { rows } = await this.run(
      `select column_name, data_type, is_nullable, column_default from duckdb_columns()
       where database_name = current_database() and lower(schema_name) = lower($1) and lower(table_name) = lower($2) order by column_index`,
      [schema, name],
    );
    if (rows.length === 0) return undefined;
    return rows.map((row) => {
      const sqlType = String(row["data_type"]);
      return {
        name: String(row["column_name"]),
        sqlType,
        type: heldType(sqlType),
        required: row["is_nullable"] === false && row["column_default"] === null,
      };
    });
  }

  async ensureSchema(name: string): Promise<void> {
    await this.run(`create schema if not exists ${quoteIdentifier(name)}`);
  }

  async defining(_table: string, run: () => Promise<void>): Promise<void> {
    if (this.inTransaction) return run();
    return this.#shared.exclusive(async () => {
      await this.begin();
      try {
        await run();
        await this.commit();
      } catch (error) {
        await this.rollback().catch(() => undefined);
        throw error;
      }
    });
  }

  /** INSERT casts whatever holds. */
  canInsert(): boolean {
    return true;
  }

  async insert(relation: string, columns: readonly InsertColumn[], batch: Batch, order: RowOrder): Promise<void> {
    if (batch.parquet !== undefined) return this.#take(relation, columns, batch.parquet, { rows: batch.rows, order });
    refuseLongTimes(batch, columns, this.#what);
    const file = path.join(this.#context.tempDir, `${process.pid}-${(this.#files += 1)}-${sequence()}.parquet`);
    // Named by their place: names in the file then need no quoting and cannot clash.
    const parts = encodeParquet(
      batch,
      columns.map(({ index }, place) => ({ index, name: `c${place}` })),
    );
    await writeParts(file, parts, this.#what);
    try {
      await this.settle();
    } catch (error) {
      await rm(file, { force: true });
      throw error;
    }
    const from = `read_parquet(${quoteText(file)})`;
    const release = (): Promise<void> => rm(file, { force: true });
    this.#pending.begin(this.#load(relation, columns, { values: columns.map((_, place) => `c${place}`), from, release }));
  }

  async #take(
    relation: string,
    columns: readonly InsertColumn[],
    parquet: ParquetRows,
    { rows, order }: { readonly rows: number; readonly order: RowOrder },
  ): Promise<void> {
    const { file, select, confirm, release } = parquet;
    await this.#keepOrder(order);
    const values = columns.map(({ index }) => select[index] ?? "null");
    const from = parquetRelation(file, parquet.from, rows);
    this.#pending.begin(this.#load(relation, columns, { values, from, confirm, release }));
  }

  /** With little memory, DuckDB keeps an order by doing one thing after the other. */
  async #keepOrder(order: RowOrder): Promise<void> {
    await this.settle();
    if (order === this.#order) return;
    await this.run(`set session preserve_insertion_order = ${order === "kept"}`);
    this.#order = order;
  }

  async #load(relation: string, columns: readonly InsertColumn[], { values, from, confirm, release }: Given): Promise<void> {
    const names = columns.map(({ name }) => quoteIdentifier(name)).join(", ");
    const cast = columns
      .map(({ sqlType }, place) => (PLAIN.has(sqlType) ? values[place] : `cast(${values[place]} as ${sqlType})`))
      .join(", ");
    try {
      await this.#connection.run(`insert into ${relation} (${names}) select ${cast} from ${from}`);
    } catch (error) {
      if (!this.#context.signal.aborted) await confirm?.();
      throw duckdbError(error, "destination", this.#what, this.#context.signal);
    } finally {
      await release();
    }
  }

  settle(): Promise<void> {
    return this.#pending.settle();
  }

  async swap(staging: TableName, target: TableName, columns: readonly InsertColumn[] | null): Promise<void> {
    if (columns === null || (await this.#isReplaceable(staging, target))) {
      if (columns !== null) await this.run(`drop table ${quoteTable(target)}`);
      await this.run(`alter table ${quoteTable(staging)} rename to ${quoteIdentifier(target.name)}`);
      return;
    }
    const names = columns.map(({ name }) => quoteIdentifier(name)).join(", ");
    await this.run(`delete from ${quoteTable(target)}`);
    await this.run(`insert into ${quoteTable(target)} (${names}) select ${names} from ${quoteTable(staging)}`);
    await this.run(`drop table ${quoteTable(staging)}`);
  }

  /** Nothing hangs on the target that a rename would lose: same columns, no index, constraint, default or comment. */
  async #isReplaceable(staging: TableName, target: TableName): Promise<boolean> {
    const { rows } = await this.run(
      `select count(*) as n from (
         (select 1 as one from duckdb_indexes() where database_name = current_database() and lower(schema_name) = lower($1) and lower(table_name) = lower($2))
         union all (select 1 from duckdb_constraints() where database_name = current_database() and lower(schema_name) = lower($1) and lower(table_name) = lower($2))
         union all (select 1 from duckdb_columns() where database_name = current_database() and lower(schema_name) = lower($1) and lower(table_name) = lower($2)
                      and (column_default is not null or comment is not null))
         union all (select 1 from duckdb_tables() where database_name = current_database() and lower(schema_name) = lower($1) and lower(table_name) = lower($2) and comment is not null)
       ) as dependents`,
      [target.schema, target.name],
    );
    if (Number(rows[0]?.["n"]) > 0) return false;
    const [have, want] = [await this.describe(target), await this.describe(staging)];
    return JSON.stringify(have) === JSON.stringify(want);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#context.signal.removeEventListener("abort", this.#interrupt);
    await this.settle().catch(() => undefined);
    this.#connection.closeSync();
  }
}

/** Rows to insert: each column's value, as the relation has it. */
interface Given extends Partial<Pick<ParquetRows, "confirm">>, Pick<ParquetRows, "release"> {
  readonly values: readonly string[];
  readonly from: string;
}

/** Types that the file already carries as they are. */
const PLAIN = new Set([
  "BOOLEAN",
  "INTEGER",
  "BIGINT",
  "UBIGINT",
  "FLOAT",
  "DOUBLE",
  "VARCHAR",
  "BLOB",
  "DATE",
  "TIME",
  "TIMESTAMP",
  "TIMESTAMP WITH TIME ZONE",
]);

let last = 0;
const sequence = (): number => (last += 1);

// PostgreSQL as a destination: batches go by binary COPY into the open transaction, beside the reading of the next batch; rows that are named go by COPY of CSV, CSV files as they are.

import { once } from "node:events";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { from as copyFrom, type CopyStreamQuery } from "pg-copy-streams";
import type { Batch, CsvRows } from "../batch.ts";
import type { ConnectorContext } from "../connector.ts";
import { BOOKKEEPING_SCHEMA, namesUpTo, quoteIdentifier, quoteTable, quoteText } from "../lib/load/names.ts";
import { PendingInsert } from "../lib/load/pending-insert.ts";
import { ownTables } from "../lib/load/own-tables.ts";
import type { Dialect, InsertColumn, LoadSession, SqlParam, SqlResult, TableColumn, TableName } from "../lib/load/session.ts";
import { copyScratch, encodeCopy } from "../lib/pg-copy-encoder.ts";
import { DownbeatError } from "../../core/errors.ts";
import { duckdbError } from "../duckdb/errors.ts";
import { connectPostgres, type PostgresClient, type PostgresConfig } from "./client.ts";
import { postgresError } from "./errors.ts";
import { type NamedBatch, NamedRows, rowsInSql } from "./named-rows.ts";
import { heldType, isCopyable, toSqlType } from "./types.ts";

/** NAMEDATALEN - 1: the server would cut longer names without a word. */
const NAME_BYTES = 63;
const FILE_PIECE_BYTES = 256 * 1024;

export const postgresDialect: Dialect = {
  title: "PostgreSQL",
  defaultSchema: "public",
  ownTables,
  definesInTransactions: true,
  stagingSchema: () => BOOKKEEPING_SCHEMA,
  checkName: namesUpTo(NAME_BYTES, "PostgreSQL"),
  fold: (name) => name,
  sqlType: toSqlType,
  // With a length or a precision a type may cut or round instead, and only character types are known not to.
  takesText: (sqlType) => !/\(\d/.test(sqlType) || /^char/i.test(sqlType),
  temporary: (name) => `pg_temp.${quoteIdentifier(name)}`,
  emptyTemporary: (relation) => `truncate table ${relation}`,
  rowNumber: { column: "_downbeat_row", definition: "_downbeat_row bigint generated always as identity" },
  keyIndex: (relation, columns) => `create index on ${relation} (${columns.map(({ name }) => quoteIdentifier(name)).join(", ")})`,
  deleteMatching: (relation, other, condition) => `delete from ${relation} as t using ${other} as s where ${condition("t")}`,
  // An explicit cast to varchar(n) cuts; an assignment refuses.
  assign: (expression, type, sqlType) =>
    type.kind === "string" && /^(text|char)/.test(sqlType) ? expression : `cast(${expression} as ${sqlType})`,
  alterType: (relation, { name }, sqlType) =>
    `alter table ${relation} alter column ${quoteIdentifier(name)} type ${sqlType} using ${quoteIdentifier(name)}::${sqlType}`,
};

export class PostgresLoadSession implements LoadSession {
  readonly dialect = postgresDialect;
  readonly takesParquet = true;
  readonly takesCsv = true;
  inTransaction = false;
  readonly #client: PostgresClient;
  readonly #context: ConnectorContext;
  readonly #what: string;
  readonly #scratch = copyScratch();
  readonly #pending = new PendingInsert();
  readonly #named: NamedRows;

  static async open(config: PostgresConfig, context: ConnectorContext, what: string): Promise<PostgresLoadSession> {
    const session = new PostgresLoadSession(await connectPostgres(config, context, "destination", what), context, what);
    // Whoever waits longer is waiting for something that does not end by itself, and is tried again.
    await session.run("set lock_timeout = '60s'");
    return session;
  }

  private constructor(client: PostgresClient, context: ConnectorContext, what: string) {
    this.#client = client;
    this.#context = context;
    this.#what = what;
    this.#named = new NamedRows(context);
  }

  /** Commits of chunks do not wait for the disk: after a crash of the server a load goes on from what is there, and its end waits for all of it. */
  async begin(kind: "chunk" | "end"): Promise<void> {
    await this.run("begin");
    this.inTransaction = true;
    if (kind === "chunk") await this.run("set local synchronous_commit = off");
  }

  async commit(): Promise<void> {
    await this.run("commit");
    this.inTransaction = false;
  }

  async rollback(): Promise<void> {
    this.inTransaction = false;
    await this.#client.driver.query("rollback");
  }

  async run(sql: string, params: readonly SqlParam[] = []): Promise<SqlResult> {
    await this.settle();
    this.#context.signal.throwIfAborted();
    try {
      const result = await this.#client.driver.query<Record<string, unknown>>(sql, [...params]);
      return { rows: result.rows, changed: result.rowCount ?? 0 };
    } catch (error) {
      throw this.#failure(error);
    }
  }

  #failure(error: unknown): unknown {
    return postgresError(error, "destination", this.#what, this.#context.signal);
  }

  async describe({ schema, name }: TableName): Promise<readonly TableColumn[] | undefined> {
    const { rows } = await this.run(
      `select a.attname as name, format_type(a.atttypid, a.atttypmod) as type,
         a.attnotnull and not a.atthasdef and a.attidentity = '' as required
       from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
       where n.nspname = $1 and c.relname = $2 and a.attnum > 0 and not a.attisdropped order by a.attnum`,
      [schema, name],
    );
    if (rows.length === 0) return undefined;
    return rows.map((row) => {
      const sqlType = String(row["type"]);
      return { name: String(row["name"]), sqlType, type: heldType(sqlType), required: row["required"] === true };
    });
  }

  /** Looked up first: CREATE … IF NOT EXISTS asks for the right to create even where nothing is to be created. */
  async ensureSchema(name: string): Promise<void> {
    await this.#lock(`schema ${name}`);
    const { rows } = await this.run("select 1 as one from pg_namespace where nspname = $1", [name]);
    if (rows.length === 0) await this.run(`create schema ${quoteIdentifier(name)}`);
  }

  async defining(table: string, run: () => Promise<void>): Promise<void> {
    const isOwn = !this.inTransaction;
    if (isOwn) await this.begin("end");
    try {
      await this.#lock(table);
      await run();
      if (isOwn) await this.commit();
    } catch (error) {
      if (isOwn) await this.rollback().catch(() => undefined);
      throw error;
    }
  }

  /** Held until the transaction ends: whoever comes second sees what the first one made. */
  async #lock(what: string): Promise<void> {
    await this.run("select pg_advisory_xact_lock(hashtextextended($1, 0))", [`downbeat ${what}`]);
  }

  canInsert(columns: readonly InsertColumn[]): boolean {
    return columns.every(({ type, sqlType }) => isCopyable(type, sqlType));
  }

  async insert(relation: string, columns: readonly InsertColumn[], batch: Batch): Promise<void> {
    await this.settle();
    this.#context.signal.throwIfAborted();
    this.#pending.begin(this.#insert(relation, columns, batch));
  }

  #insert(relation: string, columns: readonly InsertColumn[], batch: Batch): Promise<void> {
    const { parquet, csv, rows } = batch;
    if (csv !== undefined) return this.#copyCsv(relation, columns, { csv, rows, width: batch.schema.columns.length });
    return parquet === undefined ? this.#copyBatch(relation, columns, batch) : this.#copyNamed(relation, { parquet, rows, columns });
  }

  #copyInto(relation: string, columns: readonly InsertColumn[], options: string): CopyStreamQuery {
    const names = columns.map(({ name }) => quoteIdentifier(name)).join(", ");
    return this.#client.driver.query(copyFrom(`copy ${relation} (${names}) from stdin (${options})`));
  }

  #copyBatch(relation: string, columns: readonly InsertColumn[], batch: Batch): Promise<void> {
    const parts = encodeCopy(
      batch,
      columns.map(({ index, name, type, sqlType }) => ({ index, name, type, isJsonb: sqlType === "jsonb" })),
      this.#scratch,
    );
    return this.#feed(this.#copyInto(relation, columns, "format binary"), parts);
  }

  async #copyNamed(relation: string, batch: NamedBatch): Promise<void> {
    const { columns, parquet } = batch;
    try {
      const files = await this.#named.csvFiles(batch);
      if (files === undefined) await this.#carry(relation, columns, this.#named.carry(rowsInSql(batch)));
      else for await (const file of files) await this.#copyFile(relation, columns, { file, options: "format csv" });
    } catch (error) {
      if (error instanceof DownbeatError) throw error;
      // DuckDB's: what it cannot read is the file's fault.
      if (!this.#context.signal.aborted) await parquet.confirm();
      throw duckdbError(error, "destination", this.#what, this.#context.signal) as Error;
    } finally {
      await parquet.release();
    }
  }

  /** A CSV file goes to the server as it is, unless the table has no place for one of its columns. */
  async #copyCsv(
    relation: string,
    columns: readonly InsertColumn[],
    { csv, rows, width }: { readonly csv: CsvRows; readonly rows: number; readonly width: number },
  ): Promise<void> {
    try {
      if (columns.length < width) {
        await this.#carry(relation, columns, this.#named.carry({ ...csv, columns }));
        return;
      }
      const inOrder = columns.toSorted((one, other) => one.index - other.index);
      const options = `format csv, header ${csv.header}, delimiter ${quoteText(csv.delimiter)}`;
      const copied = await this.#copyFile(relation, inOrder, { file: csv.file, options });
      if (copied !== rows && !(copied < rows && (await this.#hasTriggers(relation))))
        throw new DownbeatError(
          "INTERNAL",
          `${this.#what}: PostgreSQL found ${copied} rows in a CSV file that has ${rows}; please report it`,
        );
    } catch (error) {
      if (error instanceof DownbeatError) throw error;
      throw duckdbError(error, "destination", this.#what, this.#context.signal) as Error;
    } finally {
      await csv.release();
    }
  }

  /** Those that run before a row is written may keep it from the table, and COPY does not count it then. */
  async #hasTriggers(relation: string): Promise<boolean> {
    try {
      const { rows } = await this.#client.driver.query(
        `select 1 from pg_trigger t join (select relid from pg_partition_tree($1::regclass) union select $1::regclass) r on r.relid = t.tgrelid
         where not t.tgisinternal and (t.tgtype & 66) <> 0 limit 1`,
        [relation],
      );
      return rows.length > 0;
    } catch (error) {
      throw this.#failure(error) as Error;
    }
  }

  async #carry(relation: string, columns: readonly InsertColumn[], batches: AsyncIterable<Batch>): Promise<void> {
    const inOrder = columns.map((column, index) => ({ ...column, index }));
    for await (const carried of batches) await this.#copyBatch(relation, inOrder, carried);
  }

  /** The rows that the server has taken. */
  async #copyFile(
    relation: string,
    columns: readonly InsertColumn[],
    { file, options }: { readonly file: string; readonly options: string },
  ): Promise<number> {
    const stream = this.#copyInto(relation, columns, options);
    try {
      await pipeline(createReadStream(file, { highWaterMark: FILE_PIECE_BYTES }), stream);
      return stream.rowCount;
    } catch (error) {
      throw this.#failure(error) as Error;
    }
  }

  /** While the server works on one piece, the next one waits ready and the one after is encoded. */
  async #feed(stream: CopyStreamQuery, parts: Iterable<Buffer>): Promise<void> {
    const ended = once(stream, "finish");
    ended.catch(() => undefined);
    const write = (part: Buffer): Promise<void> => new Promise((resolve) => stream.write(part, () => resolve()));
    try {
      let before = Promise.resolve();
      for (const part of parts) {
        const written = write(part);
        await Promise.race([before, ended]);
        before = written;
      }
      stream.end();
      await ended;
    } catch (error) {
      // A value that cannot be encoded: the server forgets what it has got of this batch. It has done so by itself otherwise.
      if (error instanceof DownbeatError) stream.destroy(error);
      throw this.#failure(error) as Error;
    }
  }

  settle(): Promise<void> {
    return this.#pending.settle();
  }

  async swap(staging: TableName, target: TableName, columns: readonly InsertColumn[] | null): Promise<void> {
    if (columns === null) {
      const moved = { schema: target.schema, name: staging.name };
      await this.run(`alter table ${quoteTable(staging)} set schema ${quoteIdentifier(target.schema)}`);
      await this.run(`alter table ${quoteTable(moved)} rename to ${quoteIdentifier(target.name)}`);
      return;
    }
    const names = columns.map(({ name }) => quoteIdentifier(name)).join(", ");
    const values = columns.map(({ name, type, sqlType }) => postgresDialect.assign(quoteIdentifier(name), type, sqlType)).join(", ");
    await this.run((await this.#isReferenced(target)) ? `delete from ${quoteTable(target)}` : `truncate table ${quoteTable(target)}`);
    await this.run(`insert into ${quoteTable(target)} (${names}) select ${values} from ${quoteTable(staging)}`);
    await this.run(`drop table ${quoteTable(staging)}`);
  }

  /** A table that foreign keys point to cannot be truncated. */
  async #isReferenced(table: TableName): Promise<boolean> {
    const { rows } = await this.run("select 1 as one from pg_constraint where contype = 'f' and confrelid = to_regclass($1) limit 1", [
      quoteTable(table),
    ]);
    return rows.length > 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.settle().catch(() => undefined);
    await this.#named[Symbol.asyncDispose]();
    await this.#client[Symbol.asyncDispose]();
  }
}

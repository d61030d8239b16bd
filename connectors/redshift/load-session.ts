// Redshift as a destination: files are uploaded beside the reading of the next batch, and the transaction begins when they are copied.

import { DownbeatError } from "../../core/errors.ts";
import type { Batch } from "../batch.ts";
import type { ConnectorContext } from "../connector.ts";
import { BOOKKEEPING_SCHEMA, quoteIdentifier, quoteTable } from "../lib/load/names.ts";
import { PendingInsert } from "../lib/load/pending-insert.ts";
import type { Dialect, InsertColumn, LoadSession, RowOrder, SqlParam, SqlResult, TableColumn, TableName } from "../lib/load/session.ts";
import type { PgClient } from "../lib/pg-client.ts";
import { fromRows } from "../lib/rows.ts";
import { connectRedshift } from "./client.ts";
import { folded, redshiftDialect } from "./dialect.ts";
import { redshiftError, sqlStateOf } from "./errors.ts";
import type { RedshiftConfig } from "./spec.ts";
import { StagedFiles } from "./staged-files.ts";
import { heldType } from "./types.ts";

/** Whoever commits holds it, from before its first look at any table: a look would be of a moment before the last commit, and end in error 1023. */
const WRITE_LOCK: TableName = { schema: BOOKKEEPING_SCHEMA, name: "write_lock" };
const LOCK_SECONDS = 600;

/** Somebody else has made the object, or added the column, in between. */
const MADE_MEANWHILE = new Set(["42P06", "42P07", "42701", "42710", "23505"]);
const MOST_DEFINITIONS = 3;

const ONE_ROW = fromRows([{ name: "one", type: { kind: "int32" }, nullable: false }], [{ one: 1 }], { position: null });

export class RedshiftLoadSession implements LoadSession {
  readonly dialect: Dialect;
  inTransaction = false;
  readonly #client: PgClient;
  readonly #context: ConnectorContext;
  readonly #what: string;
  readonly #files: StagedFiles;
  readonly #pending = new PendingInsert();
  /** Whether the transaction has begun for the server, too. */
  #isOpen = false;
  #hasLock = false;

  static async open(config: RedshiftConfig, context: ConnectorContext, what: string): Promise<RedshiftLoadSession> {
    return new RedshiftLoadSession(await connectRedshift(config, context, "destination", what), config, context, what);
  }

  private constructor(client: PgClient, config: RedshiftConfig, context: ConnectorContext, what: string) {
    this.#client = client;
    this.#context = context;
    this.#what = what;
    this.dialect = redshiftDialect(config.schema);
    this.#files = new StagedFiles(config, context, this.dialect.rowNumber.column, what);
  }

  /** Nothing is asked yet: as long as rows are on their way to S3, nobody has to wait for this load. */
  begin(): Promise<void> {
    this.inTransaction = true;
    return Promise.resolve();
  }

  async #open(): Promise<void> {
    if (this.#isOpen) return;
    await this.#makeLock();
    this.#isOpen = true;
    const lock = `set statement_timeout to ${LOCK_SECONDS * 1_000}; lock table ${quoteTable(WRITE_LOCK)}; reset statement_timeout`;
    await this.#ask(`begin; ${lock}`);
  }

  async #makeLock(): Promise<void> {
    if (this.#hasLock) return;
    const { schema, name } = WRITE_LOCK;
    await this.#unlessMade(async () => {
      const { rows } = await this.#ask(
        "select 1 as one from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2",
        [schema, name],
      );
      if (rows.length > 0) return;
      await this.ensureSchema(schema);
      await this.#ask(`create table if not exists ${quoteTable(WRITE_LOCK)} ("nothing" smallint)`);
    });
    this.#hasLock = true;
  }

  async commit(): Promise<void> {
    await this.settle();
    if (this.#isOpen) await this.#ask("commit");
    this.#isOpen = false;
    this.inTransaction = false;
  }

  async rollback(): Promise<void> {
    const isOpen = this.#isOpen;
    this.#isOpen = false;
    this.inTransaction = false;
    await this.#pending.settle().catch(() => undefined);
    this.#files.forget();
    if (isOpen) await this.#client.driver.query("rollback");
  }

  /** What is asked before the transaction is open is asked outside of it, so that its answer holds nothing. */
  async run(sql: string, params: readonly SqlParam[] = []): Promise<SqlResult> {
    if (!this.#isOpen && /^\s*select\b/i.test(sql)) return this.#ask(sql, params);
    // Rows that must be the only ones of their key are so by the lock.
    if (!this.inTransaction && /^\s*(insert|update|delete)\b/i.test(sql)) return this.#alone(() => this.#ask(sql, params));
    await this.settle();
    if (this.inTransaction) await this.#open();
    return this.#ask(sql, params);
  }

  /** A transaction of its own. */
  async #alone<Value>(run: () => Promise<Value>): Promise<Value> {
    await this.begin();
    try {
      await this.#open();
      const value = await run();
      await this.commit();
      return value;
    } catch (error) {
      await this.rollback().catch(() => undefined);
      throw error;
    }
  }

  async #ask(sql: string, params: readonly SqlParam[] = []): Promise<SqlResult> {
    this.#context.signal.throwIfAborted();
    try {
      const { driver } = this.#client;
      // Several statements at once, and COPY, take no parameters.
      const result = await (params.length === 0
        ? driver.query<Record<string, unknown>>(sql)
        : driver.query<Record<string, unknown>>(sql, [...params]));
      return { rows: result.rows, changed: result.rowCount ?? 0 };
    } catch (error) {
      throw redshiftError(error, "destination", this.#what, this.#context.signal);
    }
  }

  async describe({ schema, name }: TableName): Promise<readonly TableColumn[] | undefined> {
    const { rows } = await this.run(
      `select a.attname as name, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull and not a.atthasdef as required
       from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
       where n.nspname = $1 and c.relname = $2 and a.attnum > 0 and not a.attisdropped order by a.attnum`,
      [folded(schema), folded(name)],
    );
    if (rows.length === 0) return undefined;
    return rows.map((row) => {
      const sqlType = String(row["type"]);
      return { name: String(row["name"]), sqlType, type: heldType(sqlType), required: row["required"] === true };
    });
  }

  /** Looked up first: CREATE … IF NOT EXISTS asks for the right to create even where nothing is to be created. */
  async ensureSchema(name: string): Promise<void> {
    const { rows } = await this.#ask("select 1 as one from pg_namespace where nspname = $1", [folded(name)]);
    if (rows.length === 0) await this.#ask(`create schema if not exists ${quoteIdentifier(name)}`);
  }

  async defining(_table: string, run: () => Promise<void>): Promise<void> {
    if (this.inTransaction) {
      await this.settle();
      await this.#open();
      return run();
    }
    await this.#unlessMade(() => this.#alone(run));
  }

  /** Who comes second looks again, and finds what the first one made. */
  async #unlessMade(run: () => Promise<void>): Promise<void> {
    for (let time = 1; ; time += 1) {
      try {
        await run();
        return;
      } catch (error) {
        if (time === MOST_DEFINITIONS || !MADE_MEANWHILE.has(sqlStateOf(error))) throw error;
      }
    }
  }

  /** Loads a row into a temporary table: whether the staging place, the role and the region fit together. */
  async tryCopy(): Promise<void> {
    const relation = this.dialect.temporary("_downbeat_check");
    await this.run(`create temporary table ${relation} ("one" integer)`);
    await this.begin();
    await this.insert(relation, [{ index: 0, name: "one", type: { kind: "int32" }, sqlType: "integer" }], ONE_ROW, "any");
    await this.settle();
    await this.rollback();
  }

  /** COPY casts whatever holds. */
  canInsert(): boolean {
    return true;
  }

  async insert(relation: string, columns: readonly InsertColumn[], batch: Batch, order: RowOrder): Promise<void> {
    await this.#pending.settle();
    this.#context.signal.throwIfAborted();
    if (!this.#files.takes(relation, columns)) await this.settle();
    this.#pending.begin(this.#files.upload(relation, columns, batch, order));
  }

  async settle(): Promise<void> {
    await this.#pending.settle();
    if (!this.#files.areWaiting) return;
    await this.#open();
    await this.#files.copy(async (sql) => {
      try {
        await this.#ask(sql);
      } catch (error) {
        throw await this.#explained(error);
      }
    });
  }

  /** COPY only says that it has failed, and where the reason is; asking for it ends the transaction. */
  async #explained(error: unknown): Promise<unknown> {
    if (!(error instanceof DownbeatError) || !/sys_load_error_detail|stl_load_errors/i.test(error.message)) return error;
    await this.rollback();
    const { rows } = await this.#ask(
      `select trim(column_name) as "column", trim(column_type) as type, line_number as line, trim(error_message) as reason
       from sys_load_error_detail where strpos(file_name, $1) > 0 order by start_time desc limit 1`,
      [this.#files.keys],
    ).catch(() => ({ rows: [] }));
    const [row] = rows;
    if (row === undefined) return error;
    const column = String(row["column"] ?? "");
    const where = column === "" ? "" : `column "${column}" (${String(row["type"] ?? "").trim()}), `;
    return new DownbeatError(
      "DESTINATION_DATA_REFUSED",
      `${this.#what}: COPY refuses ${where}line ${String(row["line"])} of a file: ${String(row["reason"])}; check the rows against the table's types`,
      { cause: error, details: column === "" ? {} : { column } },
    );
  }

  async swap(staging: TableName, target: TableName, columns: readonly InsertColumn[] | null): Promise<void> {
    if (columns === null) {
      await this.run(`alter table ${quoteTable(staging)} rename to ${quoteIdentifier(target.name)}`);
      return;
    }
    const names = columns.map(({ name }) => quoteIdentifier(name)).join(", ");
    const values = columns.map(({ name, type, sqlType }) => this.dialect.assign(quoteIdentifier(name), type, sqlType)).join(", ");
    // TRUNCATE would commit.
    await this.run(`delete from ${quoteTable(target)}`);
    await this.run(`insert into ${quoteTable(target)} (${names}) select ${values} from ${quoteTable(staging)}`);
    await this.run(`drop table ${quoteTable(staging)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pending.settle().catch(() => undefined);
    await this.#files[Symbol.asyncDispose]();
    await this.#client[Symbol.asyncDispose]();
  }
}

// Snowflake as a destination: batches are uploaded beside the reading of the next batch, and copied in before anything else is asked.

import { createHash } from "node:crypto";
import { DownbeatError } from "../../core/errors.ts";
import type { Batch } from "../batch.ts";
import type { ConnectorContext } from "../connector.ts";
import { BOOKKEEPING_SCHEMA, quoteIdentifier, quoteTable } from "../lib/load/names.ts";
import { PendingInsert } from "../lib/load/pending-insert.ts";
import { questionMarks } from "../lib/load/question-marks.ts";
import type { Dialect, InsertColumn, LoadSession, RowOrder, SqlParam, SqlResult, TableColumn, TableName } from "../lib/load/session.ts";
import { swapRows } from "../lib/load/swap-rows.ts";
import { BulkLoad } from "./bulk-load.ts";
import { connectSnowflake, type SnowflakeClient } from "./client.ts";
import { snowflakeDialect } from "./dialect.ts";
import type { SnowflakeConfig } from "./spec.ts";
import { heldType } from "./types.ts";

const NOT_THERE = "002003";
/** Somebody else has made the object, or added the column, in between. */
const MADE_MEANWHILE = new Set(["002002", "001430", "001110"]);
const MOST_DEFINITIONS = 3;

const numberIn = (error: unknown): unknown => (error instanceof DownbeatError ? error.details?.["number"] : undefined);

/** What a load's transactions are called. Keys are those of one database; the server lists the transactions of all. */
export const transactionName = (database: string, key: string): string => {
  const hash = createHash("sha256").update(JSON.stringify([database.toUpperCase(), key]));
  return `DOWNBEAT_${hash.digest("hex").slice(0, 32).toUpperCase()}`;
};

export class SnowflakeLoadSession implements LoadSession {
  readonly dialect: Dialect;
  inTransaction = false;
  readonly #client: SnowflakeClient;
  readonly #context: ConnectorContext;
  readonly #what: string;
  readonly #transaction: string;
  readonly #bulkLoad: BulkLoad;
  readonly #pending = new PendingInsert();
  /** The server's number of the open transaction. */
  #transactionId: unknown;

  /** `key` is the load's, if it is one: an earlier attempt's transaction that was left open is ended. */
  static async open(config: SnowflakeConfig, context: ConnectorContext, what: string, key?: string): Promise<SnowflakeLoadSession> {
    const client = await connectSnowflake(config, context, "destination", what);
    const session = new SnowflakeLoadSession(client, config, context, what, key);
    try {
      // A transaction may be ended by others; what is asked after it must then be undone as well, and not stand by itself.
      await client.run("alter session set autocommit = false");
      if (key !== undefined) await session.#endLeftTransaction();
      return session;
    } catch (error) {
      await client[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(client: SnowflakeClient, config: SnowflakeConfig, context: ConnectorContext, what: string, key = "") {
    this.#client = client;
    this.#context = context;
    this.#what = what;
    this.dialect = snowflakeDialect(config.schema);
    this.#transaction = transactionName(config.database, key);
    this.#bulkLoad = new BulkLoad(client, BOOKKEEPING_SCHEMA, {
      tempDir: context.tempDir,
      rowNumber: this.dialect.rowNumber.column,
      what,
    });
  }

  /** A process that dies takes no leave: its transaction would hold what it has locked until somebody has waited five minutes for it. */
  async #endLeftTransaction(): Promise<void> {
    const { rows } = await this.#client.run("show transactions");
    for (const row of rows) {
      // It has up to 64 bits, and has to be written as a literal.
      const id = String(row["id"]);
      const isOurs = String(row["name"]).toUpperCase() === this.#transaction && /^-?\d+$/.test(id);
      if (isOurs) await this.#client.run(`select system$abort_transaction(${id})`);
    }
  }

  async begin(): Promise<void> {
    await this.#bulkLoad.makeStage();
    await this.#client.run(`begin transaction name ${this.#transaction}`);
    this.inTransaction = true;
    this.#transactionId = await this.#currentTransaction();
  }

  /** Commits the transaction that was begun, and no other one that statements have opened since it was ended. */
  async commit(): Promise<void> {
    await this.settle();
    if ((await this.#currentTransaction()) !== this.#transactionId) {
      await this.rollback();
      throw new DownbeatError(
        "DESTINATION_UNAVAILABLE",
        `${this.#what}: the open transaction was ended by another attempt, or by Snowflake because it kept others waiting; nothing of this chunk stands, try again`,
        { details: { conflict: true } },
      );
    }
    await this.#client.run("commit");
    this.inTransaction = false;
  }

  async #currentTransaction(): Promise<unknown> {
    const { rows } = await this.#client.run("select current_transaction() as id");
    return rows[0]?.["id"];
  }

  async rollback(): Promise<void> {
    this.inTransaction = false;
    this.#bulkLoad.forget();
    await this.#client.run("rollback");
  }

  async run(sql: string, params: readonly SqlParam[] = []): Promise<SqlResult> {
    await this.settle();
    this.#context.signal.throwIfAborted();
    const { text, values } = questionMarks(sql, params);
    const { rows, changed } = await this.#client.run(text, values);
    if (!this.inTransaction && changed !== null) await this.#client.run("commit");
    return { rows, changed: changed ?? 0 };
  }

  async describe(table: TableName): Promise<readonly TableColumn[] | undefined> {
    try {
      const { rows } = await this.run(`describe table ${quoteTable(table)}`);
      return rows.map((row): TableColumn => {
        const sqlType = String(row["type"]);
        const isRequired = row["null?"] === "N" && row["default"] === null;
        return { name: String(row["name"]).toLowerCase(), sqlType, type: heldType(sqlType), required: isRequired };
      });
    } catch (error) {
      if (numberIn(error) === NOT_THERE) return undefined;
      throw error;
    }
  }

  /** Looked up first: CREATE … IF NOT EXISTS asks for the right to create even where nothing is to be created. */
  async ensureSchema(name: string): Promise<void> {
    const { rows } = await this.run("select 1 as one from information_schema.schemata where schema_name = upper($1)", [name]);
    if (rows.length === 0) await this.run(`create schema if not exists ${quoteIdentifier(name)}`);
  }

  /** There are no locks to be had by name: who comes second looks again, and finds what the first one made. */
  async defining(_table: string, run: () => Promise<void>): Promise<void> {
    for (let time = 1; ; time += 1) {
      try {
        await run();
        return;
      } catch (error) {
        if (time === MOST_DEFINITIONS || !MADE_MEANWHILE.has(String(numberIn(error)))) throw error;
      }
    }
  }

  /** COPY INTO casts whatever holds. */
  canInsert(): boolean {
    return true;
  }

  async insert(relation: string, columns: readonly InsertColumn[], batch: Batch, order: RowOrder): Promise<void> {
    await this.#pending.settle();
    this.#context.signal.throwIfAborted();
    this.#pending.begin(this.#bulkLoad.upload(relation, columns, batch, order));
  }

  async settle(): Promise<void> {
    await this.#pending.settle();
    await this.#bulkLoad.copy();
  }

  /** SWAP WITH and RENAME would commit, as in docs/decisions/0019. */
  swap(staging: TableName, target: TableName, columns: readonly InsertColumn[] | null): Promise<void> {
    return swapRows(this, staging, target, columns);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pending.settle().catch(() => undefined);
    await this.#client[Symbol.asyncDispose]();
  }
}

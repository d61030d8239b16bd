// MySQL and MariaDB as a destination: batches go to the server beside the reading of the next batch.

import { createHash } from "node:crypto";
import type { Batch } from "../batch.ts";
import type { ConnectorContext } from "../connector.ts";
import { quoteIdentifier, quoteTable } from "../lib/load/names.ts";
import { PendingInsert } from "../lib/load/pending-insert.ts";
import { questionMarks } from "../lib/load/question-marks.ts";
import type { Dialect, InsertColumn, LoadSession, SqlParam, SqlResult, TableColumn, TableName } from "../lib/load/session.ts";
import { swapRows } from "../lib/load/swap-rows.ts";
import { DownbeatError } from "../../core/errors.ts";
import { type BulkLoad, createBulkLoad } from "./bulk-load.ts";
import { connectMysql, type MysqlClient, type MysqlConfig } from "./client.ts";
import { attributesOf, mysqlDialect } from "./dialect.ts";
import { heldType } from "./table-types.ts";

const UNKNOWN_DATABASE = 1_049;
const UNKNOWN_TABLE = 1_146;
const LOCK_SECONDS = 60;

export class MysqlLoadSession implements LoadSession {
  readonly dialect: Dialect;
  inTransaction = false;
  readonly #client: MysqlClient;
  readonly #context: ConnectorContext;
  readonly #what: string;
  readonly #bulkLoad: BulkLoad;
  readonly #pending = new PendingInsert();

  /** `options` are the target's: see spec.ts. */
  static async open(
    config: MysqlConfig,
    context: ConnectorContext,
    what: string,
    options: Readonly<Record<string, unknown>>,
  ): Promise<MysqlLoadSession> {
    const client = await connectMysql(config, context, "destination", what);
    try {
      const [row] = await client.query("select version() as version, @@local_infile as files, @@max_allowed_packet as packet");
      // Both compare bytes, trailing spaces included; neither server knows the other's name for it.
      const collation = /mariadb/i.test(String(row?.["version"])) ? "utf8mb4_nopad_bin" : "utf8mb4_0900_bin";
      const limits = { takesFiles: Number(row?.["files"]) === 1 && options["load_data"] !== "never", mostPacket: Number(row?.["packet"]) };
      const bulkLoad = createBulkLoad(client, limits, what);
      return new MysqlLoadSession(client, context, what, mysqlDialect(config.database, collation), bulkLoad);
    } catch (error) {
      await client[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(client: MysqlClient, context: ConnectorContext, what: string, dialect: Dialect, bulkLoad: BulkLoad) {
    this.#client = client;
    this.#context = context;
    this.#what = what;
    this.dialect = dialect;
    this.#bulkLoad = bulkLoad;
  }

  async begin(): Promise<void> {
    await this.run("start transaction");
    this.inTransaction = true;
  }

  async commit(): Promise<void> {
    await this.run("commit");
    this.inTransaction = false;
  }

  async rollback(): Promise<void> {
    this.inTransaction = false;
    await this.#client.run("rollback");
  }

  async run(sql: string, params: readonly SqlParam[] = []): Promise<SqlResult> {
    await this.settle();
    this.#context.signal.throwIfAborted();
    const { text, values } = questionMarks(sql, params);
    const { rows, changed } = await this.#client.run(text, values, { refuseWarnings: /^\s*insert/.test(sql) });
    return { rows, changed: changed ?? 0 };
  }

  /** By SHOW COLUMNS, which finds a name just as every other statement does, whatever the server folds. */
  async describe(table: TableName): Promise<readonly TableColumn[] | undefined> {
    try {
      const { rows } = await this.run(`show full columns from ${quoteTable(table)}`);
      return rows.map((row): TableColumn => {
        const sqlType = String(row["Type"]);
        const isGiven = row["Default"] !== null || /auto_increment|generated/i.test(String(row["Extra"]));
        return {
          name: String(row["Field"]),
          sqlType,
          type: heldType(sqlType, row["Collation"] === null ? null : String(row["Collation"])),
          required: row["Null"] === "NO" && !isGiven,
          attributes: attributesOf(row),
        };
      });
    } catch (error) {
      const errno = error instanceof DownbeatError ? error.details?.["errno"] : undefined;
      if (errno === UNKNOWN_TABLE || errno === UNKNOWN_DATABASE) return undefined;
      throw error;
    }
  }

  /** Looked up first: CREATE … IF NOT EXISTS asks for the right to create even where nothing is to be created. */
  async ensureSchema(name: string): Promise<void> {
    const { rows } = await this.run("select 1 as one from information_schema.schemata where schema_name = $1", [name]);
    if (rows.length === 0) await this.run(`create database if not exists ${quoteIdentifier(name)}`);
  }

  async defining(table: string, run: () => Promise<void>): Promise<void> {
    // A lock's name has 64 characters at most.
    const lock = `downbeat ${createHash("sha256").update(table).digest("hex").slice(0, 32)}`;
    const { rows } = await this.run("select get_lock($1, $2) as held", [lock, LOCK_SECONDS]);
    if (Number(rows[0]?.["held"]) !== 1) {
      throw new DownbeatError(
        "DESTINATION_UNAVAILABLE",
        `${this.#what}: another load has been defining the table for ${LOCK_SECONDS} seconds; try again`,
      );
    }
    try {
      await run();
    } finally {
      // A connection that is broken holds no lock.
      await this.run("select release_lock($1) as freed", [lock]).catch(() => undefined);
    }
  }

  /** Strict mode casts whatever holds. */
  canInsert(): boolean {
    return true;
  }

  async insert(relation: string, columns: readonly InsertColumn[], batch: Batch): Promise<void> {
    await this.settle();
    this.#context.signal.throwIfAborted();
    this.#pending.begin(this.#bulkLoad(relation, columns, batch));
  }

  settle(): Promise<void> {
    return this.#pending.settle();
  }

  /** TRUNCATE and RENAME would commit: see docs/decisions/0019. */
  swap(staging: TableName, target: TableName, columns: readonly InsertColumn[] | null): Promise<void> {
    return swapRows(this, staging, target, columns);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.settle().catch(() => undefined);
    await this.#client[Symbol.asyncDispose]();
  }
}

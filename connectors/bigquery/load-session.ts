// BigQuery as a destination: batches are uploaded beside the reading of the next ones, and a transaction at the chunk's end takes them in.

import { DownbeatError } from "../../core/errors.ts";
import type { Batch } from "../batch.ts";
import type { ConnectorContext } from "../connector.ts";
import type { Dialect, InsertColumn, LoadSession, RowOrder, SqlParam, SqlResult, TableColumn, TableName } from "../lib/load/session.ts";
import { swapRows } from "../lib/load/swap-rows.ts";
import { AttemptNote } from "./attempt-note.ts";
import { BulkLoad } from "./bulk-load.ts";
import { BigqueryClient } from "./client.ts";
import { ensureDataset, tablePath, type TableResource } from "./datasets.ts";
import { bigqueryDialect, flowSuffix, ownDataset } from "./dialect.ts";
import { queryParameter, toGoogleSql } from "./google-sql.ts";
import type { Page } from "./jobs.ts";
import type { BigqueryConfig } from "./spec.ts";
import { endSession, Transaction } from "./transaction.ts";
import { heldType, sqlTypeOf } from "./types.ts";

const MOST_DEFINITIONS = 3;

export interface LoadOf {
  /** The flow's: its own tables are named after it. */
  readonly key: string;
  /** Whether it writes: an earlier attempt's session that was left open is ended. */
  readonly claims: boolean;
}

export class BigqueryLoadSession implements LoadSession {
  readonly dialect: Dialect;
  inTransaction = false;
  readonly #client: BigqueryClient;
  readonly #context: ConnectorContext;
  readonly #transaction: Transaction;
  readonly #bulkLoad: BulkLoad;

  static async open(
    config: BigqueryConfig,
    context: ConnectorContext,
    what: string,
    { key, claims }: LoadOf,
  ): Promise<BigqueryLoadSession> {
    context.signal.throwIfAborted();
    const client = new BigqueryClient(config, context, "destination", what);
    try {
      const own = ownDataset(await client.location());
      const dialect = bigqueryDialect({ dataset: config.dataset, own, key });
      const note = claims ? new AttemptNote(client, own, `attempts_${flowSuffix(key)}`) : undefined;
      const left = await note?.claim();
      // A process that dies takes no leave: its transaction would stand in the way of this one's for a day.
      if (left !== undefined) await endSession(client, left);
      return new BigqueryLoadSession({ client, context, dialect, own, note });
    } catch (error) {
      throw client.error(error);
    }
  }

  private constructor(given: {
    readonly client: BigqueryClient;
    readonly context: ConnectorContext;
    readonly dialect: Dialect;
    readonly own: string;
    readonly note: AttemptNote | undefined;
  }) {
    this.#client = given.client;
    this.#context = given.context;
    this.dialect = given.dialect;
    this.#transaction = new Transaction(given.client, given.note);
    this.#bulkLoad = new BulkLoad(given.client, given.own, given.dialect.rowNumber.column);
  }

  /** The transaction itself begins with the first change: what is uploaded before that it sees, and it is short. */
  begin(): Promise<void> {
    this.inTransaction = true;
    return Promise.resolve();
  }

  async commit(): Promise<void> {
    await this.settle();
    await this.#copy();
    await this.#transaction.commit();
    this.inTransaction = false;
    await this.#bulkLoad.clear();
  }

  async rollback(): Promise<void> {
    this.inTransaction = false;
    await this.#bulkLoad.clear();
    await this.#transaction.rollback();
  }

  async run(sql: string, params: readonly SqlParam[] = []): Promise<SqlResult> {
    await this.settle();
    this.#context.signal.throwIfAborted();
    const text = toGoogleSql(sql);
    const typed = params.map((value, place) => queryParameter(`p${place + 1}`, value));
    if (!this.inTransaction) {
      const isTemporary = /^\s*create or replace temporary\b/.test(text);
      return resultOf(await (isTemporary ? this.#transaction.runInSession(text) : this.#transaction.run(text, typed)));
    }
    const isQuery = /^\s*select\b/.test(text);
    if (!isQuery || this.#bulkLoad.waitsFor(sql)) await this.#copy();
    return resultOf(await (isQuery ? this.#transaction.run(text, typed) : this.#transaction.change(text, typed)));
  }

  async #copy(): Promise<void> {
    const statements = this.#bulkLoad.take();
    if (statements.length === 0) return;
    // What was uploaded after it began is not to be seen in it.
    await this.#transaction.renew();
    for (const statement of statements) await this.#transaction.change(toGoogleSql(statement), []);
  }

  async describe({ schema, name }: TableName): Promise<readonly TableColumn[] | undefined> {
    await this.settle();
    try {
      const found = await this.#client.find<TableResource>({ path: tablePath(schema, name) });
      return found?.schema?.fields?.map((field): TableColumn => {
        const isRequired = field.mode === "REQUIRED" && field.defaultValueExpression === undefined;
        return { name: field.name, sqlType: sqlTypeOf(field), type: heldType(field), required: isRequired };
      });
    } catch (error) {
      throw this.#client.error(error);
    }
  }

  async ensureSchema(name: string): Promise<void> {
    try {
      await ensureDataset(this.#client, name);
    } catch (error) {
      throw this.#client.error(error);
    }
  }

  /** There are no locks to be had by name: who comes second looks again, and finds what the first one made. */
  async defining(_table: string, run: () => Promise<void>): Promise<void> {
    for (let time = 1; ; time += 1) {
      try {
        await run();
        return;
      } catch (error) {
        const isMadeMeanwhile = error instanceof DownbeatError && error.details?.["reason"] === "duplicate";
        if (time === MOST_DEFINITIONS || !isMadeMeanwhile) throw error;
      }
    }
  }

  /** The copy casts whatever holds. */
  canInsert(): boolean {
    return true;
  }

  insert(relation: string, columns: readonly InsertColumn[], batch: Batch, order: RowOrder): Promise<void> {
    this.#context.signal.throwIfAborted();
    return this.#bulkLoad.insert(relation, columns, batch, order);
  }

  settle(): Promise<void> {
    return this.#bulkLoad.settle();
  }

  /** Tables are renamed and replaced between transactions only, as in docs/decisions/0019. */
  swap(staging: TableName, target: TableName, columns: readonly InsertColumn[] | null): Promise<void> {
    return swapRows(this, staging, target, columns);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bulkLoad.clear();
    await this.#transaction.end();
  }
}

const resultOf = ({ fields, rows, changed }: Page): SqlResult => ({
  rows: rows.map(({ f }) =>
    Object.fromEntries(
      fields.map(({ name, type }, place) => [name, type === "BOOLEAN" && f[place]?.v !== null ? f[place]?.v === "true" : f[place]?.v]),
    ),
  ),
  changed: changed ?? 0,
});

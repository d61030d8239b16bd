// Batches into a table: load jobs put them as Parquet files into upload tables, several at a time; the chunk's transaction copies them from there.
// Load jobs are part of no transaction: https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-parquet

import { randomBytes } from "node:crypto";
import type { Batch } from "../batch.ts";
import { refuseLongTimes } from "../lib/load/day-times.ts";
import { quoteIdentifier, quoteTable } from "../lib/load/names.ts";
import { withRowNumbers } from "../lib/load/row-numbers.ts";
import type { InsertColumn, RowOrder, TableName } from "../lib/load/session.ts";
import { encodeParquet } from "../lib/parquet-encoder.ts";
import type { BigqueryClient } from "./client.ts";
import { tablePath } from "./datasets.ts";
import { loadParquet } from "./jobs.ts";
import { type UploadColumn, uploadColumn } from "./upload-columns.ts";

/** Each takes seconds, whatever its size, and its batch is held in memory as long. */
const MOST_AT_ONCE = 4;
/** A table takes 1,500 load jobs a day. */
const MOST_LOADS = 1_000;
/** What a dead attempt leaves goes by itself. */
const EXPIRES_MS = 24 * 3_600_000;

interface Upload {
  readonly shape: string;
  readonly relation: string;
  readonly statement: string;
  readonly table: TableName;
  readonly made: Promise<unknown>;
  loads: number;
}

export class BulkLoad {
  readonly #client: BigqueryClient;
  readonly #dataset: string;
  readonly #rowNumber: string;
  readonly #running = new Set<Promise<void>>();
  #failure: unknown;
  /** Not copied yet; the last one takes more batches of its shape. */
  #uploads: Upload[] = [];
  readonly #copied: Upload[] = [];
  /** Rows that were numbered: numbers go on over all batches. */
  #rows = 0;

  constructor(client: BigqueryClient, dataset: string, rowNumber: string) {
    this.#client = client;
    this.#dataset = dataset;
    this.#rowNumber = rowNumber;
  }

  /** Whether rows wait that are meant for this relation, quoted as in the statement. */
  waitsFor(sql: string): boolean {
    return this.#uploads.some(({ relation }) => sql.includes(relation));
  }

  /** Resolves when another batch is welcome. */
  async insert(relation: string, columns: readonly InsertColumn[], batch: Batch, order: RowOrder): Promise<void> {
    refuseLongTimes(batch, columns, this.#client.what);
    while (this.#running.size >= MOST_AT_ONCE) await Promise.race(this.#running);
    this.#throwFailure();
    const isKept = order === "kept";
    const given = isKept ? withRowNumbers(batch, this.#rows) : batch;
    if (isKept) this.#rows += batch.rows;
    const number: InsertColumn = { index: batch.columns.length, name: this.#rowNumber, type: { kind: "int64" }, sqlType: "INT64" };
    const uploaded = [...columns, ...(isKept ? [number] : [])].map(uploadColumn);
    const upload = this.#uploadFor(relation, uploaded);
    const running = this.#load(upload, given, uploaded).catch((error: unknown) => {
      this.#failure ??= error;
    });
    this.#running.add(running);
    void running.finally(() => this.#running.delete(running));
  }

  async settle(): Promise<void> {
    await Promise.all(this.#running);
    this.#throwFailure();
  }

  /** The statements that put what was uploaded into its tables. */
  take(): readonly string[] {
    const uploads = this.#uploads;
    this.#uploads = [];
    this.#copied.push(...uploads);
    return uploads.map(({ statement }) => statement);
  }

  /** After a commit or its undoing: what is not cleared away here expires. */
  async clear(): Promise<void> {
    await Promise.all(this.#running);
    this.#failure = undefined;
    const tables = [...this.#copied.splice(0), ...this.#uploads.splice(0)].map(({ table }) => table);
    const signal = AbortSignal.timeout(5_000);
    await Promise.allSettled(
      tables.map(({ schema, name }) => this.#client.call({ method: "DELETE", path: tablePath(schema, name), signal })),
    );
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#client.error(this.#failure);
  }

  #uploadFor(relation: string, columns: readonly UploadColumn[]): Upload {
    const shape = JSON.stringify([relation, columns]);
    const last = this.#uploads.at(-1);
    if (last !== undefined && last.shape === shape && last.loads < MOST_LOADS) return last;
    const table = { schema: this.#dataset, name: `upload_${randomBytes(8).toString("hex")}` };
    const names = columns.map(({ name }) => quoteIdentifier(name));
    const statement = `insert into ${relation} (${names.join(", ")}) select ${columns.map(({ value }, place) => value(`"${fileColumn(place)}"`)).join(", ")} from ${quoteTable(table)}`;
    const upload: Upload = { shape, relation, statement, table, made: this.#make(table, columns), loads: 0 };
    // Whoever loads into it learns of a failure.
    upload.made.catch(() => undefined);
    this.#uploads.push(upload);
    return upload;
  }

  #make({ schema, name }: TableName, columns: readonly UploadColumn[]): Promise<unknown> {
    const body = {
      tableReference: { projectId: this.#client.project, datasetId: schema, tableId: name },
      schema: { fields: columns.map(({ uploaded }, place) => ({ name: fileColumn(place), ...uploaded })) },
      expirationTime: String(Date.now() + EXPIRES_MS),
    };
    return this.#client.call({ method: "POST", path: tablePath(schema), body });
  }

  async #load(upload: Upload, batch: Batch, columns: readonly UploadColumn[]): Promise<void> {
    upload.loads += 1;
    const types = new Map(columns.map(({ index, fileType }) => [index, fileType]));
    const schema = { columns: batch.schema.columns.map((column, index) => ({ ...column, type: types.get(index) ?? column.type })) };
    const parts = encodeParquet(
      { ...batch, schema },
      columns.map(({ index }, place) => ({ index, name: fileColumn(place) })),
    );
    await upload.made;
    await loadParquet(this.#client, { datasetId: upload.table.schema, tableId: upload.table.name }, parts);
  }
}

const fileColumn = (place: number): string => `c${place}`;

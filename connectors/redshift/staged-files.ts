// Batches as files in S3 that wait for COPY: gzipped CSV, uploaded one by one, and a manifest that names those of a COPY.
// https://docs.aws.amazon.com/redshift/latest/dg/r_COPY.html

import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { constants, createGzip } from "node:zlib";
import type { S3Client } from "@aws-sdk/client-s3";
import { DownbeatError } from "../../core/errors.ts";
import type { Batch } from "../batch.ts";
import type { ConnectorContext } from "../connector.ts";
import { refuseLongTimes } from "../lib/load/day-times.ts";
import { quoteIdentifier, quoteText } from "../lib/load/names.ts";
import { withRowNumbers } from "../lib/load/row-numbers.ts";
import type { InsertColumn, RowOrder } from "../lib/load/session.ts";
import { encodeRows, type RowStyle } from "../lib/text-rows.ts";
import { createS3Client } from "../s3/client.ts";
import { S3Objects } from "../s3/objects.ts";
import type { RedshiftConfig } from "./spec.ts";
import { LONGEST_BINARY, LONGEST_TEXT } from "./types.ts";

const PIECE_BYTES = 256 * 1_024;
const NUL = 0;

const refuses: RowStyle["fields"]["refuses"] = (type, value) => {
  if (type === "binary")
    return value.length > LONGEST_BINARY ? `${value.length} bytes are more than the ${LONGEST_BINARY} of a VARBYTE column` : undefined;
  if (type === "string" && value.length > LONGEST_TEXT)
    return `the text has ${value.length} bytes, and VARCHAR holds ${LONGEST_TEXT}; shorten it in the source's query, or carry it as binary`;
  return value.includes(NUL) ? "the text holds a NUL character, which Redshift cannot keep; carry the column as binary" : undefined;
};

const FIELDS: RowStyle["fields"] = { title: "Redshift", texts: "quoted", booleans: ["false", "true"], takesNonFinite: true, refuses };

interface Staged {
  readonly relation: string;
  /** Quoted names, without that of the row number. */
  readonly names: string;
  readonly columns: readonly InsertColumn[];
  readonly keys: string[];
}

interface Opened {
  readonly client: S3Client;
  readonly objects: S3Objects;
}

export class StagedFiles implements AsyncDisposable {
  readonly #config: RedshiftConfig;
  readonly #context: ConnectorContext;
  readonly #what: string;
  readonly #rowNumber: string;
  readonly #bucket: string;
  /** What the keys of this session's files begin with. */
  readonly keys: string;
  /** No text is this one. */
  readonly #nullText = `null-${randomBytes(8).toString("hex")}`;
  #opened: Promise<Opened> | undefined;
  #files = 0;
  /** Rows that were numbered: numbers go on over all batches. */
  #rows = 0;
  #staged: Staged | undefined;
  #removing: Promise<unknown> = Promise.resolve();

  /** `rowNumber`: the column that says in which order rows came. */
  constructor(config: RedshiftConfig, context: ConnectorContext, rowNumber: string, what: string) {
    this.#config = config;
    this.#context = context;
    this.#what = what;
    this.#rowNumber = rowNumber;
    const [, bucket = "", prefix = ""] = /^s3:\/\/([^/]+)\/?(.*?)\/?$/.exec(config.staging ?? "") ?? [];
    this.#bucket = bucket;
    this.keys = `${prefix === "" ? "" : `${prefix}/`}downbeat-${randomBytes(12).toString("hex")}-`;
  }

  get areWaiting(): boolean {
    return this.#staged !== undefined;
  }

  /** Whether these rows can wait beside those that wait already. */
  takes(relation: string, columns: readonly InsertColumn[]): boolean {
    const staged = this.#staged;
    return staged === undefined || (staged.relation === relation && staged.names === namesOf(columns));
  }

  /** Uploads the rows; they are in the table after `copy`. */
  async upload(relation: string, columns: readonly InsertColumn[], batch: Batch, order: RowOrder): Promise<void> {
    refuseLongTimes(batch, columns, this.#what);
    const isNumbered = order === "kept";
    const given = isNumbered ? withRowNumbers(batch, this.#rows) : batch;
    const number: InsertColumn = { index: batch.columns.length, name: this.#rowNumber, type: { kind: "int64" }, sqlType: "bigint" };
    const all = isNumbered ? [...columns, number] : columns;
    if (isNumbered) this.#rows += batch.rows;
    const key = `${this.keys}${(this.#files += 1)}.csv.gz`;
    const style: RowStyle = { fields: FIELDS, separator: ",", nullText: this.#nullText };
    const packed = await this.#packed(encodeRows(given, all, style, PIECE_BYTES));
    const { objects } = await this.#open();
    this.#staged ??= { relation, names: namesOf(columns), columns: all, keys: [] };
    this.#staged.keys.push(key);
    await objects.put(key, packed);
  }

  async #packed(pieces: Generator<Buffer, undefined>): Promise<Buffer> {
    try {
      const zip = createGzip({ level: constants.Z_BEST_SPEED });
      return await pipeline(Readable.from(pieces), zip, buffer);
    } catch (error) {
      if (!(error instanceof DownbeatError)) throw error;
      throw new DownbeatError(error.code, `${this.#what}: ${error.message}`, {
        cause: error,
        ...(error.details === undefined ? {} : { details: error.details }),
      });
    }
  }

  #open(): Promise<Opened> {
    if (this.#config.staging === undefined) {
      throw new DownbeatError(
        "CONNECTION_INVALID",
        `${this.#what}: loads need the connection's staging (s3://bucket/prefix) and iam_role, by which COPY reads from there`,
      );
    }
    return (this.#opened ??= this.#openS3());
  }

  async #openS3(): Promise<Opened> {
    const sdk = await import("@aws-sdk/client-s3");
    const config = { ...this.#config, bucket: this.#bucket, prefix: "" };
    const client = await createS3Client(config);
    return { client, objects: new S3Objects({ client, sdk, config, context: this.#context }) };
  }

  /** One COPY of all that waits. The files go with it, whether it succeeds or not. */
  async copy(run: (sql: string) => Promise<unknown>): Promise<void> {
    const staged = this.#staged;
    if (staged === undefined) return;
    const { objects } = await this.#open();
    this.#staged = undefined;
    const manifest = `${this.keys}${this.#files}.manifest`;
    const entries = staged.keys.map((key) => ({ url: `s3://${this.#bucket}/${key}`, mandatory: true }));
    try {
      await objects.put(manifest, Buffer.from(JSON.stringify({ entries })));
      await run(this.#statement(staged, manifest));
    } finally {
      this.#remove([...staged.keys, manifest]);
    }
  }

  #statement({ relation, columns }: Staged, manifest: string): string {
    const { iam_role: role = "default", region } = this.#config;
    const by = role === "default" ? "default" : quoteText(role);
    return `copy ${relation} (${namesOf(columns)}) from ${quoteText(`s3://${this.#bucket}/${manifest}`)} iam_role ${by} region ${quoteText(region)}
      manifest format as csv gzip null as ${quoteText(this.#nullText)} dateformat 'YYYY-MM-DD' timeformat 'auto' maxerror 0 compupdate off`;
  }

  /** What was uploaded since the last `copy` goes into no table. */
  forget(): void {
    if (this.#staged !== undefined) this.#remove(this.#staged.keys);
    this.#staged = undefined;
  }

  /** Beside whatever comes next. What cannot be removed the prefix's own rules clean up. */
  #remove(keys: readonly string[]): void {
    const before = this.#removing;
    this.#removing = (async () => {
      const { objects } = await this.#open();
      await before;
      await Promise.allSettled(keys.map((key) => objects.remove(key)));
    })().catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.forget();
    await this.#removing;
    (await this.#opened?.catch(() => undefined))?.client.destroy();
  }
}

const namesOf = (columns: readonly InsertColumn[]): string => columns.map(({ name }) => quoteIdentifier(name)).join(", ");

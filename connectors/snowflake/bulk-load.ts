// Batches into a table: each is a Parquet file on a temporary stage, and those of a chunk go in by one COPY INTO.
// https://docs.snowflake.com/en/sql-reference/sql/copy-into-table

import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import path from "node:path";
import { DownbeatError } from "../../core/errors.ts";
import type { Batch } from "../batch.ts";
import { refuseLongTimes } from "../lib/load/day-times.ts";
import { quoteIdentifier, quoteTable, quoteText } from "../lib/load/names.ts";
import { writeParts } from "../lib/load/parts-file.ts";
import { withRowNumbers } from "../lib/load/row-numbers.ts";
import type { InsertColumn, RowOrder, TableName } from "../lib/load/session.ts";
import { encodeParquet } from "../lib/parquet-encoder.ts";
import type { SnowflakeClient } from "./client.ts";

/** COPY INTO takes up to a thousand names of files. */
const MOST_FILES = 1_000;

interface StagedFiles {
  readonly relation: string;
  /** Columns of the table, and how each is taken from a file. */
  readonly names: readonly string[];
  readonly values: readonly string[];
  readonly files: string[];
}

export class BulkLoad {
  readonly #client: SnowflakeClient;
  readonly #stage: string;
  readonly #tempDir: string;
  readonly #rowNumber: string;
  readonly #what: string;
  #isStageMade = false;
  #files = 0;
  /** Rows that were numbered: numbers go on over all batches. */
  #rows = 0;
  #staged: StagedFiles | undefined;

  /** `rowNumber`: the column that says in which order rows came. */
  constructor(
    client: SnowflakeClient,
    schema: string,
    { tempDir, rowNumber, what }: { readonly tempDir: string; readonly rowNumber: string; readonly what: string },
  ) {
    this.#client = client;
    const stage: TableName = { schema, name: `_downbeat_${randomBytes(8).toString("hex")}` };
    this.#stage = quoteTable(stage);
    this.#tempDir = tempDir;
    this.#rowNumber = rowNumber;
    this.#what = what;
  }

  /** Between transactions: making a stage commits. It ends with the session. */
  async makeStage(): Promise<void> {
    if (this.#isStageMade) return;
    await this.#client.run(`create temporary stage ${this.#stage}`);
    this.#isStageMade = true;
  }

  /** Uploads the rows; they are in the table after `copy`. */
  async upload(relation: string, columns: readonly InsertColumn[], batch: Batch, order: RowOrder): Promise<void> {
    refuseLongTimes(batch, columns, this.#what);
    const shape = shapeOf(relation, columns, order === "kept" ? this.#rowNumber : undefined);
    if (this.#staged !== undefined && !this.#takes(shape)) await this.copy();
    const numbered = order === "kept" ? withRowNumbers(batch, this.#rows) : batch;
    if (order === "kept") this.#rows += batch.rows;
    const indexes = [...columns.map(({ index }) => index), ...(order === "kept" ? [batch.columns.length] : [])];
    const parts = encodeParquet(
      numbered,
      indexes.map((index, place) => ({ index, name: fileColumn(place) })),
    );
    const name = `${(this.#files += 1)}_${randomBytes(4).toString("hex")}.parquet`;
    const file = path.join(this.#tempDir, name);
    await writeParts(file, parts, this.#what);
    try {
      const put = `put ${quoteText(`file://${file}`)} @${this.#stage} auto_compress = false source_compression = none`;
      const { rows } = await this.#client.run(put);
      this.#refuseFailure(rows[0]);
    } finally {
      await rm(file, { force: true });
    }
    this.#staged ??= { ...shape, files: [] };
    this.#staged.files.push(name);
  }

  /** The driver fulfils an upload that has failed, too. */
  #refuseFailure(answer: Readonly<Record<string, unknown>> = {}): void {
    const { status, message } = answer;
    if (status === "UPLOADED") return;
    throw new DownbeatError(
      "DESTINATION_UNAVAILABLE",
      `${this.#what}: a file could not be uploaded to the stage: ${String(message ?? status ?? "no answer")}; try again`,
    );
  }

  #takes({ relation, names, values }: Omit<StagedFiles, "files">): boolean {
    const staged = this.#staged;
    return (
      staged !== undefined &&
      staged.relation === relation &&
      staged.files.length < MOST_FILES &&
      staged.names.join() === names.join() &&
      staged.values.join() === values.join()
    );
  }

  async copy(): Promise<void> {
    const staged = this.#staged;
    if (staged === undefined) return;
    this.#staged = undefined;
    const { relation, names, values, files } = staged;
    await this.#client.run(
      `copy into ${relation} (${names.join(", ")}) from (select ${values.join(", ")} from @${this.#stage})
       files = (${files.map(quoteText).join(", ")}) file_format = (type = parquet use_logical_type = true binary_as_text = false) purge = true`,
    );
  }

  /** What was uploaded since the last `copy` goes into no table. */
  forget(): void {
    this.#staged = undefined;
  }
}

/** Upper case, so that no setting of a session reads it otherwise. */
const fileColumn = (place: number): string => `C${place}`;

const shapeOf = (relation: string, columns: readonly InsertColumn[], rowNumber: string | undefined): Omit<StagedFiles, "files"> => {
  const numbered = rowNumber === undefined ? [] : [{ name: rowNumber, sqlType: "NUMBER(38,0)" }];
  const all = [...columns, ...numbered];
  return {
    relation,
    names: all.map(({ name }) => quoteIdentifier(name)),
    values: all.map(({ sqlType }, place) => valueOf(`$1:${fileColumn(place)}`, sqlType)),
  };
};

/** A value of a file as the column's type. Texts are cast without a length: COPY refuses one that is too long, a cast would cut it. */
const valueOf = (value: string, sqlType: string): string => {
  if (sqlType === "VARIANT") return `parse_json(${value}::varchar)`;
  if (sqlType.startsWith("VARCHAR")) return `${value}::varchar`;
  if (sqlType.startsWith("BINARY")) return `${value}::binary`;
  return `${value}::${sqlType}`;
};

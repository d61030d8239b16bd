// Rows of the log as batches of changes: what is there after an insert or update, and what is gone.

import type { Batch, Position, Reject } from "../../batch.ts";
import { BATCH_BYTES, BATCH_ROWS, BatchBuilder } from "../../lib/batch-builder.ts";
import { DownbeatError } from "../../../core/errors.ts";
import type { ResultColumn } from "../types.ts";
import { batchColumn, lengthOf, loggedValue, type LoggedValue, type ValueOptions } from "./logged-values.ts";
import { RefusedValue } from "./refused-value.ts";
import type { LoggedTable } from "./table-map.ts";

export interface ChangedRowsOptions extends ValueOptions {
  /** Columns as they are now, by name. */
  readonly current: ReadonlyMap<string, ResultColumn>;
  /** Columns that are wanted; undefined = all. */
  readonly wanted: ReadonlySet<string> | undefined;
  /** Columns whose change makes another row of it: the merge's key. Empty: the table's primary key. */
  readonly key: readonly string[];
  /** A batch should not have more. */
  readonly batchRows: number;
  /** For messages. */
  readonly what: string;
}

/** Row images lie behind each other: a bitmap of NULLs, then the values that are there. */
export type RowsKind = "write" | "update" | "delete";

/** Characters of a refused row that are kept. */
const RAW_LENGTH = 64 * 1_024;
const MOST_REJECTS = 1_000;

interface Field {
  /** Place among the batch's columns. */
  readonly place: number;
  readonly value: LoggedValue;
}

/** The rows of one table in one shape. */
export class ChangedRows {
  readonly #table: LoggedTable;
  readonly #options: ChangedRowsOptions;
  readonly #builder: BatchBuilder;
  /** By the table's columns; undefined: not wanted. */
  readonly #fields: readonly (Field | undefined)[];
  readonly #keys: readonly number[];
  #deleted = new Uint8Array(1_024);
  #rejects: Reject[] = [];
  /** Of the images as they came: close to what the rows take in memory. */
  #bytes = 0;
  /** Where each value of the row at hand lies, as [start, end) by column; start -1: NULL. */
  readonly #starts: Int32Array;
  readonly #ends: Int32Array;

  constructor(table: LoggedTable, options: ChangedRowsOptions) {
    this.#table = table;
    this.#options = options;
    const { current, wanted, what } = options;
    if (table.columns.some(({ name }) => name === "")) {
      throw new DownbeatError(
        "SOURCE_LOG_UNUSABLE",
        `${what}: the log does not name the table's columns; these changes were written before binlog_row_metadata = FULL was set: start the load anew`,
      );
    }
    const refused: string[] = [];
    const fields: (Field | undefined)[] = [];
    const columns = [];
    for (const column of table.columns) {
      const { name } = column;
      // Columns that queries do not show, such as invisible ones, are not among the current ones; those that were dropped since are not either.
      const isShown = wanted === undefined || wanted.has(name);
      const value = isShown ? loggedValue(column, current.get(name), options) : undefined;
      if (typeof value === "string") refused.push(`"${name}": ${value}`);
      if (value === undefined || typeof value === "string") fields.push(undefined);
      else {
        fields.push({ place: columns.length, value });
        columns.push(batchColumn(name, value));
      }
    }
    if (refused.length > 0) {
      throw new DownbeatError("SOURCE_TYPE_UNSUPPORTED", `${what}: ${refused.join("; ")}; leave it out with from.columns`, {
        details: { columns: refused },
      });
    }
    this.#fields = fields;
    this.#keys = keyPlaces(table, options);
    this.#builder = new BatchBuilder({ columns });
    this.#starts = new Int32Array(table.columns.length);
    this.#ends = new Int32Array(table.columns.length);
  }

  /** 1 = as much as a batch should hold. */
  get fullness(): number {
    return Math.max(this.#builder.rows / this.#options.batchRows, this.#bytes / BATCH_BYTES, this.#rejects.length / MOST_REJECTS);
  }

  get isEmpty(): boolean {
    return this.#builder.rows === 0 && this.#rejects.length === 0;
  }

  /** All rows of an event, from `start` on. `where`: for messages. */
  add(kind: RowsKind, bytes: Buffer, start: number, end: number, where: string): void {
    this.#bytes += end - start;
    for (let at = start; at < end; ) {
      if (kind === "update") at = this.#update(bytes, at, where);
      else {
        const next = this.#locate(bytes, at);
        this.#append(bytes, kind === "delete", where);
        at = next;
      }
    }
  }

  /** A row that has another key now is gone under its old one. */
  #update(bytes: Buffer, start: number, where: string): number {
    const middle = this.#locate(bytes, start);
    const before = this.#keys.map((place) => this.#bytesOf(bytes, place));
    const end = this.#locate(bytes, middle);
    if (!this.#keys.every((place, index) => isSame(before[index], this.#bytesOf(bytes, place)))) {
      this.#locate(bytes, start);
      this.#append(bytes, true, where);
      this.#locate(bytes, middle);
    }
    this.#append(bytes, false, where);
    return end;
  }

  #bytesOf(bytes: Buffer, place: number): Buffer | undefined {
    const start = this.#starts[place]!;
    return start < 0 ? undefined : bytes.subarray(start, this.#ends[place]);
  }

  /** Finds the values of the image at `start`; answers where it ends. */
  #locate(bytes: Buffer, start: number): number {
    const { columns } = this.#table;
    let at = start + ((columns.length + 7) >> 3);
    for (const [place, column] of columns.entries()) {
      if ((bytes[start + (place >> 3)]! & (1 << (place & 7))) !== 0) this.#starts[place] = -1;
      else {
        this.#starts[place] = at;
        at += lengthOf(column, bytes, at);
        this.#ends[place] = at;
      }
    }
    return at;
  }

  #append(bytes: Buffer, isDeleted: boolean, where: string): void {
    const { columns } = this.#builder;
    let name = "";
    try {
      for (const [place, field] of this.#fields.entries()) {
        if (field === undefined) continue;
        const builder = columns[field.place]!;
        const start = this.#starts[place]!;
        name = this.#table.columns[place]!.name;
        if (start < 0) builder.appendNull();
        else field.value.append(bytes, start, this.#ends[place]!, builder);
      }
    } catch (error) {
      if (!(error instanceof RefusedValue)) throw error;
      this.#refuse(error, name, bytes, where);
      return;
    }
    const row = this.#builder.rows;
    if (row === this.#deleted.length) {
      const grown = new Uint8Array(row * 2);
      grown.set(this.#deleted);
      this.#deleted = grown;
    }
    this.#deleted[row] = isDeleted ? 1 : 0;
    this.#builder.endRow();
  }

  #refuse(error: RefusedValue, name: string, bytes: Buffer, where: string): void {
    this.#builder.dropRow();
    const { zeroDates, what } = this.#options;
    const reason = `column "${name}": ${error.message}`;
    if (error.isDate && zeroDates === "fail") {
      throw new DownbeatError("SOURCE_DATA_INVALID", `${what}: ${where}: ${reason}`, { details: { column: name } });
    }
    const raw = Object.fromEntries(
      this.#table.columns.map((column, place) => [column.name, this.#bytesOf(bytes, place)?.toString("hex") ?? null]),
    );
    this.#rejects.push({ where, code: "SOURCE_DATA_INVALID", reason, raw: JSON.stringify(raw).slice(0, RAW_LENGTH) });
  }

  take(position: Position | null): Batch {
    const { rows } = this.#builder;
    const deleted = this.#deleted.slice(0, rows);
    const rejects = this.#rejects;
    this.#rejects = [];
    this.#bytes = 0;
    this.#deleted = new Uint8Array(Math.min(Math.max(rows, 1_024), BATCH_ROWS));
    return { ...this.#builder.take(position, { rejects }), deleted };
  }
}

const isSame = (left: Buffer | undefined, right: Buffer | undefined): boolean =>
  left === undefined || right === undefined ? left === right : left.equals(right);

const keyPlaces = ({ columns, key }: LoggedTable, options: ChangedRowsOptions): readonly number[] => {
  const named = options.key.map((name) => columns.findIndex((column) => column.name === name)).filter((place) => place >= 0);
  const places = named.length > 0 ? named : key;
  if (places.length > 0) return places;
  throw new DownbeatError(
    "SOURCE_OPTIONS_INVALID",
    `${options.what}: changes of a table without primary key cannot be merged; give it one, or name unique columns that never change with from.key`,
  );
};

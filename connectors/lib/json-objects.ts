// Texts of JSON objects as batches: straight into columns, parsed where they hold something unusual, all of them anew where one changes the columns.

import { isUtf8 } from "node:buffer";
import type { Batch, Column, ColumnType, Position, Reject } from "../batch.ts";
import { BatchBuilder } from "./batch-builder.ts";
import { fitsTypes, inferColumns } from "./infer.ts";
import { ObjectScanner } from "./json-scan.ts";
import { parseObject } from "./json-text.ts";
import { appendValue, rawText, rowAppender, type Row } from "./rows.ts";

export interface JsonObjectsOptions {
  /** Undefined where they are inferred. */
  readonly declared: readonly Column[] | undefined;
  /** Inferred before. */
  readonly known: readonly Column[];
  /** Columns of what each text comes with, behind those of the texts; a key of their name gives way to them. */
  readonly beside?: readonly Column[];
  /** Of a text that has no row: where it lay, by its number in the batch. */
  readonly where: (index: number) => string;
}

interface Text {
  readonly bytes: Buffer;
  readonly beside: Row;
}

const NOTHING: Row = {};

/** Texts that change the columns are gathered until so many have come, and then twice as many: seldom, and not only at the batch's end. */
const FIRST_LOOK = 1_000;

const parseText = (bytes: Buffer): Row | string => (isUtf8(bytes) ? parseObject(bytes.toString("utf8")) : "is not UTF-8");

export class JsonObjects {
  readonly #options: JsonObjectsOptions;
  readonly #beside: readonly Column[];
  #columns: readonly Column[];
  /** What the columns were when the batch began: they are inferred from the batch as a whole. */
  #before: readonly Column[];
  #types!: ReadonlyMap<string, ColumnType>;
  #builder!: BatchBuilder;
  #scanner!: ObjectScanner;
  #appendRow!: (row: Row) => string | undefined;
  /** Texts of the batch so far, also those that have no row. */
  #count = 0;
  /** Of the batch, while its columns can change; undefined for one that was refused. */
  #texts: (Text | undefined)[] = [];
  /** The columns are inferred anew at so many texts; undefined while all have fitted. */
  #lookAt: number | undefined;
  #refused: Reject[] = [];
  #misfits: Reject[] = [];

  constructor(options: JsonObjectsOptions) {
    this.#options = options;
    this.#beside = options.beside ?? [];
    this.#columns = options.declared ?? options.known;
    this.#before = this.#columns;
    this.#build();
  }

  /** `beside`: a value for each column beside. */
  add(bytes: Buffer, beside: Row = NOTHING): void {
    const text = { bytes, beside };
    const mayChange = this.#options.declared === undefined;
    if (mayChange) this.#texts.push(text);
    this.#count += 1;
    if (this.#lookAt === undefined) this.#append(text, this.#count - 1, mayChange);
    else if (this.#count >= this.#lookAt) this.#infer();
  }

  /** A text that is none, as whoever reads it has seen. */
  refuse(reason: string, raw: string): void {
    if (this.#options.declared === undefined) this.#texts.push(undefined);
    this.#refused.push(this.#reject(this.#count, reason, raw));
    this.#count += 1;
  }

  take(position: Position | null): Batch {
    if (this.#lookAt !== undefined) this.#infer();
    const batch = this.#builder.take(position, { rejects: [...this.#refused, ...this.#misfits] });
    this.#before = this.#columns;
    this.#count = 0;
    this.#texts = [];
    this.#refused = [];
    this.#misfits = [];
    return batch;
  }

  #build(): void {
    this.#types = new Map(this.#columns.map(({ name, type }) => [name, type]));
    const own = this.#columns.filter(({ name }) => this.#beside.every((other) => other.name !== name));
    this.#builder = new BatchBuilder({ columns: [...own, ...this.#beside] });
    this.#scanner = new ObjectScanner(own, this.#builder.columns, this.#options.declared === undefined);
    this.#appendRow = rowAppender(this.#builder, true);
  }

  #infer(): void {
    const parsed = this.#texts.map((text) => (text === undefined ? "" : parseText(text.bytes)));
    const columns = inferColumns(
      parsed.filter((row) => typeof row !== "string"),
      this.#before,
    );
    // The same columns stay the same object: destinations compare by identity.
    if (columns !== this.#columns) {
      this.#columns = columns;
      this.#build();
    }
    this.#misfits = [];
    this.#lookAt = undefined;
    for (const [index, text] of this.#texts.entries()) if (text !== undefined) this.#append(text, index, false);
  }

  #append(text: Text, index: number, mayChange: boolean): void {
    try {
      this.#appendText(text, index, mayChange);
    } catch (error) {
      if (!(error instanceof RangeError) || !/call stack/i.test(error.message)) throw error;
      this.#builder.dropRow();
      this.#misfits.push(this.#reject(index, "is nested too deeply", rawText(text.bytes.toString("utf8"))));
    }
  }

  #appendText({ bytes, beside }: Text, index: number, mayChange: boolean): void {
    const { rows } = this.#builder;
    if (isUtf8(bytes) && this.#scanner.append(bytes, rows) && this.#appendBeside(beside)) {
      this.#builder.endRow();
      return;
    }
    this.#builder.dropRow();
    const parsed = parseText(bytes);
    if (typeof parsed === "string") {
      this.#misfits.push(this.#reject(index, parsed, rawText(bytes.toString("utf8"))));
      return;
    }
    if (mayChange && !fitsTypes(parsed, this.#types)) {
      this.#lookAt = Math.max(FIRST_LOOK, this.#count * 2);
      return;
    }
    const row = { ...parsed, ...beside };
    const fault = this.#appendRow(row);
    if (fault !== undefined) this.#misfits.push(this.#reject(index, fault, rawText(row)));
  }

  #appendBeside(values: Row): boolean {
    const first = this.#builder.columns.length - this.#beside.length;
    for (const [place, { name, type, nullable }] of this.#beside.entries()) {
      const [target, value] = [this.#builder.columns[first + place]!, values[name]];
      if (value === null || value === undefined) {
        if (!nullable) return false;
        target.appendNull();
      } else if (!appendValue(target, type, value)) return false;
    }
    return true;
  }

  #reject(index: number, reason: string, raw: string): Reject {
    return { where: this.#options.where(index), code: "SOURCE_DATA_INVALID", reason, raw };
  }
}

// What a transfer takes of a source's columns: the others, and what is hashed or redacted, never leave the worker.

import { createHash, createHmac } from "node:crypto";
import {
  type Batch,
  type Column,
  type ColumnType,
  layoutOf,
  type ParquetRows,
  type Reject,
  type Schema,
  sizeOf,
  type Vector,
  WIDTH,
} from "../connectors/batch.ts";
import type { Source } from "../connectors/connector.ts";
import { parseColumnType } from "../connectors/lib/column-types.ts";
import { readerOf, typeName } from "../connectors/lib/rows.ts";
import { type ChosenColumn, chosenColumns, hidesColumns } from "../core/column-choices.ts";
import type { ColumnChoices } from "../core/definition-columns.ts";
import { DownbeatError } from "../core/errors.ts";
import { canCast, type Cast, castColumns } from "./cast-columns.ts";

/** The source with those columns alone. Its `read` throws SOURCE_OPTIONS_INVALID where it has not the columns that are named. */
export const choosingSource = (source: Source, choices: ColumnChoices, hashKey?: string): Source => {
  const { bounds } = source;
  return {
    discover: () => source.discover(),
    ...(bounds === undefined ? {} : { bounds: (request) => bounds.call(source, request) }),
    async *read(request) {
      const chooser = new Chooser(choices, request.stream, hashKey);
      // Rows that a file's reader only names have no values to hash or cast.
      const needsValues = (choices.hash ?? []).length > 0 || Object.keys(choices.cast ?? {}).length > 0;
      const takesParquet = request.takesParquet === true && !needsValues;
      for await (const batch of source.read({ ...request, takesParquet, takesCsv: false })) yield chooser.choose(batch);
    },
  };
};

interface Shape {
  readonly given: Schema;
  readonly schema: Schema;
  readonly chosen: readonly ChosenColumn[];
  readonly casts: readonly Cast[];
  /** Names in the source of what does not leave the worker as it is. */
  readonly hidden: readonly string[];
}

class Chooser {
  readonly #choices: ColumnChoices;
  readonly #stream: string;
  readonly #hash: (text: string) => Buffer;
  #shape: Shape | undefined;

  constructor(choices: ColumnChoices, stream: string, hashKey: string | undefined) {
    this.#choices = choices;
    this.#stream = stream;
    const hasher = () => (hashKey === undefined ? createHash("sha256") : createHmac("sha256", hashKey));
    this.#hash = (text) => Buffer.from(hasher().update(text).digest("hex"), "latin1");
  }

  choose(given: Batch): Batch {
    // A source that learns its columns from rows has had none.
    if (given.schema.columns.length === 0) return this.#withRejects(given, []);
    const { schema, chosen, casts, hidden } = this.#shapeOf(given.schema);
    const batch = casts.length === 0 ? given : castColumns(given, casts);
    const kept = this.#withRejects(batch, hidden);
    if (batch.parquet !== undefined) return { ...kept, schema, parquet: chosenRows(batch.parquet, chosen) };
    const columns = chosen.map(({ place, how }): Vector => {
      const [column, vector] = [batch.schema.columns[place], batch.columns[place]];
      if (column === undefined || vector === undefined) throw new DownbeatError("INTERNAL", `column ${place} has no values`);
      switch (how) {
        case "as it is":
        case "cast":
          return vector;
        case "hashed":
          return this.#hashed(column, vector, batch.rows);
        case "redacted":
          return nulls(column, batch.rows);
      }
    });
    return { ...kept, schema, columns, bytes: columns.reduce((sum, vector) => sum + sizeOf(vector), 0) };
  }

  #withRejects(batch: Batch, hidden: readonly string[]): Batch {
    if (batch.rejects === undefined || !hidesColumns(this.#choices)) return batch;
    return { ...batch, rejects: batch.rejects.map((reject) => withoutContent(reject, hidden)) };
  }

  /** Sources and destinations go by the identity of schemas, so that one gives one. */
  #shapeOf(given: Schema): Shape {
    if (this.#shape?.given === given) return this.#shape;
    const found = chosenColumns(
      this.#choices,
      given.columns.map(({ name }) => name),
    );
    if (typeof found === "string") throw new DownbeatError("SOURCE_OPTIONS_INVALID", `columns of ${this.#stream}: ${found}`);
    const casts = this.#castsOf(given, found);
    const columns = found.flatMap(({ place, name, how }): readonly Column[] => {
      const column = given.columns[place];
      if (column === undefined) return [];
      const type = how === "hashed" ? TEXT : (casts.find((cast) => cast.place === place)?.type ?? column.type);
      return [{ name, type, nullable: how === "redacted" || column.nullable }];
    });
    const shown = new Set(found.filter(({ how }) => how === "as it is" || how === "cast").map(({ place }) => place));
    const hidden = given.columns.filter((_column, place) => !shown.has(place)).map(({ name }) => name);
    this.#shape = { given, schema: { columns }, chosen: found, casts, hidden };
    return this.#shape;
  }

  /** All that cannot be are told at once. */
  #castsOf({ columns }: Schema, chosen: readonly ChosenColumn[]): readonly Cast[] {
    const faults: string[] = [];
    const casts = chosen.flatMap(({ place, type: text = "" }): readonly Cast[] => {
      const [column, type] = [columns[place], parseColumnType(text)];
      if (column === undefined || type === undefined) return [];
      if (!canCast(column.type, type)) faults.push(`"${column.name}" is ${typeName(column.type)} and cannot be cast to ${text}`);
      return [{ place, type }];
    });
    if (faults.length > 0) throw new DownbeatError("SOURCE_OPTIONS_INVALID", `columns of ${this.#stream}: ${faults.join("; ")}`);
    return casts;
  }

  /** Of each value's text: numbers in decimal, moments in ISO 8601, bytes in base64. */
  #hashed({ type }: Column, vector: Vector, rows: number): Vector {
    const read = readerOf(type, vector);
    const offsets = new Int32Array(rows + 1);
    const data = new Uint8Array(rows * HASH_LENGTH);
    let end = 0;
    for (let row = 0; row < rows; row += 1) {
      const value = read(row);
      if (value !== null) {
        data.set(this.#hash(typeof value === "string" ? value : JSON.stringify(value)), end);
        end += HASH_LENGTH;
      }
      offsets[row + 1] = end;
    }
    return { layout: "text", offsets, data: data.subarray(0, end), valid: vector.valid };
  }
}

/** Rows that are named: the file's other columns are not read. NULL keeps its type by being made of the column. */
const chosenRows = (rows: ParquetRows, chosen: readonly ChosenColumn[]): ParquetRows => ({
  ...rows,
  select: chosen.map(({ place, how }) => {
    const value = rows.select[place] ?? "null";
    return how === "redacted" ? `nullif(${value}, ${value})` : value;
  }),
});

const TEXT: ColumnType = { kind: "string" };

/** SHA-256 in hexadecimal. */
const HASH_LENGTH = 64;

const nulls = ({ type }: Column, rows: number): Vector => {
  const layout = layoutOf(type);
  const valid = new Uint8Array(rows);
  return layout === "text"
    ? { layout, offsets: new Int32Array(rows + 1), data: new Uint8Array(0), valid }
    : { layout, data: new Uint8Array(rows * WIDTH[layout]), valid };
};

/** A row that could not be read may hold what must not be seen, and so may the reason, which quotes, and its place, which may be told by a key. */
const withoutContent = ({ where, code, letter }: Reject, hidden: readonly string[]): Reject => ({
  where: hidden.some((name) => where.includes(name)) ? "a row" : where,
  code,
  reason: "it cannot be read; neither the row nor the reason is kept, since the task leaves out or hides columns",
  raw: "",
  ...(letter === undefined ? {} : { letter }),
});

// Columnar rows in memory between source and destination: the only shape in which rows move.

import type { Json } from "../core/json.ts";

/** Logical types. Every connector maps its own types to these without loss, or refuses with SOURCE_/DESTINATION_TYPE_UNSUPPORTED. */
export type ColumnType =
  | { readonly kind: "bool" }
  | { readonly kind: "int32" }
  | { readonly kind: "int64" }
  /** 0 … 2^64-1. */
  | { readonly kind: "uint64" }
  | { readonly kind: "float32" }
  | { readonly kind: "float64" }
  /** Exact. `precision` digits in all, `scale` behind the point. Up to 18 digits as scaled 64-bit integers, beyond as ASCII text. */
  | { readonly kind: "decimal"; readonly precision: number; readonly scale: number }
  /** UTF-8. */
  | { readonly kind: "string" }
  | { readonly kind: "binary" }
  /** Days since 1970-01-01, proleptic Gregorian, negative before. */
  | { readonly kind: "date" }
  /** Microseconds; may be negative or over a day (MySQL's TIME). */
  | { readonly kind: "time" }
  /** Microseconds since 1970-01-01 00:00:00 on a wall clock without zone. */
  | { readonly kind: "timestamp" }
  /** Microseconds since 1970-01-01T00:00:00Z: a moment. */
  | { readonly kind: "timestamptz" }
  /** JSON text in UTF-8, as the source wrote it. */
  | { readonly kind: "json" }
  /** Canonical lower-case text in UTF-8. */
  | { readonly kind: "uuid" };

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  readonly nullable: boolean;
}

export interface Schema {
  readonly columns: readonly Column[];
}

/** How values lie in memory. */
export type Layout = "bytes1" | "bytes4" | "bytes8" | "text";

export const layoutOf = (type: ColumnType): Layout => {
  switch (type.kind) {
    case "bool":
      return "bytes1";
    case "int32":
    case "float32":
    case "date":
      return "bytes4";
    case "int64":
    case "uint64":
    case "float64":
    case "time":
    case "timestamp":
    case "timestamptz":
      return "bytes8";
    case "decimal":
      return type.precision <= 18 ? "bytes8" : "text";
    case "string":
    case "binary":
    case "json":
    case "uuid":
      return "text";
  }
};

/**
 * One column's values, one slot a row (null rows have a slot too; its content is undefined).
 * Fixed widths are little-endian in `data`, `width` bytes a row; read them through typed-array views on `data.buffer` (8-byte aligned).
 */
export interface FixedVector {
  readonly layout: "bytes1" | "bytes4" | "bytes8";
  readonly data: Uint8Array<ArrayBuffer>;
  /** One byte a row, 1 = a value is there; null = no nulls at all. */
  readonly valid: Uint8Array<ArrayBuffer> | null;
}

/** Variable widths: row r is `data[offsets[r] .. offsets[r + 1])`; a null row is empty. */
export interface TextVector {
  readonly layout: "text";
  readonly offsets: Int32Array<ArrayBuffer>;
  readonly data: Uint8Array<ArrayBuffer>;
  readonly valid: Uint8Array<ArrayBuffer> | null;
}

export type Vector = FixedVector | TextVector;

/** Bytes of a fixed-width value. */
export const WIDTH = { bytes1: 1, bytes4: 4, bytes8: 8 } as const;

/** What it takes in memory but for its nulls, where its arrays have no room to spare. */
export const sizeOf = (vector: Vector): number => vector.data.length + (vector.layout === "text" ? vector.offsets.length * 4 : 0);

/** A row that could not be read or mapped, with what is known of it. Goes to dead letters or fails the load, as the task says. */
export interface Reject {
  /** Where it lay, for people: "offset 17 of partition 2", "line 40 of prices/a.csv.gz". */
  readonly where: string;
  readonly code: "SOURCE_DATA_INVALID" | "CURSOR_NULL";
  readonly reason: string;
  /** The row as text, as much as can be had, at most 64 KB. */
  readonly raw: string;
  /** The id of the dead letter whose row it is: that one stays, with this reason. */
  readonly letter?: string;
}

/** A place in a stream to read on from: opaque JSON, made and understood by the source alone. */
export type Position = Json;

/** Rows where they lie in a Parquet file, for destinations that let DuckDB read them. */
export interface ParquetRows {
  readonly file: string;
  /** The number of the first of them in the file, from 0. */
  readonly from: number;
  /** How each column of the batch's schema is selected from the file, in DuckDB's SQL. */
  readonly select: readonly string[];
  /** Throws SOURCE_FILE_BROKEN where they cannot be read: for destinations whose own reading has failed. */
  readonly confirm: () => Promise<void>;
  /** To be called once they have been read: the file may go then. What is never read goes with the source's temporary folder. */
  readonly release: () => Promise<void>;
}

/**
 * All rows of a CSV file as it is, for destinations that read CSV themselves. Its records have the batch's columns in their order, each value is of its column's type
 * in a form that leaves no doubt (whole numbers and fractions, ISO 8601, `true` and `false` in any case), an unquoted empty field stands for NULL, and no reader can take them apart in another way.
 */
export interface CsvRows {
  readonly file: string;
  readonly delimiter: string;
  /** Whether its first record is the columns' names. */
  readonly header: boolean;
  /** The same rows in DuckDB's SQL: what to select them from, and how each column. For destinations that have to do something else with these ones. */
  readonly relation: string;
  readonly select: readonly string[];
  /** To be called once they have been read, as that of `ParquetRows`. */
  readonly release: () => Promise<void>;
}

export interface Batch {
  readonly schema: Schema;
  readonly rows: number;
  /** None of them where there is `parquet` or `csv`. */
  readonly columns: readonly Vector[];
  /** Only for destinations that have said that they take it (`StreamRequest.takesParquet`). */
  readonly parquet?: ParquetRows;
  /** As `parquet`: `StreamRequest.takesCsv`. */
  readonly csv?: CsvRows;
  /** Size of the values in memory, or unpacked in the file that they lie in: the `bytes` figure of loads. */
  readonly bytes: number;
  /** Where to go on after this batch; null = not a place where a chunk may end. */
  readonly position: Position | null;
  /** Logs and topics: all that the source had committed before this moment is in the stream up to this batch. Milliseconds since 1970 by the worker's clock. */
  readonly asOf?: number;
  /** Batches of changes, for merges alone: one byte a row, 1 = the row of this key is gone, and only the key columns count. */
  readonly deleted?: Uint8Array<ArrayBuffer>;
  readonly rejects?: readonly Reject[];
  /** Items (objects, files) that this batch brings to their end; the destination remembers them (`ResumePoint.seen`). */
  readonly items?: readonly string[];
  /** Ids of the dead letters whose rows these are: they go with the commit. */
  readonly letters?: readonly string[];
}

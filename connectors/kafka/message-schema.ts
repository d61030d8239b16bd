// What a schema of a registry gives to read messages by.

import type { Column } from "../batch.ts";
import type { Row } from "../lib/rows.ts";

/** The schema of a value among those that are registered under one id. Throws what is wrong with the value. */
export type SchemaOf = (value: Buffer) => MessageSchema;

/** A zero, and the schema's id. */
export const HEADER_BYTES = 5;

export interface MessageSchema {
  /** The known columns and those of its messages; the known list itself where they add nothing. */
  columnsWith(known: readonly Column[]): readonly Column[];
  /** Reads whole values, header and all. Throws what is wrong with one. */
  readerFor(columns: readonly Column[]): (value: Buffer) => Row;
}

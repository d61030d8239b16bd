// Table names as definitions write them, and quoted identifiers. PostgreSQL and DuckDB quote alike.

import { DownbeatError } from "../../../core/errors.ts";
import type { Dialect, TableName } from "./session.ts";

/** The schema of Downbeat's own tables in a destination. */
export const BOOKKEEPING_SCHEMA = "_downbeat";

export const quoteIdentifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;

export const quoteTable = ({ schema, name }: TableName): string => `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;

export const quoteText = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** A check of names in a system that counts their bytes: longer ones would be cut. */
export const namesUpTo =
  (most: number, title: string) =>
  (name: string): void => {
    const bytes = Buffer.byteLength(name);
    if (bytes > 0 && bytes <= most && !name.includes("\0")) return;
    throw new DownbeatError(
      "DESTINATION_TABLE_INVALID",
      `${JSON.stringify(name)} cannot be a name in ${title}: names have 1 to ${most} bytes, this one has ${bytes}; rename it in the source's query`,
      { details: { name, bytes } },
    );
  };

const PART = /("(?:[^"]|"")*"|[^."]+)(\.|$)/y;

/** Splits at dots outside double quotes: `raw.orders`, `"a.b".orders`. Undefined when it is no dotted name. */
export const splitName = (text: string): readonly string[] | undefined => {
  const parts: string[] = [];
  PART.lastIndex = 0;
  let ended = false;
  while (!ended) {
    const match = PART.exec(text);
    if (match === null) return undefined;
    const part = match[1] ?? "";
    parts.push(part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part);
    ended = match[2] === "";
  }
  return parts;
};

/** Quotes an identifier or a dotted name; what is no dotted name is one identifier. */
export const quoteName = (text: string): string => (splitName(text) ?? [text]).map(quoteIdentifier).join(".");

export const parseTable = (text: string, dialect: Dialect): TableName => {
  const parts = splitName(text);
  if (parts === undefined || parts.length > 2 || parts.some((part) => part.trim() === "" || part.includes("\0"))) {
    throw new DownbeatError(
      "DESTINATION_TABLE_INVALID",
      `table ${JSON.stringify(text)} is not a table name; write "table" or "schema.table", and double quotes around a part that contains a dot`,
    );
  }
  const [schema, name] = parts.length === 2 ? parts : [dialect.defaultSchema, parts[0]];
  if (schema === undefined || name === undefined || schema === BOOKKEEPING_SCHEMA) {
    throw new DownbeatError(
      "DESTINATION_TABLE_INVALID",
      `table ${JSON.stringify(text)}: schema ${BOOKKEEPING_SCHEMA} is Downbeat's own; use another`,
    );
  }
  for (const part of parts) dialect.checkName(part);
  return { schema, name };
};

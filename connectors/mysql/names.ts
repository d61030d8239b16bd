// Stream names and quoted identifiers.

import { DownbeatError } from "../../core/errors.ts";
import { quoteIdentifier, splitName } from "../lib/load/names.ts";

export interface StreamName {
  readonly database: string;
  readonly table: string;
}

export const quote = (name: string): string => `\`${name.replaceAll("`", "``")}\``;

export const parseStream = (stream: string, database: string): StreamName => {
  const parts = splitName(stream);
  const [first, second] = parts ?? [];
  if (first === undefined || (parts?.length ?? 0) > 2 || parts?.includes("") === true) {
    throw new DownbeatError(
      "SOURCE_STREAM_NOT_FOUND",
      `"${stream}" is not a table name; write "table" or "database.table", and double quotes around a part that contains a dot`,
    );
  }
  return second === undefined ? { database, table: first } : { database: first, table: second };
};

export const quoteStream = ({ database, table }: StreamName): string => `${quote(database)}.${quote(table)}`;

/** As `parseStream` reads it, within the connection's own database. */
export const streamName = (table: string): string => (/^[^."\s]+$/.test(table) ? table : quoteIdentifier(table));

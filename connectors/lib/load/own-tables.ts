// The definitions of Downbeat's own tables in a destination.

import { BOOKKEEPING_SCHEMA, quoteIdentifier } from "./names.ts";
import type { OwnTables } from "./session.ts";

/** INSERT … VALUES; `unlessThere` ends it where a row may be there already. */
export const insertValues = (
  table: string,
  columns: readonly string[],
  rows: readonly (readonly string[])[],
  unlessThere: string | undefined,
): string =>
  `insert into ${table} (${columns.map(quoteIdentifier).join(", ")}) values ${rows.map((row) => `(${row.join(", ")})`).join(", ")} ${unlessThere ?? ""}`;

/** For systems that enforce no uniqueness: a row that must be the only one of its key is merged. A NULL gets a type, which a query that stands alone cannot tell. */
export const mergeNew = (
  table: string,
  columns: readonly string[],
  rows: readonly (readonly string[])[],
  key: readonly string[],
): string => {
  const names = columns.map(quoteIdentifier);
  const typed = (value: string): string => (value === "null" ? "cast(null as string)" : value);
  const selects = rows.map((row) => `select ${row.map((value, place) => `${typed(value)} as ${names[place]!}`).join(", ")}`);
  const matches = key.map((name) => `t.${quoteIdentifier(name)} = s.${quoteIdentifier(name)}`).join(" and ");
  return `merge into ${table} as t using (select distinct * from (${selects.join(" union all ")})) as s on ${matches}
    when not matched then insert (${names.join(", ")}) values (${names.map((name) => `s.${name}`).join(", ")})`;
};

/** Of systems that speak as PostgreSQL does. */
export const ownTables: OwnTables = {
  table: (name) => ({ schema: BOOKKEEPING_SCHEMA, name }),
  text: "text",
  moment: "timestamptz",
  now: "now()",
  newId: "cast(gen_random_uuid() as text)",
  unique: (texts, numbers = []) => `primary key (${[...texts, ...numbers].map(quoteIdentifier).join(", ")})`,
  insert: (table, columns, rows, key) =>
    insertValues(table, columns, rows, key === undefined ? undefined : `on conflict (${key.map(quoteIdentifier).join(", ")}) do nothing`),
};

export type OwnTable = "loads" | "cursors" | "receipts" | "items" | "dead_letters" | "schema_changes";

/** Read by people too: docs/reference/bookkeeping.md describes every column. */
export const definitions = (
  { text, moment, newId, newIdAsDefault, unique }: OwnTables,
  named: (table: OwnTable) => string,
): readonly string[] => [
  // One row a load: a key (pipeline, task, stream) in one origin run. seq goes up with every commit and fences off overtaken attempts.
  `create table if not exists ${named("loads")} (
     "key" ${text} not null, "origin" ${text} not null, "seq" bigint not null, "table_name" ${text} not null, "mode" ${text} not null,
     "position" ${text}, "bounds" ${text} not null, "rows" bigint not null, "bytes" bigint not null, "dead_letters" bigint not null,
     "chunks" bigint not null, "complete" boolean not null, "done" boolean not null,
     "started_at" ${moment} not null, "updated_at" ${moment} not null, ${unique(["key", "origin"])})`,
  // Where the next run of an incremental load goes on, whichever run moved it last.
  `create table if not exists ${named("cursors")} (
     "key" ${text} not null, "position" ${text}, "origin" ${text} not null, "seq" bigint not null, "updated_at" ${moment} not null, ${unique(["key"])})`,
  // The proof of each committed chunk.
  `create table if not exists ${named("receipts")} (
     "key" ${text} not null, "origin" ${text} not null, "seq" bigint not null, "start_hash" ${text} not null, "rows" bigint not null,
     "bytes" bigint not null, "dead_letters" bigint not null, "committed_at" ${moment} not null, ${unique(["key", "origin"], ["seq"])})`,
  // Objects and files that were read to their end.
  `create table if not exists ${named("items")} (
     "key" ${text} not null, "item" ${text} not null, "origin" ${text} not null, ${unique(["key", "item"])})`,
  // Rows that could not be read, for people to repair.
  `create table if not exists ${named("dead_letters")} (
     "key" ${text} not null, "origin" ${text} not null, "place" ${text} not null, "code" ${text} not null, "reason" ${text} not null,
     "raw" ${text} not null, "at" ${moment} not null, "id" ${text}${newIdAsDefault === false ? "" : ` default ${newId}`} not null, ${unique(["id"])})`,
  // How streams and tables came to differ, and what was done; the last of all tables, so that where it is, all are.
  `create table if not exists ${named("schema_changes")} (
     "key" ${text} not null, "origin" ${text} not null, "table_name" ${text} not null, "column_name" ${text} not null, "change" ${text} not null,
     "type_before" ${text}, "type_after" ${text}, "at" ${moment} not null, ${unique(["key", "origin", "column_name", "change"])})`,
];

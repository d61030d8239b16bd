// How tables are defined and written to in MySQL and MariaDB, in a session with ANSI_QUOTES.

import { DownbeatError } from "../../core/errors.ts";
import { quoteIdentifier, quoteText } from "../lib/load/names.ts";
import { insertValues } from "../lib/load/own-tables.ts";
import type { Dialect, OwnTables, TableColumn } from "../lib/load/session.ts";
import { toSqlType } from "./table-types.ts";

/** https://dev.mysql.com/doc/refman/8.4/en/identifier-length.html */
const NAME_LENGTH = 64;
/** Characters of a text that an index takes: four of them, at four bytes each, are within InnoDB's 3,072 bytes. */
const INDEXED_LENGTH = 180;

const checkName = (name: string): void => {
  const { length } = name;
  const why =
    length === 0 || length > NAME_LENGTH
      ? `names have 1 to ${NAME_LENGTH} characters, this one has ${length}`
      : /[\0\u{10000}-\u{10ffff}]| $/u.test(name)
        ? "names have no NUL, no characters beyond U+FFFF and no space at their end"
        : undefined;
  if (why === undefined) return;
  throw new DownbeatError(
    "DESTINATION_TABLE_INVALID",
    `${JSON.stringify(name)} cannot be a name in MySQL: ${why}; rename it in the source's query`,
    { details: { name, length } },
  );
};

/** In the connection's own database: other databases of the server may belong to others. A text has no length that an index could take, so its hash is unique instead. */
const ownTables = (database: string, text: string): OwnTables => ({
  table: (name) => ({ schema: database, name: `_downbeat_${name}` }),
  text,
  moment: "datetime(6)",
  now: "now(6)",
  // As a default it wants parentheses.
  newId: "(uuid())",
  unique: (texts, numbers = []) => {
    const columns = [...texts, ...numbers].map(quoteIdentifier).join(", ");
    const found = [...texts.map((name) => `${quoteIdentifier(name)}(${INDEXED_LENGTH})`), ...numbers.map(quoteIdentifier)].join(", ");
    return `"_id" binary(32) generated always as (unhex(sha2(concat_ws(char(10), ${columns}), 256))) stored, unique key "_id" ("_id"), key "_found" (${found})`;
  },
  insert: (table, columns, rows, key) => {
    const [first] = (key ?? []).map(quoteIdentifier);
    return insertValues(table, columns, rows, first === undefined ? undefined : `on duplicate key update ${first} = ${first}`);
  },
});

const indexed = ({ name, type }: TableColumn): string =>
  quoteIdentifier(name) + (type?.kind === "string" || type?.kind === "binary" || type?.kind === "json" ? `(${INDEXED_LENGTH})` : "");

export const mysqlDialect = (database: string, textCollation: string): Dialect => ({
  title: "MySQL",
  defaultSchema: database,
  ownTables: ownTables(database, `longtext character set utf8mb4 collate ${textCollation}`),
  definesInTransactions: false,
  stagingSchema: ({ schema }) => schema,
  checkName,
  fold: (name) => name.toLowerCase(),
  sqlType: (type, column) => toSqlType(type, column, textCollation),
  heldAs: (type) => (type.kind === "timestamptz" ? { kind: "timestamp" } : type),
  // Text for a number or a time is rounded without a word.
  takesText: (sqlType) => /^(?:enum|set|char|inet[46])\b/.test(sqlType),
  temporary: (name) => `${quoteIdentifier(database)}.${quoteIdentifier(name)}`,
  emptyTemporary: (relation) => `delete from ${relation}`,
  rowNumber: { column: "_downbeat_row", definition: "_downbeat_row bigint not null auto_increment primary key" },
  keyIndex: (relation, columns) => `create index ${quoteIdentifier("_downbeat_key")} on ${relation} (${columns.map(indexed).join(", ")})`,
  deleteMatching: (relation, other, condition) => `delete from t using ${relation} as t, ${other} as s where ${condition("t")}`,
  // Strict mode refuses what an assignment would cut.
  assign: (expression) => expression,
  alterType: (relation, { name, attributes = "" }, sqlType) =>
    `alter table ${relation} modify column ${quoteIdentifier(name)} ${sqlType}${attributes}`,
});

/** A row of SHOW FULL COLUMNS: what MODIFY would drop if it were not said again. */
export const attributesOf = (shown: Readonly<Record<string, unknown>>): string => {
  const [extra, fallback, comment] = [String(shown["Extra"]), shown["Default"], String(shown["Comment"])];
  // Of types that can be widened a default that is no number, date or time is an expression.
  const isExpression = /DEFAULT_GENERATED/i.test(extra) || !/^-?\d[\d.:-]*( [\d.:]+)?(e[-+]?\d+)?$/i.test(String(fallback));
  return [
    shown["Null"] === "NO" ? " not null" : "",
    fallback === null ? "" : ` default ${isExpression ? `(${String(fallback)})` : quoteText(String(fallback).replaceAll("\\", "\\\\"))}`,
    /auto_increment/i.test(extra) ? " auto_increment" : "",
    comment === "" ? "" : ` comment ${quoteText(comment.replaceAll("\\", "\\\\"))}`,
  ].join("");
};

// How tables are defined and written to in Redshift.

import type { ColumnType } from "../batch.ts";
import { BOOKKEEPING_SCHEMA, namesUpTo, quoteIdentifier } from "../lib/load/names.ts";
import { insertValues } from "../lib/load/own-tables.ts";
import type { Dialect, OwnTables } from "../lib/load/session.ts";
import { LONGEST_TEXT, TEXT_TYPE, toSqlType } from "./types.ts";
import { widenColumn } from "./widen-column.ts";

/** https://docs.aws.amazon.com/redshift/latest/dg/r_names.html */
const NAME_BYTES = 127;

/** Quoted or not, letters of ASCII have no case there, and are kept as small ones. */
export const folded = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());

/** Nothing enforces uniqueness there; commits come one after the other, so what is not there when it is looked for is not there. Parameters of these rows are texts. */
const insertNew = (table: string, columns: readonly string[], rows: readonly (readonly string[])[], key: readonly string[]): string => {
  const names = columns.map(quoteIdentifier);
  const typed = (value: string): string => (value.startsWith("$") || value === "null" ? `cast(${value} as ${TEXT_TYPE})` : value);
  const selects = rows.map((row) => `select ${row.map((value, place) => `${typed(value)} as ${names[place]!}`).join(", ")}`);
  const matches = key.map((name) => `t.${quoteIdentifier(name)} = s.${quoteIdentifier(name)}`).join(" and ");
  return `insert into ${table} (${names.join(", ")}) select distinct ${names.map((name) => `s.${name}`).join(", ")} from (${selects.join(" union all ")}) as s
    where not exists (select 1 from ${table} as t where ${matches})`;
};

const ownTables: OwnTables = {
  table: (name) => ({ schema: BOOKKEEPING_SCHEMA, name }),
  text: TEXT_TYPE,
  longestText: LONGEST_TEXT,
  moment: "timestamp with time zone",
  // now() is of the leader node alone.
  now: "sysdate",
  newId: "md5(cast(random() as varchar(40)))",
  // A default is worked out once for all rows of a statement.
  newIdAsDefault: false,
  // Said for people, tools and the planner.
  unique: (texts, numbers = []) => `primary key (${[...texts, ...numbers].map(quoteIdentifier).join(", ")})`,
  insert: (table, columns, rows, key) =>
    key === undefined ? insertValues(table, columns, rows, undefined) : insertNew(table, columns, rows, key),
};

/** Into a text column everything goes that has a text form; other assignments are Redshift's own. A cast to the column's length would cut, the assignment refuses. */
const assign = (expression: string, type: ColumnType, sqlType: string): string => {
  if (!sqlType.startsWith("char") || type.kind === "string" || type.kind === "uuid") return expression;
  if (type.kind === "bool") return `case when ${expression} then 'true' when not ${expression} then 'false' end`;
  if (type.kind === "json") return `json_serialize(${expression})`;
  return `cast(${expression} as ${TEXT_TYPE})`;
};

export const redshiftDialect = (defaultSchema: string): Dialect => ({
  title: "Redshift",
  defaultSchema,
  ownTables,
  definesInTransactions: true,
  // No table can be moved to another schema.
  stagingSchema: ({ schema }) => schema,
  checkName: namesUpTo(NAME_BYTES, "Redshift"),
  fold: folded,
  sqlType: toSqlType,
  takesText: (sqlType) => sqlType.startsWith("char"),
  temporary: quoteIdentifier,
  // TRUNCATE commits.
  emptyTemporary: (relation) => `delete from ${relation}`,
  rowNumber: { column: "_downbeat_row", definition: "_downbeat_row bigint" },
  keyIndex: () => undefined,
  // The table itself can have no other name there.
  deleteMatching: (relation, other, condition) => `delete from ${relation} using ${other} as s where ${condition(relation)}`,
  assign,
  // Redshift itself lengthens VARCHAR columns, and not within a transaction.
  alterType: (relation, column, sqlType) => (session) => widenColumn(session, { relation, column, sqlType }),
});

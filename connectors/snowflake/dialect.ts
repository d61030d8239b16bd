// How tables are defined and written to in Snowflake, in a session that takes quoted names for upper case, as it takes unquoted ones.

import { DownbeatError } from "../../core/errors.ts";
import { BOOKKEEPING_SCHEMA, quoteIdentifier } from "../lib/load/names.ts";
import { insertValues, mergeNew } from "../lib/load/own-tables.ts";
import type { Dialect, OwnTables } from "../lib/load/session.ts";
import { toSqlType } from "./types.ts";

/** https://docs.snowflake.com/en/sql-reference/identifiers */
const NAME_LENGTH = 255;

const checkName = (name: string): void => {
  const { length } = name;
  if (length > 0 && length <= NAME_LENGTH && !name.includes("\0")) return;
  throw new DownbeatError(
    "DESTINATION_TABLE_INVALID",
    `${JSON.stringify(name)} cannot be a name in Snowflake: names have 1 to ${NAME_LENGTH} characters, this one has ${length}; rename it in the source's query`,
    { details: { name, length } },
  );
};

const ownTables: OwnTables = {
  table: (name) => ({ schema: BOOKKEEPING_SCHEMA, name }),
  text: "varchar",
  moment: "timestamp_tz",
  now: "current_timestamp()",
  newId: "uuid_string()",
  // Said for people and tools.
  unique: (texts, numbers = []) => `primary key (${[...texts, ...numbers].map(quoteIdentifier).join(", ")})`,
  // Merges into one table come one after the other.
  insert: (table, columns, rows, key) =>
    key === undefined ? insertValues(table, columns, rows, undefined) : mergeNew(table, columns, rows, key),
};

/** All that Snowflake makes of a column: more digits, not another scale; more characters. https://docs.snowflake.com/en/sql-reference/sql/alter-table-column */
const isLonger = (before: string, after: string): boolean => {
  const [had, gets] = [before, after].map((sqlType) => /^(NUMBER|VARCHAR)\((\d+)(,\d+)?\)$/.exec(sqlType));
  return had !== null && gets !== null && had?.[1] === gets?.[1] && had?.[3] === gets?.[3] && Number(had?.[2]) < Number(gets?.[2]);
};

export const snowflakeDialect = (defaultSchema: string): Dialect => ({
  title: "Snowflake",
  defaultSchema,
  ownTables,
  // Every definition, temporary or not, commits the open transaction: https://docs.snowflake.com/en/sql-reference/transactions#ddl
  definesInTransactions: false,
  temporaryLikeTable: true,
  stagingSchema: () => BOOKKEEPING_SCHEMA,
  checkName,
  fold: (name) => name.toLowerCase(),
  sqlType: toSqlType,
  takesText: () => false,
  temporary: quoteIdentifier,
  emptyTemporary: (relation) => `delete from ${relation}`,
  rowNumber: { column: "_downbeat_row", definition: "_downbeat_row number(38,0)" },
  keyIndex: () => undefined,
  deleteMatching: (relation, other, condition) => `delete from ${relation} as t using ${other} as s where ${condition("t")}`,
  // A text that is too long, or a number of too many digits, is refused by the assignment.
  assign: (expression) => expression,
  alterType: (relation, { name, sqlType: before }, sqlType) =>
    isLonger(before, sqlType) ? `alter table ${relation} alter column ${quoteIdentifier(name)} set data type ${sqlType}` : undefined,
});

// How tables are defined and written to in BigQuery. Names come in double quotes; google-sql.ts writes them as BigQuery does.

import { createHash } from "node:crypto";
import { DownbeatError } from "../../core/errors.ts";
import { BOOKKEEPING_SCHEMA, quoteIdentifier } from "../lib/load/names.ts";
import { insertValues, mergeNew } from "../lib/load/own-tables.ts";
import type { Dialect, OwnTables } from "../lib/load/session.ts";
import { toSqlType } from "./types.ts";

/** https://cloud.google.com/bigquery/docs/schemas#flexible-column-names; tables take fewer characters, which BigQuery says by itself. */
const NAME_LENGTH = 300;
const FORBIDDEN = /[^\p{L}\p{N}\p{M}\p{Pc}\p{Pd}\p{Sc}&%=+:'<>#|\t ]/u;
const RESERVED = /^(_TABLE_|_FILE_|_PARTITION|_ROW_TIMESTAMP|__ROOT__|_COLIDENTIFIER|_CHANGE_)/i;

const checkName = (name: string): void => {
  const { length } = name;
  const forbidden = FORBIDDEN.exec(name)?.[0];
  const why =
    length === 0 || length > NAME_LENGTH
      ? `names have 1 to ${NAME_LENGTH} characters, this one has ${length}`
      : forbidden !== undefined
        ? `names have letters, digits, spaces and _ - & % = + : ' < > # |, and no ${JSON.stringify(forbidden)}`
        : RESERVED.test(name)
          ? "it begins as BigQuery's own columns do"
          : undefined;
  if (why === undefined) return;
  throw new DownbeatError(
    "DESTINATION_TABLE_INVALID",
    `${JSON.stringify(name)} cannot be a name in BigQuery: ${why}; rename it in the source's query`,
    { details: { name, length } },
  );
};

/** What a key's own tables end with: readable, and no other key's. */
export const flowSuffix = (key: string): string => {
  const readable = key.replaceAll(/\W+/g, "_").slice(0, 60);
  return `${readable}_${createHash("sha256").update(key).digest("hex").slice(0, 12)}`;
};

/** A transaction's tables lie in one location, and each has a dataset of Downbeat's own. Its name begins with an underscore: it is hidden from people who do not look for it. */
export const ownDataset = (location: string): string => `${BOOKKEEPING_SCHEMA}_${location.toLowerCase().replaceAll(/\W/g, "_")}`;

/** Transactions conflict by tables: flows that shared one would undo each other's. Dead letters are only added by loads, which conflicts with nothing, and replayed under other keys. */
const ownTables = (dataset: string, key: string): OwnTables => ({
  table: (name) => ({ schema: dataset, name: name === "dead_letters" ? name : `${name}_${flowSuffix(key)}` }),
  text: "string",
  moment: "timestamp",
  now: "current_timestamp()",
  newId: "generate_uuid()",
  // Said for people and tools.
  unique: (texts, numbers = []) => `primary key (${[...texts, ...numbers].map(quoteIdentifier).join(", ")}) not enforced`,
  insert: (table, columns, rows, uniqueBy) =>
    uniqueBy === undefined ? insertValues(table, columns, rows, undefined) : mergeNew(table, columns, rows, uniqueBy),
});

interface Digits {
  readonly big: boolean;
  readonly whole: number;
  readonly scale: number;
}

const digitsOf = (sqlType: string): Digits | undefined => {
  if (sqlType === "INT64") return { big: false, whole: 19, scale: 0 };
  const [, big, precision, scale] = /^(BIG)?NUMERIC\((\d+), (\d+)\)$/.exec(sqlType) ?? [];
  return precision === undefined ? undefined : { big: big !== undefined, whole: Number(precision) - Number(scale), scale: Number(scale) };
};

/** More digits, before and behind the point: all that BigQuery makes of a column without loss. https://cloud.google.com/bigquery/docs/managing-table-schemas#change_column_data_type */
const isWider = (before: string, after: string): boolean => {
  const [had, gets] = [digitsOf(before), digitsOf(after)];
  return had !== undefined && gets !== undefined && (gets.big || !had.big) && had.whole <= gets.whole && had.scale <= gets.scale;
};

export const bigqueryDialect = ({
  dataset,
  own,
  key,
}: {
  readonly dataset: string;
  readonly own: string;
  readonly key: string;
}): Dialect => ({
  title: "BigQuery",
  defaultSchema: dataset,
  ownTables: ownTables(own, key),
  // Permanent tables are defined between transactions only: https://cloud.google.com/bigquery/docs/transactions#supported_statements
  definesInTransactions: false,
  temporaryLikeTable: true,
  stagingSchema: () => own,
  checkName,
  fold: (name) => name.toLowerCase(),
  sqlType: toSqlType,
  takesText: () => false,
  temporary: quoteIdentifier,
  emptyTemporary: (relation) => `delete from ${relation} where true`,
  rowNumber: { column: "_downbeat_row", definition: "_downbeat_row int64" },
  keyIndex: () => undefined,
  deleteMatching: (relation, other, condition) =>
    `delete from ${relation} as t where exists (select 1 from ${other} as s where ${condition("t")})`,
  assign: (expression) => expression,
  // Whole numbers that a double would round are not asked for.
  alterType: (relation, { name, sqlType: before }, sqlType) =>
    isWider(before, sqlType) || (before === "INT64" && sqlType === "FLOAT64")
      ? `alter table ${relation} alter column ${quoteIdentifier(name)} set data type ${sqlType}`
      : undefined,
});

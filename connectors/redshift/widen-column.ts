// A wider type for a column of Redshift, which alters none: another column takes its place, within the open transaction.
// https://docs.aws.amazon.com/redshift/latest/dg/r_ALTER_TABLE.html

import { DownbeatError } from "../../core/errors.ts";
import { quoteIdentifier, splitName } from "../lib/load/names.ts";
import type { LoadSession, TableColumn } from "../lib/load/session.ts";
import { sqlStateOf } from "./errors.ts";

interface Widening {
  /** Quoted. */
  readonly relation: string;
  readonly column: TableColumn;
  readonly sqlType: string;
}

const WIDER = "_downbeat_wider";

const HANGS_ON = {
  distributes: "the distribution key",
  sorts: "of the sort key",
  filled: "NOT NULL",
  defaulted: "given a default or an identity",
  granted: "granted on its own",
  keyed: "of a primary, unique or foreign key",
} as const;

export const widenColumn = async (session: LoadSession, widening: Widening): Promise<void> => {
  const { relation, column, sqlType } = widening;
  await refuseWhatWouldGo(session, widening);
  const [before, wider] = [column.name, WIDER].map(quoteIdentifier) as [string, string];
  await session.run(`alter table ${relation} add column ${wider} ${sqlType}`);
  await session.run(`update ${relation} set ${wider} = ${session.dialect.assign(before, column.type!, sqlType)}`);
  await refuseLostDigits(session, widening);
  try {
    await session.run(`alter table ${relation} drop column ${before}`);
  } catch (error) {
    throw isInUse(error) ? refused(widening, `Redshift does not drop the old one (${error.message})`, error) : error;
  }
  await session.run(`alter table ${relation} rename column ${wider} to ${before}`);
};

/** What hangs on a column and would silently be gone with it, or keeps it from being dropped after all of its values have been written again. */
const refuseWhatWouldGo = async (session: LoadSession, widening: Widening): Promise<void> => {
  const [schema, name] = splitName(widening.relation) ?? [];
  // The temporary table of a load: nobody else has hung anything on it.
  if (name === undefined) return;
  const { fold } = session.dialect;
  const { rows } = await session.run(
    `select a.attisdistkey as distributes, a.attsortkeyord <> 0 as sorts, a.attnotnull as filled, a.atthasdef as defaulted, a.attacl is not null as granted,
       exists (select 1 from pg_constraint k where k.conrelid = a.attrelid and a.attnum = any (k.conkey)) as keyed
     from pg_attribute_info a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = $1 and c.relname = $2 and a.attname = $3`,
    [fold(schema!), fold(name), widening.column.name],
  );
  if (rows.length === 0) throw refused(widening, "and the catalogue does not tell what hangs on the old one");
  const found = Object.entries(HANGS_ON).flatMap(([key, what]) => (rows[0]?.[key] === true ? [what] : []));
  if (found.length > 0) throw refused(widening, `the old one is ${found.join(", ")}`);
};

/** How many digits a cast of a number with a floating point writes is Redshift's own affair. */
const refuseLostDigits = async (session: LoadSession, widening: Widening): Promise<void> => {
  const { relation, column, sqlType } = widening;
  const isFloat = column.type?.kind === "float32" || column.type?.kind === "float64";
  if (!isFloat || !sqlType.startsWith("char")) return;
  const { rows } = await session.run(
    `select count(*) as n from ${relation} where cast(${quoteIdentifier(WIDER)} as ${column.sqlType}) <> ${quoteIdentifier(column.name)}`,
  );
  const count = Number(rows[0]?.["n"]);
  if (count > 0) throw refused(widening, `as text, ${count} values would not be the same numbers`);
};

/** Views, keys of other tables, policies, and keys of any kind that Redshift has chosen by itself. */
const isInUse = (error: unknown): error is DownbeatError =>
  error instanceof DownbeatError && (sqlStateOf(error) === "2BP01" || /cannot drop .*column|depends? on/i.test(error.message));

const refused = ({ relation, column, sqlType }: Widening, why: string, cause?: unknown): DownbeatError =>
  new DownbeatError(
    "DESTINATION_SCHEMA_MISMATCH",
    `table ${relation}: column "${column.name}" is ${column.sqlType} and needs to become ${sqlType}, for which Redshift wants another column in its place; ${why}. ` +
      `Take off what hangs on the column for this change, make the table anew with the wider type, or cast the column (columns.cast, or in the source's query)`,
    { cause, details: { column: column.name, table: column.sqlType, wanted: sqlType } },
  );

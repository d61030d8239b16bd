// The types of a CSV file's columns, from all of its values: a type only where every value has it exactly, text otherwise.

import type { DuckDBConnection } from "@duckdb/node-api";
import type { Column, ColumnType } from "../../batch.ts";
import { commonType } from "../infer.ts";

const DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}";
const CLOCK = String.raw`([01][0-9]|2[0-3]):[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?`;
const ZONE = "(Z|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)";

const matches = (field: string, pattern: string): string => `regexp_full_match(${field}, '${pattern}')`;

/** What a value can be, one bit each; "007" and "1.50000000000000001" are text, since no number gives them back. */
const KINDS = [
  ["empty", (field) => `${field} = ''`],
  ["whole", (field) => `${matches(field, "0|-?[1-9][0-9]{0,15}")} and abs(try_cast(${field} as bigint)) <= 9007199254740992`],
  ["large", (field) => `${matches(field, "-?[1-9][0-9]{15,18}")} and try_cast(${field} as bigint) is not null`],
  [
    "fraction",
    (field) =>
      `${matches(field, String.raw`-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`)} and isfinite(try_cast(${field} as double)) ` +
      `and (length(ltrim(regexp_replace(${field}, '[eE].*$|[^0-9]', '', 'g'), '0')) <= 15 or try_cast(${field} as double)::varchar = ${field})`,
  ],
  ["bool", (field) => `lower(${field}) in ('true', 'false')`],
  ["date", (field) => `${matches(field, DATE)} and try_cast(${field} as date) is not null`],
  ["timestamp", (field) => `${matches(field, `${DATE}[ T]${CLOCK}`)} and try_cast(${field} as timestamp) is not null`],
  [
    "timestamptz",
    (field) =>
      `${matches(field, `${DATE}[ T]${CLOCK}${ZONE}`)} and try_cast(regexp_replace(${field}, '${ZONE}$', '') as timestamp) is not null`,
  ],
] as const satisfies readonly (readonly [name: string, test: (field: string) => string])[];

type Kind = (typeof KINDS)[number][0];

/** A condition in SQL: whether a field's value is of one of these kinds. */
export const isOfKind = (field: string, ...kinds: readonly Kind[]): string =>
  KINDS.filter(([kind]) => kinds.includes(kind))
    .map(([, test]) => `(${test(field)})`)
    .join(" or ");

const TEXT = 1 << KINDS.length;
/** Of a column whose values are all empty texts: the only kind that says less than it seems to. */
const EMPTY = 1 << KINDS.findIndex(([kind]) => kind === "empty");

/** Rows from which types are guessed. */
const BEGINNING = 20_000;
/** What any of them begins with; 0 is the empty text's. */
const FIRST = [0, ...Array.from("-0123456789tTfF", (character) => character.charCodeAt(0))];

const kindsOf = (field: string): string => {
  const cases = KINDS.map(([, test], bit) => `when ${test(field)} then ${1 << bit}`);
  // Most texts tell by their first character.
  return `coalesce(bit_or(case when ${field} is null then 0 when ascii(${field}) not in (${FIRST.join(", ")}) then ${TEXT} ${cases.join(" ")} else ${TEXT} end), 0)`;
};

const STRING: ColumnType = { kind: "string" };

/** Undefined: there is no value that tells. */
const typeOf = (mask: number): ColumnType | undefined => {
  const found = new Set(KINDS.filter((_, bit) => (mask & (1 << bit)) !== 0).map(([name]) => name));
  // An empty text among numbers stands for no number.
  const quotedEmpty = found.delete("empty");
  if (mask >= TEXT) return STRING;
  if (found.size === 0) return quotedEmpty ? STRING : undefined;
  const only = (...names: readonly string[]): boolean => [...found].every((name) => names.includes(name));
  if (only("whole", "large")) return { kind: "int64" };
  if (only("whole", "fraction")) return { kind: "float64" };
  if (only("bool")) return { kind: "bool" };
  if (only("date")) return { kind: "date" };
  if (only("timestamp")) return { kind: "timestamp" };
  return only("timestamptz") ? { kind: "timestamptz" } : STRING;
};

export interface CsvFields {
  /** The reader's names of the columns. */
  readonly fields: readonly string[];
  readonly names: readonly string[];
  /** Types of earlier files are only widened; a column without any value keeps the one it had. */
  readonly known: readonly Column[];
}

const masksOf = async (connection: DuckDBConnection, reader: string, fields: readonly string[]): Promise<readonly number[]> => {
  const result = await connection.runAndReadAll(`select ${fields.map(kindsOf).join(", ")} from ${reader}`);
  return (result.getRowsJson()[0] ?? []).map(Number);
};

const columnsOf = (masks: readonly number[], { names, known }: CsvFields): readonly Column[] =>
  names.map((name, place) => {
    const before = known.find((column) => column.name === name)?.type;
    const mask = masks[place] ?? 0;
    // Empty texts alone stand for missing values where a type is known.
    const found = before !== undefined && mask === EMPTY ? undefined : typeOf(mask);
    const type = before === undefined ? (found ?? STRING) : found === undefined ? before : commonType(before, found);
    return { name, type, nullable: true };
  });

/** Reads the whole file once. */
export const inferTypes = async (connection: DuckDBConnection, reader: string, csv: CsvFields): Promise<readonly Column[]> =>
  columnsOf(await masksOf(connection, reader, csv.fields), csv);

/**
 * From earlier files, else from the file's beginning alone. The types are those of the whole file where each further value is of its column's type or missing.
 * Undefined: neither tells that much.
 */
export const guessTypes = async (connection: DuckDBConnection, reader: string, csv: CsvFields): Promise<readonly Column[] | undefined> => {
  const { names, known } = csv;
  // Later files of a stream are mostly like those before, and looking at a small one takes longer than converting it.
  const before = names.map((name) => known.find((column) => column.name === name)?.type);
  const types = before.filter((type) => type !== undefined);
  if (types.length === names.length) return types.map((type, place) => ({ name: names[place] ?? "", type, nullable: true }));
  const masks = await masksOf(connection, `(select * from ${reader} limit ${BEGINNING})`, csv.fields);
  return masks.every((mask) => mask !== 0 && mask !== EMPTY) ? columnsOf(masks, csv) : undefined;
};

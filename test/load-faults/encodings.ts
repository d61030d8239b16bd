// The events as the systems that hold them write them: CSV, JSON, SQL values.

import { COLUMNS, COLUMN_NAMES, type ColumnName, type Event } from "./rows.ts";

const TEXTS: ReadonlySet<ColumnName> = new Set(["name", "note", "day", "at", "moment"]);

const csvField = (name: ColumnName, text: string | null): string => {
  if (text === null) return "";
  if (name === "moment") return `${text}Z`;
  return TEXTS.has(name) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** A bad row has a quantity that is no number. */
export const csvOf = (events: readonly Event[]): string => {
  const line = ({ texts, isBad }: Event): string =>
    COLUMN_NAMES.map((name) => csvField(name, isBad && name === "quantity" ? "many" : texts[name])).join(",");
  return [COLUMN_NAMES.join(","), ...events.map(line), ""].join("\n");
};

/** Numbers keep all their digits. */
export const jsonOf = ({ texts }: Event): string => {
  const values = COLUMN_NAMES.map((name) => {
    const text = texts[name];
    if (text === null) return `"${name}":null`;
    const value = name === "moment" ? `${text}Z` : text;
    return `"${name}":${TEXTS.has(name) ? JSON.stringify(value) : value}`;
  });
  return `{${values.join(",")}}`;
};

/** A bad row is no JSON. */
export const jsonLineOf = (event: Event): string => (event.isBad ? `{"id": ${event.texts.id}, cut` : jsonOf(event));

/** DuckDB's types are written as ours, but for these. */
const DUCKDB: Partial<Record<ColumnName, string>> = {
  id: "BIGINT",
  version: "INTEGER",
  quantity: "INTEGER",
  ratio: "DOUBLE",
  name: "VARCHAR",
  note: "VARCHAR",
  moment: "TIMESTAMP",
};

/** What selects the columns of a CSV file, exactly, without guesses. */
export const duckdbReader = (file: string): string => {
  const types = COLUMN_NAMES.map((name) => `'${name}': '${DUCKDB[name] ?? COLUMNS[name]}'`).join(", ");
  const columns = COLUMN_NAMES.map((name) => (name === "moment" ? "moment::timestamptz as moment" : `"${name}"`)).join(", ");
  return `select ${columns} from read_csv('${file.replaceAll("'", "''")}', auto_detect = false, header = true, delim = ',', quote = '"', escape = '"', nullstr = '', allow_quoted_nulls = false, columns = {${types}})`;
};

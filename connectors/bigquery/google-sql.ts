// The load's statements, which quote names as the standard does, in GoogleSQL: names in backticks, `$1` as a named parameter with a type.

import type { SqlParam } from "../lib/load/session.ts";
import type { QueryParameter } from "./jobs.ts";

/** Texts, quoted names, parameters. Only Downbeat's own statements come here, whose texts hold no quotes. */
const TOKEN = /'[^']*'|"((?:[^"]|"")*)"|\$(\d+)/g;

/** A name as it is written in backticks. */
export const backticked = (name: string): string => `\`${name.replaceAll(/[\\`]/g, "\\$&")}\``;

export const toGoogleSql = (sql: string): string =>
  sql.replaceAll(TOKEN, (token, name: string | undefined, number: string | undefined) => {
    if (name !== undefined) return backticked(name.replaceAll('""', '"'));
    return number === undefined ? token : `@p${number}`;
  });

/** NULL has a type, too: text, which is all that Downbeat leaves out. */
const typeOf = (value: SqlParam): string => {
  if (typeof value === "boolean") return "BOOL";
  if (typeof value !== "number") return "STRING";
  return Number.isSafeInteger(value) ? "INT64" : "FLOAT64";
};

export const queryParameter = (name: string, value: SqlParam): QueryParameter => ({
  name,
  parameterType: { type: typeOf(value) },
  parameterValue: { value: value === null ? null : String(value) },
});

// Statements with parameters $1, $2, … for systems that number them by their places.

import type { SqlParam } from "./session.ts";

/** A parameter that is used twice is given twice. Only Downbeat's own statements have parameters, and no text in them looks like one. */
export const questionMarks = (
  sql: string,
  params: readonly SqlParam[],
): { readonly text: string; readonly values: readonly SqlParam[] } => {
  if (params.length === 0) return { text: sql, values: [] };
  const values: SqlParam[] = [];
  const text = sql.replaceAll(/\$(\d+)/g, (_, number: string) => {
    values.push(params[Number(number) - 1] ?? null);
    return "?";
  });
  return { text, values };
};

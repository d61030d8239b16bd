// Finds `:name` parameters in SQL, past strings, quoted names, dollar quotes, comments and `::` casts.

import { DownbeatError } from "../../core/errors.ts";
import type { Json } from "../../core/json.ts";

const TOKEN = /'(?:[^']|'')*'|"(?:[^"]|"")*"|\$([A-Za-z_]*)\$[\s\S]*?\$\1\$|--[^\n]*|\/\*[\s\S]*?\*\/|::|:([A-Za-z_]\w*)/g;

/** Replaces every `:name` by what `place` gives for it; answers the names in the order of their first use. */
export const rewriteParams = (
  sql: string,
  place: (name: string, index: number) => string,
): { readonly sql: string; readonly names: readonly string[] } => {
  const names: string[] = [];
  const rewritten = sql.replaceAll(TOKEN, (token: string, _tag: string | undefined, name: string | undefined) => {
    if (name === undefined) return token;
    if (!names.includes(name)) names.push(name);
    return place(name, names.indexOf(name));
  });
  return { sql: rewritten, names };
};

/** The values for the names that a statement uses; a name without a value is a fault. */
export const paramValues = (
  names: readonly string[],
  params: Readonly<Record<string, Json>>,
): readonly (string | number | boolean | null)[] =>
  names.map((name) => {
    if (!Object.hasOwn(params, name)) {
      throw new DownbeatError(
        "SQL_FAILED",
        `the SQL uses :${name}, but params has no "${name}"; given: ${Object.keys(params).join(", ") || "none"}`,
      );
    }
    const value = params[name] ?? null;
    return typeof value === "object" && value !== null ? JSON.stringify(value) : (value as string | number | boolean | null);
  });

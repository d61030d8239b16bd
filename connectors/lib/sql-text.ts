// Looks into SQL text as far as needed to bind `:name` parameters and to tell statements apart: strings, quoted names and comments stay as they are.

import { DownbeatError, type ErrorCode } from "../../core/errors.ts";
import type { Json } from "../../core/json.ts";

/** One statement: its text in pieces, with the names of parameters between them. */
export interface SqlStatement {
  /** Always one more than `names`. */
  readonly pieces: readonly string[];
  readonly names: readonly string[];
}

/** What is no code, each from its first character to its end. Dollar quotes and nested comments are PostgreSQL's and DuckDB's. */
const OPAQUE = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\$([A-Za-z_]\w*)?\$/y;
const ESCAPE_STRING = /[eE]'(?:[^'\\]|\\[\s\S]|'')*'/y;
const NAME = /:([A-Za-z_]\w*)/y;
/** `::type`, `a[1:b]`, `a[:b]`, `{'a':b}` and `x:y` are no parameters. */
const BEFORE_PARAMETER = /[\w:"'[\])}]/;

const missing = (name: string, given: Readonly<Record<string, Json>>): DownbeatError =>
  new DownbeatError("SQL_FAILED", `the SQL uses :${name}, but params has no "${name}"; given: ${Object.keys(given).join(", ") || "none"}`);

/** What of a text is no code, system by system. */
export interface SqlLexis {
  /** The end of the string, quoted name or comment that begins here, or here itself. */
  skip(sql: string, at: number): number;
  /** Comments, all of them; in `skip` they end where they do here. */
  readonly comments: RegExp;
}

/** Splits at semicolons and parameters; `null` = the text has no parameters. The lexis is PostgreSQL's and DuckDB's unless told otherwise. */
export const parseSql = (
  sql: string,
  given: Readonly<Record<string, Json>> | null,
  { skip, comments }: SqlLexis = standardLexis,
): readonly SqlStatement[] => {
  const statements: SqlStatement[] = [];
  let pieces: string[] = [];
  let names: string[] = [];
  let start = 0;
  let at = 0;
  const endStatement = (): void => {
    const last = sql.slice(start, at);
    if (pieces.length > 0 || last.replaceAll(comments, "").trim() !== "") statements.push({ pieces: [...pieces, last], names });
    pieces = [];
    names = [];
  };
  while (at < sql.length) {
    const skipped = skip(sql, at);
    if (skipped > at) {
      at = skipped;
      continue;
    }
    if (sql[at] === ";") {
      endStatement();
      at += 1;
      start = at;
      continue;
    }
    NAME.lastIndex = at;
    const name = NAME.exec(sql)?.[1];
    if (given !== null && name !== undefined && !BEFORE_PARAMETER.test(sql[at - 1] ?? " ")) {
      if (!Object.hasOwn(given, name)) throw missing(name, given);
      pieces.push(sql.slice(start, at));
      names.push(name);
      at += name.length + 1;
      start = at;
      continue;
    }
    at += 1;
  }
  endStatement();
  return statements;
};

const skipOpaque = (sql: string, at: number): number => {
  const isWordBefore = /\w/.test(sql[at - 1] ?? " ");
  ESCAPE_STRING.lastIndex = at;
  if (!isWordBefore && ESCAPE_STRING.test(sql)) return ESCAPE_STRING.lastIndex;
  if (sql.startsWith("/*", at)) return endOfComment(sql, at);
  OPAQUE.lastIndex = at;
  const match = OPAQUE.exec(sql);
  if (match === null) return at;
  if (!match[0].startsWith("$")) return OPAQUE.lastIndex;
  if (isWordBefore) return at;
  const end = sql.indexOf(match[0], OPAQUE.lastIndex);
  return end < 0 ? sql.length : end + match[0].length;
};

const endOfComment = (sql: string, at: number): number => {
  const marks = /\/\*|\*\//g;
  marks.lastIndex = at;
  let depth = 0;
  for (let mark = marks.exec(sql); mark !== null; mark = marks.exec(sql)) {
    depth += mark[0] === "/*" ? 1 : -1;
    if (depth === 0) return marks.lastIndex;
  }
  return sql.length;
};

export const standardLexis: SqlLexis = { skip: skipOpaque, comments: /--[^\n]*|\/\*[\s\S]*?\*\//g };

/** The statement's text with `place(n)` for its nth parameter (from 1). */
export const sqlWith = ({ pieces }: SqlStatement, place: (number: number) => string): string =>
  pieces.map((piece, index) => (index === 0 ? piece : `${place(index)}${piece}`)).join("");

/** A parameter as a scalar that drivers bind: objects and lists go as JSON text. */
export const scalar = (value: Json | undefined): string | number | boolean | null =>
  typeof value === "object" && value !== null ? JSON.stringify(value) : (value ?? null);

/** The one query that `query` takes. */
export const onlyStatement = (statements: readonly SqlStatement[], code: ErrorCode = "SQL_FAILED"): SqlStatement => {
  const [first] = statements;
  if (first !== undefined && statements.length === 1) return first;
  throw new DownbeatError(code, `a query must be one statement, this text has ${statements.length}`);
};

/** A source's query as a table to select from. */
export const queryAsTable = (sql: string): string => {
  const { pieces } = onlyStatement(parseSql(sql, null), "SOURCE_QUERY_FAILED");
  // The line break ends a comment that the query may end with.
  return `(${pieces.join("")}\n)`;
};

// What is no code in GoogleSQL: strings of one or three quotes, raw ones too, names in backticks, comments. https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical

import type { SqlLexis } from "../lib/sql-text.ts";

/** In a raw string, too, a backslash keeps the quote behind it from ending it. */
const OPAQUE =
  /'''(?:[^\\]|\\[\s\S])*?'''|"""(?:[^\\]|\\[\s\S])*?"""|'(?:[^'\\]|\\[\s\S])*'|"(?:[^"\\]|\\[\s\S])*"|`(?:[^`\\]|\\[\s\S])*`|(?:--|#)[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/y;

export const bigqueryLexis: SqlLexis = {
  skip: (sql, at) => {
    OPAQUE.lastIndex = at;
    return OPAQUE.test(sql) ? OPAQUE.lastIndex : at;
  },
  comments: /(?:--|#)[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/g,
};

// What is no code in MySQL's SQL: strings with backslashes, names in backticks, comments. https://dev.mysql.com/doc/refman/8.4/en/comments.html

import type { SqlLexis } from "../lib/sql-text.ts";

const OPAQUE = /'(?:[^'\\]|\\[\s\S]|'')*'|"(?:[^"\\]|\\[\s\S]|"")*"|`(?:[^`]|``)*`|#[^\n]*|--(?=\s|$)[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/y;

export const mysqlLexis: SqlLexis = {
  skip: (sql, at) => {
    OPAQUE.lastIndex = at;
    return OPAQUE.test(sql) ? OPAQUE.lastIndex : at;
  },
  // What stands in a comment that begins with an exclamation mark is run.
  comments: /#[^\n]*|--(?=\s|$)[^\n]*|\/\*(?!M?!)[\s\S]*?(?:\*\/|$)/g,
};

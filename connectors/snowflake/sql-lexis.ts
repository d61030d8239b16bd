// What is no code in Snowflake's SQL: strings with backslashes, quoted names, comments, texts between $$. https://docs.snowflake.com/en/sql-reference/data-types-text

import type { SqlLexis } from "../lib/sql-text.ts";

const OPAQUE = /'(?:[^'\\]|\\[\s\S]|'')*'|"(?:[^"]|"")*"|\$\$[\s\S]*?(?:\$\$|$)|(?:--|\/\/)[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/y;

export const snowflakeLexis: SqlLexis = {
  skip: (sql, at) => {
    OPAQUE.lastIndex = at;
    return OPAQUE.test(sql) ? OPAQUE.lastIndex : at;
  },
  comments: /(?:--|\/\/)[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/g,
};

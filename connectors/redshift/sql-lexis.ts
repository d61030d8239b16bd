// What is no code in Redshift's SQL: strings with backslashes, quoted names, comments, texts between $$. https://docs.aws.amazon.com/redshift/latest/dg/r_Character_types.html

import type { SqlLexis } from "../lib/sql-text.ts";

const OPAQUE = /'(?:[^'\\]|\\[\s\S]|'')*'|"(?:[^"]|"")*"|\$\$[\s\S]*?(?:\$\$|$)|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/y;

export const redshiftLexis: SqlLexis = {
  skip: (sql, at) => {
    OPAQUE.lastIndex = at;
    return OPAQUE.test(sql) ? OPAQUE.lastIndex : at;
  },
  comments: /--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/g,
};

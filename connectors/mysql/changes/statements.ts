// Statements in the log: what they do to a table without telling of its rows.

import type { StreamName } from "../names.ts";
import type { LoggedStatement } from "./log-event.ts";

/** `emptied`: all its rows are gone; `altered`: it has other columns or another name; `written`: rows have changed, but only the statement was logged. */
export type Effect = "commit" | "rollback" | "emptied" | "altered" | "written" | "none";

const COMMENTS = /\/\*(?!!)[\s\S]*?\*\/|--[^\n]*(?:\n|$)|#[^\n]*(?:\n|$)/g;
const NAME = String.raw`(?:\x60((?:[^\x60]|\x60\x60)+)\x60|([\w$\u0080-\uffff]+))`;
const TABLE = new RegExp(String.raw`${NAME}(?:\s*\.\s*${NAME})?`, "gu");

const EMPTIES = /^(?:truncate(?:\s+table)?|drop\s+tables?(?:\s+if\s+exists)?|create\s+or\s+replace\s+table)\b/i;
const ALTERS = /^(?:alter\s+(?:online\s+|ignore\s+)*table|rename\s+tables?)\b/i;
/** Partitions go with their rows, or come with rows of another table. */
const CHANGES_PARTITIONS = /\b(?:truncate|drop|discard|exchange)\s+partition\b/i;
const WRITES = /^(?:insert|replace|update|delete|load\s+data)\b/i;

/** What a statement does to `table`. */
export const effectOn = ({ database, sql }: LoggedStatement, table: StreamName): Effect => {
  const statement = sql.replace(COMMENTS, " ").trim();
  if (/^commit\b/i.test(statement)) return "commit";
  if (/^rollback\b(?!\s+to\b)/i.test(statement)) return "rollback";
  if (/^drop\s+(?:database|schema)\b/i.test(statement)) {
    return namesIn(statement, database).some(({ table: name }) => name === table.database) ? "emptied" : "none";
  }
  const effect = effectOf(statement);
  if (effect === "none") return "none";
  const isMeant = namesIn(statement.replace(BEHIND_NAMES, ""), database).some(
    (name) => name.database === table.database && name.table === table.table,
  );
  return isMeant ? effect : "none";
};

/** What follows on the names of the tables that a statement changes. */
const BEHIND_NAMES = /(?:\b(?:select|values?|set|where|like)\b|\()[\s\S]*$/i;

const effectOf = (statement: string): "emptied" | "altered" | "written" | "none" => {
  if (/^drop\s+temporary\b/i.test(statement)) return "none";
  if (EMPTIES.test(statement)) return "emptied";
  if (ALTERS.test(statement)) return CHANGES_PARTITIONS.test(statement) ? "emptied" : "altered";
  return WRITES.test(statement) ? "written" : "none";
};

/** All that may be names of tables: more than are. */
const namesIn = (statement: string, database: string): readonly StreamName[] =>
  [...statement.matchAll(TABLE)].map(([, quoted, plain, quotedSecond, plainSecond]) => {
    const first = quoted?.replaceAll("``", "`") ?? plain ?? "";
    const second = quotedSecond?.replaceAll("``", "`") ?? plainSecond;
    return second === undefined ? { database, table: first } : { database: first, table: second };
  });

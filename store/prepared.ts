// Statements that are made and planned once a connection, for what every run does.

import { createHash } from "node:crypto";
import type { SQL } from "drizzle-orm";
import { PgDialect } from "drizzle-orm/pg-core";
import type { Database } from "./database.ts";

const dialect = new PgDialect({ casing: "snake_case" });

/** The statement's values are its placeholders. */
export const prepared = <Row>(db: Database, statement: SQL): ((values: Readonly<Record<string, unknown>>) => Promise<readonly Row[]>) => {
  const { sql: text, params } = dialect.sqlToQuery(statement);
  // PostgreSQL keeps statements by name: another text must have another.
  const name = createHash("sha256").update(text).digest("hex").slice(0, 32);
  const query = db._.session.prepareQuery({ sql: text, params }, undefined, name, false);
  return async (values) => ((await query.execute({ ...values })) as { readonly rows: readonly Row[] }).rows;
};

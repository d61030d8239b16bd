// PostgreSQL's SQL role: a user's own statements in one transaction, and queries in batches.

import type { ConnectorContext, SqlWarehouse } from "../connector.ts";
import { quoteIdentifier, quoteName } from "../lib/load/names.ts";
import { onlyStatement, parseSql, scalar, sqlWith, type SqlStatement } from "../lib/sql-text.ts";
import type { Json } from "../../core/json.ts";
import { DownbeatError } from "../../core/errors.ts";
import { connectPostgres, type PostgresConfig } from "./client.ts";
import { postgresError } from "./errors.ts";
import { readColumns } from "./read-types.ts";
import { readCursor } from "./read.ts";

type Params = Readonly<Record<string, Json>>;

/** Every use of a parameter gets a number of its own: its type is told from where it stands. */
const bound = (
  statement: SqlStatement,
  params: Params,
): { readonly text: string; readonly values: (string | number | boolean | null)[] } => ({
  text: sqlWith(statement, (number) => `$${number}`),
  values: statement.names.map((name) => scalar(params[name])),
});

export const createPostgresWarehouse = (config: PostgresConfig, context: ConnectorContext, what: string): SqlWarehouse => ({
  quote: quoteName,

  async execute(sql, params = {}) {
    await using client = await connectPostgres(config, context, "sql", what);
    const statements = parseSql(sql, params);
    try {
      // A statement alone is its own transaction: some cannot run inside one.
      if (statements.length > 1) await client.driver.query("begin");
      let rowsAffected: number | null = null;
      for (const statement of statements) {
        const { text, values } = bound(statement, params);
        const result = await client.driver.query(text, values);
        rowsAffected = result.rowCount;
      }
      if (statements.length > 1) await client.driver.query("commit");
      return { rowsAffected };
    } catch (error) {
      // Leaving without a commit undoes what was done.
      throw postgresError(error, "sql", what, context.signal);
    }
  },

  async *query(sql, params = {}) {
    await using client = await connectPostgres(config, context, "sql", what);
    try {
      const { text, values } = bound(onlyStatement(parseSql(sql, params)), params);
      await client.driver.query("begin");
      const { fields } = await client.driver.query(`select * from (${text}\n) as q limit 0`, values);
      const columns = await readColumns(client.driver, fields);
      const names = columns.map((_, place) => quoteIdentifier(`c${place}`));
      const selected = columns.map(({ select }, place) => select(names[place]!)).join(", ");
      const batches = readCursor(
        client.driver,
        {
          sql: `select ${selected} from (${text}\n) as q (${names.join(", ")})`,
          params: values,
          columns: columns.map(({ column }) => column),
          positionOf: () => null,
        },
        context,
      );
      for await (const batch of batches) {
        const [reject] = batch.rejects ?? [];
        if (reject !== undefined) throw new DownbeatError("SQL_FAILED", `${what}: ${reject.where}: ${reject.reason}; cast it in the query`);
        yield batch;
      }
    } catch (error) {
      throw postgresError(error, "sql", what, context.signal);
    }
  },
});

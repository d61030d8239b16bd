// The SQL role of PostgreSQL, and of what speaks its protocol: a user's own statements in one transaction, and queries in batches.

import type { FieldDef } from "pg";
import type { ConnectorContext, SqlWarehouse } from "../connector.ts";
import { quoteIdentifier, quoteName } from "../lib/load/names.ts";
import type { PgClient } from "../lib/pg-client.ts";
import { onlyStatement, parseSql, scalar, sqlWith, standardLexis, type SqlLexis, type SqlStatement } from "../lib/sql-text.ts";
import type { Json } from "../../core/json.ts";
import { DownbeatError } from "../../core/errors.ts";
import { connectPostgres, type PostgresConfig } from "./client.ts";
import { postgresError } from "./errors.ts";
import { readColumns, type ReadColumn } from "./read-types.ts";
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

/** A system that speaks PostgreSQL's protocol. */
export interface PgSystem {
  connect(): Promise<PgClient>;
  failure(error: unknown): unknown;
  readonly lexis: SqlLexis;
  readColumns(driver: PgClient["driver"], fields: readonly FieldDef[]): Promise<readonly Pick<ReadColumn, "column" | "select">[]>;
}

export const createPostgresWarehouse = (config: PostgresConfig, context: ConnectorContext, what: string): SqlWarehouse =>
  createPgWarehouse(
    {
      connect: () => connectPostgres(config, context, "sql", what),
      failure: (error) => postgresError(error, "sql", what, context.signal),
      lexis: standardLexis,
      readColumns,
    },
    context,
    what,
  );

export const createPgWarehouse = (system: PgSystem, context: ConnectorContext, what: string): SqlWarehouse => ({
  quote: quoteName,

  async execute(sql, params = {}) {
    await using client = await system.connect();
    const statements = parseSql(sql, params, system.lexis);
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
      throw system.failure(error);
    }
  },

  async *query(sql, params = {}) {
    await using client = await system.connect();
    try {
      const { text, values } = bound(onlyStatement(parseSql(sql, params, system.lexis)), params);
      await client.driver.query("begin");
      const { fields } = await client.driver.query(`select * from (${text}\n) as q limit 0`, values);
      const columns = await system.readColumns(client.driver, fields);
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
      throw system.failure(error);
    }
  },
});

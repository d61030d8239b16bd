// MySQL's SQL role: a user's own statements in one transaction, and queries in batches.

import { DownbeatError } from "../../core/errors.ts";
import type { Json } from "../../core/json.ts";
import { type Batch, sizeOf } from "../batch.ts";
import type { ConnectorContext, SqlWarehouse } from "../connector.ts";
import { splitName } from "../lib/load/names.ts";
import { onlyStatement, parseSql, scalar, sqlWith, type SqlStatement } from "../lib/sql-text.ts";
import type { MysqlClient } from "./client.ts";
import { BATCH_ROWS } from "../lib/batch-builder.ts";
import { mysqlError } from "./errors.ts";
import { quote } from "./names.ts";
import { readBlocks } from "./read-blocks.ts";
import { mysqlLexis } from "./sql-lexis.ts";

type Params = Readonly<Record<string, Json>>;
type Value = string | number | boolean | null;

const BEAT_MS = 1_000;

const bound = (statement: SqlStatement, params: Params): { readonly text: string; readonly values: readonly Value[] } => ({
  text: sqlWith(statement, () => "?"),
  values: statement.names.map((name) => scalar(params[name])),
});

export const createMysqlWarehouse = (connect: () => Promise<MysqlClient>, what: string, context: ConnectorContext): SqlWarehouse => ({
  quote: (name) => (splitName(name) ?? [name]).map(quote).join("."),

  async execute(sql, params = {}) {
    const statements = parseSql(sql, params, mysqlLexis);
    await using client = await connect();
    // A statement alone is its own transaction: some cannot run inside one.
    if (statements.length > 1) await client.run("start transaction");
    let rowsAffected: number | null = null;
    for (const statement of statements) {
      const { text, values } = bound(statement, params);
      rowsAffected = (await client.run(text, values)).changed ?? null;
    }
    // Leaving without a commit undoes what was done.
    if (statements.length > 1) await client.run("commit");
    return { rowsAffected };
  },

  async *query(sql, params = {}) {
    const { text, values } = bound(onlyStatement(parseSql(sql, params, mysqlLexis)), params);
    const beat = setInterval(context.progress, BEAT_MS);
    try {
      await using client = await connect();
      const blocks = readBlocks(client.takeOver(), {
        sql: text,
        params: values,
        orderNames: [],
        isUnique: true,
        after: null,
        batchRows: BATCH_ROWS,
        types: { tinyint1: "int", zeroDates: "fail" },
        what,
      });
      for await (const { schema, rows, vectors, rejects } of blocks) {
        const [reject] = rejects;
        if (reject !== undefined) throw new DownbeatError("SQL_FAILED", `${what}: ${reject.where}: ${reject.reason}; cast it in the query`);
        const batch: Batch = {
          schema,
          rows,
          columns: vectors,
          bytes: vectors.reduce((sum, vector) => sum + sizeOf(vector), 0),
          position: null,
        };
        yield batch;
      }
    } catch (error) {
      throw mysqlError(error, "sql", what, context.signal);
    } finally {
      clearInterval(beat);
    }
  },
});

// DuckDB's SQL role: a user's own statements and queries.

import type { DuckDBConnection } from "@duckdb/node-api";
import type { ConnectorContext, SqlWarehouse } from "../connector.ts";
import { describeQuery, readResult } from "../lib/duckdb-decode.ts";
import type { SharedDuckdb } from "../lib/duckdb-instance.ts";
import { quoteName } from "../lib/load/names.ts";
import { paramValues, rewriteParams } from "../lib/named-params.ts";
import { duckdbError } from "./errors.ts";

type Share = () => Promise<SharedDuckdb>;
type Bound = Readonly<Record<string, string | number | boolean | null>>;

/** DuckDB stops a running statement only when told: the host's signal tells it. */
export const withInterrupt = async <Value>(
  connection: DuckDBConnection,
  signal: AbortSignal,
  work: () => Promise<Value>,
): Promise<Value> => {
  const interrupt = (): void => connection.interrupt();
  signal.throwIfAborted();
  signal.addEventListener("abort", interrupt);
  try {
    return await work();
  } finally {
    signal.removeEventListener("abort", interrupt);
  }
};

const boundValues = (names: readonly string[], params: Parameters<typeof paramValues>[1]): Bound => {
  const values = paramValues(names, params);
  return Object.fromEntries(names.map((name, place) => [name, values[place] ?? null]));
};

/** Runs each statement with the parameters that it uses; gives the rows that the last one affected. */
const runStatements = async (
  connection: DuckDBConnection,
  sql: string,
  params: Parameters<typeof paramValues>[1],
): Promise<number | null> => {
  const statements = await connection.extractStatements(rewriteParams(sql, (name) => `$${name}`).sql);
  let rowsAffected: number | null = null;
  for (let index = 0; index < statements.count; index += 1) {
    const statement = await statements.prepare(index);
    const names = Array.from({ length: statement.parameterCount }, (_, place) => statement.parameterName(place + 1));
    if (names.length > 0) statement.bind(boundValues(names, params));
    rowsAffected = (await statement.run()).rowsChanged;
    statement.destroySync();
  }
  return rowsAffected;
};

export const createDuckdbWarehouse = (share: Share, what: string, { signal }: ConnectorContext): SqlWarehouse => ({
  quote: quoteName,

  async execute(sql, params = {}) {
    const connection = await (await share()).connect();
    try {
      return await withInterrupt(connection, signal, async () => {
        await connection.run("begin transaction");
        try {
          const rowsAffected = await runStatements(connection, sql, params);
          await connection.run("commit");
          return { rowsAffected };
        } catch (error) {
          await connection.run("rollback").catch(() => undefined);
          throw error;
        }
      });
    } catch (error) {
      throw duckdbError(error, "sql", what, signal);
    } finally {
      connection.closeSync();
    }
  },

  async *query(sql, params = {}) {
    const connection = await (await share()).connect();
    const interrupt = (): void => connection.interrupt();
    signal.addEventListener("abort", interrupt);
    try {
      const rewritten = rewriteParams(withoutSemicolon(sql), (name) => `$${name}`);
      const { columns, select } = await describeQuery(connection, rewritten.sql);
      // The order of a query's rows is part of what it says, whatever loads prefer.
      await connection.run("set preserve_insertion_order = true");
      const bound = rewritten.names.length === 0 ? undefined : boundValues(rewritten.names, params);
      yield* readResult(await connection.stream(select, bound), columns, signal);
    } catch (error) {
      throw duckdbError(error, "sql", what, signal);
    } finally {
      signal.removeEventListener("abort", interrupt);
      connection.closeSync();
    }
  },
});

/** A query that is wrapped into another must not end itself. */
export const withoutSemicolon = (sql: string): string => sql.trim().replace(/;+$/, "");

// DuckDB's SQL role: a user's own statements and queries.

import type { DuckDBConnection, DuckDBPreparedStatement } from "@duckdb/node-api";
import type { ConnectorContext, SqlWarehouse } from "../connector.ts";
import { describeQuery, readResult } from "../lib/duckdb-decode.ts";
import type { SharedDuckdb } from "../lib/duckdb-instance.ts";
import { quoteName } from "../lib/load/names.ts";
import { onlyStatement, parseSql, scalar, sqlWith, type SqlStatement } from "../lib/sql-text.ts";
import type { Json } from "../../core/json.ts";
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

type Params = Readonly<Record<string, Json>>;

/** Every use of a parameter gets a name of its own: its type is told from where it stands. */
const prepare = async (connection: DuckDBConnection, statement: SqlStatement, params: Params): Promise<DuckDBPreparedStatement> => {
  const prepared = await connection.prepare(sqlWith(statement, (number) => `$p${number}`));
  if (statement.names.length > 0) prepared.bind(valuesOf(statement, params));
  return prepared;
};

const valuesOf = ({ names }: SqlStatement, params: Params): Bound =>
  Object.fromEntries(names.map((name, place) => [`p${place + 1}`, scalar(params[name])]));

/** Gives the rows that the last statement affected. Each is prepared when its turn comes: it may need what the one before made. */
const runStatements = async (connection: DuckDBConnection, statements: readonly SqlStatement[], params: Params): Promise<number | null> => {
  let rowsAffected: number | null = null;
  for (const statement of statements) {
    const prepared = await prepare(connection, statement, params);
    try {
      rowsAffected = (await prepared.run()).rowsChanged;
    } finally {
      prepared.destroySync();
    }
  }
  return rowsAffected;
};

export const createDuckdbWarehouse = (share: Share, what: string, { signal }: ConnectorContext): SqlWarehouse => ({
  quote: quoteName,

  async execute(sql, params = {}) {
    const connection = await (await share()).connect();
    try {
      const statements = parseSql(sql, params);
      return await withInterrupt(connection, signal, async () => {
        // A statement alone is its own transaction: some cannot run inside one.
        if (statements.length < 2) return { rowsAffected: await runStatements(connection, statements, params) };
        await connection.run("begin transaction");
        try {
          const rowsAffected = await runStatements(connection, statements, params);
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
      const statement = onlyStatement(parseSql(sql, params));
      const { columns, select } = await describeQuery(
        connection,
        sqlWith(statement, (number) => `$p${number}`),
      );
      // The order of a query's rows is part of what it says, whatever loads prefer.
      await connection.run("set preserve_insertion_order = true");
      const values = statement.names.length === 0 ? undefined : valuesOf(statement, params);
      yield* readResult(await connection.stream(select, values), columns, { signal });
    } catch (error) {
      throw duckdbError(error, "sql", what, signal);
    } finally {
      signal.removeEventListener("abort", interrupt);
      connection.closeSync();
    }
  },
});

// What bench:transfer writes: a table of ours and one of the floor, both made anew for each load.

import { mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import pg from "pg";
import { textOf, TOTALS, type TransferDestination } from "./direction.ts";
import type { Systems } from "./systems.ts";

/** What a load of DuckDB needs; more would be a cache of what it has written. */
const DUCKDB_MEMORY = "128MB";

export const duckdbDestination = (systems: Systems): TransferDestination => {
  const folder = path.join(systems.folder, "duckdb");
  mkdirSync(folder, { recursive: true });
  const fresh = (name: string): string => {
    const file = path.join(folder, name);
    for (const suffix of ["", ".wal"]) rmSync(`${file}${suffix}`, { force: true });
    return file;
  };
  return {
    name: "DuckDB",
    prepare: () => Promise.resolve({ kind: "duckdb", config: { path: fresh("ours.duckdb"), memory_limit: DUCKDB_MEMORY } }),
    prepareFloor: () => Promise.resolve([fresh("floor.duckdb"), folder]),
    totals: async () => {
      const instance = await DuckDBInstance.create(path.join(folder, "ours.duckdb"), { access_mode: "READ_ONLY" });
      try {
        const connection = await instance.connect();
        const reader = await connection.runAndReadAll(`${TOTALS} orders`);
        connection.closeSync();
        return textOf(reader.getRowObjectsJson()[0]);
      } finally {
        instance.closeSync();
      }
    },
  };
};

export const postgresDestination = (systems: Systems): TransferDestination => {
  const { host, port, user, password, database, url } = systems.postgres;
  const query = async (...statements: readonly string[]): Promise<pg.QueryResult> => {
    const client = new pg.Client({ connectionString: url, types: { getTypeParser: () => (text: unknown) => text } });
    await client.connect();
    try {
      let result = await client.query("select 1");
      for (const statement of statements) result = await client.query(statement);
      return result;
    } finally {
      await client.end();
    }
  };
  // The work that a table of before leaves to the server belongs to nobody's time.
  const clear = (): Promise<pg.QueryResult> =>
    query("drop table if exists public.orders", "drop table if exists public.orders_floor", "checkpoint");
  return {
    name: "PostgreSQL",
    prepare: async () => {
      await clear();
      return { kind: "postgres", config: { host, port, user, password, database } };
    },
    prepareFloor: async () => {
      await clear();
      return [url];
    },
    totals: async () => textOf((await query(`${TOTALS} public.orders`)).rows[0] as Record<string, unknown>),
  };
};

// The two warehouses of the demo: how each is reached as a connection, and how its totals are read past Downbeat.

import { DuckDBInstance } from "@duckdb/node-api";
import pg from "pg";
import { totalsQuery, type DemoTable, type Totals } from "./totals.ts";

export interface Warehouse {
  readonly name: "duckdb" | "postgres";
  readonly connection: { readonly kind: string; readonly config: Readonly<Record<string, unknown>> };
  /** Reads the figures straight from the warehouse; no worker may hold a DuckDB file meanwhile. */
  totals(table: DemoTable): Promise<Totals>;
}

export const duckdbWarehouse = (file: string): Warehouse => ({
  name: "duckdb",
  connection: { kind: "duckdb", config: { path: file } },
  async totals(table) {
    const instance = await DuckDBInstance.create(file, { access_mode: "READ_ONLY" });
    const connection = await instance.connect();
    try {
      const rows = (await connection.runAndReadAll(totalsQuery(table.table, table))).getRowObjectsJson();
      return asTotals(rows[0]);
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
  },
});

export interface PostgresAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export const postgresWarehouse = ({ host, port, user, password, database }: PostgresAddress): Warehouse => ({
  name: "postgres",
  connection: { kind: "postgres", config: { host, port, user, password, database } },
  async totals(table) {
    const client = new pg.Client({ host, port, user, password, database });
    await client.connect();
    try {
      return asTotals((await client.query<Record<string, unknown>>(totalsQuery(table.table, table))).rows[0]);
    } finally {
      await client.end();
    }
  },
});

const asTotals = (row: Readonly<Record<string, unknown>> | undefined): Totals => ({
  rows: Number(row?.["row_count"]),
  ids: Number(row?.["id_count"]),
  sum: String(row?.["amount_sum"]),
});

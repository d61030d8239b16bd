// The two directions of bench:transfer: how ours and the floor move the table once, and how the result is looked at.

import { execFile } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { DuckDBInstance } from "@duckdb/node-api";
import mysql from "mysql2/promise";
import pg from "pg";
import type { RunView } from "../../bin/api-client.ts";
import { ORDERS_DATABASE } from "../data/orders.ts";
import type { Measure } from "../lib/pairs.ts";
import { cpuSecondsOf } from "../lib/process-usage.ts";
import type { Systems } from "./systems.ts";

export interface FloorMeasure extends Measure {
  readonly peakMegabytes: number;
}

export interface Direction {
  readonly name: string;
  /** Moves table `source` through API, Temporal and worker: from the trigger over HTTP to success by the API. */
  ours(source: string, rows: number): Promise<Measure>;
  floor(source: string, rows: number): Promise<FloorMeasure>;
  /** Figures of what ours has written last, to be compared with the source's. */
  totals(): Promise<string>;
}

/** Exact on all three systems: counts and sums of integers and decimals. */
const TOTALS = `select count(*) as n, count(note) as notes, sum(amount) as amount, sum(customer_id) as customers, min(updated_at) as first, max(updated_at) as last,
  sum(length(sku)) as sku from`;

const textOf = (row: Readonly<Record<string, unknown>> | undefined): string =>
  Object.values(row ?? {})
    .map((value) =>
      String(value)
        .replace("T", " ")
        .replace(/\.?0+$/, ""),
    )
    .join(" | ");

export const sourceTotals = async (systems: Systems, table: string): Promise<string> => {
  const { host, port, user, password } = systems.mysql;
  const connection = await mysql.createConnection({ host, port, user, password, database: ORDERS_DATABASE, dateStrings: true });
  try {
    const [rows] = await connection.query<mysql.RowDataPacket[]>(`${TOTALS} ${table}`);
    return textOf(rows[0]);
  } finally {
    await connection.end();
  }
};

const run = async (systems: Systems, pipeline: string, rows: number): Promise<Measure> => {
  const pids = [systems.workerPid(), systems.apiPid];
  const cpu = cpuSecondsOf(pids);
  const started = performance.now();
  const ended = await systems.api.call<RunView>("POST", `/v1/pipelines/${pipeline}/runs?wait=600s`, {});
  const measure = { seconds: (performance.now() - started) / 1_000, cpuSeconds: cpuSecondsOf(pids) - cpu };
  const moved = ended.tasks[0]?.metrics?.rows;
  if (ended.status !== "succeeded" || moved !== rows) {
    throw new Error(`${pipeline}: the run ended ${ended.status} with ${moved} rows: ${JSON.stringify(ended.tasks[0]?.error)}`);
  }
  return measure;
};

const runFloor = async (script: string, args: readonly string[], rows: number): Promise<FloorMeasure> => {
  const file = path.resolve(import.meta.dirname, "../floor", script);
  const { stdout } = await promisify(execFile)(process.execPath, [file, ...args]);
  const measure = JSON.parse(stdout) as FloorMeasure & { readonly rows: number };
  if (measure.rows !== rows) throw new Error(`${script} moved ${measure.rows} of ${rows} rows`);
  return measure;
};

const deploy = async (systems: Systems, pipeline: string, source: string, connection: string): Promise<void> => {
  const { host, port, user, password } = systems.mysql;
  await systems.api.call("PUT", "/v1/connections/shop", {
    kind: "mysql",
    config: { host, port, user, password, database: ORDERS_DATABASE },
  });
  await systems.api.call("PUT", `/v1/pipelines/${pipeline}`, {
    apiVersion: "downbeat/v1",
    name: pipeline,
    tasks: [
      {
        id: "orders",
        transfer: {
          from: { connection: "shop", stream: source, tinyint1: "bool" },
          to: { connection, table: "orders", mode: "append" },
        },
      },
    ],
  });
};

const floorSource = ({ mysql: { host, port, user, password } }: Systems, table: string): string =>
  JSON.stringify({ host, port, user, password, database: ORDERS_DATABASE, table });

/** What a load of DuckDB needs; more would be a cache of what it has written. */
const DUCKDB_MEMORY = "128MB";

export const toDuckdb = (systems: Systems): Direction => {
  const folder = path.join(systems.folder, "duckdb");
  mkdirSync(folder, { recursive: true });
  const fresh = (name: string): string => {
    const file = path.join(folder, name);
    for (const suffix of ["", ".wal"]) rmSync(`${file}${suffix}`, { force: true });
    return file;
  };
  return {
    name: "MySQL → DuckDB",
    ours: async (source, rows) => {
      const config = { path: fresh("ours.duckdb"), memory_limit: DUCKDB_MEMORY };
      await systems.api.call("PUT", "/v1/connections/duckdb", { kind: "duckdb", config });
      await deploy(systems, "to_duckdb", source, "duckdb");
      return run(systems, "to_duckdb", rows);
    },
    floor: (source, rows) => runFloor("mysql-to-duckdb.ts", [floorSource(systems, source), fresh("floor.duckdb"), folder], rows),
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

export const toPostgres = (systems: Systems): Direction => {
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
    name: "MySQL → PostgreSQL",
    ours: async (source, rows) => {
      await clear();
      await systems.api.call("PUT", "/v1/connections/postgres", { kind: "postgres", config: { host, port, user, password, database } });
      await deploy(systems, "to_postgres", source, "postgres");
      return run(systems, "to_postgres", rows);
    },
    floor: async (source, rows) => {
      await clear();
      return runFloor("mysql-to-postgres.ts", [floorSource(systems, source), url], rows);
    },
    totals: async () => textOf((await query(`${TOTALS} public.orders`)).rows[0] as Record<string, unknown>),
  };
};

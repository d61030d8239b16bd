// Fills the tables that loads read from: MySQL, PostgreSQL, DuckDB.

import { cp, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { type Connection, createConnection } from "mysql2/promise";
import pg from "pg";
import type { MysqlAddress } from "../../bin/services/mysql.ts";
import type { PostgresAddress } from "../../bin/services/postgres.ts";
import { csvOf, duckdbReader } from "./encodings.ts";
import { COLUMN_NAMES, type ColumnName, type Event, type Part, PARTS } from "./rows.ts";
import { heldEvents, type PreparedSource } from "./sources.ts";

const tableOf = (part: Part): string => `orders_${part}`;
const NAMES = COLUMN_NAMES.map((name) => `"${name}"`).join(", ");

const SQL_TYPES: Readonly<Record<ColumnName, string>> = {
  id: "bigint primary key",
  version: "int not null",
  quantity: "int",
  amount: "decimal(18,4)",
  total: "decimal(30,8) not null",
  ratio: "double precision",
  name: "text not null",
  note: "text",
  active: "boolean",
  day: "date",
  at: "timestamp(6) not null",
  moment: "timestamptz",
};

const definition = (types: Readonly<Record<ColumnName, string>>, quoted: (name: string) => string): string =>
  COLUMN_NAMES.map((name) => `${quoted(name)} ${types[name]}`).join(", ");

/** A bad row has a day that is none. */
const valuesWith =
  (badDay: string) =>
  ({ texts, isBad }: Event): readonly (string | null)[] =>
    COLUMN_NAMES.map((name) => (isBad && name === "day" ? badDay : texts[name]));

const MYSQL_TYPES = { ...SQL_TYPES, active: "bit(1)", at: "datetime(6) not null", moment: "timestamp(6) null" };

/** In a session that takes days that are none. */
export const connectToFill = async ({ host, port, user, password }: MysqlAddress): Promise<Connection> => {
  const connection = await createConnection({ host, port, user, password, charset: "utf8mb4" });
  await connection.query("set session time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES'");
  return connection;
};

export const createMysqlTable = async (connection: Connection, table: string): Promise<void> => {
  await connection.query(`create table ${table} (${definition(MYSQL_TYPES, (name) => `\`${name}\``)}, key (\`at\`, \`id\`))`);
};

/** What the driver writes as the row's values. */
export const mysqlRow = (event: Event): readonly (string | boolean | null)[] =>
  valuesWith("0000-00-00")(event).map((value, place) => (COLUMN_NAMES[place] === "active" && value !== null ? value === "true" : value));

/** `cursor`: read on from the column `at`. */
export const fillMysql = async (
  address: MysqlAddress,
  database: string,
): Promise<{ readonly whole: PreparedSource; readonly cursor: PreparedSource }> => {
  const { host, port, user, password } = address;
  const connection = await connectToFill(address);
  try {
    await connection.query(`create database \`${database}\` character set utf8mb4`);
    for (const part of PARTS) {
      const table = `\`${database}\`.\`${tableOf(part)}\``;
      await createMysqlTable(connection, table);
      await connection.query(`insert into ${table} values ?`, [heldEvents("mysql", part).map(mysqlRow)]);
    }
  } finally {
    await connection.end();
  }
  const source = (cursor: { readonly cursor?: string }): PreparedSource => ({
    kind: "mysql",
    config: () => ({ host, port, user, password, database }),
    request: (part) => ({ stream: tableOf(part), options: { zero_dates: "dead_letter" }, ...cursor }),
  });
  return { whole: source({}), cursor: source({ cursor: "at" }) };
};

export const fillPostgres = async ({ host, port, user, password, url }: PostgresAddress, database: string): Promise<PreparedSource> => {
  const server = new pg.Client({ connectionString: url });
  await server.connect();
  try {
    await server.query(`create database "${database}" template template0`);
  } finally {
    await server.end();
  }
  const place = new URL(url);
  place.pathname = `/${database}`;
  const client = new pg.Client({ connectionString: place.href });
  await client.connect();
  try {
    await client.query("set time zone 'UTC'");
    for (const part of PARTS) {
      await client.query(`create table ${tableOf(part)} (${definition(SQL_TYPES, (name) => `"${name}"`)})`);
      const rows = heldEvents("postgres-table", part).map(valuesWith("infinity"));
      const columns = COLUMN_NAMES.map((_, column) => rows.map((row) => row[column] ?? null));
      const casts = COLUMN_NAMES.map((name, column) => `$${column + 1}::${SQL_TYPES[name].replace(/ (not null|primary key)$/, "")}[]`).join(
        ", ",
      );
      await client.query(`insert into ${tableOf(part)} (${NAMES}) select * from unnest(${casts})`, columns);
    }
  } finally {
    await client.end();
  }
  return { kind: "postgres", config: () => ({ host, port, user, password, database }), request: (part) => ({ stream: tableOf(part) }) };
};

/** One file for all; each folder gets a copy, since a file has one owner. */
export const fillDuckdb = async (
  folder: string,
): Promise<{ readonly source: PreparedSource; readonly copyInto: (folder: string) => Promise<void> }> => {
  const file = path.join(folder, "source.duckdb");
  const instance = await DuckDBInstance.create(file);
  const connection = await instance.connect();
  try {
    await connection.run("set time zone 'UTC'");
    for (const part of PARTS) {
      const csv = path.join(folder, `${part}.csv`);
      await writeFile(csv, csvOf(heldEvents("duckdb-table", part).filter(({ isBad }) => !isBad)));
      await connection.run(`create table ${tableOf(part)} as ${duckdbReader(csv)}`);
      await connection.run(`alter table ${tableOf(part)} add primary key (id)`);
      await rm(csv);
    }
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
  return {
    source: {
      kind: "duckdb",
      config: (into) => ({ path: path.join(into, "source.duckdb"), threads: 1 }),
      request: (part) => ({ stream: tableOf(part) }),
    },
    copyInto: (into) => cp(file, path.join(into, "source.duckdb")),
  };
};

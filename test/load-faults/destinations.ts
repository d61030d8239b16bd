// What loads write into: a DuckDB file a case, a table a case in PostgreSQL; and a look at all that is there, past the connectors' own code.

import { cp, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import path from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import pg from "pg";
import type { PostgresAddress } from "../../bin/services/postgres.ts";
import { COLUMN_NAMES, type ColumnName, NULL_TEXT, SEPARATOR_CODE } from "./rows.ts";

export interface LoadBooks {
  readonly origin: string;
  readonly rows: number;
  readonly chunks: number;
  readonly deadLetters: number;
  readonly done: boolean;
}

export interface ReceiptBooks {
  readonly origin: string;
  readonly seq: number;
  readonly rows: number;
}

/** What one moment shows of a load's table and of its bookkeeping. */
export interface Sight {
  /** Undefined: there is no such table. */
  readonly lines: readonly string[] | undefined;
  readonly loads: readonly LoadBooks[];
  readonly receipts: readonly ReceiptBooks[];
  readonly letters: readonly { readonly origin: string; readonly place: string }[];
  /** Origins that have moved the cursor last. */
  readonly cursors: readonly string[];
  /** Staging tables that nobody has taken away. */
  readonly staging: readonly string[];
}

export interface Place {
  readonly kind: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly table: string;
  readonly look: (key: string) => Promise<Sight>;
  /** Whether an attempt waits for what another one holds. */
  readonly isBlocked: () => Promise<boolean>;
  readonly clear: () => Promise<void>;
}

export type Query = (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>;

const text = (value: string): string => `'${value.replaceAll("'", "''")}'`;

export const lineSql = (expressions: Partial<Record<ColumnName, string>>, separator: string, textType = "varchar"): string =>
  `concat_ws(${separator}, ${COLUMN_NAMES.map((name) => `coalesce(${expressions[name] ?? `cast("${name}" as ${textType})`}, '${NULL_TEXT}')`).join(", ")})`;

interface BookTables {
  readonly schema: string;
  readonly nameOf: (table: string) => string;
}

const IN_A_SCHEMA: BookTables = { schema: "_downbeat", nameOf: (table) => table };

export const sightOf = async (
  query: Query,
  key: string,
  table: { readonly name: string; readonly line: string; readonly books?: BookTables },
  stagingSql: string,
): Promise<Sight> => {
  const { schema: booksSchema, nameOf } = table.books ?? IN_A_SCHEMA;
  const exists = async (schema: string, name: string): Promise<boolean> =>
    (
      await query(
        `select 1 from information_schema.tables where lower(table_schema) = lower(${text(schema)}) and lower(table_name) = lower(${text(name)})`,
      )
    ).length > 0;
  const own = `where "key" = ${text(key)}`;
  // The last one that is made.
  const hasBooks = await exists(booksSchema, nameOf("schema_changes"));
  const books = (columns: string, name: string, order: string): ReturnType<Query> =>
    hasBooks ? query(`select ${columns} from ${booksSchema}.${nameOf(name)} ${own} order by ${order}`) : Promise.resolve([]);
  const [schema, name = ""] = table.name.split(".");
  return {
    lines: (await exists(schema ?? "", name))
      ? (await query(`select ${table.line} as line from ${table.name}`)).map(({ line }) => String(line))
      : undefined,
    loads: (await books('origin, "rows", chunks, dead_letters, done', "loads", "origin")).map((row) => ({
      origin: String(row["origin"]),
      rows: Number(row["rows"]),
      chunks: Number(row["chunks"]),
      deadLetters: Number(row["dead_letters"]),
      done: row["done"] === true || row["done"] === 1 || row["done"] === "true",
    })),
    receipts: (await books('origin, seq, "rows"', "receipts", "origin, seq")).map((row) => ({
      origin: String(row["origin"]),
      seq: Number(row["seq"]),
      rows: Number(row["rows"]),
    })),
    letters: (await books("origin, place", "dead_letters", "origin, place")).map((row) => ({
      origin: String(row["origin"]),
      place: String(row["place"]),
    })),
    cursors: (await books("origin", "cursors", "origin")).map((row) => String(row["origin"])),
    staging: (await query(stagingSql)).map((row) => String(row["name"])),
  };
};

/** A commit that was under way at a kill may end while it is looked at. */
export const atOneMoment = async <Seen>(query: Query, begin: string, look: () => Promise<Seen>): Promise<Seen> => {
  await query(begin);
  try {
    return await look();
  } finally {
    await query("rollback");
  }
};

const DUCKDB_LINE = lineSql(
  {
    day: "strftime(day, '%Y-%m-%d')",
    at: `strftime("at", '%Y-%m-%d %H:%M:%S.%f')`,
    moment: "strftime(make_timestamp(epoch_us(moment)), '%Y-%m-%d %H:%M:%S.%f')",
  },
  `chr(${SEPARATOR_CODE})`,
);

/** A file of the case's own; looked at in a copy, so that the next attempt finds it as the killed one has left it. */
export const duckdbPlace = (folder: string): Place => {
  const file = path.join(folder, "warehouse.duckdb");
  return {
    kind: "duckdb",
    config: { path: file, threads: 1 },
    table: "orders",
    async look(key) {
      const copy = path.join(folder, "look.duckdb");
      const ends = ["", ".wal"];
      await Promise.all(ends.map((end) => rm(`${copy}${end}`, { force: true })));
      for (const end of ends) if (existsSync(`${file}${end}`)) await cp(`${file}${end}`, `${copy}${end}`);
      const instance = await DuckDBInstance.create(copy, { threads: "1" });
      const connection = await instance.connect();
      try {
        await connection.run("pragma disable_checkpoint_on_shutdown");
        const query: Query = async (sql) => (await connection.runAndReadAll(sql)).getRowObjectsJS();
        const staging = "select table_name as name from duckdb_tables() where table_name like '\\_downbeat\\_%' escape '\\'";
        return await sightOf(query, key, { name: "main.orders", line: DUCKDB_LINE }, staging);
      } finally {
        connection.closeSync();
        instance.closeSync();
      }
    },
    isBlocked: () => Promise.resolve(false),
    clear: () => Promise.resolve(),
  };
};

const micros = (moment: string): string => `to_char(${moment}, 'YYYY-MM-DD HH24:MI:SS.US')`;

export const POSTGRES_LINE = lineSql(
  { day: "to_char(day, 'YYYY-MM-DD')", at: micros('"at"'), moment: micros("moment at time zone 'UTC'") },
  `chr(${SEPARATOR_CODE})`,
);

export interface PostgresDestination extends AsyncDisposable {
  /** A table of this name. */
  readonly place: (name: string) => Place;
}

export const createPostgresDatabase = async ({ url }: PostgresAddress, database: string): Promise<void> => {
  const server = new pg.Client({ connectionString: url });
  await server.connect();
  try {
    await server.query(`create database "${database}" template template0`);
  } finally {
    await server.end();
  }
};

/** Of the database that is asked: whether anything in it waits for a lock. */
export const blockedInPostgres = async (query: Query): Promise<boolean> => {
  const [row] = await query("select count(*) as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'");
  return Number(row?.["n"]) > 0;
};

/** A database of its own: nothing else in it waits for anything. */
export const postgresDestination = async (address: PostgresAddress, database: string): Promise<PostgresDestination> => {
  const { host, port, user, password } = address;
  await createPostgresDatabase(address, database);
  const client = new pg.Client({ host, port, user, password, database });
  await client.connect();
  const query: Query = async (sql) => (await client.query<Record<string, unknown>>(sql)).rows;
  return {
    place: (name) => ({
      kind: "postgres",
      config: { host, port, user, password, database },
      table: name,
      async look(key) {
        const staging =
          "select relname as name from pg_class where relkind = 'r' and relpersistence = 'p' and relname like '\\_downbeat\\_%'";
        return atOneMoment(query, "begin isolation level repeatable read read only", () =>
          sightOf(query, key, { name: `public.${name}`, line: POSTGRES_LINE }, staging),
        );
      },
      isBlocked: () => blockedInPostgres(query),
      clear: async () => void (await query(`drop table if exists ${name}`)),
    }),
    [Symbol.asyncDispose]: () => client.end(),
  };
};

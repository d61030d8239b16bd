// Opens the database under the store: PGlite in a locked folder, or PostgreSQL; migrated either way.

import { mkdirSync } from "node:fs";
import path from "node:path";
import type { ExtractTablesWithRelations } from "drizzle-orm";
import type { PgDatabase, PgQueryResultHKT } from "drizzle-orm/pg-core";
import { DownbeatError } from "../core/errors.ts";
import * as schema from "./schema.ts";

interface Answer<Row> {
  readonly rows: readonly Row[];
}
/** What both drivers answer a statement with. */
interface Rows extends PgQueryResultHKT {
  type: Answer<this["row"]>;
}

export type Database = PgDatabase<Rows, typeof schema, ExtractTablesWithRelations<typeof schema>>;

export interface OpenedDatabase {
  readonly db: Database;
  readonly close: () => Promise<void>;
}

const migrationsFolder = path.join(import.meta.dirname, "migrations");

/** A server that took a query and then fell silent must not hold a request for longer than people wait for one. */
const QUERY_TIMEOUT_MS = 20_000;
/** A migration waits for those of other processes, and may rewrite a table. */
const MIGRATION_TIMEOUT_MS = 60_000;

/** Serialises migrations of processes that start at the same time. Any number that nobody else uses. */
const MIGRATION_LOCK = 7_272_741;

/** `postgres://…` or `pglite:FOLDER` (`pglite:memory` keeps nothing). */
export const openDatabase = (url: string): Promise<OpenedDatabase> => {
  if (url === "pglite:memory") return openPglite(undefined);
  return url.startsWith("pglite:") ? openLockedPglite(url.slice("pglite:".length)) : openPostgres(url);
};

/** Two processes on one PGlite folder lose data without an error, so one takes a lock. It goes stale when its holder dies. */
const openLockedPglite = async (folder: string): Promise<OpenedDatabase> => {
  const { default: lockfile } = await import("proper-lockfile");
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw unusable(folder, error);
  }
  const release = await lockfile
    .lock(folder, { stale: 10_000, update: 2_000, retries: { retries: 12, minTimeout: 1_000, maxTimeout: 1_000 } })
    .catch((error: unknown) => {
      if ((error as { readonly code?: unknown }).code !== "ELOCKED") throw unusable(folder, error);
      throw new DownbeatError(
        "STORE_LOCKED",
        `another process uses the data folder ${folder}; stop it, or set DOWNBEAT_DATA_DIR to another folder`,
        { cause: error },
      );
    });
  try {
    const opened = await openPglite(folder);
    return {
      db: opened.db,
      close: async () => {
        await opened.close();
        await release();
      },
    };
  } catch (error) {
    await release();
    throw unusable(folder, error);
  }
};

const unusable = (folder: string, error: unknown): DownbeatError =>
  new DownbeatError(
    "STORE_UNAVAILABLE",
    `the data folder ${folder} cannot be used: ${error instanceof Error ? error.message : String(error)}; check its rights and its disk`,
    { cause: error },
  );

const openPglite = async (folder: string | undefined): Promise<OpenedDatabase> => {
  const [{ PGlite }, { drizzle }, { migrate }] = await Promise.all([
    import("@electric-sql/pglite"),
    import("drizzle-orm/pglite"),
    import("drizzle-orm/pglite/migrator"),
  ]);
  const client = await PGlite.create(folder ?? "memory://");
  const db = drizzle(client, { schema, casing: "snake_case" });
  await migrate(db, { migrationsFolder });
  return { db, close: () => client.close() };
};

const openPostgres = async (url: string): Promise<OpenedDatabase> => {
  const [{ default: pg }, { drizzle }, { migrate }] = await Promise.all([
    import("pg"),
    import("drizzle-orm/node-postgres"),
    import("drizzle-orm/node-postgres/migrator"),
  ]);
  const settings = { connectionString: url, connectionTimeoutMillis: 10_000, application_name: "downbeat" };
  const migrating = new pg.Client({ ...settings, query_timeout: MIGRATION_TIMEOUT_MS });
  migrating.on("error", () => undefined);
  try {
    await migrating.connect();
    // The end of the connection gives it back.
    await migrating.query("select pg_advisory_lock($1)", [MIGRATION_LOCK]);
    await migrate(drizzle(migrating, { casing: "snake_case" }), { migrationsFolder });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DownbeatError("STORE_UNAVAILABLE", `the store's PostgreSQL (DATABASE_URL) cannot be used: ${reason}`, { cause: error });
  } finally {
    await migrating.end().catch(() => undefined);
  }
  const pool = new pg.Pool({ ...settings, max: 10, query_timeout: QUERY_TIMEOUT_MS });
  // Without listeners a connection that breaks would end the process: one that is idle, which the pool replaces, and one between two statements of a transaction.
  pool.on("error", () => undefined);
  pool.on("connect", (client) => client.on("error", () => undefined));
  return { db: drizzle(pool, { schema, casing: "snake_case" }), close: () => pool.end() };
};

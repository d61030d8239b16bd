// A connection to MySQL or MariaDB: connecting in bounded time, TLS, session settings that make values exact, and an end when the signal says so.

import type { Socket } from "node:net";
import type { Connection, ConnectionOptions, RowDataPacket } from "mysql2";
import type { ConnectorContext } from "../connector.ts";
import { BinarySession } from "./binary-session.ts";
import { mysqlError } from "./errors.ts";

export interface MysqlConfig {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string | undefined;
  readonly database: string;
  readonly tls: "disable" | "require" | "verify";
  readonly tls_ca?: string | undefined;
  readonly connect_timeout: number;
}

export type MysqlRow = Readonly<Record<string, unknown>>;

export interface MysqlClient extends AsyncDisposable {
  /** Small queries and settings, through the driver. */
  query(sql: string, params?: readonly string[]): Promise<readonly MysqlRow[]>;
  /** From now on the connection belongs to the session alone. */
  takeOver(): BinarySession;
}

/** A destination may need long for a batch: the server has to wait for its reader, here at most a day. */
const WRITE_TIMEOUT_SECONDS = 86_400;

const SETTINGS = [
  "character_set_results = utf8mb4",
  "time_zone = '+00:00'",
  // Whatever the server's own mode does to padding, quoting or casts, rows and queries mean the same everywhere.
  "sql_mode = 'NO_ENGINE_SUBSTITUTION'",
  `net_write_timeout = ${WRITE_TIMEOUT_SECONDS}`,
].join(", ");

/** Our own attempt timeout bounds a read; the server's limit on statements is meant for interactive ones. */
const noStatementLimit = (version: string): string =>
  /mariadb/i.test(version) ? "set session max_statement_time = 0" : "set session max_execution_time = 0";

export const connectMysql = async (config: MysqlConfig, context: ConnectorContext, what: string): Promise<MysqlClient> => {
  const { signal } = context;
  signal.throwIfAborted();
  const { createConnection } = await import("mysql2");
  const driver = createConnection(driverOptions(config));
  let session: BinarySession | undefined;
  let runningId: number | undefined;
  const onAbort = (): void => {
    session?.fail(signal.reason);
    driver.destroy();
    // The server would work on a query until it has something to send.
    if (runningId !== undefined) void killQuery(config, runningId);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  const dispose = (): Promise<void> => {
    signal.removeEventListener("abort", onAbort);
    driver.destroy();
    return Promise.resolve();
  };

  const query = (sql: string, params: readonly string[] = []): Promise<readonly MysqlRow[]> =>
    new Promise((resolve, reject) => {
      const answer = (error: Error | null, rows: RowDataPacket[]): void => (error === null ? resolve(rows) : reject(error));
      if (params.length === 0) driver.query<RowDataPacket[]>(sql, answer);
      else driver.execute<RowDataPacket[]>(sql, [...params], answer);
    });
  try {
    await connected(driver);
    // A connection that breaks while nothing runs says so here; the next command fails with the reason.
    driver.on("error", (error: Error) => context.log.debug({ err: error.message }, "MySQL connection broke"));
    await query(`set session ${SETTINGS}`);
    const [row] = await query("select version() as version");
    // Servers before 5.7 know no such limit.
    await query(noStatementLimit(String(row?.["version"]))).catch(() => undefined);
    signal.throwIfAborted();
  } catch (error) {
    await dispose();
    throw mysqlError(error, what, signal);
  }
  return {
    query: async (sql, params) => {
      try {
        return await query(sql, params);
      } catch (error) {
        throw mysqlError(error, what, signal);
      }
    },
    takeOver: () => {
      runningId = driver.threadId;
      session = new BinarySession(socketOf(driver));
      return session;
    },
    [Symbol.asyncDispose]: dispose,
  };
};

/** The driver leaves its socket out of its types; with TLS it is the encrypted one. */
const socketOf = (driver: Connection): Socket => (driver as unknown as { readonly stream: Socket }).stream;

const driverOptions = (config: MysqlConfig): ConnectionOptions => ({
  host: config.host,
  port: config.port,
  user: config.user,
  password: config.password ?? "",
  database: config.database,
  charset: "utf8mb4",
  connectTimeout: config.connect_timeout * 1_000,
  enableKeepAlive: true,
  keepAliveInitialDelay: 30_000,
  // Query attributes would change the layout of what BinarySession writes. No server may ask for local files.
  flags: ["-CLIENT_QUERY_ATTRIBUTES", "-LOCAL_FILES", "-SESSION_TRACK", "-IGNORE_SPACE", "-ODBC"],
  connectAttributes: { program_name: "downbeat" },
  ...tlsOptions(config),
});

const tlsOptions = ({ tls, tls_ca: ca }: MysqlConfig): ConnectionOptions =>
  tls === "disable"
    ? {}
    : { ssl: { rejectUnauthorized: tls === "verify", verifyIdentity: tls === "verify", ...(ca === undefined ? {} : { ca }) } };

const connected = (driver: Connection): Promise<void> =>
  new Promise((resolve, reject) => {
    driver.once("connect", () => {
      driver.removeAllListeners("error");
      resolve();
    });
    driver.on("error", reject);
  });

const KILL_TIMEOUT_MS = 3_000;

/** By a connection of its own, as far as it works: the reading has ended already. */
const killQuery = async (config: MysqlConfig, id: number): Promise<void> => {
  const { createConnection } = await import("mysql2");
  const driver = createConnection({ ...driverOptions(config), connectTimeout: KILL_TIMEOUT_MS });
  driver.on("error", () => driver.destroy());
  driver.query(`kill query ${id}`, () => driver.destroy());
};

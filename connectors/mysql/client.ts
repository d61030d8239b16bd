// A connection to MySQL or MariaDB: connecting in bounded time, TLS, session settings that make values exact, and an end when the signal says so.

import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import type { Connection, ConnectionOptions, ResultSetHeader, RowDataPacket } from "mysql2";
import type { ConnectorContext } from "../connector.ts";
import { BinarySession } from "./binary-session.ts";
import { mysqlError, refusedRows, type Side } from "./errors.ts";

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

export type MysqlParam = string | number | boolean | Buffer | null;

export interface MysqlResult {
  readonly rows: readonly MysqlRow[];
  /** Rows that were inserted, deleted or really changed; undefined for a query. */
  readonly changed: number | undefined;
}

export interface RunOptions {
  /** What LOAD DATA LOCAL reads, whatever the server asks for. */
  readonly infile?: () => Readable;
  /** Throws DESTINATION_DATA_REFUSED where the server has changed values, left out rows, or cut something to make it fit. */
  readonly refuseWarnings?: boolean;
}

export interface MysqlClient extends AsyncDisposable {
  /** Small queries and settings, through the driver. */
  query(sql: string, params?: readonly MysqlParam[]): Promise<readonly MysqlRow[]>;
  /** One statement of any kind. */
  run(sql: string, params?: readonly MysqlParam[], options?: RunOptions): Promise<MysqlResult>;
  /** From now on the connection belongs to the session alone. */
  takeOver(): BinarySession;
}

/** A destination may need long for a batch: the server has to wait for its reader, here at most a day. */
const WRITE_TIMEOUT_SECONDS = 86_400;

const SETTINGS = ["character_set_results = utf8mb4", "time_zone = '+00:00'", `net_write_timeout = ${WRITE_TIMEOUT_SECONDS}`];

/** Nothing is cut, rounded or made up to fit. A 0 is a 0 in an auto_increment column, too, and there are no zero dates. */
const STRICT = "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION";

/** Whatever the server's own mode does to padding, quoting or casts, rows and statements mean the same everywhere. */
const SETTINGS_OF: Readonly<Record<Side, readonly string[]>> = {
  source: ["sql_mode = 'NO_ENGINE_SUBSTITUTION'"],
  sql: [`sql_mode = '${STRICT}'`],
  // What waits longer for a lock is waiting for something that does not end by itself, and is tried again. A slow source is no idle client.
  destination: [
    `sql_mode = '${STRICT},ANSI_QUOTES'`,
    "autocommit = 1",
    "sql_notes = 1",
    "max_error_count = 16",
    "lock_wait_timeout = 60",
    "innodb_lock_wait_timeout = 60",
    `wait_timeout = ${WRITE_TIMEOUT_SECONDS}`,
  ],
};

/** Our own attempt timeout bounds a statement; the server's limit is meant for interactive ones. */
const noStatementLimit = (version: string): string =>
  /mariadb/i.test(version) ? "set session max_statement_time = 0" : "set session max_execution_time = 0";

export const connectMysql = async (config: MysqlConfig, context: ConnectorContext, side: Side, what: string): Promise<MysqlClient> => {
  const { signal } = context;
  signal.throwIfAborted();
  const { createConnection } = await import("mysql2");
  const driver = createConnection(driverOptions(config, side));
  const waiting = new Set<(reason: unknown) => void>();
  let session: BinarySession | undefined;
  const onAbort = (): void => {
    session?.fail(signal.reason);
    driver.destroy();
    // The driver tells nobody that it was destroyed.
    for (const reject of waiting) reject(signal.reason);
    // The server would work on a statement until it has something to send.
    if (driver.threadId !== undefined && driver.threadId !== null) void killQuery(config, driver.threadId);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  const dispose = (): Promise<void> => {
    signal.removeEventListener("abort", onAbort);
    driver.destroy();
    return Promise.resolve();
  };

  const send = (sql: string, params: readonly MysqlParam[], infile?: () => Readable): Promise<RowDataPacket[] | ResultSetHeader> =>
    new Promise((resolve, reject) => {
      waiting.add(reject);
      const answer = (error: Error | null, result: RowDataPacket[] | ResultSetHeader): void => {
        waiting.delete(reject);
        if (error === null) resolve(result);
        else reject(error);
      };
      if (params.length > 0) driver.execute<RowDataPacket[] | ResultSetHeader>(sql, [...params], answer);
      else
        driver.query<RowDataPacket[] | ResultSetHeader>({ sql, ...(infile === undefined ? {} : { infileStreamFactory: infile }) }, answer);
    });

  const run = async (sql: string, params: readonly MysqlParam[] = [], options: RunOptions = {}): Promise<MysqlResult> => {
    const result = await send(sql, params, options.infile);
    if (Array.isArray(result)) return { rows: result, changed: undefined };
    if (options.refuseWarnings === true && result.warningStatus > 0) {
      const warnings = (await send("show warnings", [])) as RowDataPacket[];
      throw refusedRows(
        warnings.map((row) => ({ number: Number(row["Code"]), message: String(row["Message"]) })),
        what,
      );
    }
    return { rows: [], changed: result.affectedRows };
  };
  const clear =
    <Args extends readonly unknown[], Value>(work: (...args: Args) => Promise<Value>) =>
    async (...args: Args): Promise<Value> => {
      try {
        return await work(...args);
      } catch (error) {
        throw mysqlError(error, side, what, signal);
      }
    };
  const query = async (sql: string, params: readonly MysqlParam[] = []): Promise<readonly MysqlRow[]> => (await run(sql, params)).rows;
  try {
    await connected(driver, waiting);
    // A connection that breaks while nothing runs says so here; the next command fails with the reason.
    driver.on("error", (error: Error) => context.log.debug({ err: error.message }, "MySQL connection broke"));
    await query(`set session ${[...SETTINGS, ...SETTINGS_OF[side]].join(", session ")}`);
    if (side === "destination") await query("set session transaction isolation level read committed");
    const [row] = await query("select version() as version");
    // Servers before 5.7 know no such limit.
    await query(noStatementLimit(String(row?.["version"]))).catch(() => undefined);
    signal.throwIfAborted();
  } catch (error) {
    await dispose();
    throw mysqlError(error, side, what, signal);
  }
  return {
    query: clear(query),
    run: clear(run),
    takeOver: () => {
      session = new BinarySession(socketOf(driver));
      return session;
    },
    [Symbol.asyncDispose]: dispose,
  };
};

/** The driver leaves its socket out of its types; with TLS it is the encrypted one. */
const socketOf = (driver: Connection): Socket => (driver as unknown as { readonly stream: Socket }).stream;

/**
 * Query attributes would change the layout of what BinarySession writes. A server may ask for local files where batches go to it as such, and gets nothing but them:
 * the driver opens no file. Loads count rows that were really changed.
 */
const FLAGS = ["-CLIENT_QUERY_ATTRIBUTES", "-SESSION_TRACK", "-IGNORE_SPACE", "-ODBC"];

const asBool = (value: unknown): unknown => (value === null ? null : Number(value) === 1);

const driverOptions = (config: MysqlConfig, side: Side): ConnectionOptions => ({
  host: config.host,
  port: config.port,
  user: config.user,
  password: config.password ?? "",
  database: config.database,
  charset: "utf8mb4",
  connectTimeout: config.connect_timeout * 1_000,
  enableKeepAlive: true,
  keepAliveInitialDelay: 30_000,
  flags: [...FLAGS, ...(side === "destination" ? ["-FOUND_ROWS"] : ["-LOCAL_FILES"])],
  typeCast: (field, next) => (field.type === "TINY" && field.length === 1 ? asBool(next()) : next()),
  connectAttributes: { program_name: "downbeat" },
  ...tlsOptions(config),
});

const tlsOptions = ({ tls, tls_ca: ca }: MysqlConfig): ConnectionOptions =>
  tls === "disable"
    ? {}
    : { ssl: { rejectUnauthorized: tls === "verify", verifyIdentity: tls === "verify", ...(ca === undefined ? {} : { ca }) } };

const connected = (driver: Connection, waiting: Set<(reason: unknown) => void>): Promise<void> =>
  new Promise((resolve, reject) => {
    waiting.add(reject);
    driver.once("connect", () => {
      waiting.delete(reject);
      driver.removeAllListeners("error");
      resolve();
    });
    driver.on("error", reject);
  });

const KILL_TIMEOUT_MS = 3_000;

/** By a connection of its own, as far as it works: the reading has ended already. */
const killQuery = async (config: MysqlConfig, id: number): Promise<void> => {
  const { createConnection } = await import("mysql2");
  const driver = createConnection({ ...driverOptions(config, "source"), connectTimeout: KILL_TIMEOUT_MS });
  driver.on("error", () => driver.destroy());
  driver.query(`kill query ${id}`, () => driver.destroy());
};

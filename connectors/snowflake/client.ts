// A session with Snowflake: logging in, session settings that make names and values exact, statements, uploads, and an end when the signal says so.

import type { Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import snowflake, { type Column, type Connection, type ConnectionOptions, type RowStatement } from "snowflake-sdk";
import type { ConnectorContext } from "../connector.ts";
import { type Side, snowflakeError } from "./errors.ts";
import type { SnowflakeConfig } from "./spec.ts";

// The driver writes a log file of its own otherwise.
snowflake.configure({ logLevel: "OFF", additionalLogToConsole: false });

export type SnowflakeParam = string | number | boolean | null;

export interface SnowflakeResult {
  /** By column names in lower case. */
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  /** Rows that a statement inserted, updated and deleted; null for others. */
  readonly changed: number | null;
}

export interface SnowflakeClient extends AsyncDisposable {
  /** One statement; `?` for its parameters. */
  run(sql: string, params?: readonly SnowflakeParam[]): Promise<SnowflakeResult>;
  /** One query, row by row: lists of values, numbers as text. */
  stream(sql: string, params: readonly SnowflakeParam[]): Promise<{ readonly columns: readonly Column[]; readonly rows: Readable }>;
}

/** Seconds that a statement waits for a lock: whoever waits longer is tried again. */
const LOCK_SECONDS = 60;
const END_MS = 5_000;

const SETTINGS: Readonly<Record<string, string>> = {
  QUOTED_IDENTIFIERS_IGNORE_CASE: "true",
  TIMEZONE: "'UTC'",
  LOCK_TIMEOUT: String(LOCK_SECONDS),
  // Statements of a client that is gone end by themselves.
  ABORT_DETACHED_QUERY: "true",
  TIME_OUTPUT_FORMAT: "'HH24:MI:SS.FF9'",
  BINARY_OUTPUT_FORMAT: "'HEX'",
};

export const connectSnowflake = async (
  config: SnowflakeConfig,
  context: ConnectorContext,
  side: Side,
  what: string,
): Promise<SnowflakeClient> => {
  const { signal } = context;
  signal.throwIfAborted();
  const connection = snowflake.createConnection(optionsOf(config));
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
  aborted.catch(() => undefined);
  const failure = (error: unknown): unknown => snowflakeError(error, side, what, signal);
  let ended: Promise<void> | undefined;
  // A server that is away must not keep its client.
  const end = (): Promise<void> =>
    (ended ??= connection.isUp() ? Promise.race([destroyed(connection), pause(END_MS, undefined, { ref: false })]) : Promise.resolve());

  const execute = (sql: string, params: readonly SnowflakeParam[], isStream: boolean): Promise<Answer> => {
    let statement: RowStatement | undefined;
    const answered = new Promise<Answer>((resolve, reject) => {
      statement = connection.execute({
        sqlText: sql,
        ...(params.length === 0 ? {} : { binds: params }),
        rowMode: "array",
        fetchAsString: ["Number", "JSON"],
        streamResult: isStream,
        complete: (error, done, rows) => {
          if (error === undefined || error === null)
            resolve({ statement: done as RowStatement, rows: (rows ?? []) as readonly unknown[][] });
          else reject(error);
        },
      });
    });
    // Nobody waits for it after an end by the signal.
    answered.catch(() => undefined);
    const onAbort = (): void => statement?.cancel();
    signal.addEventListener("abort", onAbort, { once: true });
    return Promise.race([answered, aborted]).finally(() => signal.removeEventListener("abort", onAbort));
  };

  const client: SnowflakeClient = {
    async run(sql, params = []) {
      signal.throwIfAborted();
      try {
        const { statement, rows } = await execute(sql, params, false);
        const names = (statement.getColumns() ?? []).map((column) => column.getName().toLowerCase());
        const records = rows.map((row) => Object.fromEntries(names.map((name, place) => [name, row[place] ?? null])));
        return { rows: records, changed: changedBy(names, rows) };
      } catch (error) {
        throw failure(error);
      }
    },
    async stream(sql, params) {
      signal.throwIfAborted();
      try {
        const { statement } = await execute(sql, params, true);
        return { columns: statement.getColumns() ?? [], rows: statement.streamRows() };
      } catch (error) {
        throw failure(error);
      }
    },
    [Symbol.asyncDispose]: end,
  };
  try {
    await Promise.race([connected(connection), aborted]);
    const settings = Object.entries(SETTINGS).map(([name, value]) => `${name} = ${value}`);
    await client.run(`alter session set ${settings.join(" ")}`);
    return client;
  } catch (error) {
    await end();
    throw failure(error);
  }
};

interface Answer {
  readonly statement: RowStatement;
  readonly rows: readonly unknown[][];
}

/** Of statements that change rows: one row with a number for each kind of change. */
const changedBy = (names: readonly string[], rows: readonly unknown[][]): number | null => {
  const counts = names.flatMap((name, place) =>
    /^number of rows (inserted|updated|deleted)$/.test(name) ? [Number(rows[0]?.[place])] : [],
  );
  return counts.length === 0 ? null : counts.reduce((sum, count) => sum + count, 0);
};

/** The driver's own promise is fulfilled also where logging in fails. */
const connected = (connection: Connection): Promise<void> =>
  new Promise((resolve, reject) => {
    connection.connect((error) => (error === undefined || error === null ? resolve() : reject(error)));
  });

const destroyed = (connection: Connection): Promise<void> => new Promise((resolve) => connection.destroy(() => resolve()));

const optionsOf = (config: SnowflakeConfig): ConnectionOptions => {
  const endpoint = config.endpoint === undefined ? undefined : new URL(config.endpoint);
  return {
    account: config.account,
    username: config.user,
    ...authOf(config),
    ...(config.role === undefined ? {} : { role: config.role }),
    ...(config.warehouse === undefined ? {} : { warehouse: config.warehouse }),
    database: config.database,
    schema: config.schema,
    application: "Downbeat",
    // A source may leave a load without a statement for longer than sessions last.
    clientSessionKeepAlive: true,
    timeout: config.connect_timeout * 1_000,
    retryTimeout: config.connect_timeout,
    sfRetryMaxLoginRetries: 2,
    ...(endpoint === undefined
      ? {}
      : {
          accessUrl: endpoint.origin,
          host: endpoint.hostname,
          protocol: endpoint.protocol.replace(":", ""),
          port: Number(endpoint.port === "" ? (endpoint.protocol === "https:" ? 443 : 80) : endpoint.port),
        }),
  } as ConnectionOptions;
};

const authOf = (config: SnowflakeConfig): Partial<ConnectionOptions> => {
  if (config.private_key !== undefined) {
    return {
      authenticator: "SNOWFLAKE_JWT",
      privateKey: config.private_key,
      ...(config.private_key_passphrase === undefined ? {} : { privateKeyPass: config.private_key_passphrase }),
    };
  }
  if (config.oauth_token !== undefined) return { authenticator: "OAUTH", token: config.oauth_token };
  return { password: config.password ?? "" };
};

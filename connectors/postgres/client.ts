// A connection to PostgreSQL: connecting in bounded time, TLS, session settings that make values exact, and an end when the signal says so.

import pg from "pg";
import type { ConnectorContext } from "../connector.ts";
import { postgresError, type Side } from "./errors.ts";

export interface PostgresConfig {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string | undefined;
  readonly database: string;
  readonly tls: "disable" | "require" | "verify";
  readonly tls_ca?: string | undefined;
  readonly connect_timeout: number;
}

const BOOL_OID = 16;

/** Values come as the server writes them, apart from booleans: nothing is rounded on the way. */
const types = {
  getTypeParser: (oid: number) => (text: string | Buffer) => (oid === BOOL_OID ? text === "t" : text),
};

const SETTINGS: readonly string[] = [
  "set timezone = 'UTC'",
  "set datestyle = 'ISO, YMD'",
  "set intervalstyle = 'iso_8601'",
  "set bytea_output = 'hex'",
  // A slow source must not be taken for an idle client, but a host that has vanished must not hold locks for hours.
  "set idle_in_transaction_session_timeout = 0",
  "set tcp_keepalives_idle = 30",
  "set tcp_keepalives_interval = 10",
  "set tcp_keepalives_count = 3",
];

export interface PostgresClient extends AsyncDisposable {
  readonly driver: pg.Client;
}

export const connectPostgres = async (
  config: PostgresConfig,
  context: ConnectorContext,
  side: Side,
  what: string,
): Promise<PostgresClient> => {
  const { signal } = context;
  signal.throwIfAborted();
  const driver = new pg.Client({
    host: config.host,
    port: config.port,
    user: config.user,
    password: config.password ?? "",
    database: config.database,
    ssl: tlsOptions(config),
    connectionTimeoutMillis: config.connect_timeout * 1_000,
    keepAlive: true,
    application_name: "downbeat",
    types,
  });
  // An idle connection that breaks says so here; the next statement fails with the reason.
  driver.on("error", (error) => context.log.debug({ err: error.message }, "PostgreSQL connection broke"));
  let ended: Promise<void> | undefined;
  // With a statement under way the driver cuts the connection, and the statement fails.
  const end = (): Promise<void> => (ended ??= driver.end().catch(() => undefined));
  const onAbort = (): void => void end();
  try {
    await driver.connect();
    signal.addEventListener("abort", onAbort, { once: true });
    signal.throwIfAborted();
    await driver.query(SETTINGS.join("; "));
  } catch (error) {
    signal.removeEventListener("abort", onAbort);
    await end();
    throw postgresError(error, side, what, signal);
  }
  return {
    driver,
    [Symbol.asyncDispose]: () => {
      signal.removeEventListener("abort", onAbort);
      return end();
    },
  };
};

const tlsOptions = ({ tls, tls_ca: ca }: PostgresConfig): pg.ClientConfig["ssl"] => {
  if (tls === "disable") return false;
  return { rejectUnauthorized: tls === "verify", ...(ca === undefined ? {} : { ca }) };
};

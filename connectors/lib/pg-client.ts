// A connection by PostgreSQL's protocol: connecting in bounded time, TLS, session settings, values as the server writes them, and an end when the signal says so.

import pg from "pg";
import type { ConnectorContext } from "../connector.ts";

export interface PgConfig {
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
const KEEP_ALIVE_MS = 30_000;

/** Values come as the server writes them, apart from booleans: nothing is rounded on the way. */
const types = {
  getTypeParser: (oid: number) => (text: string | Buffer) => (oid === BOOL_OID ? text === "t" : text),
};

export interface PgClient extends AsyncDisposable {
  readonly driver: pg.Client;
}

/** `failure` makes the system's error of the driver's. */
export const connectPg = async (
  config: PgConfig,
  { signal, log }: Pick<ConnectorContext, "signal" | "log">,
  settings: readonly string[],
  failure: (error: unknown) => unknown,
): Promise<PgClient> => {
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
    // Routers forget connections on which nothing is said for some minutes.
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    application_name: "downbeat",
    types,
  });
  // An idle connection that breaks says so here; the next statement fails with the reason.
  driver.on("error", (error) => log.debug({ err: error.message }, `connection to ${config.host} broke`));
  let ended: Promise<void> | undefined;
  // With a statement under way the driver cuts the connection, and the statement fails.
  const end = (): Promise<void> => (ended ??= driver.end().catch(() => undefined));
  const onAbort = (): void => void end();
  try {
    await driver.connect();
    signal.addEventListener("abort", onAbort, { once: true });
    signal.throwIfAborted();
    await driver.query(settings.join("; "));
  } catch (error) {
    signal.removeEventListener("abort", onAbort);
    await end();
    throw failure(error);
  }
  return {
    driver,
    [Symbol.asyncDispose]: () => {
      signal.removeEventListener("abort", onAbort);
      return end();
    },
  };
};

const tlsOptions = ({ tls, tls_ca: ca }: PgConfig): pg.ClientConfig["ssl"] => {
  if (tls === "disable") return false;
  return { rejectUnauthorized: tls === "verify", ...(ca === undefined ? {} : { ca }) };
};

// A connection to PostgreSQL, with session settings that make values exact.

import type { ConnectorContext } from "../connector.ts";
import { connectPg, type PgClient, type PgConfig } from "../lib/pg-client.ts";
import { postgresError, type Side } from "./errors.ts";

export type PostgresConfig = PgConfig;
export type PostgresClient = PgClient;

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

export const connectPostgres = (config: PostgresConfig, context: ConnectorContext, side: Side, what: string): Promise<PostgresClient> =>
  connectPg(config, context, SETTINGS, (error) => postgresError(error, side, what, context.signal));

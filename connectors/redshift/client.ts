// A connection to Redshift, with session settings that make values exact.

import type { ConnectorContext } from "../connector.ts";
import { connectPg, type PgClient } from "../lib/pg-client.ts";
import { redshiftError, type Side } from "./errors.ts";
import type { RedshiftConfig } from "./spec.ts";

const SETTINGS: readonly string[] = [
  "set timezone to 'UTC'",
  "set datestyle to 'ISO, YMD'",
  // The most that it takes: digits enough for every double.
  "set extra_float_digits to 2",
];

/** Names of a load's tables and columns, and of what is asked, are lower case, whatever the database's defaults are. */
const LOAD_SETTINGS: readonly string[] = [
  ...SETTINGS,
  "set enable_case_sensitive_identifier to false",
  "set describe_field_name_in_uppercase to false",
];

const LOOPBACK = /^(localhost|::1|127(\.\d{1,3}){3})$/;

export const connectRedshift = (config: RedshiftConfig, context: ConnectorContext, side: Side, what: string): Promise<PgClient> => {
  const tls = config.tls ?? (LOOPBACK.test(config.host) ? "disable" : "verify");
  const settings = side === "destination" ? LOAD_SETTINGS : SETTINGS;
  return connectPg({ ...config, tls }, context, settings, (error) => redshiftError(error, side, what, context.signal));
};

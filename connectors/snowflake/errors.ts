// Snowflake's errors as codes of the error table, by the server's number or SQLSTATE, or the driver's own number.
// https://docs.snowflake.com/en/developer-guide/node-js/nodejs-driver-execute, and the messages themselves

import { DownbeatError, type ErrorCode } from "../../core/errors.ts";

/** Who asked: decides between the codes of destinations and SQL operators. */
export type Side = "destination" | "sql";

type Codes = Readonly<Record<Side, ErrorCode>>;
const same = (code: ErrorCode): Codes => ({ destination: code, sql: code });
const statement: Codes = { destination: "DESTINATION_TABLE_INVALID", sql: "SQL_FAILED" };
const data: Codes = { destination: "DESTINATION_DATA_REFUSED", sql: "SQL_FAILED" };

interface Rule {
  /** Six digits with leading zeros. */
  readonly numbers: RegExp;
  readonly codes: Codes;
  readonly hint: string;
}

const RULES: readonly Rule[] = [
  {
    // user or password, locked user, key pair, OAuth, token that has expired, second factor, network policy
    numbers: /^(39010[0-2]|390144|39030[23]|390318|390422|3943\d\d|394400)$/,
    codes: same("DESTINATION_AUTH"),
    hint: "check user, password, key or token, and from where the account lets this user in",
  },
  { numbers: /^003001$/, codes: same("DESTINATION_AUTH"), hint: "grant the role the rights that this needs" },
  {
    // role, database, schema or warehouse that is not there or not this user's; no warehouse at all
    numbers: /^(390189|390201|390913|000606|09010[56])$/,
    codes: same("CONNECTION_INVALID"),
    hint: "check account, role, warehouse, database and schema",
  },
  {
    // a lock that was waited for too long or by too many, statements and transactions that were ended, a session that is gone
    numbers: /^(000625|000630|00060[345]|090073|39011[0-4]|390195)$/,
    codes: same("DESTINATION_UNAVAILABLE"),
    hint: "try again",
  },
  { numbers: /^100\d{3}$/, codes: data, hint: "check the rows against the table's types" },
];

/** The driver's own: the network, answers that are none, a connection that has ended. */
const NETWORK = new Set(["401001", "402001", "403001", "407002"]);

const numberOf = (error: unknown): string => {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return /^\d+$/.test(code) ? code.padStart(6, "0") : "";
};

export const snowflakeError = (error: unknown, side: Side, what: string, signal: AbortSignal): unknown => {
  if (signal.aborted) return signal.reason;
  if (error instanceof DownbeatError || !(error instanceof Error)) return error;
  const number = numberOf(error);
  const { message } = error;
  if (NETWORK.has(number)) {
    return new DownbeatError("DESTINATION_UNAVAILABLE", `${what}: ${message}; check account, endpoint and the network`, { cause: error });
  }
  const rule = RULES.find(({ numbers }) => numbers.test(number));
  const sqlState = "sqlState" in error && typeof error.sqlState === "string" ? error.sqlState : undefined;
  const isData = rule === undefined && sqlState?.startsWith("22") === true;
  const codes = isData ? data : (rule?.codes ?? statement);
  const hint = rule?.hint ?? (isData ? "check the rows against the table's types" : undefined);
  return new DownbeatError(codes[side], `${what}: ${message}${hint === undefined ? "" : `; ${hint}`}`, {
    cause: error,
    details: { number, ...(sqlState === undefined ? {} : { sqlState }) },
  });
};

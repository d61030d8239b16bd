// PostgreSQL's errors as codes of the error table, by SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html

import { DownbeatError, type ErrorCode } from "../../core/errors.ts";

/** Who asked: decides between the codes of sources, destinations and SQL operators. */
export type Side = "source" | "destination" | "sql";

const auth: Readonly<Record<Side, ErrorCode>> = { source: "SOURCE_AUTH", destination: "DESTINATION_AUTH", sql: "DESTINATION_AUTH" };
const unavailable: Readonly<Record<Side, ErrorCode>> = {
  source: "SOURCE_UNAVAILABLE",
  destination: "DESTINATION_UNAVAILABLE",
  sql: "DESTINATION_UNAVAILABLE",
};
const same = (code: ErrorCode): Readonly<Record<Side, ErrorCode>> => ({ source: code, destination: code, sql: code });
const data: Readonly<Record<Side, ErrorCode>> = {
  source: "SOURCE_QUERY_FAILED",
  destination: "DESTINATION_DATA_REFUSED",
  sql: "SQL_FAILED",
};
const statement: Readonly<Record<Side, ErrorCode>> = {
  source: "SOURCE_QUERY_FAILED",
  destination: "DESTINATION_TABLE_INVALID",
  sql: "SQL_FAILED",
};

interface Rule {
  readonly state: RegExp;
  readonly code: Readonly<Record<Side, ErrorCode>>;
  readonly hint: string;
  readonly conflict?: boolean;
}

const RULES: readonly Rule[] = [
  { state: /^28/, code: auth, hint: "check user and password, and the server's pg_hba.conf" },
  { state: /^42501/, code: auth, hint: "grant the user the rights that this needs" },
  { state: /^3D000/, code: same("CONNECTION_INVALID"), hint: "check the connection's database" },
  { state: /^(53100|54000)/, code: same("DESTINATION_FULL"), hint: "make room on the server" },
  { state: /^(08|57P0|53|58)/, code: unavailable, hint: "the server is away or out of resources; see its log" },
  { state: /^(40001|40P01|55P03)/, code: unavailable, hint: "another transaction held what this one needed; try again", conflict: true },
  { state: /^22P03/, code: unavailable, hint: "the table's columns were changed while they were written to; try again" },
  { state: /^(21|22|23)/, code: data, hint: "check the rows against the table's types and constraints" },
  { state: /^(42|0A|2B|3F|26)/, code: statement, hint: "check names, types and syntax" },
];

const NETWORK = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EPIPE",
  "ECONNABORTED",
]);

/** `what` says what failed, on what. Errors that are ours already, and interruptions, pass through. */
export const postgresError = (error: unknown, side: Side, what: string, signal: AbortSignal): unknown => {
  if (signal.aborted) return signal.reason;
  if (error instanceof DownbeatError || !(error instanceof Error)) return error;
  const {
    code = "",
    detail,
    column,
    constraint,
  } = error as Error & Record<"code" | "detail" | "column" | "constraint", string | undefined>;
  const details = {
    ...(code === "" ? {} : { sqlState: code }),
    ...(column === undefined ? {} : { column }),
    ...(constraint === undefined ? {} : { constraint }),
  };
  const isBroken =
    NETWORK.has(code) ||
    /Connection terminated|timeout expired|Client (?:has encountered|was closed)/i.test(error.message) ||
    error instanceof AggregateError;
  if (isBroken) {
    const message = error.message === "" ? code : error.message;
    return new DownbeatError(unavailable[side], `${what}: ${message}; check host, port and that the server runs`, { cause: error });
  }
  if (/SSL|TLS|certificate|self.signed/i.test(error.message) && !/^\d/.test(code)) {
    return new DownbeatError("CONNECTION_INVALID", `${what}: ${error.message}; check the connection's tls and tls_ca`, { cause: error });
  }
  const rule = RULES.find(({ state }) => state.test(code));
  // The detail of a data error quotes the row: it goes into no message.
  const shown = detail === undefined || rule?.code === data ? error.message : `${error.message} (${detail})`;
  return new DownbeatError((rule?.code ?? statement)[side], `${what}: ${shown}${rule === undefined ? "" : `; ${rule.hint}`}`, {
    cause: error,
    details: { ...details, ...(rule?.conflict === true ? { conflict: true } : {}) },
  });
};

// MySQL's and MariaDB's errors as codes of the error table, by number. https://mariadb.com/kb/en/mariadb-error-codes/

import { DownbeatError, type ErrorCode } from "../../core/errors.ts";

/** Who asked: decides between the codes of sources, destinations and SQL operators. */
export type Side = "source" | "destination" | "sql";

type Codes = Readonly<Record<Side, ErrorCode>>;

const same = (code: ErrorCode): Codes => ({ source: code, destination: code, sql: code });
const auth: Codes = { source: "SOURCE_AUTH", destination: "DESTINATION_AUTH", sql: "DESTINATION_AUTH" };
const unavailable: Codes = {
  source: "SOURCE_UNAVAILABLE",
  destination: "DESTINATION_UNAVAILABLE",
  sql: "DESTINATION_UNAVAILABLE",
};
const statement: Codes = { source: "SOURCE_QUERY_FAILED", destination: "DESTINATION_TABLE_INVALID", sql: "SQL_FAILED" };
const data: Codes = { ...statement, destination: "DESTINATION_DATA_REFUSED" };

const full: Codes = { ...same("DESTINATION_FULL"), source: "SOURCE_UNAVAILABLE" };

interface Rule {
  readonly code: Codes;
  readonly hint: string;
  readonly numbers: readonly number[];
}

/** Of files and storage engines the number says which step failed, and the text why: 28 is a full disk. */
const FILE_ERRORS = [2, 3, 5, 6, 9, 23, 29, 1026, 1030];

const RULES: readonly Rule[] = [
  {
    code: auth,
    hint: "check user and password, and that the server lets this user in from here",
    // access denied (to the server, the database, without password), host not allowed or blocked, plugin, expired password
    numbers: [1044, 1045, 1129, 1130, 1251, 1524, 1698, 1820, 1862, 2059, 3118, 4151],
  },
  { code: auth, hint: "grant the user the rights that this needs", numbers: [1142, 1143, 1227, 1345, 1370] },
  { code: same("CONNECTION_INVALID"), hint: "check the connection's database", numbers: [1046, 1049] },
  { code: same("CONNECTION_INVALID"), hint: "the server wants TLS; set the connection's tls", numbers: [3159] },
  {
    code: same("SOURCE_LOG_LOST"),
    hint: "the server's log no longer has what follows on the last load: keep it longer, empty the destination's table, delete the stream's cursor and start the load anew",
    numbers: [1236, 1373],
  },
  {
    code: { ...statement, source: "SOURCE_STREAM_NOT_FOUND" },
    hint: "discover lists what there is",
    numbers: [1051, 1109, 1146],
  },
  // The snapshot does not know a table that was altered after it began.
  { code: { ...unavailable, source: "SOURCE_CHANGED" }, hint: "the table was altered while it was used; try again", numbers: [1412] },
  { code: full, hint: "make room on the server", numbers: [20, 1021, 1114] },
  { code: unavailable, hint: "another transaction held what this one needed; try again", numbers: [1020, 1205, 1213] },
  {
    code: unavailable,
    hint: "the server is away, busy or out of resources; see its log",
    // too many connections, out of resources, shutdown, network, killed, timeouts, read-only, gone
    numbers: [
      1037, 1040, 1041, 1042, 1053, 1077, 1079, 1080, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1226, 1290, 1317, 1836, 1927, 1969, 2002,
      2003, 2006, 2013, 3024, 3169, 4031,
    ],
  },
  { code: unavailable, hint: "the server could not use a file; see its log", numbers: FILE_ERRORS },
  {
    code: data,
    hint: "check the rows against the table's types and constraints",
    // NULL, duplicate, too large a packet or row, foreign keys, truncated, out of range, wrong value, too long, triggers, partitions, JSON, CHECK
    numbers: [
      1048, 1062, 1118, 1153, 1169, 1216, 1217, 1263, 1264, 1265, 1292, 1300, 1301, 1364, 1365, 1366, 1367, 1406, 1411, 1451, 1452, 1526,
      1557, 1586, 1644, 1690, 1761, 3140, 3819, 4025, 4038,
    ],
  },
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
  "PROTOCOL_CONNECTION_LOST",
]);

const ruleOf = (errno: number, message: string): Rule | undefined =>
  FILE_ERRORS.includes(errno) && /\b(?:Errcode:|error) 28\b/.test(message)
    ? RULES.find(({ code }) => code === full)
    : RULES.find(({ numbers }) => numbers.includes(errno));

/** What the server says of refused rows quotes their values: those go into no message. */
const withoutValues = (message: string): string => message.replace(/'[\s\S]*' for (column|key|function)/, "'…' for $1");

/** `what` says what failed, on what. Errors that are ours already, and interruptions, pass through. */
export const mysqlError = (error: unknown, side: Side, what: string, signal: AbortSignal): unknown => {
  if (signal.aborted) return signal.reason;
  if (error instanceof DownbeatError || !(error instanceof Error)) return error;
  const { code, errno, sqlState } = error as Error & { readonly code?: string; readonly errno?: number; readonly sqlState?: string };
  const details = { ...(errno === undefined ? {} : { errno }), ...(sqlState === undefined || sqlState === "" ? {} : { sqlState }) };
  if ((code !== undefined && NETWORK.has(code)) || /in closed state/.test(error.message)) {
    return new DownbeatError(unavailable[side], `${what}: ${error.message || code}; check host, port and that the server runs`, {
      cause: error,
    });
  }
  if (code === "HANDSHAKE_SSL_ERROR" || code === "HANDSHAKE_NO_SSL_SUPPORT") {
    return new DownbeatError("CONNECTION_INVALID", `${what}: ${error.message}; check the connection's tls and tls_ca`, { cause: error });
  }
  const rule = errno === undefined ? undefined : ruleOf(errno, error.message);
  const hint = rule === undefined ? "" : `; ${rule.hint}`;
  const message = rule?.code === data && side !== "source" ? withoutValues(error.message) : error.message;
  return new DownbeatError((rule?.code ?? statement)[side], `${what}: ${message}${hint}`, { cause: error, details });
};

/** A warning of the server: what it would have changed of a row to make it fit, which is refused. */
export interface ServerWarning {
  readonly number: number;
  readonly message: string;
}

export const refusedRows = (warnings: readonly ServerWarning[], what: string): DownbeatError => {
  const [first] = warnings;
  const said = first === undefined ? "the server has changed values to make them fit" : withoutValues(first.message);
  return new DownbeatError("DESTINATION_DATA_REFUSED", `${what}: ${said}; check the rows against the table's types and constraints`, {
    details: first === undefined ? {} : { errno: first.number },
  });
};

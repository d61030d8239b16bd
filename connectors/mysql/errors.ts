// MySQL's and MariaDB's errors as codes of the error table, by number. https://mariadb.com/kb/en/mariadb-error-codes/

import { DownbeatError, type ErrorCode } from "../../core/errors.ts";

interface Rule {
  readonly code: ErrorCode;
  readonly hint: string;
  readonly numbers: readonly number[];
}

const RULES: readonly Rule[] = [
  {
    code: "SOURCE_AUTH",
    hint: "check user and password, and that the server lets this user in from here",
    // access denied (to the server, the database, without password), host not allowed or blocked, plugin, expired password
    numbers: [1044, 1045, 1129, 1130, 1251, 1524, 1698, 1820, 1862, 2059, 3118, 4151],
  },
  { code: "SOURCE_AUTH", hint: "grant the user the right to read it", numbers: [1142, 1143, 1227, 1345, 1370] },
  { code: "CONNECTION_INVALID", hint: "check the connection's database", numbers: [1046, 1049] },
  { code: "CONNECTION_INVALID", hint: "the server wants TLS; set the connection's tls", numbers: [3159] },
  { code: "SOURCE_STREAM_NOT_FOUND", hint: "discover lists what there is", numbers: [1051, 1109, 1146] },
  {
    code: "SOURCE_LOG_LOST",
    hint: "the server's log no longer has what follows on the last load: keep it longer, empty the destination's table and start the load anew",
    numbers: [1236, 1373],
  },
  // The snapshot does not know a table that was altered after it began.
  { code: "SOURCE_CHANGED", hint: "the table was altered while it was read; try again", numbers: [1412] },
  {
    code: "SOURCE_UNAVAILABLE",
    hint: "the server is away, busy or out of resources; see its log",
    // too many connections, out of resources, shutdown, network, killed, timeouts, locks, disk, gone
    numbers: [
      1021, 1037, 1040, 1041, 1042, 1053, 1077, 1079, 1080, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1205, 1213, 1226, 1290, 1317, 1927,
      1969, 2002, 2003, 2006, 2013, 3024, 3169, 4031,
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

/** `what` says what failed, on what. Errors that are ours already, and interruptions, pass through. */
export const mysqlError = (error: unknown, what: string, signal: AbortSignal): unknown => {
  if (signal.aborted) return signal.reason;
  if (error instanceof DownbeatError || !(error instanceof Error)) return error;
  const { code, errno, sqlState } = error as Error & { readonly code?: string; readonly errno?: number; readonly sqlState?: string };
  const details = { ...(errno === undefined ? {} : { errno }), ...(sqlState === undefined || sqlState === "" ? {} : { sqlState }) };
  if (code !== undefined && NETWORK.has(code)) {
    return new DownbeatError("SOURCE_UNAVAILABLE", `${what}: ${error.message || code}; check host, port and that the server runs`, {
      cause: error,
    });
  }
  if (code === "HANDSHAKE_SSL_ERROR" || code === "HANDSHAKE_NO_SSL_SUPPORT") {
    return new DownbeatError("CONNECTION_INVALID", `${what}: ${error.message}; check the connection's tls and tls_ca`, { cause: error });
  }
  const rule = errno === undefined ? undefined : RULES.find(({ numbers }) => numbers.includes(errno));
  const hint = rule === undefined ? "" : `; ${rule.hint}`;
  return new DownbeatError(rule?.code ?? "SOURCE_QUERY_FAILED", `${what}: ${error.message}${hint}`, { cause: error, details });
};

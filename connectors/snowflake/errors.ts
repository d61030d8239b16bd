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
  readonly number: RegExp;
  readonly codes: Codes;
  readonly hint: string;
}

/** Numbers have six digits with leading zeros. */
const RULES: readonly Rule[] = [
  {
    number: /^(3901(00|01|02|44|86)|3903(02|03|18)|394(300|304|400))$/,
    codes: same("DESTINATION_AUTH"),
    hint: "check user, password, key or token",
  },
  { number: /^003001$/, codes: same("DESTINATION_AUTH"), hint: "grant the role the rights that this needs" },
  {
    number: /^(2600\d\d|002043|390201|390189|390913)$/,
    codes: same("CONNECTION_INVALID"),
    hint: "check account, role, warehouse, database and schema",
  },
  { number: /^(000606|000607|090073)$/, codes: same("CONNECTION_INVALID"), hint: "give the connection a warehouse that the role may use" },
  // A lock that was waited for too long, too many waiters, a statement or transaction that was ended, a session that is gone.
  { number: /^(000625|000630|000604|000605|000603|090073|39011[0-4]|390195)$/, codes: same("DESTINATION_UNAVAILABLE"), hint: "try again" },
  {
    number: /^(1000\d\d|1000(38|69|71|72|78|80|83|90|94|96)|100[0-9]{3}|0000?22)$/,
    codes: data,
    hint: "check the rows against the table's types",
  },
];

/** The driver's own: the network, and answers that are none. */
const isNetwork = (code: number): boolean => code === 401_001 || code === 402_001 || code === 403_001 || code === 407_002;

export const numberOf = (error: unknown): string => {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return /^\d+$/.test(code) ? code.padStart(6, "0") : "";
};

export const snowflakeError = (error: unknown, side: Side, what: string, signal: AbortSignal): unknown => {
  if (signal.aborted) return signal.reason;
  if (error instanceof DownbeatError || !(error instanceof Error)) return error;
  const number = numberOf(error);
  const { message } = error;
  if (isNetwork(Number(number))) {
    return new DownbeatError("DESTINATION_UNAVAILABLE", `${what}: ${message}; check account, endpoint and the network`, { cause: error });
  }
  const rule = RULES.find((one) => one.number.test(number));
  const sqlState = "sqlState" in error && typeof error.sqlState === "string" ? error.sqlState : undefined;
  const isData = rule === undefined && sqlState?.startsWith("22") === true;
  const codes = isData ? data : (rule?.codes ?? statement);
  const hint = rule?.hint ?? (isData ? "check the rows against the table's types" : undefined);
  return new DownbeatError(codes[side], `${what}: ${message}${hint === undefined ? "" : `; ${hint}`}`, {
    cause: error,
    details: { number, ...(sqlState === undefined ? {} : { sqlState }) },
  });
};

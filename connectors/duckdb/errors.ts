// DuckDB's errors as codes of the error table: the driver gives a message that begins with the kind of error.

import { DownbeatError, type ErrorCode } from "../../core/errors.ts";

/** Who asked: decides between the codes of sources, destinations and SQL operators. */
export type Side = "source" | "destination" | "sql";

interface Rule {
  readonly pattern: RegExp;
  readonly code: Readonly<Record<Side, ErrorCode>>;
  readonly hint: string;
  readonly conflict?: boolean;
}

const same = (code: ErrorCode): Rule["code"] => ({ source: code, destination: code, sql: code });
const unavailable: Rule["code"] = { source: "SOURCE_UNAVAILABLE", destination: "DESTINATION_UNAVAILABLE", sql: "DESTINATION_UNAVAILABLE" };

/** What DuckDB says when there is no room for its files. */
export const DISK_FULL = /No space left on device|File too large|Disk quota exceeded|max_temp_directory_size/i;

const RULES: readonly Rule[] = [
  {
    pattern: /Could not set lock on file/i,
    code: unavailable,
    hint: "another process has the file open; a DuckDB file has one owner: stop that process, or let all work on this file go through one worker",
  },
  {
    pattern: DISK_FULL,
    code: same("DESTINATION_FULL"),
    hint: "the disk is full; make room",
  },
  {
    pattern: /^Out of Memory Error/i,
    code: same("DESTINATION_FULL"),
    hint: "raise memory_limit of the connection, or make room on the disk for its temporary files",
  },
  {
    pattern: /not a valid DuckDB database file|Serialization Error/i,
    code: same("CONNECTION_INVALID"),
    hint: "the path leads to a file that this DuckDB cannot read; check path",
  },
  {
    pattern: /Cannot open file|Permission denied|read-only mode/i,
    code: same("CONNECTION_INVALID"),
    hint: "check that the folder exists and that this process may write there",
  },
  {
    pattern: /^TransactionContext Error|Transaction conflict|write-write conflict/i,
    code: unavailable,
    hint: "another transaction changed the same thing meanwhile; try again",
    conflict: true,
  },
  {
    pattern: /^(?:Constraint|Conversion|Out of Range|Invalid Input) Error/i,
    code: { source: "SOURCE_QUERY_FAILED", destination: "DESTINATION_DATA_REFUSED", sql: "SQL_FAILED" },
    hint: "check the rows against the table's types and constraints",
  },
  {
    pattern: /^(?:Catalog|Binder|Parser|Dependency|Not implemented) Error/i,
    code: { source: "SOURCE_QUERY_FAILED", destination: "DESTINATION_TABLE_INVALID", sql: "SQL_FAILED" },
    hint: "check names and syntax",
  },
  {
    pattern: /database has been invalidated|^FATAL Error/i,
    code: unavailable,
    hint: "DuckDB has given up this file after an earlier error; it is opened anew once its users are gone",
  },
  { pattern: /^IO Error/i, code: unavailable, hint: "check the disk" },
];

const FALLBACK: Rule["code"] = { source: "SOURCE_QUERY_FAILED", destination: "DESTINATION_DATA_REFUSED", sql: "SQL_FAILED" };

/** `what` says what failed, on what. Errors that are ours already, and interruptions, pass through. */
export const duckdbError = (error: unknown, side: Side, what: string, signal: AbortSignal): unknown => {
  if (signal.aborted) return signal.reason;
  if (error instanceof DownbeatError || !(error instanceof Error)) return error;
  const message = error.message.split("\n\nLINE ")[0] ?? error.message;
  const rule = RULES.find(({ pattern }) => pattern.test(message));
  const hint = rule === undefined ? "" : `; ${rule.hint}`;
  return new DownbeatError((rule?.code ?? FALLBACK)[side], `${what}: ${message}${hint}`, {
    cause: error,
    ...(rule?.conflict === true ? { details: { conflict: true } } : {}),
  });
};

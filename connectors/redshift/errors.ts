// Redshift's errors as codes of the error table: those that mean something else than PostgreSQL's, by SQLSTATE or by their words.

import { DownbeatError, type ErrorCode } from "../../core/errors.ts";
import { postgresError, type Side as PostgresSide } from "../postgres/errors.ts";

/** Who asked: decides between the codes of destinations and SQL operators. */
export type Side = Exclude<PostgresSide, "source">;

interface Rule {
  readonly state: RegExp;
  readonly words?: RegExp;
  readonly code: ErrorCode;
  readonly hint: string;
}

const RULES: readonly Rule[] = [
  {
    state: /^28/,
    code: "DESTINATION_AUTH",
    hint: "check user and password, and whether the cluster's security group lets the worker in",
  },
  {
    // No conflict in the sense of loads: whoever has written to the same table need not be the same load.
    state: /^40/,
    code: "DESTINATION_UNAVAILABLE",
    hint: "another transaction has written to the same table meanwhile; nothing of this one stands, try again",
  },
  {
    state: /^XX/,
    words: /serializable isolation|isolation violation|\b1023\b/i,
    code: "DESTINATION_UNAVAILABLE",
    hint: "another transaction has written to the same table meanwhile; nothing of this one stands, try again",
  },
  {
    state: /^57014/,
    code: "DESTINATION_UNAVAILABLE",
    hint: "the statement was ended, by a time limit or by somebody; try again",
  },
  {
    state: /^XX/,
    words: /S3ServiceException|not authorized to assume|not authorized to get credentials|access ?denied|IAM role/i,
    code: "DESTINATION_AUTH",
    hint: "check that iam_role belongs to the cluster and may read the staging prefix, and that region is the bucket's",
  },
  { state: /^XX/, words: /disk full|out of (disk )?space/i, code: "DESTINATION_FULL", hint: "make room in the cluster" },
];

export const sqlStateOf = (error: unknown): string => {
  if (error instanceof DownbeatError) return String(error.details?.["sqlState"] ?? "");
  return error instanceof Error && "code" in error ? String(error.code) : "";
};

export const redshiftError = (error: unknown, side: Side, what: string, signal: AbortSignal): unknown => {
  if (signal.aborted) return signal.reason;
  if (error instanceof DownbeatError || !(error instanceof Error)) return error;
  const sqlState = sqlStateOf(error);
  const rule = RULES.find(({ state, words }) => state.test(sqlState) && (words === undefined || words.test(error.message)));
  if (rule === undefined) return postgresError(error, side, what, signal);
  return new DownbeatError(rule.code, `${what}: ${error.message}; ${rule.hint}`, { cause: error, details: { sqlState } });
};

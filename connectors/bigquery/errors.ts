// BigQuery's errors as codes of the error table, by the reason that it gives: https://cloud.google.com/bigquery/docs/error-messages

import { DownbeatError, type ErrorCode } from "../../core/errors.ts";

/** Who asked: decides between the codes of destinations and SQL operators. */
export type Side = "destination" | "sql";

/** What an answer of the API, or the end of a job, says went wrong. */
export class ApiFailure extends Error {
  /** Of the answer; 0 where there was none. */
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ApiFailure";
    this.status = status;
    this.reason = reason;
  }
}

type Codes = Readonly<Record<Side, ErrorCode>>;
const same = (code: ErrorCode): Codes => ({ destination: code, sql: code });
const statement: Codes = { destination: "DESTINATION_TABLE_INVALID", sql: "SQL_FAILED" };

interface Rule {
  readonly reasons: RegExp;
  readonly messages?: RegExp;
  readonly codes: Codes;
  readonly hint?: string;
}

/** A transaction that another one was faster than, whoever it was. */
const CONFLICT = /due to concurrent update|could not serialize access/i;

const RULES: readonly Rule[] = [
  {
    reasons: /^(authError|required|noCredentials)$/,
    codes: same("DESTINATION_AUTH"),
    hint: "check the service account's key, or the worker's Application Default Credentials",
  },
  {
    reasons: /^(accessDenied|forbidden|insufficientPermissions)$/,
    codes: same("DESTINATION_AUTH"),
    hint: "grant roles/bigquery.jobUser on the project and roles/bigquery.dataEditor on its datasets",
  },
  {
    reasons: /^(billingNotEnabled|accessNotConfigured)$/,
    codes: same("CONNECTION_INVALID"),
    hint: "enable the API and billing for the project",
  },
  {
    reasons: /^quotaExceeded$/,
    codes: same("DESTINATION_UNAVAILABLE"),
    hint: "a quota of the project is used up; it is freed with time, or raised under IAM & Admin, Quotas",
  },
  { reasons: /^/, messages: CONFLICT, codes: same("DESTINATION_UNAVAILABLE"), hint: "try again" },
  { reasons: /^notFound$/, messages: /\bproject\b/i, codes: same("CONNECTION_INVALID"), hint: "check the connection's project" },
  { reasons: /^notFound$/, messages: /\bsession\b/i, codes: same("DESTINATION_UNAVAILABLE"), hint: "try again" },
  { reasons: /^notFound$/, codes: statement, hint: "check project, dataset and location" },
  {
    // Of jobs as well as of calls.
    reasons: /^(job)?(backendError|internalError|rateLimitExceeded|tableUnavailable|stopped|timeout|userRateLimitExceeded|network)$/i,
    codes: same("DESTINATION_UNAVAILABLE"),
    hint: "try again",
  },
  {
    reasons: /^invalid/,
    messages:
      /bad \w+ value|could not (cast|parse|convert)|out of range|overflow|round-?trip|invalid (date|time|timestamp|json|numeric)|malformed|conversion error/i,
    codes: { destination: "DESTINATION_DATA_REFUSED", sql: "SQL_FAILED" },
    hint: "check the rows against the table's types",
  },
];

/** Whether the same call may go through when it is made again. */
export const isPassing = (error: unknown): boolean =>
  error instanceof ApiFailure &&
  (error.status === 0 || error.status === 429 || error.status >= 500 || /rateLimitExceeded$/i.test(error.reason)) &&
  error.reason !== "quotaExceeded";

export const isFailure = (error: unknown, ...reasons: readonly string[]): boolean =>
  error instanceof ApiFailure && reasons.includes(error.reason);

export const bigqueryError = (error: unknown, side: Side, what: string, signal: AbortSignal): unknown => {
  if (signal.aborted) return signal.reason;
  if (!(error instanceof ApiFailure)) return error;
  const { reason, message, status } = error;
  const unavailable = isPassing(error) ? RULES.find(({ reasons }) => reasons.test("backendError") && reasons.test("network")) : undefined;
  const rule = unavailable ?? RULES.find(({ reasons, messages }) => reasons.test(reason) && messages?.test(message) !== false);
  const hint = rule?.hint === undefined ? "" : `; ${rule.hint}`;
  return new DownbeatError((rule?.codes ?? statement)[side], `${what}: ${message}${hint}`, {
    cause: error,
    details: { reason, status, ...(CONFLICT.test(message) ? { conflict: "possible" } : {}) },
  });
};

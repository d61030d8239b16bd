// RFC 9457 problem answers out of the one error table.

import { randomUUID } from "node:crypto";
import type { ErrorRequestHandler } from "express";
import { DownbeatError, ERRORS, type ErrorCode } from "../core/errors.ts";
import type { Issue } from "../core/issues.ts";
import { LIMITS } from "../core/limits.ts";
import type { Logger } from "./deps.ts";

/** A fault list as an error: the problem answer carries all of it. */
export class IssuesError extends DownbeatError {
  readonly issues: readonly Issue[];

  constructor(code: ErrorCode, issues: readonly Issue[]) {
    const [first] = issues;
    const more = issues.length > 1 ? `, and ${issues.length - 1} more` : "";
    super(code, `${first === undefined ? "" : `${first.path === "" ? "" : `${first.path}: `}${first.message}`}${more}`);
    this.issues = issues;
  }
}

interface HttpError {
  readonly type?: string;
  readonly status?: number;
  readonly message: string;
  /** Of a body that is too large. */
  readonly limit?: number;
}

/** What body-parser and the router throw, as our codes. */
const asDownbeatError = (error: unknown): DownbeatError | undefined => {
  if (error instanceof DownbeatError) return error;
  const { type, status, message, limit = LIMITS.bodyBytes } = error as HttpError;
  if (type === "entity.too.large") return new DownbeatError("BODY_TOO_LARGE", `the request body is over the limit of ${limit} bytes`);
  if (type === "entity.parse.failed") return new DownbeatError("REQUEST_INVALID", `the body is not valid JSON: ${message}`);
  if (type === "encoding.unsupported" || type === "charset.unsupported") return new DownbeatError("MEDIA_TYPE_UNSUPPORTED", message);
  if (status !== undefined && status >= 400 && status < 500) return new DownbeatError("REQUEST_INVALID", message);
  return undefined;
};

export const problemHandler = (log: Logger): ErrorRequestHandler => {
  // Express tells error handlers by their four parameters.
  return (error: unknown, request, response, _next) => {
    const known = asDownbeatError(error);
    const code = known?.code ?? "INTERNAL";
    const rule = ERRORS[code];
    const instance = `urn:uuid:${randomUUID()}`;
    if (rule.http >= 500) log.error({ err: error, instance, method: request.method, path: request.path }, "request failed");
    if (response.headersSent) {
      response.end();
      return;
    }
    if (known?.retryAfterMs !== undefined) response.set("retry-after", String(Math.ceil(known.retryAfterMs / 1_000)));
    if (code === "UNAUTHENTICATED") response.set("www-authenticate", 'Bearer realm="downbeat"');
    response
      .status(rule.http)
      .type("application/problem+json")
      .send(
        JSON.stringify({
          type: `/reference/errors#${code}`,
          title: rule.title,
          status: rule.http,
          code,
          detail: known?.message ?? "Something unforeseen went wrong; the log has it under this instance",
          instance,
          ...(known?.details === undefined ? {} : { details: known.details }),
          ...(known instanceof IssuesError ? { issues: known.issues } : {}),
        }),
      );
  };
};

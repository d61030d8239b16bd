// Reads what Temporal says of a failed activity as one of our codes.

import { ActivityFailure, ApplicationFailure, isCancellation, TimeoutFailure } from "@temporalio/workflow";
import { isErrorCode } from "../core/errors.ts";
import type { Json } from "../core/json.ts";
import type { AttemptFailure } from "../core/run-state.ts";

/** What activities/failure.ts puts into the first detail of a failure. */
export interface FailureFacts {
  readonly details?: Json;
  readonly retryAfterMs?: number;
  readonly worker?: string;
  readonly lostAttempts?: number;
}

export type AttemptEnd =
  | { readonly kind: "cancelled" }
  | { readonly kind: "lost" }
  | { readonly kind: "failed"; readonly failure: AttemptFailure; readonly facts: FailureFacts };

const failed = (failure: AttemptFailure, facts: FailureFacts = {}): AttemptEnd => ({ kind: "failed", failure, facts });

export const readFailure = (error: unknown, isOwnActivity: boolean): AttemptEnd => {
  if (isCancellation(error)) return { kind: "cancelled" };
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) return readApplicationFailure(cause, isOwnActivity);
  if (cause instanceof TimeoutFailure) {
    switch (cause.timeoutType) {
      case "START_TO_CLOSE":
        return failed({ code: "ATTEMPT_TIMEOUT", message: "the attempt took longer than timeout.attempt" });
      case "HEARTBEAT":
        return isOwnActivity
          ? { kind: "lost" }
          : failed({ code: "WORKER_LOST", message: "workers stopped reporting again and again; look at their logs" });
      default:
        return failed({
          code: "TASK_TIMEOUT",
          message: "no worker finished the task within timeout.total; is a worker running on its queue?",
        });
    }
  }
  return failed({ code: "INTERNAL", message: error instanceof Error ? error.message : String(error) });
};

const readApplicationFailure = (cause: ApplicationFailure, isOwnActivity: boolean): AttemptEnd => {
  const message = cause.message;
  if (isOwnActivity) {
    const code = cause.nonRetryable === true ? "ACTIVITY_REFUSED" : "ACTIVITY_FAILED";
    return failed({ code, message: cause.type ? `${cause.type}: ${message}` : message });
  }
  const facts = (cause.details?.[0] ?? {}) as FailureFacts;
  const code = isErrorCode(cause.type ?? "") ? (cause.type as string) : "INTERNAL";
  return failed(
    {
      code,
      message,
      ...(facts.details === undefined ? {} : { details: facts.details }),
      ...(facts.retryAfterMs === undefined ? {} : { retryAfterMs: facts.retryAfterMs }),
    },
    facts,
  );
};

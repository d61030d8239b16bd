// Reads what Temporal says of a failed activity as one of our codes.

import {
  ActivityFailure,
  ApplicationFailure,
  ChildWorkflowFailure,
  isCancellation,
  ServerFailure,
  TemporalFailure,
  TerminatedFailure,
  TimeoutFailure,
} from "@temporalio/workflow";
import { DownbeatError, type ErrorCode, isErrorCode } from "../core/errors.ts";
import { LIMITS } from "../core/limits.ts";
import type { AttemptFailure } from "../core/run-attempts.ts";
import type { DagActivities, FailureFacts } from "./ports.ts";

export type AttemptEnd = { readonly kind: "succeeded"; readonly answer: unknown } | AttemptFailed;

export type AttemptFailed =
  | { readonly kind: "cancelled" }
  | {
      /** `lost`: the worker died or shut down, the attempt does not count. */
      readonly kind: "lost" | "failed";
      readonly error: AttemptFailure;
      readonly worker?: string;
      readonly lostAttempts?: number;
    };

/** Undefined: it succeeded. */
export const codeOf = (end: AttemptEnd): string | undefined => {
  if (end.kind === "succeeded") return undefined;
  return end.kind === "cancelled" ? "CANCELLED" : end.error.code;
};

const failed = (code: ErrorCode, message: string): AttemptFailed => ({ kind: "failed", error: { code, message } });
const lost = (message: string): AttemptFailed => ({ kind: "lost", error: { code: "WORKER_LOST", message } });

export const TASK_OVERDUE = failed(
  "TASK_TIMEOUT",
  "no worker finished the task within timeout.total; check that a worker runs on its task queue",
);

/** What the SDK's core reports when a worker stops before an activity is done. */
const SHUTDOWN_TYPE = "WorkerShutdown";

/** Ours, before a user's own. */
const RENDER_INPUT = "renderInput" satisfies keyof DagActivities;

/** Of a user's own activity, by the worker that measured what it gave. */
const TOO_LARGE = "OUTPUT_TOO_LARGE" satisfies ErrorCode;

/**
 * Throws what is no failure of a call but a bug of ours: it fails the workflow task, visibly, until a release mends it.
 * `isAsked`: whether its caller has cancelled it; what ends cancelled by somebody else has failed.
 */
export const readFailure = (error: unknown, isOwnActivity: boolean, isAsked = true): AttemptFailed => {
  if (!(error instanceof TemporalFailure)) throw error;
  if (isCancellation(error))
    return isAsked ? { kind: "cancelled" } : failed("CANCELLED", `${nameOf(error)} was cancelled, and not by this run`);
  const cause = causeOf(error);
  if (cause instanceof TerminatedFailure && !isAsked) return failed("CANCELLED", `${nameOf(error)} was terminated`);
  if (cause instanceof TimeoutFailure) return readTimeout(cause, isOwnActivity);
  if (cause instanceof ServerFailure && isOwnActivity) return failed(TOO_LARGE, `Temporal did not take its answer: ${cause.message}`);
  if (!(cause instanceof ApplicationFailure)) return failed("INTERNAL", cause instanceof Error ? cause.message : error.message);
  // A child workflow is ours, also where it calls a user's activity.
  return isOwnActivity && error instanceof ActivityFailure && error.activityType !== RENDER_INPUT
    ? readOwnFailure(cause)
    : readVerbFailure(cause);
};

const nameOf = (error: TemporalFailure): string => {
  if (error instanceof ChildWorkflowFailure) return `its workflow ${error.execution.workflowId}`;
  return error instanceof ActivityFailure ? `its activity ${error.activityType}` : "it";
};

const causeOf = (error: unknown): unknown =>
  error instanceof ActivityFailure || error instanceof ChildWorkflowFailure ? causeOf(error.cause) : error;

const readTimeout = ({ timeoutType }: TimeoutFailure, isOwnActivity: boolean): AttemptFailed => {
  switch (timeoutType) {
    case "START_TO_CLOSE":
      return failed("ATTEMPT_TIMEOUT", "the attempt took longer than timeout.attempt");
    case "HEARTBEAT":
      return isOwnActivity
        ? lost("the worker stopped reporting")
        : failed("WORKER_LOST", "workers stopped reporting again and again; their logs tell why");
    default:
      return TASK_OVERDUE;
  }
};

/** In milliseconds. The SDK leaves it out of the failures that it gives, not out of what they were made of. */
const nextRetryDelayOf = ({ failure }: ApplicationFailure): number | undefined => {
  const delay = failure?.applicationFailureInfo?.nextRetryDelay;
  if (delay === undefined || delay === null) return undefined;
  return Number(delay.seconds ?? 0) * 1_000 + Math.ceil((delay.nanos ?? 0) / 1e6);
};

const readOwnFailure = (failure: ApplicationFailure): AttemptFailed => {
  const { type, message, nonRetryable } = failure;
  if (type === SHUTDOWN_TYPE) return lost("the worker shut down");
  if (type === TOO_LARGE) return failed(TOO_LARGE, message);
  const text = type ? `${type}: ${message}` : message;
  const retryAfterMs = nextRetryDelayOf(failure);
  const error = {
    code: nonRetryable === true ? "ACTIVITY_REFUSED" : "ACTIVITY_FAILED",
    message: text.slice(0, LIMITS.errorBytes),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
  return { kind: "failed", error };
};

const readVerbFailure = ({ type, message, details }: ApplicationFailure): AttemptFailed => {
  const facts = (details?.[0] ?? {}) as FailureFacts;
  return {
    kind: "failed",
    error: {
      code: type !== undefined && type !== null && isErrorCode(type) ? type : "INTERNAL",
      message,
      ...(facts.details === undefined ? {} : { details: facts.details }),
      ...(facts.retryAfterMs === undefined ? {} : { retryAfterMs: facts.retryAfterMs }),
    },
    ...(facts.worker === undefined ? {} : { worker: facts.worker }),
    ...(facts.lostAttempts === undefined ? {} : { lostAttempts: facts.lostAttempts }),
  };
};

/** Of an error thrown in the workflow itself, by an expression. Throws what is a bug of ours. */
export const failureOf = (error: unknown): AttemptFailure => {
  if (!(error instanceof DownbeatError)) throw error;
  return { code: error.code, message: error.message };
};

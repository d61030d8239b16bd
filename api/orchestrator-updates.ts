// Updates of workflows, and what their refusals mean to callers.

import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import {
  isGrpcServiceError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from "@temporalio/client";
import { ApplicationFailure } from "@temporalio/common";
import type { Keyed } from "../core/acted-keys.ts";
import { DownbeatError, type ErrorCode, isErrorCode } from "../core/errors.ts";

/**
 * Temporal answers a known id as it did before, whatever comes with it: another request under the same key must be another update. Without a key it is one of its
 * own, for all tries of that update: a try that was taken although its answer was lost is not done again, nor refused for what it has done.
 */
export const updateIdOf = (keyed: Keyed | undefined): { readonly updateId: string } => ({
  updateId: keyed === undefined ? randomUUID() : `${keyed.key}#${keyed.requestHash ?? ""}`,
});

/** gRPC's number for it. */
const FAILED_PRECONDITION = 9;
/** Longer together than a call may take: its deadline ends them. */
const TRIES = 100;
const PAUSE_MS = 100;

/**
 * An update that would end its workflow is not taken where the server has something for the workflow that this has not seen (UNHANDLED_COMMAND). Then nothing
 * of it was done, and the server leaves it to the caller to send it again: https://github.com/temporalio/temporal/pull/7296.
 */
export const untilTaken = async <Answer>(update: () => Promise<Answer>): Promise<Answer> => {
  for (let left = TRIES; ; left -= 1) {
    try {
      return await update();
    } catch (error) {
      const cause = error instanceof Error ? error.cause : undefined;
      if (left === 0 || !isGrpcServiceError(cause) || cause.code !== FAILED_PRECONDITION) throw error;
      await pause(PAUSE_MS);
    }
  }
};

/** Throws the workflow's own refusal, `gone` when it has ended, WORKER_LOST when no worker takes the update in time. */
export const answeredUpdate = async <Answer>(
  { what, gone }: { readonly what: string; readonly gone: ErrorCode },
  update: () => Promise<Answer>,
): Promise<Answer> => {
  try {
    return await update();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) throw new DownbeatError(gone, `${what} has ended`, { cause: error });
    if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) {
      const message = `no worker took the action on ${what} in time; check that a worker runs (GET /health/ready counts them). It may still be taken: look before you repeat it`;
      throw new DownbeatError("WORKER_LOST", message, { cause: error });
    }
    const cause = error instanceof WorkflowUpdateFailedError ? error.cause : undefined;
    if (cause instanceof ApplicationFailure && isErrorCode(cause.type ?? ""))
      throw new DownbeatError(cause.type as ErrorCode, cause.message);
    throw error;
  }
};

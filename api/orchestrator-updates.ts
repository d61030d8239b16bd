// Updates of workflows, and what their refusals mean to callers.

import { WorkflowNotFoundError, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError } from "@temporalio/client";
import { ApplicationFailure } from "@temporalio/common";
import type { Keyed } from "../core/acted-keys.ts";
import { DownbeatError, type ErrorCode, isErrorCode } from "../core/errors.ts";

/** Temporal answers a known id as it did before, whatever comes with it: another request under the same key must be another update. */
export const updateIdOf = (keyed: Keyed | undefined): { readonly updateId?: string } =>
  keyed === undefined ? {} : { updateId: `${keyed.key}#${keyed.requestHash ?? ""}` };

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

// Backfills in Temporal: started, followed, acted on.

import { type Client, WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from "@temporalio/client";
import type { Keyed } from "../core/acted-keys.ts";
import type { BackfillState } from "../core/backfill.ts";
import { backfillWorkflowId, DEFAULT_QUEUE } from "../core/ids.ts";
import { BACKFILL_UPDATE, BACKFILL_WORKFLOW, backfillAttributes, type BackfillInput, type BackfillRequest } from "../workflows/messages.ts";
import type { Call } from "./orchestrator-owners.ts";
import { answeredUpdate, untilTaken, updateIdOf } from "./orchestrator-updates.ts";

export interface BackfillReference {
  readonly pipeline: string;
  readonly id: string;
}

export interface BackfillDoor {
  /** Safe to repeat: one that runs stays as it is. */
  start(input: BackfillInput): Promise<void>;
  /** Of one that has ended: the store hears of that a moment before Temporal, and until then it would count as one that runs. */
  startAgain(input: BackfillInput): Promise<void>;
  /** Throws ACTION_REFUSED with the backfill's own reason; the same key acts once, in all executions of the backfill, and throws IDEMPOTENCY_KEY_REUSED for another request. */
  control(backfill: BackfillReference, request: BackfillRequest, keyed: Keyed | undefined): Promise<BackfillState>;
  /** `ended`: it or another execution of it came to its end by itself; `stopped`: somebody stopped it in Temporal. */
  statusOf(backfill: BackfillReference): Promise<"running" | "ended" | "stopped" | "unknown">;
}

/** Between a backfill's last report and its end. */
const CLOSING_MS = 5_000;

export const createBackfillDoor = (client: Client, call: Call): BackfillDoor => {
  const handleOf = ({ pipeline, id }: BackfillReference) => client.workflow.getHandle(backfillWorkflowId(pipeline, id));
  const start: BackfillDoor["start"] = async (input) => {
    const { id, pipeline, state } = input;
    try {
      await call(() =>
        client.workflow.start(BACKFILL_WORKFLOW, {
          workflowId: backfillWorkflowId(pipeline, id),
          taskQueue: DEFAULT_QUEUE,
          args: [input],
          typedSearchAttributes: backfillAttributes(pipeline, id),
          memo: { pipeline, backfill: id },
          staticSummary: `backfill of ${pipeline}, ${state.count} partitions`,
        }),
      );
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
  };
  return {
    start,

    async startAgain(input) {
      // However it ended; where it does not in time, the reconciler starts it.
      await client.withDeadline(Date.now() + CLOSING_MS, () => handleOf(input).result()).catch(() => undefined);
      await start(input);
    },

    control(backfill, request, keyed) {
      const options = { args: [{ ...request, ...keyed }] as [BackfillRequest], ...updateIdOf(keyed) };
      return answeredUpdate({ what: `backfill ${backfill.id}`, gone: "ACTION_REFUSED" }, () =>
        call(() => untilTaken(() => handleOf(backfill).executeUpdate<BackfillState, [BackfillRequest]>(BACKFILL_UPDATE, options))),
      );
    },

    async statusOf(backfill) {
      try {
        const { status } = await call(() => handleOf(backfill).describe());
        if (status.name === "RUNNING" || status.name === "CONTINUED_AS_NEW") return "running";
        return status.name === "COMPLETED" ? "ended" : "stopped";
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return "unknown";
        throw error;
      }
    },
  };
};

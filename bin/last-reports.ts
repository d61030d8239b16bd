// The last reports of runs: in the store before Temporal hears that the run has ended, or else with a workflow that waits until the store is back.

import { type ConnectionLike } from "@temporalio/client";
import type { InjectedSinks } from "@temporalio/worker";
import { temporalClient } from "../api/orchestrator-client.ts";
import { lateReportWorkflowId, parseRunWorkflowId } from "../core/ids.ts";
import type { RunChanges } from "../core/run-changes.ts";
import { LATE_REPORT_WORKFLOW, ofPipeline } from "../workflows/messages.ts";
import type { ProgressSinks } from "../workflows/ports.ts";
import type { Logger } from "./log.ts";

/** The workflow task waits for it, and has 10 s. */
const PATIENCE_MS = 3_000;
const START_MS = 4_000;
/** After the store did not answer in time it is not asked for so long: the workflow tasks of all runs that end would be kept. */
const AWAY_MS = 5_000;

export interface LastReportsOptions {
  /** Settles when the store has it and whoever waits for it was told. */
  readonly record: (changes: RunChanges) => Promise<void>;
  readonly connection: ConnectionLike;
  readonly namespace: string;
  readonly taskQueue: string;
  readonly log: Pick<Logger, "warn" | "error">;
  readonly patienceMs?: number;
}

/**
 * The SDK sends a workflow task's answer when the sinks that it called have settled. Where neither store nor Temporal takes the report, Temporal does not take
 * the answer either, and the workflow task is done again. The reconciler mends what falls between the two.
 */
export const createLastReports = (options: LastReportsOptions): InjectedSinks<ProgressSinks>["progress"]["end"] => {
  const { record, connection, namespace, taskQueue, log, patienceMs = PATIENCE_MS } = options;
  const client = temporalClient({ connection, namespace });
  let awayUntil = 0;
  let answeredAt = 0;

  const recordInTime = async (changes: RunChanges): Promise<void> => {
    if (Date.now() < awayUntil) throw new Error("the store did not answer the report before it");
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        // One that still answers others is only slow.
        if (Date.now() - answeredAt > patienceMs) awayUntil = Date.now() + AWAY_MS;
        reject(new Error(`the store did not answer within ${patienceMs} ms`));
      }, patienceMs);
    });
    await Promise.race([record(changes), late]).finally(() => clearTimeout(timer));
    answeredAt = Date.now();
  };

  return {
    callDuringReplay: false,
    async fn(info, changes) {
      try {
        await recordInTime(changes);
        return;
      } catch (error) {
        log.warn({ err: error, runId: changes.runId }, "the last report of a run waits for the store");
      }
      const pipeline = parseRunWorkflowId(info.workflowId)?.pipeline;
      try {
        await client.withDeadline(Date.now() + START_MS, () =>
          client.workflow.start(LATE_REPORT_WORKFLOW, {
            workflowId: lateReportWorkflowId(changes.runId),
            taskQueue,
            args: [changes],
            // The workflow task may be done again, and then knows more.
            workflowIdConflictPolicy: "TERMINATE_EXISTING",
            workflowIdReusePolicy: "ALLOW_DUPLICATE",
            // Of the run: it is found with it.
            ...(pipeline === undefined ? {} : { typedSearchAttributes: ofPipeline(pipeline) }),
            memo: { ...(pipeline === undefined ? {} : { pipeline }), run: changes.runId },
            staticSummary: `last report of ${changes.runId}`,
          }),
        );
      } catch (error) {
        log.error({ err: error, runId: changes.runId }, "the last report of a run could not be kept; the reconciler will mend its status");
      }
    },
  };
};

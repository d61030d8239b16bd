// What a backfill needs of the outside: runs of partitions written down and started, their ends looked up, its state recorded.

import { DownbeatError } from "../core/errors.ts";
import { partitionAt, partitionsCache } from "../core/partitions.ts";
import type { CompiledPlan } from "../core/plan.ts";
import { isRunEnded } from "../core/run-changes.ts";
import type { BackfillRecord, Backfills } from "../store/backfills.ts";
import { type Definitions, pauseText } from "../store/definitions.ts";
import type { RunRecord, Runs } from "../store/runs.ts";
import type { DagActivities } from "../workflows/ports.ts";
import { outlastingOutages } from "./failure.ts";

export interface BackfillDeps {
  readonly backfills: Pick<Backfills, "find" | "record" | "runsById" | "succeededIntervals">;
  readonly createRun: Runs["create"];
  readonly findPause: Definitions["findPause"];
  readonly findPlan: Definitions["findPlan"];
  /** Starts a run that has been written down, with this priority for its tasks; safe to repeat. */
  readonly startRun: (run: RunRecord, plan: CompiledPlan, priority?: number) => Promise<void>;
}

type BackfillActivities = Pick<DagActivities, "startPartitions" | "endedRuns" | "recordBackfill">;

export const createBackfillActivities = ({ backfills, createRun, findPause, findPlan, startRun }: BackfillDeps): BackfillActivities => {
  const planOf = partitionsCache();
  const found = async (id: string): Promise<BackfillRecord> => {
    const backfill = await backfills.find(id);
    if (backfill === undefined) throw new DownbeatError("NOT_FOUND", `the store has no backfill "${id}"`);
    return backfill;
  };

  return {
    startPartitions: ({ id, priority, partitions }) =>
      outlastingOutages(async () => {
        const backfill = await found(id);
        const paused = await findPause(backfill.pipeline);
        if (paused !== null && paused !== undefined) throw new DownbeatError("PIPELINE_PAUSED", pauseText(backfill.pipeline, paused));
        const compiled = await findPlan(backfill.planHash);
        if (compiled === undefined) throw new DownbeatError("INTERNAL", `the store has no plan ${backfill.planHash} of backfill ${id}`);
        const plan = planOf(backfill.id, backfill.cut);
        const results: ("started" | "existing")[] = [];
        for (const { partition, runId } of partitions) {
          const interval = partitionAt(plan, partition);
          if (interval === undefined) throw new DownbeatError("INTERNAL", `backfill ${id} has no partition ${partition}`);
          if (await hasSucceeded(backfills, backfill, interval)) {
            results.push("existing");
            continue;
          }
          const { run } = await createRun({
            id: runId,
            pipeline: backfill.pipeline,
            version: backfill.version,
            planHash: backfill.planHash,
            // The same for every round: what one has committed is not committed again by the next.
            origin: `${id}.${partition}`,
            trigger: "backfill",
            params: backfill.params,
            intervalStart: interval.start,
            intervalEnd: interval.end,
            backfill: id,
            partition,
          });
          // Of a call that is repeated: it may have ended, and Temporal forgotten it.
          if (run.status === "queued") await startRun(run, compiled, priority);
          results.push("started");
        }
        return results;
      }),

    endedRuns: (ids) =>
      outlastingOutages(async () =>
        (await backfills.runsById(ids))
          .filter(({ status }) => isRunEnded(status))
          .map(({ id, status }) => ({ runId: id, succeeded: status === "succeeded" })),
      ),

    recordBackfill: (report) =>
      outlastingOutages(async () => {
        await backfills.record(report);
      }),
  };
};

const hasSucceeded = async (
  backfills: BackfillDeps["backfills"],
  { id, pipeline, existing }: BackfillRecord,
  partition: { readonly start: string; readonly end: string },
): Promise<boolean> => {
  if (existing === "rerun") return false;
  const [start, end] = [Date.parse(partition.start), Date.parse(partition.end)];
  const found = await backfills.succeededIntervals(pipeline, { from: start, to: start, but: id });
  return found.some((one) => one.start === start && one.end === end);
};

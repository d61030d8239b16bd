// What requests about backfills may carry.

import { z } from "zod";
import { BACKFILL_ORDERS, BACKFILL_STATUSES, PARTITION_STATUSES } from "../core/backfill.ts";
import { LIMITS } from "../core/limits.ts";
import { listOf, pageQuery, pauseBody } from "./schemas.ts";

const moment = z.string().describe("A moment in ISO 8601, or a date: its midnight in the time zone");
const concurrency = z.int().min(1).max(LIMITS.backfillRuns).describe("Runs at the same time");
const priority = z.int().min(1).max(5).describe("Of its runs' tasks, 1 the most urgent; other runs have 3");
const stopAfterFailures = z.int().min(1).nullable().describe("Failed partitions after which it pauses; null: never");

export const backfillBody = z
  .strictObject({
    from: moment,
    to: moment.describe("Not part of it, and not in the future; as `from`"),
    schedule: z.string().optional().describe("The pipeline's schedule whose data intervals it goes by"),
    every: z.string().optional().describe("Else: day, week, month, year, or a duration such as 6h"),
    timezone: z.string().optional().describe("With every; UTC unless given"),
    params: z.record(z.string(), z.json()).default({}).describe("Of every run"),
    version: z.int().min(1).optional().describe("A version other than the latest"),
    concurrency: concurrency.default(4),
    priority: priority.default(5),
    order: z.enum(BACKFILL_ORDERS).default("oldest-first"),
    stop_after_failures: stopAfterFailures.default(10),
    existing: z.enum(["skip", "rerun"]).default("skip").describe("What becomes of intervals for which a run has succeeded already"),
    dry_run: z.boolean().default(false).describe("Only tell what would be done"),
    by: pauseBody.shape.by,
    why: pauseBody.shape.why,
  })
  .refine(({ schedule, every }) => (schedule === undefined) !== (every === undefined), {
    path: ["every"],
    message: "give exactly one of every (a length of the intervals) and schedule (the name of one of the pipeline's)",
  })
  .refine(({ schedule, timezone }) => schedule === undefined || timezone === undefined, {
    path: ["timezone"],
    message: "is the schedule's own",
  });

export const backfillChanges = pauseBody
  .extend({ concurrency: concurrency.optional(), priority: priority.optional(), stop_after_failures: stopAfterFailures.optional() })
  .refine(({ concurrency: runs, priority: level, stop_after_failures: most }) => [runs, level, most].some((one) => one !== undefined), {
    message: "changes nothing: give concurrency, priority or stop_after_failures",
  });

export const backfillCancelBody = pauseBody.extend({
  runs: z.boolean().default(false).describe("Cancel the runs that go on as well; else they end by themselves"),
});

const numbers = z.array(z.int().min(0)).min(1).max(1_000).describe("Numbers of partitions");
const chosen = { partitions: numbers.optional(), from: moment.optional(), to: moment.optional() };
const isOneChoice = ({ partitions, from, to }: { partitions?: unknown; from?: unknown; to?: unknown }): boolean =>
  (from === undefined) === (to === undefined) && (partitions === undefined || from === undefined);

export const backfillSkipBody = pauseBody
  .extend(chosen)
  .refine((body) => isOneChoice(body) && (body.partitions ?? body.from) !== undefined, { message: "give partitions, or from and to" });

export const backfillRetryBody = pauseBody
  .extend(chosen)
  .refine(isOneChoice, { message: "give partitions, or from and to, or nothing for all that have failed" });

export const backfillListQuery = pageQuery.extend({
  pipeline: z.string().optional().describe("Only of this pipeline"),
  status: listOf(BACKFILL_STATUSES),
});
export const partitionListQuery = pageQuery.extend({ status: listOf(PARTITION_STATUSES) });

/** By the name that the OpenAPI document gives them. */
export const BACKFILL_BODIES = {
  NewBackfill: backfillBody,
  BackfillChanges: backfillChanges,
  BackfillCancellation: backfillCancelBody,
  BackfillSkip: backfillSkipBody,
  BackfillRetry: backfillRetryBody,
} as const;

// What answers about backfills carry.

import { z } from "zod";
import { BACKFILL_ORDERS, BACKFILL_STATUSES, PARTITION_STATUSES } from "../core/backfill.ts";
import { localMoment, moment, pageOf } from "./answer-parts.ts";
import { RUN_STATUSES } from "./schemas.ts";

const interval = z.object({ partition: z.int().describe("From 0, in the order of time"), start: localMoment, end: localMoment });

const backfill = z.object({
  id: z.string(),
  pipeline: z.string(),
  version: z.int(),
  status: z.enum(BACKFILL_STATUSES),
  reason: z.string().nullable().describe("Why it is paused, where no person paused it"),
  from: localMoment,
  to: localMoment,
  schedule: z.string().nullable(),
  every: z.string().nullable(),
  timezone: z.string(),
  params: z.record(z.string(), z.unknown()),
  existing: z.enum(["skip", "rerun"]),
  order: z.enum(BACKFILL_ORDERS),
  concurrency: z.int(),
  priority: z.int(),
  stop_after_failures: z.int().nullable(),
  partitions: z.int(),
  counts: z.object(Object.fromEntries(PARTITION_STATUSES.map((status) => [status, z.int()]))).describe("Partitions by status"),
  progress: z.number().describe("0 to 1: the part of the partitions that is neither pending nor running"),
  window: z.array(interval.extend({ run: z.string() })).describe("What runs now"),
  created_at: moment,
  finished_at: moment.nullable(),
  links: z.object({ self: z.string(), partitions: z.string(), runs: z.string(), pipeline: z.string() }),
});

const action = z.object({ action: z.string(), by: z.string(), why: z.string().nullable(), details: z.unknown(), at: moment });

export const BACKFILL_ANSWERS = {
  Backfill: backfill,
  BackfillView: backfill.extend({ actions: z.array(action).describe("What people did to it") }),
  Backfills: pageOf(backfill),
  BackfillPlan: z.object({
    dry_run: z.literal(true),
    version: z.int(),
    partitions: z.int(),
    existing: z.int().describe("Partitions for whose interval a run has succeeded already"),
    to_run: z.int(),
    first: z.array(interval).describe("The first that would run"),
    last: z.array(interval),
    mean_seconds: z.number().nullable().describe("Of the pipeline's latest successes; null: there is none"),
    estimated_seconds: z.number().nullable().describe("Until the end, at this concurrency"),
  }),
  Partitions: pageOf(
    interval.extend({ status: z.enum(PARTITION_STATUSES), run: z.string().nullable(), run_status: z.enum(RUN_STATUSES).nullable() }),
  ),
} as const;

// What requests may carry: read by the routes, described by the OpenAPI document.

import { z } from "zod";
import { parseDuration } from "../core/duration.ts";
import { durationSchema } from "../core/operators.ts";
import type { ItemStatus, RunStatus } from "../core/run-changes.ts";
import { EVENT_STATUSES } from "../store/triggers.ts";

export const RUN_STATUSES = [
  "queued",
  "running",
  "waiting",
  "paused",
  "parked",
  "succeeded",
  "failed",
  "cancelled",
] as const satisfies readonly RunStatus[];

const MAX_PAGE = 500;

export const pageQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(50).describe(`1 to ${MAX_PAGE}`),
  cursor: z.string().optional().describe("`next` of the page before"),
});

export const listOf = <Name extends string>(names: readonly [Name, ...Name[]]) =>
  z
    .string()
    .transform((text) => text.split(","))
    .pipe(z.array(z.enum(names)))
    .optional()
    .describe(`One or more of ${names.join(", ")}, with commas`);

export const runListQuery = pageQuery
  .extend({
    pipeline: z.string().optional().describe("Only of this pipeline"),
    status: listOf(RUN_STATUSES),
    trigger: z.string().optional().describe("Only by this trigger"),
    backfill: z.string().optional().describe("Only of this backfill"),
    parent: z.string().optional().describe("Only those that tasks of this run have started"),
    parent_task: z.string().optional().describe("With parent: only those of this task"),
    since: z.iso.datetime({ offset: true }).optional().describe("Created at or after, ISO 8601"),
  })
  .refine(({ parent, parent_task }) => parent !== undefined || parent_task === undefined, {
    path: ["parent_task"],
    message: "needs a parent",
  });

const ITEM_STATUSES = ["pending", "succeeded", "failed"] as const satisfies readonly ItemStatus[];

export const itemListQuery = pageQuery.extend({ status: z.enum(ITEM_STATUSES).optional().describe("Only of this status") });

export const eventListQuery = pageQuery.extend({ status: z.enum(EVENT_STATUSES).optional().describe("Only of this status") });

export const triggerTestBody = z.strictObject({
  data: z.json().describe("What the event says, as its sender would"),
  subject: z.string().min(1).optional().describe("What it is of: an asset's name"),
});

const force = z.boolean().default(false).describe("Also while the pipeline is paused");

export const triggerBody = z.strictObject({
  params: z.record(z.string(), z.json()).default({}).describe("Fit the JSON Schema of the pipeline's params; defaults are filled in"),
  version: z.int().min(1).optional().describe("A version other than the latest"),
  force,
});

const by = z.string().min(1).max(200).describe("Who asks for it: kept with what was done");
const why = z.string().min(1).max(2_000).describe("Kept with what was done");
const anybody = by.default("unnamed");

export const cancelBody = z
  .strictObject({
    by: anybody,
    why: z.string().min(1).max(500).optional().describe("Shown with the run and in Temporal's history"),
    reason: z.string().min(1).max(500).optional().describe("Another name of `why`"),
    force: z.boolean().default(false).describe("End it at once: nothing of it is told to stop or cleans up"),
  })
  .refine(({ why, reason }) => why === undefined || reason === undefined, {
    path: ["reason"],
    message: "is another name of why: give one",
  });

export const pauseBody = z.strictObject({ by: anybody, why: why.optional() });

export const pipelinePauseBody = pauseBody.extend({
  runs: z.enum(["keep", "pause"]).default("keep").describe("pause: open runs are paused as well, and go on when the pipeline does"),
});

export const pipelineActionsQuery = pageQuery.extend({
  schedule: z.string().optional().describe("Only what was done to this schedule"),
  trigger: z.string().optional().describe("Only what was done to this event trigger"),
});

export const continueBody = z.strictObject({
  by: anybody,
  why: why.optional(),
  with: z
    .record(z.string(), z.json())
    .optional()
    .describe("Keys of the task that change for this run: its operator's block, retry, timeout, when, queue, …; not id and needs"),
  params: z.record(z.string(), z.json()).optional().describe("Params of the run that change from now on"),
});

export const markBody = z.strictObject({
  as: z.enum(["succeeded", "skipped", "failed"]),
  output: z.json().optional().describe("With succeeded: the task's output"),
  by: anybody,
  why,
});

export const decisionBody = z.strictObject({
  approve: z.boolean(),
  by,
  comment: why.optional().describe("Why: kept with what was done"),
});

const MOST_FIRINGS = 1_000;
const firings = {
  count: z.coerce.number().int().min(1).max(MOST_FIRINGS).default(10).describe(`How many, 1 to ${MOST_FIRINGS}`),
  after: z.iso.datetime({ offset: true }).optional().describe("Only later ones, ISO 8601; default now"),
};

export const firingsQuery = z.strictObject(firings);
export const schedulePreviewBody = z.strictObject({
  schedule: z.record(z.string(), z.json()).describe("As under `schedules` of a definition"),
  ...firings,
});

export const assetListQuery = pageQuery.extend({
  prefix: z.string().optional().describe('Only names that begin with it, such as "warehouse/"'),
});

const connectionName = z.string().regex(/^[a-z][a-z0-9_-]{0,62}$/, "must be 1 to 63 of a-z, 0-9, _ and -, beginning with a letter");
const kind = z.string().min(1).describe("A connector of GET /v1/connectors");
const config = z.record(z.string(), z.json());
const SECRETS = 'A secret is a text, or {"env": NAME} or {"file": PATH} of the worker; {"secret": true} keeps the one that is stored';

const breakerTime = (least: string, most: string, words: string) =>
  durationSchema(least, most)
    .transform((text) => parseDuration(text) ?? 0)
    .describe(words);
const maxConcurrent = z.int().min(0).max(10_000).describe("Tasks that may use it at the same time; 0 lets none begin");
const circuitBreaker = z
  .strictObject({
    failures: z.int().min(1).max(1_000).describe("So many attempts that failed since the other side is unwell open it"),
    within: breakerTime("1s", "1d", "The time in which they fall, such as 1m"),
    open_for: breakerTime("1s", "1d", "Nothing is let through for so long, such as 30s; then one task, two, four, …"),
  })
  .describe("Tasks wait without a worker while the other side is unwell");
const limits = { max_concurrent: maxConcurrent.optional(), circuit_breaker: circuitBreaker.optional() };

export const connectionPath = z.strictObject({ name: connectionName });
export const connectionBody = z.strictObject({ kind, config: config.describe(SECRETS), ...limits });
export const newConnectionBody = z.strictObject({ name: connectionName, kind, config: config.describe(SECRETS), ...limits });
export const connectionPatch = z.strictObject({
  config: config.default({}).describe(`Keys to change; null removes one. ${SECRETS}`),
  max_concurrent: maxConcurrent.nullable().optional().describe("null: no limit"),
  circuit_breaker: circuitBreaker.nullable().optional().describe("null: none"),
});

export const poolPath = z.strictObject({ name: connectionName });
export const poolBody = z.strictObject({
  slots: z.int().min(0).max(10_000).describe("Tasks that may hold the pool at the same time; 0 lets none begin"),
  description: z.string().max(500).optional(),
});

export const rerunBody = z
  .strictObject({
    from: z
      .enum(["failed", "task", "start"])
      .default("failed")
      .describe(
        "failed: all that has not succeeded and what comes after it (what the plan itself skipped stays so); task: also from `task` on; start: everything",
      ),
    task: z.string().optional().describe("With from task"),
    items: z
      .array(z.int().min(0))
      .min(1)
      .optional()
      .describe("With from task: only these items of its for_each, and those that have not succeeded"),
    version: z
      .union([z.enum(["original", "latest"]), z.int().min(1)])
      .default("original")
      .describe(
        "original: the repeated run's, with the tasks that were changed while it went on; latest or a number: that version as it is",
      ),
    params: z
      .record(z.string(), z.json())
      .optional()
      .describe(
        "Params that differ from the repeated run's; tasks that read one with another value are done again, and what comes after them",
      ),
    by: anybody,
    why: why.optional(),
    force,
  })
  .refine(({ from, task }) => (from === "task") === (task !== undefined), {
    path: ["task"],
    message: 'is given with from "task", and only then',
  })
  .refine(({ items, task }) => items === undefined || task !== undefined, { path: ["items"], message: "needs a task" });

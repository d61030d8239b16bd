// What answers carry: described by the OpenAPI document; the API's tests compare every answer with it.

import { z } from "zod";
import { ERRORS } from "../core/errors.ts";
import type { AttemptStatus, TaskStatus } from "../core/run-changes.ts";
import { error, json, jsonObject, localMoment, moment, pageOf } from "./answer-parts.ts";
import { BACKFILL_ANSWERS } from "./answers-backfills.ts";
import { TRIGGER_ANSWERS } from "./answers-triggers.ts";
import { RUN_STATUSES } from "./schemas.ts";

const TASK_STATUSES = [
  "pending",
  "running",
  "waiting",
  "parked",
  "succeeded",
  "failed",
  "skipped",
  "upstream_failed",
  "cancelled",
] as const satisfies readonly TaskStatus[];
const ATTEMPT_STATUSES = ["running", "succeeded", "failed", "lost", "cancelled"] as const satisfies readonly AttemptStatus[];

const code = z.enum(Object.keys(ERRORS) as [string, ...string[]]);

const issues = z.array(
  z.looseObject({ code: z.string(), path: z.string(), message: z.string(), line: z.int().optional(), column: z.int().optional() }),
);
const warnings = issues.describe("What was taken and may turn out to be wrong: pipelines or versions to be run that do not exist yet");

const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code,
  detail: z.string(),
  instance: z.string(),
  details: jsonObject.optional(),
  issues: issues.optional().describe("Every fault that was found"),
});

const probe = z.object({ ok: z.boolean(), error: z.string().optional() });

const connector = z.object({
  kind: z.string(),
  title: z.string(),
  description: z.string(),
  roles: z.array(z.string()),
  capabilities: jsonObject,
  config: jsonObject.describe("JSON Schema"),
  secrets: z.array(z.string()).describe("Keys of `config` that are secrets"),
  source_options: jsonObject.optional().describe("JSON Schema"),
  target_options: jsonObject.optional().describe("JSON Schema"),
  publish_options: jsonObject.optional().describe("JSON Schema"),
});

const connection = z.object({
  name: z.string(),
  kind: z.string(),
  config: jsonObject.describe('A stored secret shows as {"secret": true}'),
  max_concurrent: z.int().nullable().describe("Tasks that may use it at the same time; null: no limit"),
  circuit_breaker: z.object({ failures: z.int(), within: z.string(), open_for: z.string() }).nullable(),
  created_at: moment,
  updated_at: moment,
});

const stream = z.object({
  name: z.string(),
  key: z.array(z.string()).optional().describe("What identifies a row, where the source knows it"),
  columns: z.array(z.object({ name: z.string(), type: z.looseObject({ kind: z.string() }), nullable: z.boolean() })),
});

const inspection = z.object({
  ok: z.boolean(),
  error: error.optional(),
  milliseconds: z.number(),
  streams: z.array(stream).optional(),
});

const version = z.object({
  name: z.string(),
  version: z.int(),
  hash: z.string(),
  created_at: moment,
  definition: jsonObject,
  source: z.string().describe("The text as it was deployed"),
  format: z.enum(["yaml", "json"]),
});

const pipelinePause = z
  .object({ by: z.string(), why: z.string().nullable(), at: moment, runs: z.array(z.string()).describe("Runs that were paused with it") })
  .nullable()
  .describe("Who paused it; null: it is not paused");

const pipelineAction = z.object({
  number: z.int().describe("From 1, in a pipeline"),
  action: z.enum(["pause", "pause runs", "resume"]),
  schedule: z.string().nullable().describe("The schedule that it was done to"),
  trigger: z.string().nullable().describe("The event trigger that it was done to; neither: the whole pipeline"),
  by: z.string(),
  why: z.string().nullable(),
  runs: z.array(z.string()).describe("Runs that were paused or resumed with it"),
  at: moment,
});

const load = z.object({
  key: z.string(),
  run_id: z.string(),
  position: json,
  rows: z.int().describe("What that run committed"),
  bytes: z.int(),
  dead_letters: z.int(),
  updated_at: moment,
});

const run = z.object({
  id: z.string(),
  pipeline: z.string(),
  version: z.int(),
  status: z.enum(RUN_STATUSES),
  trigger: z.string(),
  schedule: z.string().nullable().describe("The name of the schedule that fired; a rerun keeps it, and the interval"),
  interval: z
    .object({ start: localMoment, end: localMoment })
    .nullable()
    .describe("From the schedule's previous firing to its own; of a backfill's run its partition"),
  backfill: z.string().nullable().describe("The backfill that started it"),
  params: jsonObject.describe("As they are by now"),
  created_at: moment,
  started_at: moment.nullable(),
  finished_at: moment.nullable(),
  seconds: z.number().nullable().describe("From start to end"),
  error: error.nullable(),
  output: json.describe("The pipeline's `outputs`, once it has succeeded"),
  parent: z.object({ run: z.string(), task: z.string() }).nullable().describe("The task that started it"),
  rerun_of: z.string().nullable().describe("The run that it repeats"),
  cancel_reason: z.string().nullable(),
  links: z.object({ self: z.string(), pipeline: z.string(), temporal: z.string().optional() }),
});

const attempt = z.object({
  attempt: z.int().describe("From 1"),
  status: z.enum(ATTEMPT_STATUSES),
  worker: z.string().nullable(),
  lost_attempts: z.int().describe("Tries that died with their worker before this one"),
  started_at: moment,
  finished_at: moment.nullable(),
  error: error.nullable(),
});

const task = z.object({
  id: z.string(),
  operator: z.string(),
  summary: z.string(),
  status: z.enum(TASK_STATUSES),
  attempts: z.int(),
  started_at: moment.nullable(),
  finished_at: moment.nullable(),
  deadline_missed_at: moment.nullable().describe("Its deadline, when it had not ended by then; it stays after a late end"),
  output: json,
  metrics: z
    .object({
      rows: z.number().optional(),
      bytes: z.number().optional(),
      deadLetters: z.number().optional(),
      schemaChanges: z.number().optional().describe("Columns of the table that were added, widened or left out"),
      lagSeconds: z
        .number()
        .optional()
        .describe("How far the copy was behind its source when that was told last, where its stream tells it"),
      asOf: z.string().optional().describe("All that the source had before this moment is in the destination"),
      seconds: z.number().optional(),
    })
    .nullable(),
  error: error.nullable(),
  waiting: z
    .object({
      for: z.enum(["retry", "time", "condition", "approval", "pool", "connection", "circuit"]),
      connection: z.string().optional().describe("Whose slot it waits for, or whose circuit is open"),
      since: moment.optional().describe("When the circuit opened"),
      pool: z.string().optional(),
      until: moment.optional().describe("When it is looked at again"),
      message: z.string().optional(),
      approvers: z.array(z.string()).optional().describe("Who may decide now; empty: anyone"),
    })
    .nullable(),
  assets: z.array(z.string()).describe("What it makes when it succeeds"),
  run: z
    .object({ id: z.string(), pipeline: z.string(), version: z.int(), status: z.enum(RUN_STATUSES) })
    .nullable()
    .describe("Of a task that runs a pipeline, without for_each: the newest run that it has started, as it is now"),
  attempt_log: z.array(attempt),
});

const action = z.object({
  action: z.string(),
  task: z.string().nullable(),
  by: z.string().describe("unnamed: nobody said who"),
  why: z.string().nullable().describe("null: nobody said why"),
  details: json,
  at: moment,
});

const assetUpdate = z.object({
  at: moment,
  run: z.string(),
  task: z.string(),
  rows: z.int().nullable().describe("Rows that the task has moved, where it tells"),
  links: z.object({ run: z.string() }),
});
const asset = z.object({
  name: z.string(),
  pipeline: z.string().describe("Whose run has made it last"),
  updates: z.int(),
  last: assetUpdate,
  links: z.object({ self: z.string() }),
});

const pool = z.object({ name: z.string(), slots: z.int(), description: z.string().nullable(), created_at: moment, updated_at: moment });
const holder = z.object({ task: z.string(), workflow: z.string().describe("The run's workflow id"), priority: z.int(), since: moment });
const slotUse = {
  holders: z.array(holder).describe("Tasks that hold one of its slots, at most 1,000 of them"),
  waiting: z.array(holder).describe("The oldest first, at most 1,000 of them; priority goes before age"),
  total: z.object({ holders: z.int(), waiting: z.int() }).describe("How many there are, those included that are not listed"),
};
/** By the name that the document gives them. */
export const ANSWERS = {
  ...BACKFILL_ANSWERS,
  ...TRIGGER_ANSWERS,
  Problem: problem,
  Alive: z.object({ status: z.literal("ok") }),
  Readiness: z.object({
    status: z.enum(["ok", "not ready"]),
    store: probe,
    temporal: probe,
    catalogue: probe,
    workers: z.int().describe("How many are alive"),
  }),
  Connectors: pageOf(connector, { hash: z.string() }),
  ConnectionView: connection,
  ConnectionState: connection.extend({
    ...slotUse,
    circuit: z
      .object({
        state: z.enum(["closed", "open", "half_open"]),
        failures: z.int().describe("Of a closed one: those that count"),
        since: moment.nullable(),
        until: moment.nullable().describe("Of an open one: when it lets one through"),
        allowed: z.int().nullable().describe("Of a half-open one: how many may be under way"),
        last_reset: z.object({ by: z.string(), why: z.string().nullable(), at: moment }).nullable(),
      })
      .nullable()
      .describe("null: it has no circuit breaker, or nobody has used it yet"),
  }),
  CircuitReset: z.object({
    name: z.string(),
    reset: z.object({ by: z.string(), why: z.string().nullable(), at: moment }),
    links: z.object({ self: z.string() }),
  }),
  Connections: pageOf(connection),
  Inspection: inspection,
  Pipelines: pageOf(
    z.object({
      name: z.string(),
      version: z.int(),
      hash: z.string(),
      description: z.string().nullable(),
      owner: z.string().nullable(),
      paused: pipelinePause,
      updated_at: moment,
    }),
  ),
  Validation: z.object({ valid: z.literal(true), name: z.string(), hash: z.string(), tasks: z.int(), warnings }),
  Version: version,
  Pipeline: version.extend({ paused: pipelinePause }),
  PipelinePaused: z.object({ name: z.string(), paused: pipelinePause, resumed: z.array(z.string()).optional() }),
  PipelineActions: pageOf(pipelineAction),
  Versions: pageOf(z.object({ version: z.int(), hash: z.string(), created_at: moment })),
  Deployment: z.object({
    name: z.string(),
    version: z.int(),
    hash: z.string(),
    created: z.boolean().describe("false: the latest version is the same"),
    changed: z.array(z.string()).describe("Paths that differ from the version before"),
    warnings,
  }),
  Loads: pageOf(load),
  Run: run.extend({
    tasks: z.array(task),
    actions: z.array(action).describe("What people did to it by hand, and which approvals were escalated"),
    overrides: z
      .array(z.object({ task: z.string(), with: jsonObject, hash: z.string(), by: z.string(), why: z.string().nullable(), at: moment }))
      .describe("Tasks that differ from its version since somebody changed them; a rerun of the original version has them too"),
  }),
  Acted: z.object({ id: z.string(), status: z.enum(RUN_STATUSES), links: z.object({ self: z.string() }) }),
  Output: json.describe("Any JSON but null"),
  Asset: asset,
  Assets: pageOf(asset),
  AssetUpdates: pageOf(assetUpdate),
  PoolView: pool,
  PoolState: pool.extend(slotUse),
  Pools: pageOf(pool),
  Items: pageOf(
    z.object({
      item: z.int().describe("From 0, in the order of the loops"),
      key: z.string().describe("Names it by its values"),
      values: jsonObject,
      status: z.enum(["pending", "succeeded", "failed"]),
      attempts: z.int(),
      output: json,
      error: error.nullable(),
      started_at: moment.nullable(),
      finished_at: moment.nullable(),
    }),
  ),
  Runs: pageOf(run),
  Cancelling: z.object({ id: z.string(), cancelling: z.literal(true), links: z.object({ self: z.string() }) }),
} as const satisfies Readonly<Record<string, z.ZodType>>;

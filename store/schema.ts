// The store's tables: definitions with immutable versions, connections, runs, tasks, attempts. One schema for PGlite and PostgreSQL.

import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  foreignKey,
  index,
  integer,
  json,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
} from "drizzle-orm/pg-core";
import type { BackfillState } from "../core/backfill.ts";
import type { Json, JsonObject } from "../core/json.ts";
import type { RerunRequest } from "../core/rerun.ts";
import type { ConnectionLimits } from "../core/circuit.ts";
import type { CompiledPlan } from "../core/plan.ts";
import type { Cut } from "../core/partitions.ts";
import type { SchedulePlan } from "../core/schedule.ts";
import type { TriggerPlan } from "../core/trigger.ts";
import type {
  AttemptStatus,
  ItemStatus,
  ParentTask,
  RunStatus,
  TaskChange,
  TaskError,
  TaskMetrics,
  TaskStatus,
} from "../core/run-changes.ts";

/** The language that a definition was sent in. */
export type SourceFormat = "yaml" | "json";

export interface PausedByHand {
  readonly paused: boolean;
  readonly by: string;
  readonly why?: string;
  /** ISO 8601 UTC. */
  readonly at: string;
}

/** Of a pipeline: nothing starts by itself, and nobody starts anything without saying so. */
export interface PipelinePause {
  readonly by: string;
  readonly why?: string;
  /** ISO 8601 UTC. */
  readonly at: string;
  /** The open runs that were paused with it, and go on with it. */
  readonly runs: readonly string[];
}

const moment = () => timestamp({ withTimezone: true, mode: "string" });

export const pipelines = pgTable("pipelines", {
  name: text().primaryKey(),
  latestVersion: integer().notNull(),
  paused: jsonb().$type<PipelinePause>(),
  createdAt: moment().notNull().defaultNow(),
  updatedAt: moment().notNull().defaultNow(),
});

/** What people did to pipelines, to their schedules and to their triggers: who, what and why. Rows are added and never changed. */
export const pipelineActions = pgTable(
  "pipeline_actions",
  {
    pipeline: text().notNull(),
    /** From 1, in a pipeline. */
    number: integer().notNull(),
    action: text().$type<"pause" | "pause runs" | "resume">().notNull(),
    /** What it was done to; neither of them: the whole pipeline. */
    schedule: text(),
    trigger: text(),
    by: text().notNull(),
    why: text(),
    /** Those that were paused or resumed with it. */
    runs: jsonb().$type<readonly string[]>(),
    at: moment().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.pipeline, table.number] }),
    foreignKey({ columns: [table.pipeline], foreignColumns: [pipelines.name] }),
  ],
);

export const versions = pgTable(
  "versions",
  {
    pipeline: text().notNull(),
    version: integer().notNull(),
    /** SHA-256 of the definition, key order aside. */
    hash: text().notNull(),
    // json, not jsonb: the order of keys is the author's, and columns may depend on it.
    definition: json().$type<JsonObject>().notNull(),
    /** As it was sent, comments and all. */
    source: text().notNull(),
    format: text().$type<SourceFormat>().notNull().default("yaml"),
    plan: json().$type<CompiledPlan>().notNull(),
    createdAt: moment().notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.pipeline, table.version] }),
    index("versions_by_hash").on(table.hash),
    foreignKey({ columns: [table.pipeline], foreignColumns: [pipelines.name] }),
  ],
);

export const connections = pgTable("connections", {
  name: text().primaryKey(),
  kind: text().notNull(),
  /** Secrets are sealed boxes or references, never plain. */
  config: jsonb().$type<JsonObject>().notNull(),
  limits: jsonb().$type<ConnectionLimits>(),
  createdAt: moment().notNull().defaultNow(),
  updatedAt: moment().notNull().defaultNow(),
});

export const runs = pgTable(
  "runs",
  {
    id: text().primaryKey(),
    pipeline: text().notNull(),
    version: integer().notNull(),
    planHash: text().notNull(),
    origin: text().notNull(),
    /** Of a run that another run's task has started. */
    parent: jsonb().$type<ParentTask>(),
    /** What it gives, once it has succeeded. */
    output: jsonb().$type<Json>(),
    /** Of a run that repeats another. */
    rerun: jsonb().$type<RerunRequest>(),
    status: text().$type<RunStatus>().notNull().default("queued"),
    trigger: text().notNull(),
    params: jsonb().$type<JsonObject>().notNull(),
    /** The schedule that fired, and the data interval of that firing: ISO 8601 as the clocks of its zone show it, which a timestamp would lose. */
    schedule: text(),
    intervalStart: text(),
    intervalEnd: text(),
    /** The backfill that started it, and which of its partitions it is. */
    backfill: text(),
    partition: integer(),
    idempotencyKey: text(),
    /** SHA-256 of what was asked with the key: another request must not hide behind it. */
    requestHash: text(),
    seq: integer().notNull().default(0),
    error: jsonb().$type<TaskError>(),
    /** Why somebody asked for it to be cancelled. */
    cancelReason: text(),
    createdAt: moment().notNull().defaultNow(),
    startedAt: moment(),
    finishedAt: moment(),
  },
  (table) => [
    uniqueIndex("runs_by_idempotency_key").on(table.pipeline, table.idempotencyKey),
    index("runs_by_time").on(table.createdAt, table.id),
    index("runs_of_pipeline").on(table.pipeline, table.createdAt, table.id),
    index("runs_of_interval").on(table.pipeline, sql`${table.intervalStart} collate "C"`).where(sql`interval_start is not null`),
    index("runs_of_task")
      .on(sql`(parent ->> 'runId')`, sql`(parent ->> 'taskId')`, table.createdAt, table.id)
      .where(sql`parent is not null`),
    index("runs_of_backfill").on(table.backfill, table.partition).where(sql`backfill is not null`),
    index("runs_open").on(table.createdAt, table.id).where(sql`status not in ('succeeded', 'failed', 'cancelled')`),
  ],
);

/** Schedules as they should be in Temporal: of each pipeline those of its latest version. */
export const schedules = pgTable(
  "schedules",
  {
    pipeline: text().notNull(),
    name: text().notNull(),
    version: integer().notNull(),
    planHash: text().notNull(),
    plan: jsonb().$type<SchedulePlan>().notNull(),
    /** Paused or resumed by hand: it holds until the definition says something else of it. */
    byHand: jsonb().$type<PausedByHand>(),
    updatedAt: moment().notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.pipeline, table.name] }),
    foreignKey({ columns: [table.pipeline], foreignColumns: [pipelines.name] }),
  ],
);

/** Backfills: what was asked, and the state that their workflows report. Partitions have no rows: their runs have. */
export const backfills = pgTable(
  "backfills",
  {
    id: text().primaryKey(),
    pipeline: text().notNull(),
    version: integer().notNull(),
    planHash: text().notNull(),
    cut: jsonb().$type<Cut>().notNull(),
    /** The schedule whose intervals it goes by. */
    schedule: text(),
    params: jsonb().$type<JsonObject>().notNull(),
    /** What becomes of partitions for whose interval a run has succeeded already. */
    existing: text().$type<"skip" | "rerun">().notNull(),
    /** Of `state`, for lists. */
    status: text().$type<BackfillState["status"]>().notNull(),
    state: jsonb().$type<BackfillState>().notNull(),
    seq: integer().notNull().default(0),
    idempotencyKey: text(),
    requestHash: text(),
    createdAt: moment().notNull().defaultNow(),
    finishedAt: moment(),
  },
  (table) => [
    uniqueIndex("backfills_by_idempotency_key").on(table.pipeline, table.idempotencyKey),
    index("backfills_by_time").on(table.createdAt, table.id),
  ],
);

/** What people did to backfills: who, what and why. */
export const backfillActions = pgTable(
  "backfill_actions",
  {
    backfill: text().notNull(),
    /** From 1, in a backfill; the first is its beginning. */
    number: integer().notNull(),
    action: text().notNull(),
    by: text().notNull(),
    why: text(),
    details: jsonb().$type<Json>(),
    at: moment().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.backfill, table.number] }),
    foreignKey({ columns: [table.backfill], foreignColumns: [backfills.id] }),
  ],
);

/** How far a trigger has looked. */
export interface Watched {
  /** One more with every look that has found something. */
  readonly mark: number;
  readonly position: Json;
}

/** Event triggers: of each pipeline those of its latest version. */
export const triggers = pgTable(
  "triggers",
  {
    pipeline: text().notNull(),
    name: text().notNull(),
    version: integer().notNull(),
    planHash: text().notNull(),
    plan: jsonb().$type<TriggerPlan>().notNull(),
    /** Paused or resumed by hand: it holds until the definition says something else of it. */
    byHand: jsonb().$type<PausedByHand>(),
    /** How far it has looked where events do not come by themselves. */
    watched: jsonb().$type<Watched>(),
    updatedAt: moment().notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.pipeline, table.name] }),
    foreignKey({ columns: [table.pipeline], foreignColumns: [pipelines.name] }),
  ],
);

/** Events that triggers have taken, each once. */
export const events = pgTable(
  "events",
  {
    pipeline: text().notNull(),
    trigger: text().notNull(),
    /** Made of what its sender calls it. */
    id: text().notNull(),
    subject: text(),
    /** SQL knows no difference between null and nothing. */
    data: jsonb().$type<Json>(),
    receivedAt: moment().notNull().defaultNow(),
    /** The run that was started for it, alone or with others. */
    runId: text(),
    /** Why no run could be started for it. */
    error: jsonb().$type<TaskError>(),
    /** False: it is known, and no run is to come of it. */
    counts: boolean().notNull().default(true),
  },
  (table) => [
    primaryKey({ columns: [table.pipeline, table.trigger, table.id] }),
    index("events_waiting").on(table.pipeline, table.trigger, table.receivedAt).where(sql`run_id is null and error is null and counts`),
  ],
);

export const tasks = pgTable(
  "tasks",
  {
    runId: text().notNull(),
    taskId: text().notNull(),
    status: text().$type<TaskStatus>().notNull(),
    attempts: integer().notNull(),
    output: jsonb().$type<Json>(),
    metrics: jsonb().$type<TaskMetrics>(),
    error: jsonb().$type<TaskError>(),
    /** What a task in status waiting waits for. */
    waiting: jsonb().$type<NonNullable<TaskChange["waiting"]>>(),
    startedAt: moment(),
    finishedAt: moment(),
    /** Its deadline, when it had not ended by then. */
    deadlineMissedAt: moment(),
  },
  (table) => [primaryKey({ columns: [table.runId, table.taskId] }), foreignKey({ columns: [table.runId], foreignColumns: [runs.id] })],
);

export const attempts = pgTable(
  "attempts",
  {
    runId: text().notNull(),
    taskId: text().notNull(),
    attempt: integer().notNull(),
    status: text().$type<AttemptStatus>().notNull(),
    worker: text(),
    lostAttempts: integer().notNull().default(0),
    error: jsonb().$type<TaskError>(),
    startedAt: moment().notNull(),
    finishedAt: moment(),
  },
  (table) => [
    primaryKey({ columns: [table.runId, table.taskId, table.attempt] }),
    foreignKey({ columns: [table.runId], foreignColumns: [runs.id] }),
  ],
);

/** Items of tasks with `for_each`: written by the workers, so that what is recorded here is not done again. */
export const items = pgTable(
  "items",
  {
    runId: text().notNull(),
    taskId: text().notNull(),
    /** From 0, in the order of the loops. */
    item: integer().notNull(),
    /** Names it in keys: the same in every run in which its values are the same. */
    key: text().notNull(),
    values: jsonb().$type<JsonObject>().notNull(),
    status: text().$type<ItemStatus>().notNull().default("pending"),
    attempts: integer().notNull().default(0),
    output: jsonb().$type<Json>(),
    error: jsonb().$type<TaskError>(),
    startedAt: moment(),
    finishedAt: moment(),
  },
  (table) => [primaryKey({ columns: [table.runId, table.taskId, table.item] })],
);

/** Outputs of tasks that are too large to travel through Temporal. */
export const outputs = pgTable(
  "outputs",
  { runId: text().notNull(), taskId: text().notNull(), value: json().$type<Json>().notNull() },
  (table) => [primaryKey({ columns: [table.runId, table.taskId] })],
);

/** What people did to runs by hand: who, what and why. */
export const actions = pgTable(
  "actions",
  {
    runId: text().notNull(),
    /** From 1, in a run, which counts what it does; from -1 downwards what is done to it from outside. */
    number: integer().notNull(),
    action: text().notNull(),
    taskId: text(),
    by: text().notNull(),
    why: text(),
    details: jsonb().$type<Json>(),
    /** The caller's, by which it is done once, and a digest of what was asked under it; null: an older release wrote it down. */
    key: text(),
    requestHash: text(),
    at: moment().notNull(),
  },
  (table) => [primaryKey({ columns: [table.runId, table.number] }), foreignKey({ columns: [table.runId], foreignColumns: [runs.id] })],
);

/** Plans that differ from a version by what somebody changed while a run went on. */
export const overrides = pgTable("overrides", {
  /** SHA-256 of the changed definition. */
  hash: text().primaryKey(),
  definition: json().$type<JsonObject>().notNull(),
  plan: json().$type<CompiledPlan>().notNull(),
  createdAt: moment().notNull().defaultNow(),
});

/** Copies of what the destinations' own bookkeeping says, for lists; the destination is the truth. */
export const loads = pgTable("loads", {
  key: text().primaryKey(),
  /** The run, or first run of a chain of reruns, that moved it last. */
  runId: text().notNull(),
  position: jsonb().$type<Json>(),
  rows: bigint({ mode: "number" }).notNull(),
  bytes: bigint({ mode: "number" }).notNull(),
  deadLetters: bigint({ mode: "number" }).notNull(),
  updatedAt: moment().notNull().defaultNow(),
});

/** What tasks have made, by its newest update. */
export const assets = pgTable("assets", {
  name: text().primaryKey(),
  /** Run and task that made it last. */
  runId: text().notNull(),
  taskId: text().notNull(),
  pipeline: text().notNull(),
  rows: bigint({ mode: "number" }),
  updatedAt: moment().notNull(),
  updates: integer().notNull().default(1),
});

export const assetUpdates = pgTable(
  "asset_updates",
  {
    asset: text().notNull(),
    runId: text().notNull(),
    taskId: text().notNull(),
    rows: bigint({ mode: "number" }),
    at: moment().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.asset, table.runId, table.taskId] }),
    index("asset_updates_by_time").on(table.asset, table.at, table.runId, table.taskId),
  ],
);

/** Pools: how many slots they have; who holds them is known to their workflows alone. */
export const pools = pgTable("pools", {
  name: text().primaryKey(),
  slots: integer().notNull(),
  description: text(),
  createdAt: moment().notNull().defaultNow(),
  updatedAt: moment().notNull().defaultNow(),
});

/** What each process knows of connectors and activities, so that API and workers can be compared. */
export const catalogues = pgTable("catalogues", {
  process: text().primaryKey(),
  role: text().notNull(),
  hash: text().notNull(),
  seenAt: moment().notNull().defaultNow(),
});

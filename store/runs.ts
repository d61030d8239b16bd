// Runs with their tasks and attempts: created by a trigger, then a read model fed by the run's own reports.

import { and, asc, type Column, desc, eq, getTableColumns, inArray, isNull, notInArray, sql, type SQL } from "drizzle-orm";
import { DownbeatError } from "../core/errors.ts";
import type { JsonObject } from "../core/json.ts";
import type { RerunRequest } from "../core/rerun.ts";
import type { ActionChange, ParentTask, RunChanges, RunStatus, TaskChange, TaskError } from "../core/run-changes.ts";
import type { Database } from "./database.ts";
import { storeCall } from "./failure.ts";
import { actions, assets, assetUpdates, attempts, runs, tasks, triggers } from "./schema.ts";

export type RunRecord = typeof runs.$inferSelect;
export type TaskRecord = typeof tasks.$inferSelect;
export type AttemptRecord = typeof attempts.$inferSelect;
export type ActionRecord = typeof actions.$inferSelect;

/** Moments of tasks, attempts and actions are in ISO 8601, others as the database writes them. */
export interface WholeRun {
  readonly run: RunRecord;
  readonly tasks: readonly TaskRecord[];
  /** By task, from the first on. */
  readonly attempts: readonly AttemptRecord[];
  /** What people did to it, in order. */
  readonly actions: readonly ActionRecord[];
}

export interface CreateRun {
  readonly id: string;
  readonly pipeline: string;
  readonly version: number;
  readonly planHash: string;
  readonly origin: string;
  readonly trigger: string;
  readonly params: JsonObject;
  /** The schedule that fired; its data interval in ISO 8601 with the offset of the schedule's zone. */
  readonly schedule?: string;
  readonly intervalStart?: string;
  readonly intervalEnd?: string;
  readonly backfill?: string;
  readonly partition?: number;
  readonly idempotencyKey?: string;
  readonly requestHash?: string;
  readonly parent?: ParentTask;
  readonly rerun?: RerunRequest;
  /** Tasks of the repeated run that count as done here, as they ended there. */
  readonly carried?: readonly string[];
  /** What made it: the run's first entry of what people did. */
  readonly action?: Omit<ActionChange, "number" | "at">;
}

export interface RunFilter {
  readonly pipeline?: string;
  readonly status?: readonly RunStatus[];
  readonly trigger?: string;
  readonly backfill?: string;
  /** ISO 8601: created at or after. */
  readonly since?: string;
}

export interface RunCursor {
  readonly createdAt: string;
  readonly id: string;
}

export interface Runs {
  /** The row comes first, the workflow second. The same key gives the same run; another request under it throws IDEMPOTENCY_KEY_REUSED. */
  create(input: CreateRun): Promise<{ readonly run: RunRecord; readonly created: boolean }>;
  find(id: string): Promise<RunRecord | undefined>;
  tasksOf(id: string): Promise<readonly TaskRecord[]>;
  /** All that is known of it, in one statement. */
  findWhole(id: string): Promise<WholeRun | undefined>;
  /** Newest first. */
  list(filter: RunFilter, page: { readonly limit: number; readonly after?: RunCursor }): Promise<readonly RunRecord[]>;
  /** How many runs of the pipeline have not ended. */
  countOpen(pipeline: string): Promise<number>;
  /** Applies a report; one that is not newer than the last changes nothing. */
  /** Answers whether any event trigger waits for ends of runs or for assets: most installations are spared the look for which. */
  apply(changes: RunChanges): Promise<{ readonly isHeard: boolean }>;
  /** Runs that have not ended and were created before the moment, oldest first: what a reconciler looks at. */
  listOpen(before: string, page: { readonly limit: number; readonly after?: RunCursor }): Promise<readonly RunRecord[]>;
  /** Keeps why somebody asked for the end of a run that has not ended; the first reason stays. */
  noteCancel(id: string, reason: string): Promise<void>;
  /** Repairs the status of a run whose last report never came. */
  repair(id: string, status: RunStatus, error?: TaskError): Promise<void>;
  check(): Promise<void>;
}

const isOpen = notInArray(runs.status, ["succeeded", "failed", "cancelled"]);

/** Parts of the report's statement: each update once, the asset's own row by the newest. */
const assetsMade = (made: readonly TaskChange[]): SQL => sql`, made as (
          select name, run.id as run_id, run.pipeline, t ->> 'taskId' as task_id, (t -> 'metrics' ->> 'rows')::bigint as rows,
            (t ->> 'finishedAt')::timestamptz as at
          from run, jsonb_array_elements(${JSON.stringify(made)}::jsonb) t, jsonb_array_elements_text(t -> 'assets') name
        ), new_updates as (
          insert into ${assetUpdates} (asset, run_id, task_id, rows, at) select name, run_id, task_id, rows, at from made
          on conflict (asset, run_id, task_id) do nothing returning asset, run_id, task_id
        ), newest as (
          insert into ${assets} (name, run_id, task_id, pipeline, rows, updated_at, updates)
          select distinct on (name) name, run_id, task_id, pipeline, rows, at, count(*) over (partition by name) from made
          where (name, run_id, task_id) in (select asset, run_id, task_id from new_updates) order by name, at desc
          on conflict (name) do update set
            run_id = case when excluded.updated_at >= assets.updated_at then excluded.run_id else assets.run_id end,
            task_id = case when excluded.updated_at >= assets.updated_at then excluded.task_id else assets.task_id end,
            pipeline = case when excluded.updated_at >= assets.updated_at then excluded.pipeline else assets.pipeline end,
            rows = case when excluded.updated_at >= assets.updated_at then excluded.rows else assets.rows end,
            updated_at = greatest(excluded.updated_at, assets.updated_at), updates = assets.updates + excluded.updates
        )`;

/** All rows that a table has of a run, as one JSON value, in the order and under the keys of records. */
const rowsOf = <Row>(table: typeof tasks | typeof attempts | typeof actions, runId: string, order: readonly (keyof Row & string)[]) => {
  const columns = Object.entries<Column>(getTableColumns(table)).map(([key, column]) => sql`${column} as ${sql.identifier(key)}`);
  const rows = sql`select ${sql.join(columns, sql`, `)} from ${table} where ${table.runId} = ${runId}`;
  const keys = order.map((key) => sql`x.${sql.identifier(key)}`);
  return sql<Row[]>`(select coalesce(json_agg(row_to_json(x) order by ${sql.join(keys, sql`, `)}), '[]') from (${rows}) x)`;
};

export const createRuns = (db: Database): Runs => ({
  create: (input) =>
    storeCall(async () => {
      const { carried = [], action, ...row } = input;
      const insert = async (tx: Pick<Database, "insert">): Promise<RunRecord | undefined> =>
        (await tx.insert(runs).values(row).onConflictDoNothing().returning())[0];
      // Most runs repeat none: one statement, one round trip.
      const inserted =
        action === undefined
          ? await insert(db)
          : await db.transaction(async (tx) => {
              const run = await insert(tx);
              if (run === undefined) return undefined;
              if (carried.length > 0) {
                await tx.execute(sql`
            insert into ${tasks} (run_id, task_id, status, attempts, output, metrics, error, started_at, finished_at)
            select ${run.id}, task_id, status, attempts, output, metrics, error, started_at, finished_at from ${tasks}
            where run_id = ${row.rerun?.of ?? ""} and task_id in (select jsonb_array_elements_text(${JSON.stringify(carried)}::jsonb))`);
              }
              await tx.insert(actions).values({ ...action, runId: run.id, number: 1, at: run.createdAt });
              return run;
            });
      if (inserted !== undefined) return { run: inserted, created: true };
      const [existing] = await db
        .select()
        .from(runs)
        .where(
          input.idempotencyKey === undefined
            ? eq(runs.id, input.id)
            : and(eq(runs.pipeline, input.pipeline), eq(runs.idempotencyKey, input.idempotencyKey)),
        );
      if (existing === undefined) throw new DownbeatError("CONFLICT", `a run with the id ${input.id} exists already`);
      if (existing.requestHash !== (input.requestHash ?? null)) {
        throw new DownbeatError(
          "IDEMPOTENCY_KEY_REUSED",
          `the idempotency key "${input.idempotencyKey}" belongs to run ${existing.id}, which was triggered with other params or another version`,
        );
      }
      return { run: existing, created: false };
    }),

  find: (id) => storeCall(async () => (await db.select().from(runs).where(eq(runs.id, id)))[0]),

  tasksOf: (id) => storeCall(() => db.select().from(tasks).where(eq(tasks.runId, id))),

  findWhole: (id) =>
    storeCall(async () => {
      const [found] = await db
        .select({
          run: runs,
          tasks: rowsOf<TaskRecord>(tasks, id, ["taskId"]),
          attempts: rowsOf<AttemptRecord>(attempts, id, ["taskId", "attempt"]),
          actions: rowsOf<ActionRecord>(actions, id, ["number"]),
        })
        .from(runs)
        .where(eq(runs.id, id));
      return found;
    }),

  list: ({ pipeline, status, trigger, backfill, since }, { limit, after }) =>
    storeCall(() => {
      const conditions: (SQL | undefined)[] = [
        pipeline === undefined ? undefined : eq(runs.pipeline, pipeline),
        status === undefined ? undefined : inArray(runs.status, [...status]),
        trigger === undefined ? undefined : eq(runs.trigger, trigger),
        backfill === undefined ? undefined : eq(runs.backfill, backfill),
        since === undefined ? undefined : sql`${runs.createdAt} >= ${since}::timestamptz`,
        after === undefined ? undefined : sql`(${runs.createdAt}, ${runs.id}) < (${after.createdAt}::timestamptz, ${after.id})`,
      ];
      return db
        .select()
        .from(runs)
        .where(and(...conditions))
        .orderBy(desc(runs.createdAt), desc(runs.id))
        .limit(limit);
    }),

  apply: ({ runId, seq, status, startedAt, finishedAt, error, output, ...changes }) =>
    storeCall(async () => {
      const made = changes.tasks.filter(({ assets: names }) => names !== undefined);
      const json = (value: unknown): string | null => (value === undefined ? null : JSON.stringify(value));
      // One statement, and so one round trip and one transaction, whatever the number of tasks: the rows travel as JSON documents.
      // A report that is not newer updates no run, and then inserts nothing. Everything it sets is absolute, so a repetition changes nothing. The newest
      // is right: one before it, of a workflow task that Temporal then dropped, may have told of an action that got another number.
      const { rows } = await db.execute<{ heard: boolean }>(sql`
        with run as (
          update ${runs} set seq = ${seq}, status = ${status}, started_at = coalesce(${startedAt ?? null}::timestamptz, started_at),
            finished_at = coalesce(${finishedAt ?? null}::timestamptz, finished_at), error = coalesce(${json(error)}::jsonb, error),
            output = coalesce(${json(output)}::jsonb, output)
          where id = ${runId} and seq < ${seq} returning id, pipeline
        ), reported_tasks as (
          insert into ${tasks} (run_id, task_id, status, attempts, output, metrics, error, waiting, started_at, finished_at)
          select run.id, t ->> 'taskId', t ->> 'status', (t ->> 'attempts')::int, t -> 'output', t -> 'metrics', t -> 'error', t -> 'waiting',
            (t ->> 'startedAt')::timestamptz, (t ->> 'finishedAt')::timestamptz
          from run, jsonb_array_elements(${json(changes.tasks)}::jsonb) t
          on conflict (run_id, task_id) do update set status = excluded.status, attempts = excluded.attempts, output = excluded.output,
            metrics = excluded.metrics, error = excluded.error, waiting = excluded.waiting, started_at = excluded.started_at, finished_at = excluded.finished_at
        ), reported_actions as (
          insert into ${actions} (run_id, number, action, task_id, "by", why, details, at)
          select run.id, (a ->> 'number')::int, a ->> 'action', a ->> 'taskId', a ->> 'by', a ->> 'why', a -> 'details', (a ->> 'at')::timestamptz
          from run, jsonb_array_elements(${json(changes.actions ?? [])}::jsonb) a
          on conflict (run_id, number) do update set action = excluded.action, task_id = excluded.task_id, "by" = excluded.by, why = excluded.why,
            details = excluded.details, at = excluded.at
        )${made.length === 0 ? sql`` : assetsMade(made)}, reported_attempts as (
        insert into ${attempts} (run_id, task_id, attempt, status, worker, lost_attempts, error, started_at, finished_at)
        select run.id, a ->> 'taskId', (a ->> 'attempt')::int, a ->> 'status', a ->> 'worker', coalesce((a ->> 'lostAttempts')::int, 0), a -> 'error',
          (a ->> 'startedAt')::timestamptz, (a ->> 'finishedAt')::timestamptz
        from run, (select distinct on (e ->> 'taskId', e ->> 'attempt') e as a
          from jsonb_array_elements(${json(changes.attempts)}::jsonb) with ordinality as x(e, n) order by e ->> 'taskId', e ->> 'attempt', n desc) latest
        on conflict (run_id, task_id, attempt) do update set status = excluded.status, worker = excluded.worker,
          lost_attempts = greatest(attempts.lost_attempts, excluded.lost_attempts), error = excluded.error, finished_at = excluded.finished_at
        )
        select exists (select 1 from ${triggers} where ${triggers.plan} -> 'source' ->> 'kind' in ('pipeline', 'assets')) as heard`);
      return { isHeard: rows[0]?.heard === true };
    }),

  countOpen: (pipeline) => storeCall(() => db.$count(runs, and(isOpen, eq(runs.pipeline, pipeline), isNull(runs.backfill)))),

  listOpen: (before, { limit, after }) =>
    storeCall(() =>
      db
        .select()
        .from(runs)
        .where(
          and(
            isOpen,
            sql`${runs.createdAt} < ${before}::timestamptz`,
            after === undefined ? undefined : sql`(${runs.createdAt}, ${runs.id}) > (${after.createdAt}::timestamptz, ${after.id})`,
          ),
        )
        .orderBy(asc(runs.createdAt), asc(runs.id))
        .limit(limit),
    ),

  noteCancel: (id, reason) =>
    storeCall(async () => {
      await db
        .update(runs)
        .set({ cancelReason: sql`coalesce(${runs.cancelReason}, ${reason})` })
        .where(and(eq(runs.id, id), isOpen));
    }),

  repair: (id, status, error) =>
    storeCall(async () => {
      await db
        .update(runs)
        .set({ status, finishedAt: sql`coalesce(finished_at, now())`, ...(error === undefined ? {} : { error }) })
        .where(and(eq(runs.id, id), isOpen));
    }),

  check: () =>
    storeCall(async () => {
      await db.execute(sql`select 1`);
    }),
});

// Runs with their tasks and attempts: created by a trigger, then a read model fed by the run's own reports.

import {
  and,
  asc,
  type Column,
  desc,
  eq,
  getTableColumns,
  inArray,
  isNull,
  notInArray,
  or,
  type Placeholder,
  sql,
  type SQL,
} from "drizzle-orm";
import type { Keyed } from "../core/acted-keys.ts";
import { DownbeatError } from "../core/errors.ts";
import type { JsonObject } from "../core/json.ts";
import type { RerunRequest } from "../core/rerun.ts";
import type { Actor } from "../core/run-control.ts";
import type { ActionChange, ParentTask, RunChanges, RunStatus, TaskError, TaskMetrics } from "../core/run-changes.ts";
import type { Database } from "./database.ts";
import { storeCall } from "./failure.ts";
import type { TaskPlace } from "./items.ts";
import { prepared } from "./prepared.ts";
import { closeStatement } from "./close-run.ts";
import { reportStatement } from "./report-run.ts";
import { actions, attempts, runs, tasks } from "./schema.ts";

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
  /** The run whose task has started it, and which of its tasks. */
  readonly parent?: string;
  readonly parentTask?: string;
  /** ISO 8601: created at or after. */
  readonly since?: string;
}

/** A run as the task that has started it shows it. */
export type StartedRun = Pick<RunRecord, "id" | "pipeline" | "version" | "status">;

export interface RunCursor {
  readonly createdAt: string;
  readonly id: string;
}

export interface CancelRequest extends Actor, Partial<Keyed> {
  readonly action: "cancel" | "force cancel";
}

export interface Runs {
  /** The row comes first, the workflow second. The same key gives the same run; another request under it throws IDEMPOTENCY_KEY_REUSED. */
  create(input: CreateRun): Promise<{ readonly run: RunRecord; readonly created: boolean }>;
  find(id: string): Promise<RunRecord | undefined>;
  tasksOf(id: string): Promise<readonly TaskRecord[]>;
  /** Undefined: nothing was reported of it yet. */
  findTask(id: string, taskId: string): Promise<TaskRecord | undefined>;
  /** What people did to it, in order. */
  actionsOf(id: string): Promise<readonly ActionRecord[]>;
  /** Keeps what a run has answered that it did; its next report has it as well. */
  recordAction(id: string, action: ActionChange): Promise<void>;
  /** All that is known of it, in one statement. */
  findWhole(id: string): Promise<WholeRun | undefined>;
  /** Newest first. */
  list(filter: RunFilter, page: { readonly limit: number; readonly after?: RunCursor }): Promise<readonly RunRecord[]>;
  /** The first run of the pipeline that the task has started. */
  firstStartedBy(task: TaskPlace, pipeline: string): Promise<StartedRun | undefined>;
  /** By task, of those of the run that were named and have started any: the newest run. */
  newestStartedBy(runId: string, tasks: readonly string[]): Promise<ReadonlyMap<string, StartedRun>>;
  /** How many runs of the pipeline have not ended. */
  countOpen(pipeline: string): Promise<number>;
  /**
   * Applies a report; one that is not newer than the last changes nothing.
   * Answers whether any event trigger waits for ends of runs or for assets (most installations are spared the look for which), and of how many tasks it
   * is the first to say that they have missed their deadline.
   */
  apply(changes: RunChanges): Promise<{ readonly isHeard: boolean; readonly missed: number }>;
  /** Shows what the next reports will bring, of different runs; `seq` is that of the last report. Nothing of a run that has ended. */
  show(changes: readonly RunChanges[]): Promise<void>;
  /** The same of a running task's figures alone, by who does it: they stay when the task ends without others. */
  showMetrics(task: TaskPlace, metrics: TaskMetrics): Promise<void>;
  /** Runs that have not ended and were created before the moment, oldest first: what a reconciler looks at. */
  listOpen(before: string, page: { readonly limit: number; readonly after?: RunCursor }): Promise<readonly RunRecord[]>;
  /**
   * Records who ended a run or told it to stop, and why: once Temporal has taken it, so the run may have ended by it meanwhile. The run's own reason is the
   * first. False: it was told before, or has ended in another way, and nothing is recorded. A forced cancel may follow one that is not.
   */
  noteCancel(id: string, asked: CancelRequest): Promise<boolean>;
  /** Closes a run whose last report never came, with all of it that is open; a report that comes after all says it better. */
  repair(id: string, status: RunStatus, error?: TaskError): Promise<void>;
  check(): Promise<void>;
}

interface Reported {
  readonly heard: boolean;
  readonly missed: number;
}

/** As they are by now: what people changed while the run went on is in the record of what they did. */
const PARAMS_NOW = sql<JsonObject>`runs.params || coalesce((
  select jsonb_object_agg(changed.key, changed.value order by acted.number)
  from ${actions} acted, jsonb_each(case jsonb_typeof(acted.details -> 'params') when 'object' then acted.details -> 'params' else '{}' end) changed
  where acted.run_id = runs.id and acted.action = 'continue'), '{}')`;

const RUN = { ...getTableColumns(runs), params: PARAMS_NOW.as("params") };

const STARTED = { id: runs.id, pipeline: runs.pipeline, version: runs.version, status: runs.status };

const PARENT_RUN = sql<string>`parent ->> 'runId'`;
const PARENT_TASK = sql<string>`parent ->> 'taskId'`;

const isOpen = notInArray(runs.status, ["succeeded", "failed", "cancelled"]);

/** All rows that a table has of a run, as one JSON value, in the order and under the keys of records. */
const rowsOf = <Row>(
  table: typeof tasks | typeof attempts | typeof actions,
  runId: Placeholder,
  order: readonly (keyof Row & string)[],
) => {
  const columns = Object.entries<Column>(getTableColumns(table)).map(([key, column]) => sql`${column} as ${sql.identifier(key)}`);
  const rows = sql`select ${sql.join(columns, sql`, `)} from ${table} where ${table.runId} = ${runId}`;
  const keys = order.map((key) => sql`x.${sql.identifier(key)}`);
  return sql<Row[]>`(select coalesce(json_agg(row_to_json(x) order by ${sql.join(keys, sql`, `)}), '[]') from (${rows}) x)`;
};

/** What a run has that repeats none and is no other run's. */
const PLAIN_COLUMNS = [
  "id",
  "pipeline",
  "version",
  "planHash",
  "origin",
  "trigger",
  "params",
  "schedule",
  "intervalStart",
  "intervalEnd",
  "backfill",
  "partition",
  "idempotencyKey",
  "requestHash",
] as const satisfies readonly (keyof CreateRun)[];

const ID = sql.placeholder("id");

export const createRuns = (db: Database): Runs => {
  const reports = sql`${sql.placeholder("reports")}`;
  const statements = {
    report: prepared<Reported>(db, reportStatement(reports, {})),
    reportMore: prepared<Reported>(db, reportStatement(reports, { more: true })),
    show: prepared(db, reportStatement(reports, { shown: true })),
    create: db
      .insert(runs)
      .values(Object.fromEntries(PLAIN_COLUMNS.map((name) => [name, sql.placeholder(name)])) as unknown as typeof runs.$inferInsert)
      .onConflictDoNothing()
      .returning()
      .prepare("run_create"),
    whole: db
      .select({
        run: RUN,
        tasks: rowsOf<TaskRecord>(tasks, ID, ["taskId"]),
        attempts: rowsOf<AttemptRecord>(attempts, ID, ["taskId", "attempt"]),
        actions: rowsOf<ActionRecord>(actions, ID, ["number"]),
      })
      .from(runs)
      .where(eq(runs.id, ID))
      .prepare("run_whole"),
  };
  return {
    create: (input) =>
      storeCall(async () => {
        const { carried = [], action, ...row } = input;
        const isPlain = row.parent === undefined && row.rerun === undefined;
        const insertPlain = async (): Promise<RunRecord | undefined> =>
          (await statements.create.execute(Object.fromEntries(PLAIN_COLUMNS.map((name) => [name, row[name] ?? null]))))[0];
        const insert = async (tx: Pick<Database, "insert">): Promise<RunRecord | undefined> =>
          (await tx.insert(runs).values(row).onConflictDoNothing().returning())[0];
        // Most runs repeat none: one statement, one round trip.
        const inserted =
          action === undefined
            ? await (isPlain ? insertPlain() : insert(db))
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

    find: (id) => storeCall(async () => (await db.select(RUN).from(runs).where(eq(runs.id, id)))[0]),

    actionsOf: (id) => storeCall(() => db.select().from(actions).where(eq(actions.runId, id)).orderBy(asc(actions.number))),

    recordAction: (id, action) =>
      storeCall(async () => {
        const row = { ...action, runId: id };
        await db
          .insert(actions)
          .values(row)
          .onConflictDoUpdate({ target: [actions.runId, actions.number], set: row });
      }),

    tasksOf: (id) => storeCall(() => db.select().from(tasks).where(eq(tasks.runId, id))),

    findTask: (id, taskId) =>
      storeCall(
        async () =>
          (
            await db
              .select()
              .from(tasks)
              .where(and(eq(tasks.runId, id), eq(tasks.taskId, taskId)))
          )[0],
      ),

    findWhole: (id) =>
      storeCall(async () => {
        const [found] = await statements.whole.execute({ id });
        return found;
      }),

    firstStartedBy: ({ runId, taskId }, pipeline) =>
      storeCall(
        async () =>
          (
            await db
              .select(STARTED)
              .from(runs)
              .where(and(eq(PARENT_RUN, runId), eq(PARENT_TASK, taskId), eq(runs.pipeline, pipeline)))
              .orderBy(asc(runs.createdAt), asc(runs.id))
              .limit(1)
          )[0],
      ),

    newestStartedBy: (runId, taskIds) =>
      storeCall(async () => {
        if (taskIds.length === 0) return new Map();
        const found = await db
          .selectDistinctOn([PARENT_TASK], { ...STARTED, task: PARENT_TASK })
          .from(runs)
          .where(and(eq(PARENT_RUN, runId), inArray(PARENT_TASK, [...taskIds])))
          .orderBy(PARENT_TASK, desc(runs.createdAt), desc(runs.id));
        return new Map(found.map(({ task, ...run }) => [task, run]));
      }),

    list: ({ pipeline, status, trigger, backfill, parent, parentTask, since }, { limit, after }) =>
      storeCall(() => {
        const conditions: (SQL | undefined)[] = [
          pipeline === undefined ? undefined : eq(runs.pipeline, pipeline),
          status === undefined ? undefined : inArray(runs.status, [...status]),
          trigger === undefined ? undefined : eq(runs.trigger, trigger),
          backfill === undefined ? undefined : eq(runs.backfill, backfill),
          parent === undefined ? undefined : eq(PARENT_RUN, parent),
          parentTask === undefined ? undefined : eq(PARENT_TASK, parentTask),
          since === undefined ? undefined : sql`${runs.createdAt} >= ${since}::timestamptz`,
          after === undefined ? undefined : sql`(${runs.createdAt}, ${runs.id}) < (${after.createdAt}::timestamptz, ${after.id})`,
        ];
        return db
          .select(RUN)
          .from(runs)
          .where(and(...conditions))
          .orderBy(desc(runs.createdAt), desc(runs.id))
          .limit(limit);
      }),

    apply: (changes) =>
      storeCall(async () => {
        const hasMore = changes.tasks.some(({ assets, deadlineMissedAt }) => assets !== undefined || deadlineMissedAt !== undefined);
        const report = hasMore ? statements.reportMore : statements.report;
        const [answer] = await report({ reports: JSON.stringify([changes]) });
        return { isHeard: answer?.heard === true, missed: answer?.missed ?? 0 };
      }),

    show: (changes) =>
      storeCall(async () => {
        await statements.show({ reports: JSON.stringify(changes) });
      }),

    showMetrics: ({ runId, taskId }, metrics) =>
      storeCall(async () => {
        await db
          .update(tasks)
          .set({ metrics })
          .where(and(eq(tasks.runId, runId), eq(tasks.taskId, taskId), eq(tasks.status, "running")));
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

    noteCancel: (id, { action, by, why = null, key = null, requestHash = null }) =>
      storeCall(() =>
        db.transaction(async (tx) => {
          const noted = await tx
            .update(runs)
            .set({ cancelReason: sql`coalesce(${runs.cancelReason}, ${why})` })
            .where(and(eq(runs.id, id), or(isOpen, eq(runs.status, "cancelled"))))
            .returning({ id: runs.id });
          // The run's row is locked until here: those who cancel it take turns.
          if (noted.length === 0) return false;
          const { rows } = await tx.execute(sql`
            insert into ${actions} (run_id, number, action, "by", why, key, request_hash, at)
            select ${id}, coalesce(min(number) filter (where number < 0), 0) - 1, ${action}::text, ${by}::text, ${why}::text, ${key}::text,
              ${requestHash}::text, now()
            from ${actions} where run_id = ${id}
            having count(*) filter (where number < 0 and action in (${action}, 'force cancel')) = 0
            returning number`);
          return rows.length > 0;
        }),
      ),

    repair: (id, status, error) =>
      storeCall(async () => {
        await db.execute(closeStatement(id, status, error));
      }),

    check: () =>
      storeCall(async () => {
        await db.execute(sql`select 1`);
      }),
  };
};

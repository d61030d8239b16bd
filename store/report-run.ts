// The statement that applies reports of runs: one round trip and one transaction, whatever the number of tasks. Rows travel as JSON documents.

import { sql, type SQL } from "drizzle-orm";
import { assets, assetUpdates, attempts, actions, runs, tasks, triggers } from "./schema.ts";

/** Each update of an asset once, the asset's own row by the newest. */
const ASSETS_MADE = sql`, made as (
          select name, run.id as run_id, run.pipeline, t ->> 'taskId' as task_id, (t -> 'metrics' ->> 'rows')::bigint as rows,
            (t ->> 'finishedAt')::timestamptz as at
          from run, jsonb_array_elements(run.tasks) t, jsonb_array_elements_text(t -> 'assets') name
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

/** Those whose miss is new: each is counted once, however often it is reported. */
const NEWLY_MISSED = sql`(
          select count(*)::int from run cross join jsonb_array_elements(run.tasks) t
          left join ${tasks} known on known.run_id = run.id and known.task_id = t ->> 'taskId'
          where t ->> 'deadlineMissedAt' is not null and known.deadline_missed_at is null
        )`;

/**
 * `reports`: a JSON list of RunChanges, each of another run. A report that is not newer updates no run, and then inserts nothing. Everything it sets is
 * absolute, so a repetition changes nothing. The newest is right: one before it, of a workflow task that Temporal then dropped, may have told of an action
 * that got another number. `more`: also what few tasks have, assets that they made and deadlines that they missed. What is only shown leaves that number as it
 * is: it must not keep the next report out. It never touches a run that has ended. Of a run that was ended by force, the report that was on its way then is
 * not heard any more.
 */
export const reportStatement = (
  reports: SQL,
  { more = false, shown = false }: { readonly more?: boolean; readonly shown?: boolean },
): SQL => sql`
        with given as (
          select g ->> 'runId' as run_id, (g ->> 'seq')::int as seq, g ->> 'status' as status, (g ->> 'startedAt')::timestamptz as started_at,
            (g ->> 'finishedAt')::timestamptz as finished_at, g -> 'error' as error, g -> 'output' as output,
            g -> 'tasks' as tasks, g -> 'attempts' as attempts, g -> 'actions' as actions
          from jsonb_array_elements(${reports}::jsonb) g
        ), updated as (
          update ${runs} set ${shown ? sql`` : sql`seq = given.seq, `}status = given.status, started_at = coalesce(given.started_at, runs.started_at),
            finished_at = coalesce(given.finished_at, runs.finished_at), error = coalesce(given.error, runs.error),
            output = coalesce(given.output, runs.output)
          from given
          where runs.id = given.run_id
            and ${shown ? sql`runs.seq <= given.seq and runs.status not in ('succeeded', 'failed', 'cancelled')` : sql`runs.seq < given.seq and (runs.status <> 'cancelled' or given.status in ('succeeded', 'failed', 'cancelled'))`}
          returning runs.id, runs.pipeline
        ), run as (
          select updated.id, updated.pipeline, given.tasks, given.attempts, given.actions from updated join given on given.run_id = updated.id
        ), reported_tasks as (
          insert into ${tasks} (run_id, task_id, status, attempts, output, metrics, error, waiting, started_at, finished_at${more ? sql`, deadline_missed_at` : sql``})
          select run.id, t ->> 'taskId', t ->> 'status', (t ->> 'attempts')::int, t -> 'output', t -> 'metrics', t -> 'error', t -> 'waiting',
            (t ->> 'startedAt')::timestamptz, (t ->> 'finishedAt')::timestamptz${more ? sql`, (t ->> 'deadlineMissedAt')::timestamptz` : sql``}
          from run, jsonb_array_elements(run.tasks) t
          on conflict (run_id, task_id) do update set status = excluded.status, attempts = excluded.attempts, output = excluded.output,
            metrics = coalesce(excluded.metrics, tasks.metrics), error = excluded.error, waiting = excluded.waiting, started_at = excluded.started_at, finished_at = excluded.finished_at${more ? sql`, deadline_missed_at = coalesce(tasks.deadline_missed_at, excluded.deadline_missed_at)` : sql``}
        ), reported_actions as (
          insert into ${actions} (run_id, number, action, task_id, "by", why, details, key, request_hash, at)
          select run.id, (a ->> 'number')::int, a ->> 'action', a ->> 'taskId', a ->> 'by', a ->> 'why', a -> 'details', a ->> 'key', a ->> 'requestHash',
            (a ->> 'at')::timestamptz
          from run, jsonb_array_elements(run.actions) a
          on conflict (run_id, number) do update set action = excluded.action, task_id = excluded.task_id, "by" = excluded.by, why = excluded.why,
            details = excluded.details, key = excluded.key, request_hash = excluded.request_hash, at = excluded.at
        )${more ? ASSETS_MADE : sql``}, reported_attempts as (
          insert into ${attempts} (run_id, task_id, attempt, status, worker, lost_attempts, error, started_at, finished_at)
          select run.id, a ->> 'taskId', (a ->> 'attempt')::int, a ->> 'status', a ->> 'worker', coalesce((a ->> 'lostAttempts')::int, 0), a -> 'error',
            (a ->> 'startedAt')::timestamptz, (a ->> 'finishedAt')::timestamptz
          from run, lateral (select distinct on (e ->> 'taskId', e ->> 'attempt') e as a
            from jsonb_array_elements(run.attempts) with ordinality as x(e, n) order by e ->> 'taskId', e ->> 'attempt', n desc) latest
          on conflict (run_id, task_id, attempt) do update set status = excluded.status, worker = excluded.worker,
            lost_attempts = greatest(attempts.lost_attempts, excluded.lost_attempts), error = excluded.error, finished_at = excluded.finished_at
        )
        select exists (select 1 from ${triggers} where ${triggers.plan} -> 'source' ->> 'kind' in ('pipeline', 'assets')) as heard, ${more ? NEWLY_MISSED : sql`0`} as missed`;

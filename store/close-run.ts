// The statement that closes a run whose last report never came, with its tasks and attempts that nothing more is heard of.

import { sql, type SQL } from "drizzle-orm";
import { isRunEnded, type RunStatus, type TaskError } from "../core/run-changes.ts";
import { attempts, runs, tasks } from "./schema.ts";

const UNREPORTED: TaskError = { code: "INTERNAL", message: "how it ended was never reported" };

/**
 * A run that has ended already stays as it is. What was open of a cancelled run is cancelled. Otherwise an attempt is lost, and a task that ran has failed with its
 * run; of one whose run has succeeded nobody can say that it has, so that it is cancelled, and a rerun does it again.
 */
export const closeStatement = (id: string, status: RunStatus, error?: TaskError): SQL => {
  const isCancelled = status === "cancelled";
  const why = isCancelled ? null : JSON.stringify(error ?? UNREPORTED);
  const ended = sql`finished_at = coalesce(finished_at, now()), error = coalesce(${why}::jsonb, error)`;
  const closed = sql`
        with closed as (
          update ${runs} set status = ${status}, finished_at = coalesce(finished_at, now()),
            error = coalesce(${error === undefined ? null : JSON.stringify(error)}::jsonb, error)
          where id = ${id} and status not in ('succeeded', 'failed', 'cancelled') returning id
        )`;
  if (!isRunEnded(status)) return sql`${closed} select id from closed`;
  return sql`${closed}, closed_tasks as (
          update ${tasks} set status = case when status = 'running' and ${status}::text = 'failed' then 'failed' else 'cancelled' end, waiting = null, ${ended}
          where run_id in (select id from closed) and status in ('pending', 'running', 'waiting', 'parked')
        )
        update ${attempts} set status = ${isCancelled ? "cancelled" : "lost"}, ${ended}
        where run_id in (select id from closed) and status = 'running'`;
};

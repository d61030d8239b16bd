// How records look to clients: snake_case keys, ISO 8601 moments, no secrets.

import { runWorkflowId } from "../core/ids.ts";
import { isRunEnded } from "../core/run-changes.ts";
import { presentLimits } from "./present-limits.ts";
import { isSealed, type ConnectionRecord } from "../store/connections.ts";
import type { ItemRecord } from "../store/items.ts";
import type { ActionRecord, RunRecord, StartedRun, WholeRun } from "../store/runs.ts";

export const moment = (value: string): string => new Date(value).toISOString();
const optionalMoment = (value: string | null): string | null => (value === null ? null : moment(value));

const secondsBetween = (start: string | null, end: string | null): number | null =>
  start === null || end === null ? null : (new Date(end).getTime() - new Date(start).getTime()) / 1_000;

/** Sealed values are never shown; references are, since they are no secrets. */
export const presentConnection = ({ name, kind, config, limits, createdAt, updatedAt }: ConnectionRecord) => ({
  name,
  kind,
  config: Object.fromEntries(Object.entries(config).map(([key, value]) => [key, isSealed(value) ? { secret: true } : value])),
  ...presentLimits(limits),
  created_at: moment(createdAt),
  updated_at: moment(updatedAt),
});

export interface RunLinks {
  readonly temporalUiUrl?: string | undefined;
  readonly namespace: string;
}

export const presentRun = (run: RunRecord, { temporalUiUrl, namespace }: RunLinks) => ({
  id: run.id,
  pipeline: run.pipeline,
  version: run.version,
  status: run.status,
  trigger: run.trigger,
  schedule: run.schedule,
  interval: run.intervalStart === null || run.intervalEnd === null ? null : { start: run.intervalStart, end: run.intervalEnd },
  backfill: run.backfill,
  params: run.params,
  created_at: moment(run.createdAt),
  started_at: optionalMoment(run.startedAt),
  finished_at: optionalMoment(run.finishedAt),
  seconds: secondsBetween(run.startedAt ?? run.createdAt, run.finishedAt),
  error: run.error,
  output: run.output,
  parent: run.parent === null ? null : { run: run.parent.runId, task: run.parent.taskId },
  rerun_of: run.rerun?.of ?? null,
  cancel_reason: run.cancelReason,
  links: {
    self: `/v1/runs/${run.id}`,
    pipeline: `/v1/pipelines/${run.pipeline}/versions/${run.version}`,
    ...(temporalUiUrl === undefined
      ? {}
      : { temporal: `${temporalUiUrl}/namespaces/${namespace}/workflows/${encodeURIComponent(runWorkflowId(run.pipeline, run.id))}` }),
  },
});

export const presentAction = ({ action, taskId, by, why, details, at }: ActionRecord) => ({
  action,
  task: taskId,
  by,
  why,
  details,
  at: moment(at),
});

export const presentItem = ({ item, key, values, status, attempts, output, error, startedAt, finishedAt }: ItemRecord) => ({
  item,
  key,
  values,
  status,
  attempts,
  output,
  error,
  started_at: optionalMoment(startedAt),
  finished_at: optionalMoment(finishedAt),
});

export interface PlannedTask {
  readonly id: string;
  readonly summary: string;
  readonly operator: string;
  readonly assets?: readonly string[];
}

/** Tasks in definition order; those that nothing was reported of yet are pending, or cancelled with their run. */
export const presentTasks = (
  { run, tasks: records, attempts }: Pick<WholeRun, "run" | "tasks" | "attempts">,
  planned: readonly PlannedTask[],
  started: ReadonlyMap<string, StartedRun>,
) => {
  const byId = new Map(records.map((record) => [record.taskId, record]));
  const attemptsById = Map.groupBy(attempts, (attempt) => attempt.taskId);
  return planned.map(({ id, summary, operator, assets = [] }) => {
    const record = byId.get(id);
    return {
      id,
      operator,
      summary,
      status: record?.status ?? (isRunEnded(run.status) ? "cancelled" : "pending"),
      attempts: record?.attempts ?? 0,
      started_at: optionalMoment(record?.startedAt ?? null),
      finished_at: optionalMoment(record?.finishedAt ?? null),
      deadline_missed_at: optionalMoment(record?.deadlineMissedAt ?? null),
      output: record?.output ?? null,
      metrics: record?.metrics ?? null,
      error: record?.error ?? null,
      waiting: record?.waiting ?? null,
      assets,
      run: started.get(id) ?? null,
      attempt_log: (attemptsById.get(id) ?? []).map((attempt) => ({
        attempt: attempt.attempt,
        status: attempt.status,
        worker: attempt.worker,
        lost_attempts: attempt.lostAttempts,
        started_at: moment(attempt.startedAt),
        finished_at: optionalMoment(attempt.finishedAt),
        error: attempt.error,
      })),
    };
  });
};

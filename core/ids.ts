// Ids that cross systems, built and parsed in one place: workflow ids, load keys, delivery keys, the default task queue.

export const DEFAULT_QUEUE = "downbeat";

const RUN_PREFIX = "downbeat/run/";

/** The workflow id of a run: readable in Temporal's UI, unique, and what makes a trigger idempotent. */
export const runWorkflowId = (pipeline: string, runId: string): string => `${RUN_PREFIX}${pipeline}/${runId}`;

export const parseRunWorkflowId = (workflowId: string): { readonly pipeline: string; readonly runId: string } | undefined => {
  if (!workflowId.startsWith(RUN_PREFIX)) return undefined;
  const [pipeline, runId, ...rest] = workflowId.slice(RUN_PREFIX.length).split("/");
  return pipeline && runId && rest.length === 0 ? { pipeline, runId } : undefined;
};

/** The durable owner of a pool's slots. */
export const poolWorkflowId = (pool: string): string => `downbeat/pool/${pool}`;

const PIPELINE_POOL = "pipeline/";

/** The pool that keeps the runs of a pipeline apart; no pool of the user's can have such a name. */
export const pipelinePool = (pipeline: string): string => `${PIPELINE_POOL}${pipeline}`;

/** The pipeline whose runs it keeps apart; undefined: it is another one. */
export const pipelineOf = (pool: string): string | undefined =>
  pool.startsWith(PIPELINE_POOL) ? pool.slice(PIPELINE_POOL.length) : undefined;

const CONNECTION_POOL = "connection/";

/** The pool whose slots are a connection's. */
export const connectionPool = (connection: string): string => `${CONNECTION_POOL}${connection}`;

/** The connection whose pool it is; undefined: it is another one. */
export const connectionOf = (pool: string): string | undefined =>
  pool.startsWith(CONNECTION_POOL) ? pool.slice(CONNECTION_POOL.length) : undefined;

/** The durable owner of a backfill. */
export const backfillWorkflowId = (pipeline: string, backfill: string): string => `downbeat/backfill/${pipeline}/${backfill}`;

const SCHEDULE_PREFIX = "downbeat/schedule/";

export interface ScheduleRef {
  readonly pipeline: string;
  readonly name: string;
}

/** The id of a schedule in Temporal. */
export const scheduleId = ({ pipeline, name }: ScheduleRef): string => `${SCHEDULE_PREFIX}${pipeline}/${name}`;

export const parseScheduleId = (id: string): ScheduleRef | undefined => {
  if (!id.startsWith(SCHEDULE_PREFIX)) return undefined;
  const [pipeline, name, ...rest] = id.slice(SCHEDULE_PREFIX.length).split("/");
  return pipeline && name && rest.length === 0 ? { pipeline, name } : undefined;
};

/** Of the runs that a schedule starts, without what Temporal appends: "-" and the firing's moment. Run ids are unique over all pipelines. */
const firedRunPrefix = ({ pipeline, name }: ScheduleRef): string => `${pipeline}.${name}`;

export const scheduledWorkflowId = (schedule: ScheduleRef): string => runWorkflowId(schedule.pipeline, firedRunPrefix(schedule));

/** The run that a schedule has started, and the firing in milliseconds; undefined for workflow ids that Temporal did not make of the schedule's. */
export const parseFiring = (
  workflowId: string,
  schedule: ScheduleRef,
): { readonly runId: string; readonly firedAt: number } | undefined => {
  const runId = parseRunWorkflowId(workflowId)?.runId ?? "";
  const prefix = `${firedRunPrefix(schedule)}-`;
  const firedAt = runId.startsWith(prefix) ? Date.parse(runId.slice(prefix.length)) : NaN;
  return Number.isNaN(firedAt) ? undefined : { runId, firedAt };
};

const TRIGGER_PREFIX = "downbeat/trigger/";

export interface TriggerRef {
  readonly pipeline: string;
  readonly name: string;
}

/** The durable owner of an event trigger. */
export const triggerWorkflowId = ({ pipeline, name }: TriggerRef): string => `${TRIGGER_PREFIX}${pipeline}/${name}`;

export const parseTriggerWorkflowId = (id: string): TriggerRef | undefined => {
  const [pipeline, name, ...rest] = id.startsWith(TRIGGER_PREFIX) ? id.slice(TRIGGER_PREFIX.length).split("/") : [];
  return pipeline && name && rest.length === 0 ? { pipeline, name } : undefined;
};

/** A look at a connection; `unique` keeps looks at the same connection apart. */
export const inspectWorkflowId = (kind: "check" | "discover", connection: string, unique: string): string =>
  `downbeat/${kind}/${connection}/${unique}`;

/** Names the flow of one stream through one task for ever: the key of its bookkeeping in the destination. */
export const loadKey = (pipeline: string, taskId: string, stream: string): string => `${pipeline}/${taskId}/${stream}`;

/** Names a task's work for keys: an item's own where it is one of many, the same whenever its values are the same. */
export const workKey = (taskId: string, itemKey: string | undefined): string => (itemKey === undefined ? taskId : `${taskId}[${itemKey}]`);

/** Of the workflow that waits with the last report of a run until the store is back. */
export const lateReportWorkflowId = (runId: string): string => `downbeat/late-report/${runId}`;

/** A child workflow that carries out some of the run's attempts. */
export const windowWorkflowId = (runWorkflow: string, number: number): string => `${runWorkflow}/window#${number}`;

/** The child workflow that carries a task out for each of its items. */
export const mappedWorkflowId = (runWorkflow: string, taskId: string, tries: number): string => `${runWorkflow}/${taskId}#${tries}`;

/** Run and task of an attempt whose workflow calls the activity itself, by both ids; undefined: it is another workflow's, or an item's. */
export const attemptPlace = (workflowId: string, activityId: string): { readonly runId: string; readonly taskId: string } | undefined => {
  const [, runWorkflow = workflowId] = /^(.*)\/window#\d+$/.exec(workflowId) ?? [];
  const run = parseRunWorkflowId(runWorkflow);
  const [taskId = ""] = activityId.split("#");
  return run === undefined ? undefined : { runId: run.runId, taskId };
};

/** Names what one task of one run delivers: the same on every repetition, so that receivers can tell. */
export const deliveryKey = (originRunId: string, taskId: string): string => `${originRunId}/${taskId}`;

// What workflows need of activities: the closed set of verbs. activities/ implements it; names and shapes are a wire contract.

import type { Sinks } from "@temporalio/workflow";
import type { BackfillReport } from "../core/backfill.ts";
import type { TriggerRef } from "../core/ids.ts";
import type { WaitingEvent } from "../core/trigger.ts";
import type { Json, JsonObject } from "../core/json.ts";
import type { Plan, PlanTask, Policy } from "../core/plan.ts";
import type { RunManner } from "../core/run-manner.ts";
import type { ItemStatus, RunChanges, TaskError, TaskResult } from "../core/run-changes.ts";

/** Facts of the run that expressions may read as `run`. */
export interface RunFacts {
  readonly id: string;
  /** The first run of a chain of reruns: exactly-once keys use it, never the attempt. */
  readonly origin: string;
  readonly pipeline: string;
  readonly version: number;
  readonly trigger: string;
  /** ISO 8601 UTC: when it was triggered. */
  readonly triggeredAt: string;
  /** Of a run that a schedule or a backfill started; expressions of other runs read null as both. ISO 8601, with the offset of the schedule's zone. */
  readonly interval?: { readonly start: string; readonly end: string };
  /** The backfill that started it, which is told when it ends. */
  readonly backfill?: string;
  /** Of a run that another run's task has started: how many are above it. */
  readonly depth?: number;
  /** Of its tasks that have none of their own, 1 to 5. */
  readonly priority?: number;
}

/** What a schedule starts a run with; everything else is in the store. */
export interface ScheduledStart {
  readonly pipeline: string;
  readonly schedule: string;
  readonly version: number;
  readonly planHash: string;
  readonly params: JsonObject;
}

export interface OpenRunCall extends ScheduledStart {
  /** Of the workflow that Temporal's schedule has started. */
  readonly workflowId: string;
}

/** A task that runs another pipeline: each of its attempts is a run of its own. */
export interface OpenSubRunCall extends TaskCall {
  /** Which of the task's tries it is, from 1. */
  readonly tries: number;
  /** Of an item: its number. */
  readonly item?: number;
  /** Of the run that is opened. */
  readonly priority?: number;
}

/** Older workers answer with its plan and params: it has them in its input then, and reads them itself otherwise. */
export interface OpenedSubRun extends Omit<OpenedRun, keyof RunStart>, Partial<RunStart> {
  readonly planHash: string;
}

/** What a run begins with. */
export interface RunStart {
  readonly plan: Plan;
  readonly params: JsonObject;
}

/** Older workers answer without a manner. */
export interface OpenedRun extends RunManner, RunStart {
  readonly run: RunFacts;
}

/** One attempt of one task. The configuration is looked up by `planHash` and task id and cached by the worker. */
export interface TaskCall {
  readonly run: RunFacts;
  readonly planHash: string;
  readonly taskId: string;
  /** From 1; lost attempts not counted. */
  readonly attempt: number;
  readonly params: JsonObject;
  /** Outputs and statuses of the tasks that the configuration's expressions read. */
  readonly tasks: Readonly<Record<string, { readonly status: string; readonly output: Json }>>;
  readonly timeoutMs: number;
  /** Of a task that follows its source: when it began, in milliseconds since 1970. */
  readonly followedSince?: number;
  /** Of an item of a `for_each`: its values, and what stands for them in keys. */
  readonly each?: JsonObject;
  readonly itemKey?: string;
}

/** The input of a user's own activity that reads large outputs: made by a worker of Downbeat's, since the activity's own may know nothing of them. */
export interface RenderInputCall extends Pick<TaskCall, "run" | "params" | "tasks" | "attempt">, Required<Pick<PlanTask, "activity">> {}

/** The call of a task with `for_each`, attempt and timeout those of its items. */
export interface MappedCall extends Omit<TaskCall, "attempt"> {
  readonly task: PlanTask;
  /** Of each item. */
  readonly retry: Policy["retry"];
  /** A run that this one repeats: what has succeeded there is not done again. */
  readonly carryFrom?: string;
  /** Numbers of items that are done again all the same. */
  readonly fresh?: readonly number[];
  /** Which of the task's tries it is, from 1. */
  readonly tries: number;
}

/** An item that the workflow itself carries out: a run of another pipeline, an activity of the user's own on a queue of its own. */
export interface ItemCall extends MappedCall {
  readonly item: number;
  readonly attempt: number;
}

/** Small: it enters the history with each item. */
export type ItemRef = Pick<ItemCall, "run" | "taskId" | "item" | "attempt">;

/** What there is to do for it; neither: it has succeeded already. */
export interface OpenedItem {
  readonly run?: OpenedSubRun;
  readonly activity?: { readonly input: Json };
}

export interface ItemEnd {
  readonly status: ItemStatus;
  readonly output?: Json;
  readonly error?: TaskError;
  /** ISO 8601 UTC. */
  readonly startedAt: string;
  readonly finishedAt: string;
}

export interface ItemsCall extends MappedCall {
  /** Number and attempt of each. */
  readonly items: readonly (readonly [item: number, attempt: number])[];
  /** How many of them may run at the same time. */
  readonly concurrency: number;
  /** How many of them may fail for good: after one more none begins. Absent: nobody counts, since a release has called that counted group by group. */
  readonly mayFail?: number;
}

/** What is left to decide: everything else is in the store. */
export interface ItemFailure {
  readonly item: number;
  readonly code: string;
  readonly message: string;
  readonly retryAfterMs?: number;
}

export interface ItemsResult {
  readonly failures: readonly ItemFailure[];
  /** Items that were not begun: a connection was seen to be unwell, and the group's slot is given back; or more failed than may. */
  readonly left?: readonly number[];
  /** Of the whole batch: how large the next ones should be. */
  readonly milliseconds: number;
}

/** The first detail of every failure that a verb throws; the failure's type is a code of the error table. */
export interface FailureFacts {
  readonly details?: Json;
  readonly retryAfterMs?: number;
  readonly worker?: string;
  /** Tries of Temporal's own that died with their worker before this one. */
  readonly lostAttempts?: number;
}

/** `capacity`: of a pipeline's own pool; the store knows that of all others. */
export interface PoolInput {
  readonly pool: string;
  readonly capacity?: number;
}

export interface StartPartitionsCall {
  readonly id: string;
  readonly priority: number;
  readonly partitions: readonly { readonly partition: number; readonly runId: string }[];
}

export interface EndedRun {
  readonly runId: string;
  readonly succeeded: boolean;
}

/** A cheap look at a connection, made on a worker since the API opens no drivers. */
export interface InspectCall {
  readonly connection: string;
}

export interface DiscoveredColumn {
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean;
}

export interface DiscoveredStream {
  readonly name: string;
  readonly key?: readonly string[];
  readonly columns: readonly DiscoveredColumn[];
}

export interface InspectResult {
  readonly ok: boolean;
  readonly error?: { readonly code: string; readonly message: string };
  readonly streams?: readonly DiscoveredStream[];
  readonly milliseconds: number;
}

/** An event that the store has taken for a trigger. */
export interface TriggerEvent {
  readonly id: string;
  readonly subject?: string;
}

/** Events of each run that is to be started. */
export interface EventRunsCall extends TriggerRef {
  readonly batches: readonly (readonly string[])[];
}

export interface StartedEventRuns {
  /** Of each batch from the first on; null: no run comes of it. */
  readonly runs: readonly (string | null)[];
  /** Why the rest must wait. */
  readonly heldFor?: string;
}

/** What a run's workflow lets its worker know at once. */
export interface ProgressSinks extends Sinks {
  readonly progress: {
    /** Nothing of it is sure to arrive: reports bring all of it again. */
    show(changes: RunChanges): void;
    /** The last report. It is kept before Temporal hears of the run's end: by the store, or where that is away by a workflow that waits for it. */
    end(changes: RunChanges): void;
  };
}

export interface DagActivities {
  transfer(call: TaskCall): Promise<TaskResult>;
  sql(call: TaskCall): Promise<TaskResult>;
  http(call: TaskCall): Promise<TaskResult>;
  check(call: TaskCall): Promise<TaskResult>;
  publish(call: TaskCall): Promise<TaskResult>;
  command(call: TaskCall): Promise<TaskResult>;
  file(call: TaskCall): Promise<TaskResult>;
  /** Looks whether what a `wait` task waits for is there: its output has `met`. */
  probe(call: TaskCall): Promise<TaskResult>;
  /** Writes down the items of a task; answers how many there are and how many are done. */
  planItems(call: MappedCall): Promise<{ readonly count: number; readonly done: number }>;
  /** Carries some items out; each one's result is in the store when it answers. */
  runItems(call: ItemsCall): Promise<ItemsResult>;
  /** Reads one item that the workflow itself carries out; opens its run where it is one. Safe to repeat. */
  openItem(call: ItemCall): Promise<OpenedItem>;
  /** Its end, in the store when this answers. */
  recordItem(item: ItemRef, end: ItemEnd): Promise<void>;
  /** The gathered outputs as the task's own. */
  gatherItems(call: MappedCall): Promise<TaskResult>;
  /** Large outputs looked up, expressions evaluated; throws EXPRESSION_FAILED. Safe to repeat. */
  renderInput(call: RenderInputCall): Promise<Json>;
  /** Asks all open workflows that may hold slots to tell a pool's owner what they hold and wait for. Safe to repeat. */
  recountSlots(pool: Pick<PoolInput, "pool">): Promise<void>;
  /** Makes sure that the owner of a pool runs; throws POOL_UNKNOWN. Safe to repeat. */
  ensurePool(pool: PoolInput): Promise<void>;
  /** Which of these workflows no longer run. */
  endedWorkflows(ids: readonly string[]): Promise<readonly string[]>;
  /** Writes down and starts the runs of partitions, unless one had succeeded; safe to repeat. In the order of the call. */
  startPartitions(call: StartPartitionsCall): Promise<readonly ("started" | "existing")[]>;
  /** Which of these runs have ended, and how. */
  endedRuns(ids: readonly string[]): Promise<readonly EndedRun[]>;
  /** Applies a backfill's state to the store; safe to repeat. */
  recordBackfill(report: BackfillReport): Promise<void>;
  /** Writes down the run of another pipeline that a task starts; safe to repeat. */
  openSubRun(call: OpenSubRunCall): Promise<OpenedSubRun>;
  /** Of a run that was written down. */
  readStart(call: { readonly runId: string; readonly planHash: string }): Promise<RunStart>;
  /** Writes down the run that a schedule has started; safe to repeat. */
  openRun(call: OpenRunCall): Promise<OpenedRun>;
  /** Writes down and starts the runs that events are to start; safe to repeat. */
  startEventRuns(call: EventRunsCall): Promise<StartedEventRuns>;
  /** The oldest events of a trigger that no run was started for. */
  waitingEvents(call: TriggerRef & { readonly limit: number }): Promise<readonly WaitingEvent[]>;
  /** Looks for new events until there are any, and keeps them; `mark` is what the last look has answered. */
  watchEvents(call: TriggerRef & { readonly mark: number }): Promise<{ readonly mark: number }>;
  /** Applies a batch of state changes to the store; safe to repeat. */
  recordRun(changes: RunChanges): Promise<void>;
  checkConnection(call: InspectCall): Promise<InspectResult>;
  discoverConnection(call: InspectCall): Promise<InspectResult>;
}

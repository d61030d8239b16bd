// What goes into and comes out of the run workflow, and the messages it takes: a wire contract shared with the API.

import { defineSearchAttributeKey, type SearchAttributePair } from "@temporalio/common";
import type { ActedKey, Keyed } from "../core/acted-keys.ts";
import type { Circuit, CircuitPolicy, Verdict } from "../core/circuit.ts";
import type { BackfillAction, BackfillControl, BackfillState } from "../core/backfill.ts";
import { connectionOf, pipelineOf } from "../core/ids.ts";
import type { Json, JsonObject } from "../core/json.ts";
import type { Concurrency, Plan, PlanTask, Policy } from "../core/plan.ts";
import type { TaskOrigins } from "../core/rerun.ts";
import type { ActionChange, RunStatus, TaskStatus } from "../core/run-changes.ts";
import type { Actor, Control } from "../core/run-control.ts";
import type { RunManner } from "../core/run-manner.ts";
import type { RunSnapshot } from "../core/run-snapshot.ts";
import type { SlotRequest, Slots } from "../core/slots.ts";
import type { RunOutcome } from "../core/run-state.ts";
import type { TriggerSettings, WaitingEvent } from "../core/trigger.ts";
import type { AttemptEnd } from "./failure.ts";
import type { RunFacts, RunStart, ScheduledStart } from "./ports.ts";

export const RUN_WORKFLOW = "run";
export const MAPPED_WORKFLOW = "mapped";
export const INSPECT_WORKFLOW = "inspect";
export const LATE_REPORT_WORKFLOW = "lateReport";

export interface RunInput extends RunManner {
  readonly run: RunFacts;
  readonly planHash: string;
  readonly plan: Plan;
  readonly params: JsonObject;
  /** The run that this one repeats: what has succeeded of its items is not done again, but those of `fresh`, and those of tasks whose work is this run's own. */
  readonly rerun?: {
    readonly of: string;
    readonly fresh?: { readonly task: string; readonly items?: readonly number[] };
    readonly origins?: TaskOrigins;
  };
  /** Where an earlier execution of the same run left off. */
  readonly continued?: {
    readonly snapshot: RunSnapshot;
    readonly seq: number;
    /** Absent: it has not begun; the snapshot is what a rerun takes over. */
    readonly startedAt?: number;
    /** Windows opened so far. */
    readonly windows?: number;
    /** How often somebody acted on it. */
    readonly actions?: number;
    /** Of the last of these actions, the oldest first. */
    readonly keys?: readonly ActedKey[];
    /** What came too late for the last execution's reports. */
    readonly unsent?: { readonly tasks: readonly number[]; readonly actions: readonly ActionChange[] };
  };
}

/** A run that a schedule starts: its first step opens its row and reads its plan. */
export interface ScheduledInput {
  readonly scheduled: ScheduledStart;
}

/** A run that a task of another run starts: its first step reads plan and params, which would otherwise be in its caller's history, item by item. */
export interface OpenedInput {
  readonly opened: Omit<RunInput, keyof RunStart | "rerun" | "continued">;
}

export interface RunResult {
  readonly outcome: RunOutcome;
  /** Of a run that succeeded: its pipeline's `outputs`. */
  readonly output?: Json;
}

/** Answer of the query `status`: the workflow's own view, ahead of the store by up to a second. */
export interface RunStatusAnswer {
  readonly open: number;
  readonly tasks: Readonly<Record<string, TaskStatus>>;
}

export const STATUS_QUERY = "status";

export const POOL_WORKFLOW = "pool";

/** What a pool's owner takes. */
export const POOL_SIGNALS = {
  acquire: "acquire",
  release: "release",
  resize: "resize",
  configure: "configure",
  reset: "reset",
  recount: "recount",
} as const;
export const POOL_QUERY = "slots";

export interface AcquireSignal {
  readonly request: SlotRequest;
  /** What becomes of it when all slots are held. */
  readonly otherwise: Concurrency["strategy"];
  /** Of a pipeline's own pool: how many slots it has, as the newest run knows. */
  readonly capacity?: number;
}

/** Of a connection's slot, with how its use ended. */
export interface ReleaseSignal {
  readonly key: string;
  readonly verdict: Verdict;
}

/** What a workflow holds and waits for of a pool whose owner has lost all that it knew. */
export type RecountSignal = Pick<Slots, "holders" | "waiting">;

/** What a workflow may tell a pool's owner; a string is the key of a slot that it gives back. Several go as one list with `acquire`. */
export type PoolNote = AcquireSignal | ReleaseSignal | RecountSignal | string;

/** Of a connection: its limits from now on. */
export interface ConfigureSignal {
  readonly capacity: number;
  readonly breaker?: CircuitPolicy;
}

/** Somebody closed a circuit by hand. */
export interface CircuitReset extends Actor {
  /** ISO 8601 UTC. */
  readonly at: string;
}

/** What a run takes from a pool's owner: one, or a list where it asked for lists. */
export const SLOT_SIGNAL = "slot";

export interface SlotSignal {
  readonly pool: string;
  readonly key: string;
  /** False without `circuit`: there is none for it. */
  readonly granted: boolean;
  /** It waits since the connection's circuit breaker is open. Milliseconds since 1970. */
  readonly circuit?: { readonly since: number; readonly until: number };
  /** The owner has lost all that it knew, and asks what the workflow holds and waits for; there is no key. */
  readonly recount?: true;
}

/** What a run tells the workflows that it has started, and they theirs, when it is paused or goes on. */
export const PAUSE_SIGNAL = "pause";

export interface PauseSignal extends Actor {
  readonly paused: boolean;
}

/** What a run is told by the workflow of a task's items. */
export const ITEMS_SIGNAL = "items";

export interface ItemsSignal {
  readonly taskId: string;
  /** All items that are under way wait for it; absent: no longer. */
  readonly awaited?: AwaitedSlot;
}

/** How some attempts of a window have ended, for its run. */
export const WINDOW_SIGNAL = "window";

export interface WindowSignal {
  /** Which of the run's windows it is, from 1. */
  readonly window: number;
  readonly ended: readonly WindowEnd[];
}

/** By the task's place in the plan. */
export type WindowEnd = readonly [index: number, end: AttemptEnd];

/** Which attempts a run tells its windows to cancel: those of these groups. */
export const WINDOW_CANCEL_SIGNAL = "cancel";

/** What a task or its items wait for. */
export interface AwaitedSlot {
  readonly pool: string;
  /** The pool is this connection's. */
  readonly connection?: string;
  readonly circuit?: NonNullable<SlotSignal["circuit"]>;
}

export interface PoolState {
  readonly pool: string;
  /** The answer of the query has the first of its holders and of those who wait. */
  readonly slots: Slots;
  /** How many there are in all; absent: all are there. */
  readonly total?: { readonly holders: number; readonly waiting: number };
  /** Of a connection with a circuit breaker. */
  readonly breaker?: { readonly policy: CircuitPolicy; readonly circuit: Circuit };
  readonly reset?: CircuitReset;
}

/** The update by which people act on a run. Refused with ACTION_REFUSED or RUN_NOT_ACTIVE while nothing has happened yet. */
export const CONTROL_UPDATE = "control";

/** With a key it acts once; Temporal itself knows an update again only within one execution. Another request under a known key is refused with IDEMPOTENCY_KEY_REUSED. */
export interface ControlRequest extends Actor, Partial<Keyed> {
  readonly control: Control;
  /** With `continue`: what the task is from now on, its configuration lying under `task.planHash`. Its needs stay. */
  readonly task?: PlanTask;
  readonly policy?: Policy;
  /** With `task`: where the configuration lies that was changed. A task that is another by now is not changed. Absent: nobody looks. */
  readonly basedOn?: string;
  /** With `continue`: the run's params from now on. */
  readonly params?: JsonObject;
  /** With `params`: those of them that change; the others stay as they are by now. Absent: `params` are all. */
  readonly changedParams?: JsonObject;
  /** For the record: what was changed. */
  readonly details?: Json;
}

export interface ControlAnswer {
  readonly status: RunStatus;
  /** As the run's next report has it; absent: it was done before. */
  readonly action?: ActionChange;
}

export const TRIGGER_WORKFLOW = "trigger";

/** What a trigger's owner takes: TriggerSettings, and TriggerEvent. */
export const TRIGGER_SIGNALS = { configure: "configure", event: "event" } as const;
export const TRIGGER_QUERY = "state";

export interface TriggerInput {
  readonly settings: TriggerSettings;
  /** Where an earlier execution left off. */
  readonly waiting?: readonly WaitingEvent[];
  readonly looks?: boolean;
  readonly told?: Pick<TriggerState, "lastEventAt" | "lastRun">;
  readonly mark?: number;
}

export interface TriggerState {
  /** Events that no run was started for. */
  readonly waiting: number;
  /** ISO 8601 UTC. */
  readonly lastEventAt?: string;
  readonly lastRun?: string;
  /** Why no run is started although one is due. */
  readonly heldFor?: string;
}

export const BACKFILL_WORKFLOW = "backfill";

export interface BackfillInput {
  readonly id: string;
  readonly pipeline: string;
  readonly state: BackfillState;
  /** Of the last report. */
  readonly seq: number;
  /** What the last execution could not report. */
  readonly actions?: readonly BackfillAction[];
}

/** The update by which people act on a backfill. Refused with ACTION_REFUSED while nothing has happened yet. */
export const BACKFILL_UPDATE = "control";

/** With a key it acts once, in later executions too. Another request under a known key is refused with IDEMPOTENCY_KEY_REUSED. */
export interface BackfillRequest extends Actor, Partial<Keyed> {
  readonly control: BackfillControl;
}

/** What a run tells its backfill when it ends. */
export const RUN_ENDED_SIGNAL = "runEnded";

/** What every workflow that belongs to a pipeline carries. */
export const ofPipeline = (pipeline: string): SearchAttributePair[] => [
  { key: defineSearchAttributeKey("DownbeatPipeline", "KEYWORD"), value: pipeline },
];

const ofBackfill = (backfill: string | undefined): SearchAttributePair[] =>
  backfill === undefined ? [] : [{ key: defineSearchAttributeKey("DownbeatBackfill", "KEYWORD"), value: backfill }];

/** What a backfill carries. */
export const backfillAttributes = (pipeline: string, backfill: string): SearchAttributePair[] => [
  ...ofPipeline(pipeline),
  ...ofBackfill(backfill),
];

/** What a look at a connection carries. */
export const ofConnection = (connection: string): SearchAttributePair[] => [
  { key: defineSearchAttributeKey("DownbeatConnection", "KEYWORD"), value: connection },
];

/** What the owner of a pool's slots carries. */
export const poolAttributes = (pool: string): SearchAttributePair[] => {
  const [pipeline, connection] = [pipelineOf(pool), connectionOf(pool)];
  if (pipeline !== undefined) return ofPipeline(pipeline);
  if (connection !== undefined) return ofConnection(connection);
  return [{ key: defineSearchAttributeKey("DownbeatPool", "KEYWORD"), value: pool }];
};

/** What every run carries, however it is started. */
export const searchAttributesOf = ({
  pipeline,
  version,
  trigger,
  backfill,
}: Pick<RunFacts, "pipeline" | "version" | "trigger" | "backfill">): SearchAttributePair[] => [
  ...ofPipeline(pipeline),
  ...ofBackfill(backfill),
  { key: defineSearchAttributeKey("DownbeatVersion", "INT"), value: version },
  { key: defineSearchAttributeKey("DownbeatTrigger", "KEYWORD"), value: trigger },
];

export interface InspectInput {
  readonly kind: "check" | "discover";
  readonly connection: string;
}

/** Search attributes of our workflows, of which each has one at least. Registered when the server is started or a process of ours begins; a server on SQLite has room for ten keywords. They are not encrypted: no secrets. */
export const SEARCH_ATTRIBUTES = {
  DownbeatPipeline: "KEYWORD",
  DownbeatVersion: "INT",
  DownbeatTrigger: "KEYWORD",
  DownbeatStatus: "KEYWORD",
  DownbeatBackfill: "KEYWORD",
  DownbeatConnection: "KEYWORD",
  DownbeatPool: "KEYWORD",
} as const;

// What goes into and comes out of the run workflow, and the messages it takes: a wire contract shared with the API.

import type { Json, JsonObject } from "../core/json.ts";
import type { Plan, PlanTask, Policy } from "../core/plan.ts";
import type { ActionChange, RunStatus, TaskStatus } from "../core/run-changes.ts";
import type { Actor, Control } from "../core/run-control.ts";
import type { RunSnapshot } from "../core/run-snapshot.ts";
import type { RunOutcome } from "../core/run-state.ts";
import type { RunFacts, ScheduledStart } from "./ports.ts";

export const RUN_WORKFLOW = "run";
export const INSPECT_WORKFLOW = "inspect";

export interface RunInput {
  readonly run: RunFacts;
  readonly planHash: string;
  readonly plan: Plan;
  readonly params: JsonObject;
  /** Where an earlier execution of the same run left off. */
  readonly continued?: {
    readonly snapshot: RunSnapshot;
    readonly seq: number;
    readonly startedAt: number;
    /** How often somebody acted on it. */
    readonly actions?: number;
    /** What came too late for the last execution's reports. */
    readonly unsent?: { readonly tasks: readonly number[]; readonly actions: readonly ActionChange[] };
  };
}

/** A run that a schedule starts: its first step opens its row and reads its plan. */
export interface ScheduledInput {
  readonly scheduled: ScheduledStart;
}

export interface RunResult {
  readonly outcome: RunOutcome;
}

/** Answer of the query `status`: the workflow's own view, ahead of the store by up to a second. */
export interface RunStatusAnswer {
  readonly open: number;
  readonly tasks: Readonly<Record<string, TaskStatus>>;
}

export const STATUS_QUERY = "status";

/** The update by which people act on a run. Refused with ACTION_REFUSED or RUN_NOT_ACTIVE while nothing has happened yet. */
export const CONTROL_UPDATE = "control";

export interface ControlRequest extends Actor {
  readonly control: Control;
  /** With `continue`: what the task is from now on, its configuration lying under `task.planHash`. Its needs stay. */
  readonly task?: PlanTask;
  readonly policy?: Policy;
  /** With `continue`: the run's params from now on. */
  readonly params?: JsonObject;
  /** For the record: what was changed. */
  readonly details?: Json;
}

export interface ControlAnswer {
  readonly status: RunStatus;
}

export interface InspectInput {
  readonly kind: "check" | "discover";
  readonly connection: string;
}

/** Search attributes of every run, registered when the server is started or first used. They are not encrypted: no secrets. */
export const SEARCH_ATTRIBUTES = {
  DownbeatPipeline: "KEYWORD",
  DownbeatVersion: "INT",
  DownbeatTrigger: "KEYWORD",
  DownbeatStatus: "KEYWORD",
} as const;

// What a run reports to the store: states of run, tasks and attempts. Every change can be applied twice.

import type { Json } from "./json.ts";

/** An open run is `paused` by hand; `parked` when only a parked task keeps it open; `waiting` when nothing of it runs and something waits. */
export type RunStatus = "queued" | "running" | "waiting" | "paused" | "parked" | "succeeded" | "failed" | "cancelled";
export type TaskStatus =
  | "pending"
  | "running"
  | "waiting"
  | "parked"
  | "succeeded"
  | "failed"
  | "skipped"
  | "upstream_failed"
  | "cancelled";
/** An item whose attempt failed and is to be tried again is pending. */
export type ItemStatus = "pending" | "succeeded" | "failed";
export type AttemptStatus = "running" | "succeeded" | "failed" | "lost" | "cancelled";

export const isRunEnded = (status: RunStatus): boolean => status === "succeeded" || status === "failed" || status === "cancelled";

/** What a task in status waiting waits for: its next attempt, a moment, a condition's next look, somebody's decision, a slot of its pool. */
export type HoldReason = "retry" | "time" | "condition" | "approval" | "pool";

export interface TaskError {
  readonly code: string;
  readonly message: string;
  readonly details?: Json;
}

/** Figures that operators report; every one optional. */
export interface TaskMetrics {
  readonly rows?: number;
  readonly bytes?: number;
  readonly deadLetters?: number;
  /** Columns that were added, widened or left out. */
  readonly schemaChanges?: number;
  /** Streams that tell until when all of theirs has come: how far the copy was behind its source when that was told. */
  readonly lagSeconds?: number;
  /** That moment, in ISO 8601 UTC. */
  readonly asOf?: string;
  readonly seconds?: number;
}

/** What a verb returns: an output over `LIMITS.outputBytes` of JSON leaves its worker as a reference. */
export interface TaskResult {
  readonly output: Json;
  readonly metrics?: TaskMetrics;
  /** Of a task that follows its source: this was a round, and the next one is to begin. */
  readonly goesOn?: true;
  /** Who did it, for the attempt's record. */
  readonly worker?: string;
  /** Tries of Temporal's own that died with their worker before this one. */
  readonly lostAttempts?: number;
}

/** An output that is too large to travel: workers look it up. */
export interface OutputReference {
  /** Run and task whose output it is. */
  readonly $output: { readonly runId: string; readonly taskId: string };
  readonly bytes: number;
}

/** Undefined: the output itself. */
export const referenceOf = (output: Json | undefined): OutputReference | undefined => {
  const { $output, bytes } = (output ?? {}) as Partial<OutputReference>;
  return $output === undefined || bytes === undefined ? undefined : { $output, bytes };
};

export interface TaskChange {
  readonly taskId: string;
  readonly status: TaskStatus;
  readonly attempts: number;
  /** ISO 8601 UTC. */
  readonly startedAt?: string;
  readonly finishedAt?: string;
  /** Its deadline, when it had not ended by then. */
  readonly deadlineMissedAt?: string;
  readonly output?: Json;
  readonly metrics?: TaskMetrics;
  readonly error?: TaskError;
  /** Of a task that has succeeded: what it has made. */
  readonly assets?: readonly string[];
  /** Of a waiting task, and of a running one all of whose items wait for slots. */
  readonly waiting?: {
    /** `circuit`: of a connection, it is open. */
    readonly for: HoldReason | "connection" | "circuit";
    readonly since?: string;
    readonly until?: string;
    readonly connection?: string;
    readonly pool?: string;
    /** Of an approval: what is asked, and who may decide now; empty: anyone. */
    readonly message?: string;
    readonly approvers?: readonly string[];
  };
}

/** What somebody did to a run by hand. */
export interface ActionChange {
  /** From 1, in a run. */
  readonly number: number;
  readonly action: string;
  readonly taskId?: string;
  readonly by: string;
  readonly why?: string;
  readonly details?: Json;
  /** The caller's, and a digest of what was asked under it. */
  readonly key?: string;
  readonly requestHash?: string;
  /** ISO 8601 UTC. */
  readonly at: string;
}

export interface AttemptChange {
  readonly taskId: string;
  /** From 1. */
  readonly attempt: number;
  readonly status: AttemptStatus;
  readonly startedAt: string;
  readonly finishedAt?: string;
  readonly worker?: string;
  readonly lostAttempts?: number;
  readonly error?: TaskError;
}

/** Of a run that a task of another run has started. */
export interface ParentTask {
  readonly runId: string;
  readonly taskId: string;
  /** Runs above it. */
  readonly depth: number;
}

/** A coalesced batch. `seq` grows by one a report; one at or below the last applied one changes nothing. */
export interface RunChanges {
  readonly runId: string;
  readonly seq: number;
  readonly status: RunStatus;
  readonly startedAt?: string;
  readonly finishedAt?: string;
  readonly error?: TaskError;
  /** Of a run that succeeded. */
  readonly output?: Json;
  readonly tasks: readonly TaskChange[];
  readonly attempts: readonly AttemptChange[];
  readonly actions?: readonly ActionChange[];
}

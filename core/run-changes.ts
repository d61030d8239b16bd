// What a run reports to the store: states of run, tasks and attempts. Every change can be applied twice.

import type { Json } from "./json.ts";

export type RunStatus = "queued" | "running" | "succeeded" | "failed" | "cancelled";
export type TaskStatus = "pending" | "running" | "waiting" | "succeeded" | "failed" | "skipped" | "upstream_failed" | "cancelled";
export type AttemptStatus = "running" | "succeeded" | "failed" | "lost" | "cancelled";

export const isRunEnded = (status: RunStatus): boolean => status === "succeeded" || status === "failed" || status === "cancelled";

export interface TaskError {
  readonly code: string;
  readonly message: string;
  readonly details?: Json;
}

/** Figures that operators report; every one optional, all plain numbers. */
export interface TaskMetrics {
  readonly rows?: number;
  readonly bytes?: number;
  readonly deadLetters?: number;
  readonly seconds?: number;
}

/** What a verb returns: the output is at most `LIMITS.outputBytes` of JSON. */
export interface TaskResult {
  readonly output: Json;
  readonly metrics?: TaskMetrics;
  /** Who did it, for the attempt's record. */
  readonly worker?: string;
  /** Tries of Temporal's own that died with their worker before this one. */
  readonly lostAttempts?: number;
}

export interface TaskChange {
  readonly taskId: string;
  readonly status: TaskStatus;
  readonly attempts: number;
  /** ISO 8601 UTC. */
  readonly startedAt?: string;
  readonly finishedAt?: string;
  readonly output?: Json;
  readonly metrics?: TaskMetrics;
  readonly error?: TaskError;
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

/** A coalesced batch. `seq` grows by one a flush; a batch at or below the last applied one changes nothing. */
export interface RunChanges {
  readonly runId: string;
  readonly seq: number;
  readonly status: RunStatus;
  readonly startedAt?: string;
  readonly finishedAt?: string;
  readonly error?: TaskError;
  readonly tasks: readonly TaskChange[];
  readonly attempts: readonly AttemptChange[];
}

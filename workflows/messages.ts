// What goes into and comes out of the run workflow, and the messages it takes: a wire contract shared with the API.

import type { JsonObject } from "../core/json.ts";
import type { Plan } from "../core/plan.ts";
import type { TaskStatus } from "../core/run-changes.ts";
import type { RunSnapshot } from "../core/run-snapshot.ts";
import type { RunOutcome } from "../core/run-state.ts";
import type { RunFacts } from "./ports.ts";

export const RUN_WORKFLOW = "run";
export const INSPECT_WORKFLOW = "inspect";

export interface RunInput {
  readonly run: RunFacts;
  readonly planHash: string;
  readonly plan: Plan;
  readonly params: JsonObject;
  /** Where an earlier execution of the same run left off. */
  readonly continued?: { readonly snapshot: RunSnapshot; readonly seq: number; readonly startedAt: number };
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

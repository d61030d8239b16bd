// The plan: what a run needs of its definition. The graph travels in the workflow's input; operator configurations travel by hash.

import type { Json, JsonObject } from "./json.ts";

export type TriggerRule =
  | "all_success"
  | "all_done"
  | "one_success"
  | "one_failed"
  | "none_failed"
  | "none_failed_min_one_success"
  | "all_failed"
  | "always";

export type FailurePolicy = "fail-fast" | "continue";

/** The closed set of activity verbs that carry operators out; `activity` is the user's own, called by the workflow itself. */
export type Operator = "transfer" | "sql" | "http" | "check" | "publish" | "activity";

/** Durations in milliseconds. Defaults are already filled in. */
export interface Policy {
  readonly retry: {
    /** Tries in all, the first included. */
    readonly attempts: number;
    readonly backoffMs: number;
    readonly maxBackoffMs: number;
    /** Error codes that end the task at once, beside those of the error table. */
    readonly neverOn: readonly string[];
  };
  /** `heartbeatMs` 0: no heartbeat is expected (a user's own activity that did not ask for one). */
  readonly timeout: { readonly attemptMs: number; readonly totalMs: number; readonly heartbeatMs: number };
}

export interface PlanTask {
  readonly id: string;
  /** Indices into `Plan.tasks`, in definition order. */
  readonly needs: readonly number[];
  readonly rule: TriggerRule;
  /** CEL source, checked at compile. */
  readonly when?: string;
  readonly operator: Operator;
  /** One line for people: "orders: shop.orders → warehouse.raw.orders". */
  readonly summary: string;
  /** Index into `Plan.policies`. */
  readonly policy: number;
  /** Task queue of the worker pool that runs it; absent: the default one. */
  readonly queue?: string;
  /** Ids of tasks whose outputs or statuses the configuration's expressions read. */
  readonly reads?: readonly string[];
  /** Only for operator `activity`: the declared name and its input, expressions still inside. */
  readonly activity?: { readonly name: string; readonly input: Json };
}

export interface Plan {
  readonly failurePolicy: FailurePolicy;
  readonly policies: readonly Policy[];
  /** In definition order. */
  readonly tasks: readonly PlanTask[];
}

/** What compilePlan makes of a definition; stored once per version, addressed by the definition's content hash. */
export interface CompiledPlan {
  readonly plan: Plan;
  /** Operator configuration by task id, defaults filled in, expressions still inside. The verb parses it again. */
  readonly configs: Readonly<Record<string, JsonObject>>;
  /** Names of the connections that the tasks use. */
  readonly connections: readonly string[];
}

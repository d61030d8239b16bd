// The plan: what a run needs of its definition. The graph travels in the workflow's input; operator configurations travel by hash.

import type { Side } from "./circuit.ts";
import type { Json, JsonObject } from "./json.ts";
import type { SchedulePlan } from "./schedule.ts";
import type { TriggerPlan } from "./trigger.ts";

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
export type Verb = "transfer" | "sql" | "http" | "check" | "publish" | "command" | "file" | "probe";

/** `wait` and `approval` are decided in the workflow: no worker is held while they last. */
export type Operator = Exclude<Verb, "probe"> | "activity" | "wait" | "approval" | "pipeline";

export type OnDeadline = "fail" | "skip";

/** What a `wait` task waits for: a moment, a duration, or (neither given) a condition that the verb `probe` looks at now and then. */
export interface WaitPlan {
  /** ISO 8601 with a zone; may hold expressions. */
  readonly until?: string;
  /** A duration; may hold expressions. */
  readonly for?: string;
  /** Pauses between two looks: the first, and what they grow to. */
  readonly poll?: { readonly everyMs: number; readonly maxMs: number };
  readonly deadlineMs: number;
  readonly onDeadline: OnDeadline;
}

export interface ApprovalPlan {
  /** For those who decide; may hold expressions. */
  readonly message?: string;
  /** Names of those who may decide; empty: anyone who may call the API. */
  readonly approvers: readonly string[];
  /** After this long those named here may decide as well. */
  readonly escalate?: { readonly afterMs: number; readonly to: readonly string[] };
  readonly deadlineMs: number;
  readonly onDeadline: OnDeadline | "approve";
}

/** Durations in milliseconds. Defaults are already filled in. */
export interface Policy {
  readonly retry: {
    /** Tries in all, the first included. */
    readonly attempts: number;
    readonly backoffMs: number;
    readonly maxBackoffMs: number;
    /** Error codes that end the task at once, beside those of the error table. */
    readonly neverOn: readonly string[];
    /** What holds instead for single error codes: also ones that the error table would not try again. */
    readonly on?: Readonly<Record<string, RetryOn>>;
  };
  /** `heartbeatMs` 0: no heartbeat is expected (a user's own activity that did not ask for one). */
  readonly timeout: { readonly attemptMs: number; readonly totalMs: number; readonly heartbeatMs: number };
  /** `park`: a task out of attempts waits for somebody to mend it and let the run go on. */
  readonly onExhausted?: "park";
}

export interface RetryOn {
  /** Of attempts in all, whatever they failed with. */
  readonly attempts?: number;
  readonly backoffMs?: number;
  readonly maxBackoffMs?: number;
}

/** One loop of a `for_each`; the first is the outermost. What it goes over may hold expressions, also of the loops around it. */
export interface Loop {
  readonly as: string;
  readonly in: Json;
}

/** A task that is carried out once for each item. */
export interface ForEach {
  readonly loops: readonly Loop[];
  /** Items that run at the same time, at most. */
  readonly window: number;
  /** Failed items beyond which the task fails: no group begins then, and none that knows begins an item. */
  readonly maxFailures: number;
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
  /** Where its configuration lies, when somebody changed it while the run went on; absent: the run's own plan. */
  readonly planHash?: string;
  /** Runs when all tasks without this mark have ended, also after a failure or a cancellation. */
  readonly finally?: true;
  /** Only of `finally` tasks: their rule asks how all tasks without that mark have ended. Absent: they begin whatever became of those. */
  readonly asksAll?: true;
  /** Names of the assets that it makes. */
  readonly assets?: readonly string[];
  /** Task queue of the worker pool that runs it; absent: the default one. */
  readonly queue?: string;
  /** It runs only while it holds a slot of this pool. */
  readonly pool?: string;
  /** Of the connections that it uses those that have limits, by name: it runs only while it holds a slot of each. Set when a run is started. */
  readonly connections?: readonly ConnectionUse[];
  /** Of a task with `for_each`, instead of both: what each group of its items holds slots of while it is at work. Set when a run is started. */
  readonly itemSlots?: Pick<PlanTask, "pool" | "connections">;
  /** It ought to have ended so long after its run began; nothing stops it then. */
  readonly deadlineMs?: number;
  /** From 1, the most urgent, to 5; absent: 3. */
  readonly priority?: number;
  /** Ids of tasks whose outputs or statuses the configuration's expressions read. */
  readonly reads?: readonly string[];
  /** Only for operator `activity`: the declared name and its input, expressions still inside. */
  readonly activity?: { readonly name: string; readonly input: Json };
  readonly forEach?: ForEach;
  /** Only for operator `transfer`: it goes on round by round, and each round's end begins the next one. */
  readonly follow?: true;
  /** Only for operator `wait`. */
  readonly wait?: WaitPlan;
  /** Only for operator `approval`. */
  readonly approval?: ApprovalPlan;
}

export interface ConnectionUse {
  readonly name: string;
  /** Absent: both sides, or the only one. */
  readonly side?: Side;
}

/** How many runs of a pipeline may go on at the same time, and what becomes of one more. */
export interface Concurrency {
  readonly maxRuns: number;
  /** It waits; is not begun at all where somebody can be told so; ends at once as cancelled; or the oldest that goes on is cancelled for it. */
  readonly strategy: "queue" | "skip" | "cancel_new" | "cancel_running";
}

export interface Plan {
  readonly failurePolicy: FailurePolicy;
  readonly concurrency?: Concurrency;
  /** What a run that succeeded gives: values with expressions inside, and the tasks that they read. */
  readonly outputs?: { readonly values: JsonObject; readonly reads: readonly string[] };
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
  /** By task id, in the order of the names: waits are not among them, since they only look. */
  readonly uses?: Readonly<Record<string, readonly ConnectionUse[]>>;
  /** When runs of it start by themselves; absent: never. */
  readonly schedules?: readonly SchedulePlan[];
  /** Which events start runs of it; absent: none. */
  readonly triggers?: readonly TriggerPlan[];
}

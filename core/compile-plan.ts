// compilePlan: definition + catalogue → plan, or every fault of meaning at once. O(tasks + edges).

import { assetsOf } from "./assets.ts";
import { OperatorCheck, waitDeadline } from "./compile-operator.ts";
import { createReferenceCheck } from "./compile-references.ts";
import { compileSchedules } from "./compile-schedules.ts";
import { compileTriggers } from "./compile-triggers.ts";
import { refuseUnused } from "./compile-unused.ts";
import { type Definition, POLICY_DEFAULTS, type TaskDefinition } from "./definition.ts";
import { parseDuration } from "./duration.ts";
import { readGraph, type Graph } from "./graph.ts";
import { OPERATOR_SCHEMAS, POLL_DEFAULTS } from "./operators.ts";
import { collectIssues, didYouMean, type Fault, type Issue, type Locate } from "./issues.ts";
import { jsonBytes, type Json, type JsonObject } from "./json.ts";
import { LIMITS } from "./limits.ts";
import type { ForEachDefinition } from "./definition-for-each.ts";
import type { ApprovalPlan, CompiledPlan, ForEach, Loop, OnDeadline, Operator, Plan, PlanTask, Policy, RetryOn } from "./plan.ts";
import { summaryOf } from "./summaries.ts";

/** The part of a zod object schema that compile needs; the registry passes the real ones. */
export interface OptionsSchema {
  readonly shape: Readonly<Record<string, unknown>>;
  safeParse(value: unknown):
    | { readonly success: true }
    | {
        readonly success: false;
        readonly error: { readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[] };
      };
}

export interface ConnectorFacts {
  readonly roles: readonly string[];
  readonly modes?: readonly string[];
  readonly incremental?: "cursor" | "always" | "never";
  /** The source option that, set to true, leaves out what was read before. */
  readonly incrementalWhen?: string;
  /** Source: the boolean option without which an incremental load must merge: rows may come twice. */
  readonly repeatsUnless?: string;
  readonly sourceOptions?: OptionsSchema;
  readonly targetOptions?: OptionsSchema;
  readonly publishOptions?: OptionsSchema;
  readonly eventOptions?: OptionsSchema;
}

/** What definitions may name. */
export interface Catalogue {
  /** Connection name → connector kind. */
  readonly connections: Readonly<Record<string, string>>;
  readonly connectors: Readonly<Record<string, ConnectorFacts>>;
  /** A user's own activities: name → task queue of the workers that have it. */
  readonly activities: Readonly<Record<string, { readonly queue?: string }>>;
  /** Names of the pools. */
  readonly pools: readonly string[];
}

export type CompileResult =
  | { readonly ok: true; readonly compiled: CompiledPlan }
  | { readonly ok: false; readonly issues: readonly Issue[] };

const OPERATORS = Object.keys(OPERATOR_SCHEMAS) as readonly Operator[];

export const compilePlan = (definition: Definition, catalogue: Catalogue, locate: Locate = () => undefined): CompileResult => {
  const { tasks, defaults, concurrency, failure_policy: failurePolicy } = definition;
  const { issues, fault } = collectIssues(locate);
  const graph = readGraph(tasks, fault);
  const references = createReferenceCheck(definition, graph, fault);
  const operators = new OperatorCheck(catalogue, fault);
  const policies = new PolicyTable(defaults);
  const configs: Record<string, JsonObject> = {};
  refuseNeedsOfFinally(tasks, graph, fault);
  const planTasks = tasks.flatMap((task, position): readonly PlanTask[] => {
    const operator = operatorOf(task, position, fault);
    const reads = references.task(task, position, operator);
    if (operator === undefined) return [];
    if (task.for_each !== undefined && (operator === "wait" || operator === "approval"))
      fault("INVALID_VALUE", ["tasks", position, "for_each"], `a task with ${operator} cannot be repeated over items`);
    if (task.for_each !== undefined && task.transfer?.follow !== undefined)
      fault(
        "INVALID_VALUE",
        ["tasks", position, "for_each"],
        "a transfer with follow does not end, so it cannot be repeated over items; write a task for each",
      );
    const loops = task.for_each === undefined ? [] : forEachOf(task.for_each).loops.map(({ as }) => as);
    if (new Set(loops).size < loops.length)
      fault(
        "INVALID_VALUE",
        ["tasks", position, "for_each"],
        `two of its loops have the same name (${loops.join(", ")}); give each its own with "as"`,
      );
    refuseUnused(task, position, operator, fault);
    if (task.pool !== undefined) checkPool(task, position, operator, catalogue.pools, fault);
    configs[task.id] = operators.check(task, operator, ["tasks", position, operator]);
    const assets = assetsOf(task);
    const queue = task.queue ?? (task.activity && catalogue.activities[task.activity.name]?.queue);
    return [
      {
        id: task.id,
        needs: graph.needs[position] ?? [],
        ...ruleOf(task, defaults),
        ...(task.when === undefined ? {} : { when: task.when }),
        operator,
        summary: summaryOf(task),
        policy: policies.indexFor(task),
        ...(assets.length === 0 ? {} : { assets }),
        ...(task.finally === undefined ? {} : { finally: task.finally }),
        ...(queue === undefined ? {} : { queue }),
        ...(task.pool === undefined ? {} : { pool: task.pool }),
        ...(task.deadline === undefined ? {} : { deadlineMs: milliseconds(task.deadline) }),
        ...(task.priority === undefined ? {} : { priority: task.priority }),
        ...(reads.length === 0 ? {} : { reads }),
        ...(task.activity === undefined ? {} : { activity: { name: task.activity.name, input: task.activity.input as Json } }),
        ...holdOf(task),
        ...(task.transfer?.follow === undefined ? {} : { follow: true as const }),
        ...(task.for_each === undefined ? {} : { forEach: forEachOf(task.for_each) }),
      },
    ];
  });
  const plan: Plan = {
    failurePolicy,
    ...(definition.outputs === undefined ? {} : { outputs: { values: definition.outputs as JsonObject, reads: references.outputs() } }),
    ...(concurrency === undefined ? {} : { concurrency: { maxRuns: concurrency.max_runs, strategy: concurrency.strategy } }),
    policies: policies.all,
    tasks: planTasks,
  };
  const bytes = jsonBytes(plan);
  if (bytes > LIMITS.planBytes) {
    const message = `the plan's graph is ${bytes} bytes, the limit is ${LIMITS.planBytes}; shorten activity inputs and conditions, or split the pipeline`;
    fault("TOO_LARGE", ["tasks"], message);
  }
  const schedules = compileSchedules(definition.schedules ?? [], fault);
  const triggers = compileTriggers(definition, operators, fault);
  if (issues.length > 0) return { ok: false, issues };
  const { connections, uses } = operators;
  const compiled = { plan, configs, connections, ...(Object.keys(uses).length === 0 ? {} : { uses }) };
  return {
    ok: true,
    compiled: { ...compiled, ...(schedules.length === 0 ? {} : { schedules }), ...(triggers.length === 0 ? {} : { triggers }) },
  };
};

/** A `finally` task without needs has a rule only where it says so itself: it is to clean up otherwise, whatever the rule of the others is. */
const ruleOf = ({ trigger_rule: own, finally: isFinally, needs }: TaskDefinition, defaults: Definition["defaults"]) => {
  if (isFinally === undefined || needs.length > 0) return { rule: own ?? defaults?.trigger_rule ?? POLICY_DEFAULTS.triggerRule };
  return own === undefined ? { rule: "all_success" as const } : { rule: own, asksAll: true as const };
};

/** All others wait for the end of none of them. */
const refuseNeedsOfFinally = (tasks: readonly TaskDefinition[], { needs }: Graph, fault: Fault): void => {
  for (const [position, task] of tasks.entries()) {
    for (const need of needs[position] ?? []) {
      const other = tasks[need];
      if (other === undefined || other.finally === task.finally) continue;
      const why =
        task.finally === undefined
          ? `task "${task.id}" needs "${other.id}", which is finally: it begins when all others have ended`
          : `task "${task.id}" is finally and begins when all others have ended; it can only need other finally tasks, not "${other.id}"`;
      fault("INVALID_VALUE", ["tasks", position, "needs"], why);
    }
  }
};

const checkPool = ({ pool = "" }: TaskDefinition, position: number, operator: Operator, pools: readonly string[], fault: Fault): void => {
  const path = ["tasks", position, "pool"];
  if (operator === "wait" || operator === "approval")
    fault("INVALID_VALUE", path, `a task with ${operator} holds no worker and needs no pool`);
  if (!pools.includes(pool))
    fault("UNKNOWN_POOL", path, `pool "${pool}" does not exist${didYouMean(pool, pools)}; create it with PUT /v1/pools/${pool}`, pools);
};

const operatorOf = (task: TaskDefinition, position: number, fault: Fault): Operator | undefined => {
  const given = OPERATORS.filter((operator) => task[operator] !== undefined);
  const path = ["tasks", position];
  if (given.length === 0)
    fault("NO_OPERATOR", path, `task "${task.id}" has no operator; give it one of: ${OPERATORS.join(", ")}`, OPERATORS);
  if (given.length > 1)
    fault("SEVERAL_OPERATORS", path, `task "${task.id}" has ${given.join(" and ")}; a task has exactly one operator`, given);
  return given[0];
};

/** Policies with their defaults filled in, each kept once. */
class PolicyTable {
  readonly #defaults: Definition["defaults"];
  readonly #indices = new Map<string, number>();
  readonly #policies: Policy[] = [];

  constructor(defaults: Definition["defaults"]) {
    this.#defaults = defaults;
  }

  get all(): readonly Policy[] {
    return this.#policies;
  }

  indexFor(task: TaskDefinition): number {
    const retry = { ...this.#defaults?.retry, ...task.retry };
    const timeout = { ...this.#defaults?.timeout, ...task.timeout };
    // A user's own activity may not heartbeat at all: only one that says so is held to it.
    const silent = task.activity !== undefined && task.timeout?.heartbeat === undefined;
    const policy: Policy = {
      retry: {
        attempts: retry.attempts ?? POLICY_DEFAULTS.attempts,
        backoffMs: milliseconds(retry.backoff ?? POLICY_DEFAULTS.backoff),
        maxBackoffMs: milliseconds(retry.max_backoff ?? POLICY_DEFAULTS.maxBackoff),
        neverOn: retry.never_on ?? [],
        ...(retry.on === undefined ? {} : { on: mapValues(retry.on, retryOnOf) }),
      },
      timeout: {
        attemptMs: milliseconds(timeout.attempt ?? POLICY_DEFAULTS.attempt),
        totalMs: milliseconds(timeout.total ?? POLICY_DEFAULTS.total),
        heartbeatMs: silent ? 0 : milliseconds(timeout.heartbeat ?? POLICY_DEFAULTS.heartbeat),
      },
      ...((task.on_exhausted ?? this.#defaults?.on_exhausted ?? POLICY_DEFAULTS.onExhausted) === "park" ? { onExhausted: "park" } : {}),
    };
    const text = JSON.stringify(policy);
    const known = this.#indices.get(text);
    if (known !== undefined) return known;
    this.#indices.set(text, this.#policies.length);
    return this.#policies.push(policy) - 1;
  }
}

/** The schema has let only durations through. */
const milliseconds = (text: string): number => parseDuration(text) ?? 0;

type RetryOnDefinition = NonNullable<NonNullable<TaskDefinition["retry"]>["on"]>[string];

const retryOnOf = (own: RetryOnDefinition): RetryOn => ({
  ...(own?.attempts === undefined ? {} : { attempts: own.attempts }),
  ...(own?.backoff === undefined ? {} : { backoffMs: milliseconds(own.backoff) }),
  ...(own?.max_backoff === undefined ? {} : { maxBackoffMs: milliseconds(own.max_backoff) }),
});

const mapValues = <From, To>(values: Readonly<Record<string, From>>, change: (value: From) => To): Readonly<Record<string, To>> =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, change(value)]));

const forEachOf = ({ in: over, as, inner, window, max_failures: maxFailures }: ForEachDefinition): ForEach => {
  const loops: Loop[] = [{ as, in: over as Json }];
  if (inner !== undefined) loops.push({ as: inner.as, in: inner.in as Json });
  if (inner?.inner !== undefined) loops.push({ as: inner.inner.as, in: inner.inner.in as Json });
  return { loops, window, maxFailures };
};

/** What the workflow itself needs of a wait or an approval. */
const holdOf = ({ wait, approval }: TaskDefinition): Pick<PlanTask, "wait" | "approval"> => {
  if (wait !== undefined) {
    const everyMs = milliseconds(wait.poll?.every ?? POLL_DEFAULTS.every);
    const poll = { everyMs, maxMs: Math.max(milliseconds(wait.poll?.max ?? POLL_DEFAULTS.max), everyMs) };
    return {
      wait: {
        ...(wait.until === undefined ? {} : { until: wait.until }),
        ...(wait.for === undefined ? {} : { for: wait.for }),
        ...(wait.until === undefined && wait.for === undefined ? { poll } : {}),
        deadlineMs: milliseconds(waitDeadline(wait)),
        onDeadline: wait.on_deadline as OnDeadline,
      },
    };
  }
  if (approval === undefined) return {};
  const { message, approvers = [], escalate, deadline, on_deadline } = approval;
  return {
    approval: {
      ...(message === undefined ? {} : { message }),
      approvers,
      ...(escalate === undefined ? {} : { escalate: { afterMs: milliseconds(escalate.after), to: escalate.to } }),
      deadlineMs: milliseconds(deadline),
      onDeadline: on_deadline as ApprovalPlan["onDeadline"],
    },
  };
};

// Plans and a simulated executor for tests of the run-state reducer: any order of completions, any fate of an attempt.

import fc from "fast-check";
import type { FailurePolicy, Plan, PlanTask, Policy, TriggerRule } from "../../core/plan.ts";
import { restoreSnapshot, takeSnapshot } from "../../core/run-snapshot.ts";
import { failAttempt, loseAttempt } from "../../core/run-attempts.ts";
import * as reducer from "../../core/run-state.ts";

/** Attempts last as long as a test may: work that is held back waits for reports, which come late where the server is busy. */
export const policy = (part: { attempts?: number; totalMs?: number; neverOn?: readonly string[] } = {}): Policy => ({
  retry: { attempts: part.attempts ?? 1, backoffMs: 1_000, maxBackoffMs: 60_000, neverOn: part.neverOn ?? [] },
  timeout: { attemptMs: 600_000, totalMs: part.totalMs ?? 3_600_000, heartbeatMs: 10_000 },
});

export const planOf = (
  tasks: Readonly<Record<string, Partial<Omit<PlanTask, "needs">> & { readonly needs?: readonly string[] }>>,
  options: { readonly failurePolicy?: FailurePolicy; readonly policies?: readonly Policy[] } = {},
): Plan => {
  const ids = Object.keys(tasks);
  return {
    failurePolicy: options.failurePolicy ?? "continue",
    policies: options.policies ?? [policy()],
    tasks: Object.entries(tasks).map(([id, { needs = [], ...task }]) => ({
      id,
      rule: "all_success",
      operator: "sql",
      summary: id,
      policy: 0,
      ...task,
      needs: needs.map((need) => ids.indexOf(need)),
    })),
  };
};

/** What becomes of a task when it is tried: each of its attempts in order, the last one for ever. */
export type Fate = readonly ("succeeds" | "fails" | "is lost")[];

export interface Scenario {
  readonly plan: Plan;
  readonly fates: readonly Fate[];
  /** Tasks whose `when` is false. */
  readonly skips: readonly boolean[];
}

const RULES: readonly TriggerRule[] = [
  "all_success",
  "all_success",
  "all_done",
  "one_success",
  "one_failed",
  "none_failed",
  "none_failed_min_one_success",
  "all_failed",
  "always",
];

const fate: fc.Arbitrary<Fate> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Fate>(["succeeds"]) },
  { weight: 2, arbitrary: fc.constant<Fate>(["fails"]) },
  { weight: 1, arbitrary: fc.constant<Fate>(["fails", "succeeds"]) },
  { weight: 1, arbitrary: fc.constant<Fate>(["is lost", "is lost", "succeeds"]) },
);

export const scenarios = (rules: readonly TriggerRule[] = RULES, policies: readonly FailurePolicy[] = ["continue", "fail-fast"]) =>
  fc
    .integer({ min: 1, max: 12 })
    .chain((size) =>
      fc.record({
        tasks: fc.array(fc.record({ rule: fc.constantFrom(...rules), needs: fc.array(fc.nat(), { maxLength: 4 }) }), {
          minLength: size,
          maxLength: size,
        }),
        fates: fc.array(fate, { minLength: size, maxLength: size }),
        // Of the last tasks: they begin when all others have ended.
        last: fc.integer({ min: 0, max: 2 }),
        asksAll: fc.boolean(),
        skips: fc.array(
          fc.integer({ min: 0, max: 6 }).map((value) => value === 0),
          { minLength: size, maxLength: size },
        ),
        failurePolicy: fc.constantFrom(...policies),
      }),
    )
    .map(
      ({ tasks, fates, skips, failurePolicy, last, asksAll }): Scenario => ({
        fates,
        skips,
        plan: {
          failurePolicy,
          policies: [policy({ attempts: 2 })],
          tasks: tasks.map(({ rule, needs }, index) => ({
            id: `t${index}`,
            rule,
            // Any acyclic graph has an order in which needs come first.
            needs: index === 0 || index >= tasks.length - last ? [] : [...new Set(needs.map((need) => need % index))],
            ...(index > 0 && index >= tasks.length - last ? { finally: true, ...(asksAll ? { asksAll } : {}) } : {}),
            operator: "sql",
            summary: "",
            policy: 0,
          })),
        },
      }),
    );

export interface Executed {
  readonly state: reducer.RunState;
  readonly graph: reducer.Graph;
  /** Begun attempts by task, lost ones included. */
  readonly starts: readonly number[];
}

export interface ExecuteOptions {
  /** Chooses which of so many running tasks completes next. */
  readonly choose: (among: number) => number;
  readonly onStart?: (state: reducer.RunState, index: number) => void;
  /** Passes the state through a snapshot whenever nothing runs. */
  readonly snapshots?: boolean;
  /** Cancels the run after so many completions. */
  readonly cancelAfter?: number;
  readonly window?: number;
}

/** Drives a run to its end as the workflow does, without Temporal. Throws when it hangs. */
export const execute = ({ plan, fates, skips }: Scenario, options: ExecuteOptions): Executed => {
  const graph = reducer.graphOf(plan);
  let state = reducer.initRun(graph);
  const starts = plan.tasks.map(() => 0);
  const running: number[] = [];
  const cancelled = new Set<number>();
  let now = 0;
  let completions = 0;
  const settle = ({ cancel }: reducer.Settled): void => {
    for (const index of cancel) cancelled.add(index);
  };
  const startReady = (): void => {
    for (let index = reducer.takeReady(state); index !== undefined; index = reducer.takeReady(state)) {
      if (skips[index] && state.tasks[index]?.status === "pending") {
        settle(reducer.skip(state, graph, index, now));
        continue;
      }
      options.onStart?.(state, index);
      reducer.start(state, index, now);
      starts[index] = (starts[index] ?? 0) + 1;
      running.push(index);
      if (running.length >= (options.window ?? Infinity)) return;
    }
  };
  const complete = (index: number): void => {
    if (cancelled.delete(index)) return settle(reducer.cancelTask(state, graph, index, now));
    const fates_ = fates[index] ?? ["succeeds"];
    const next = fates_[Math.min((starts[index] ?? 1) - 1, fates_.length - 1)];
    if (next === "succeeds") settle(reducer.succeed(state, graph, index, { index }, now));
    else if (next === "fails") settle(failAttempt(state, graph, index, { code: "SOURCE_UNAVAILABLE", message: "away" }, now));
    else settle(loseAttempt(state, graph, index, now));
  };
  settle(reducer.decideAll(state, graph, now));
  while (!reducer.isOver(state)) {
    now += 1;
    reducer.wake(state, graph, now);
    startReady();
    if (running.length === 0) {
      if (reducer.isOver(state)) break;
      if (options.snapshots) state = restoreSnapshot(JSON.parse(JSON.stringify(takeSnapshot(state, graph))), graph);
      const next = reducer.wake(state, graph, now);
      if (next === undefined && state.ready.length === 0) throw new Error(`the run hangs: ${JSON.stringify(state)}`);
      now = Math.max(now, next ?? now);
      continue;
    }
    const [index] = running.splice(options.choose(running.length), 1);
    complete(index as number);
    completions += 1;
    if (completions === options.cancelAfter) settle(reducer.stop(state, graph, "cancelled", now));
  }
  return { state, graph, starts };
};

/** A stream of choices made of a fast-check array: deterministic, and shrinkable. */
export const chooser = (numbers: readonly number[]): ((among: number) => number) => {
  let at = 0;
  return (among) => {
    const number = numbers[at % Math.max(numbers.length, 1)] ?? 0;
    at += 1;
    return number % among;
  };
};

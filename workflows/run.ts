// The generic run workflow: a small shell around the reducer. Starts what is ready, settles what ends, reports, ends.

import {
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  condition,
  continueAsNew,
  defineQuery,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  sleep,
  upsertSearchAttributes,
  workflowInfo,
} from "@temporalio/workflow";
import { defineSearchAttributeKey } from "@temporalio/common";
import { DownbeatError } from "../core/errors.ts";
import { evaluateCondition, renderTemplates, type Scope } from "../core/expression.ts";
import type { Json } from "../core/json.ts";
import { LIMITS } from "../core/limits.ts";
import type { PlanTask } from "../core/plan.ts";
import type { AttemptChange, TaskChange, TaskResult } from "../core/run-changes.ts";
import * as reducer from "../core/run-state.ts";
import { readFailure } from "./failure.ts";
import { STATUS_QUERY, type RunInput, type RunResult, type RunStatusAnswer } from "./messages.ts";
import { ownActivityOptions, verbOptions } from "./policies.ts";
import type { DagActivities, TaskCall } from "./ports.ts";
import { Reporter } from "./reporter.ts";

/** Lost attempts of a user's own activity that are forgiven before the task counts as failed. */
const MAX_LOST_ATTEMPTS = 100;

const iso = (milliseconds: number): string => new Date(milliseconds).toISOString();

export async function run(input: RunInput): Promise<RunResult> {
  const execution = new RunExecution(input);
  setHandler(defineQuery<RunStatusAnswer>(STATUS_QUERY), () => execution.status());
  await execution.drive();
  if (!execution.isOver()) return continueAsNew<typeof run>(await execution.handOver());
  return execution.conclude();
}

class RunExecution {
  readonly #input: RunInput;
  readonly #after: readonly (readonly number[])[];
  readonly #state: reducer.RunState;
  readonly #startedAt: number;
  readonly #reporter: Reporter;
  readonly #scopes = new Map<number, CancellationScope>();
  readonly #lost = new Map<number, number>();
  /** History is nearly full: nothing new starts, what runs is drained, then the run continues as new. */
  #draining = false;
  /** A bug of ours in a task's code path: ends the workflow task visibly instead of hanging. */
  #broken: unknown;

  constructor(input: RunInput) {
    this.#input = input;
    this.#after = reducer.dependents(input.plan);
    this.#state = input.continued?.state ?? reducer.initRun(input.plan);
    this.#startedAt = input.continued?.startedAt ?? Date.now();
    this.#reporter = new Reporter(input.run.id, this.#startedAt, input.continued?.seq ?? 0, (index) => this.#taskChange(index));
  }

  isOver(): boolean {
    return reducer.isOver(this.#state);
  }

  /** Runs until everything has ended, or nothing runs and the history is full. A cancellation stops the run, not this loop. */
  async drive(): Promise<void> {
    const idle = (): boolean => this.#broken !== undefined || this.isOver() || (this.#draining && this.#scopes.size === 0);
    this.#pump();
    try {
      await condition(idle);
    } catch (error) {
      if (!isCancellation(error)) throw error;
      this.#settle(reducer.stop(this.#state, this.#input.plan, this.#after, "cancelled", Date.now()));
      await CancellationScope.nonCancellable(() => condition(idle));
    }
    if (this.#broken !== undefined) throw this.#broken;
  }

  #pump(): void {
    const info = workflowInfo();
    this.#draining ||= info.historyLength >= LIMITS.historyEvents - LIMITS.activitiesInFlight * 4 || info.continueAsNewSuggested;
    this.#wakeLater(reducer.wake(this.#state, Date.now()));
    if (this.#draining) return;
    while (this.#scopes.size < LIMITS.activitiesInFlight) {
      const [index] = reducer.takeReady(this.#state, 1);
      if (index === undefined) return;
      this.#begin(index);
    }
  }

  #wakeLater(at: number | undefined): void {
    if (at === undefined || this.#draining) return;
    void CancellationScope.nonCancellable(async () => {
      await sleep(Math.max(at - Date.now(), 1));
      this.#pump();
    });
  }

  #begin(index: number): void {
    const { plan } = this.#input;
    const task = plan.tasks[index] as PlanTask;
    const now = Date.now();
    if (task.when !== undefined && this.#state.tasks[index]?.attempts === 0) {
      try {
        if (!evaluateCondition(task.when, this.#scope(task))) {
          this.#settle(reducer.skip(this.#state, plan, this.#after, index, now));
          return;
        }
      } catch (error) {
        reducer.start(this.#state, index, now);
        this.#settle(reducer.failAttempt(this.#state, plan, this.#after, index, asFailure(error), now));
        return;
      }
    }
    reducer.start(this.#state, index, now);
    this.#reporter.task(index);
    const scope = new CancellationScope();
    this.#scopes.set(index, scope);
    // Attempts settle on their own; the root's cancellation reaches them through `stop`, which knows what may go on.
    void CancellationScope.nonCancellable(() => this.#attempt(index, task, scope)).catch((error: unknown) => {
      this.#broken = error;
    });
  }

  async #attempt(index: number, task: PlanTask, scope: CancellationScope): Promise<void> {
    const { plan } = this.#input;
    const begun = Date.now();
    const attempt = this.#state.tasks[index]?.attempts ?? 1;
    const record = (change: Partial<AttemptChange> & Pick<AttemptChange, "status">): void =>
      this.#reporter.attempt({ taskId: task.id, attempt, startedAt: iso(begun), finishedAt: iso(Date.now()), ...change });
    let settled: reducer.Settled;
    try {
      const result = await scope.run(() =>
        task.operator === "activity" ? this.#callOwn(index, task) : this.#callVerb(index, task, task.operator),
      );
      this.#metrics.set(index, result.metrics);
      record({ status: "succeeded", ...workerOf(result) });
      settled = reducer.succeed(this.#state, plan, this.#after, index, result.output, Date.now());
    } catch (error) {
      settled = this.#settleFailure(index, task, error, record);
    }
    this.#scopes.delete(index);
    this.#settle(settled);
  }

  #settleFailure(
    index: number,
    task: PlanTask,
    error: unknown,
    record: (change: Partial<AttemptChange> & Pick<AttemptChange, "status">) => void,
  ): reducer.Settled {
    const { plan } = this.#input;
    const now = Date.now();
    const end =
      error instanceof DownbeatError
        ? { kind: "failed" as const, failure: asFailure(error), facts: {} }
        : readFailure(error, task.operator === "activity");
    if (end.kind === "cancelled") {
      record({ status: "cancelled" });
      return reducer.cancelTask(this.#state, plan, this.#after, index, now);
    }
    if (end.kind === "lost") {
      const lost = (this.#lost.get(index) ?? 0) + 1;
      this.#lost.set(index, lost);
      record({ status: "lost", error: { code: "WORKER_LOST", message: "the worker stopped reporting" } });
      if (lost <= MAX_LOST_ATTEMPTS) {
        reducer.loseAttempt(this.#state, index, now);
        return { ended: [index], cancel: [] };
      }
      return reducer.failAttempt(
        this.#state,
        plan,
        this.#after,
        index,
        { code: "WORKER_LOST", message: `${lost} workers were lost with this task` },
        now,
      );
    }
    const { retryAfterMs: _, ...taskError } = end.failure;
    record({ status: "failed", error: taskError, ...workerOf(end.facts) });
    return reducer.failAttempt(this.#state, plan, this.#after, index, end.failure, now);
  }

  #settle({ ended, cancel }: reducer.Settled): void {
    for (const index of ended) this.#reporter.task(index);
    for (const index of cancel) this.#scopes.get(index)?.cancel();
    this.#pump();
  }

  readonly #metrics = new Map<number, TaskResult["metrics"]>();

  #callVerb(index: number, task: PlanTask, operator: Exclude<PlanTask["operator"], "activity">): Promise<TaskResult> {
    const { plan, run: facts, planHash, params } = this.#input;
    const policy = reducer.policyOf(plan, index);
    const attempt = this.#state.tasks[index]?.attempts ?? 1;
    const verbs = proxyActivities<DagActivities>({ ...verbOptions(policy, this.#remainingMs(index)), ...this.#names(task, attempt) });
    const call: TaskCall = {
      run: facts,
      planHash,
      taskId: task.id,
      attempt,
      params,
      tasks: this.#scope(task).tasks,
      timeoutMs: policy.timeout.attemptMs,
    };
    return verbs[operator](call);
  }

  async #callOwn(index: number, task: PlanTask): Promise<TaskResult> {
    const { name, input } = task.activity ?? { name: "", input: null };
    const policy = reducer.policyOf(this.#input.plan, index);
    const attempt = this.#state.tasks[index]?.attempts ?? 1;
    const own = proxyActivities<Record<string, (input: Json) => Promise<Json | undefined>>>({
      ...ownActivityOptions(policy, this.#remainingMs(index)),
      ...this.#names(task, attempt),
    });
    const call = own[name];
    if (call === undefined) throw new DownbeatError("INTERNAL", `task "${task.id}" names no activity`);
    return { output: (await call(renderTemplates(input, this.#scope(task)))) ?? null };
  }

  #names(task: PlanTask, attempt: number): { activityId: string; summary: string; taskQueue?: string } {
    return {
      activityId: attempt === 1 ? task.id : `${task.id}#${attempt}`,
      summary: task.summary,
      ...(task.queue === undefined ? {} : { taskQueue: task.queue }),
    };
  }

  #remainingMs(index: number): number {
    const { totalMs } = reducer.policyOf(this.#input.plan, index).timeout;
    return totalMs - (Date.now() - (this.#state.tasks[index]?.startedAt ?? Date.now()));
  }

  /** Only what the task's expressions read: inputs stay small. */
  #scope(task: PlanTask): Scope {
    const { plan, run: facts, params } = this.#input;
    const tasks: Record<string, { status: string; output: Json }> = {};
    const reads = new Set(task.reads);
    if (reads.size > 0) {
      for (const [index, other] of plan.tasks.entries()) {
        if (!reads.has(other.id)) continue;
        const state = this.#state.tasks[index];
        tasks[other.id] = { status: state?.status ?? "pending", output: state?.output ?? null };
      }
    }
    return { params, run: { ...facts }, tasks };
  }

  #taskChange(index: number): TaskChange {
    const state = this.#state.tasks[index] as reducer.TaskState;
    const { status, attempts, startedAt, finishedAt, output, error } = state;
    const metrics = this.#metrics.get(index);
    return {
      taskId: (this.#input.plan.tasks[index] as PlanTask).id,
      status,
      attempts,
      ...(startedAt === undefined ? {} : { startedAt: iso(startedAt) }),
      ...(finishedAt === undefined ? {} : { finishedAt: iso(finishedAt) }),
      ...(output === undefined ? {} : { output }),
      ...(metrics === undefined ? {} : { metrics }),
      ...(error === undefined ? {} : { error }),
    };
  }

  status(): RunStatusAnswer {
    const entries = this.#input.plan.tasks.map((task, index) => [task.id, this.#state.tasks[index]?.status ?? "pending"] as const);
    return { open: this.#state.open, tasks: Object.fromEntries(entries) };
  }

  async handOver(): Promise<RunInput> {
    await this.#reporter.pause();
    return { ...this.#input, continued: { state: this.#state, seq: this.#reporter.seq, startedAt: this.#startedAt } };
  }

  /** Reports the outcome and ends the workflow the way Temporal's UI shows it: completed, failed or cancelled. */
  async conclude(): Promise<RunResult> {
    const { plan } = this.#input;
    const outcome = reducer.outcome(this.#state, plan, this.#after);
    const failed = plan.tasks.flatMap((task, index) =>
      this.#state.tasks[index]?.status === "failed" ? [{ task, state: this.#state.tasks[index] }] : [],
    );
    const [first] = failed;
    const more = failed.length > 1 ? ` (and ${failed.length - 1} more)` : "";
    const error = first?.state?.error && { ...first.state.error, message: `task "${first.task.id}": ${first.state.error.message}${more}` };
    await CancellationScope.nonCancellable(async () => {
      upsertSearchAttributes([{ key: defineSearchAttributeKey("DownbeatStatus", "KEYWORD"), value: outcome }]);
      setCurrentDetails(failed.length > 0 ? `**${outcome}**: ${failed.map(({ task }) => task.id).join(", ")}` : `**${outcome}**`);
      await this.#reporter.finish({ status: outcome, finishedAt: iso(Date.now()), ...(outcome === "failed" && error ? { error } : {}) });
    });
    if (outcome === "cancelled") throw new CancelledFailure("the run was cancelled");
    if (outcome === "failed") throw ApplicationFailure.nonRetryable(error?.message ?? "the run failed", error?.code ?? "INTERNAL");
    return { outcome };
  }
}

const asFailure = (error: unknown): reducer.AttemptFailure =>
  error instanceof DownbeatError ? { code: error.code, message: error.message } : { code: "INTERNAL", message: String(error) };

const workerOf = ({
  worker,
  lostAttempts,
}: {
  readonly worker?: string;
  readonly lostAttempts?: number;
}): Pick<AttemptChange, "worker" | "lostAttempts"> => ({
  ...(worker === undefined ? {} : { worker }),
  ...(lostAttempts === undefined || lostAttempts === 0 ? {} : { lostAttempts }),
});

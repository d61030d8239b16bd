// What people do to a run by hand: the control update, refused while nothing has happened or carried out and recorded.

import { ApplicationFailure, patched } from "@temporalio/workflow";
import { actedKey, type ActedKey, keyReused, keyUse } from "../core/acted-keys.ts";
import type { ErrorCode } from "../core/errors.ts";
import type { PlanTask, Policy } from "../core/plan.ts";
import type { TaskResult } from "../core/run-changes.ts";
import * as control from "../core/run-control.ts";
import { type Graph, isOver, mayStart, type RunState, type Settled, taskOf } from "../core/run-state.ts";
import type { ControlAnswer, ControlRequest, PauseSignal, RunInput } from "./messages.ts";
import { PATCHES } from "./patches.ts";
import type { Reporter } from "./reporter.ts";

/** What it needs of the run: its state, and ways to change what is fixed otherwise. */
export interface ActedOn {
  readonly state: RunState;
  readonly reporter: Reporter;
  readonly results: Map<number, Pick<TaskResult, "output" | "metrics">>;
  /** Actions so far, and the keys of the last of them. */
  readonly actions: number;
  readonly keys: readonly ActedKey[];
  readonly input: () => RunInput;
  readonly graph: () => Graph;
  /** The input from now on: what comes after, and what continues as new, has it. */
  readonly change: (input: RunInput) => void;
  readonly settle: (settled: Settled) => void;
  /** Lets those know that it has started. */
  readonly tell: (pause: PauseSignal) => void;
}

/** They travel along when the run continues as new. */
const MOST_KEYS = 1_000;

export class ByHand {
  readonly #run: ActedOn;
  actions: number;
  keys: readonly ActedKey[];

  constructor(run: ActedOn) {
    this.#run = run;
    this.actions = run.actions;
    this.keys = run.keys;
  }

  /** Throws what the caller is told; nothing has happened then, and nothing is in the history. */
  refuse({ control: asked, by, why, task, basedOn, ...request }: ControlRequest): void {
    const use = keyUse(this.keys, request);
    if (use === "same") return;
    if (use === "other") throw refused("IDEMPOTENCY_KEY_REUSED", keyReused(request.key));
    const { state } = this.#run;
    const graph = this.#run.graph();
    const actor = { by, ...(why === undefined ? {} : { why }) };
    // A run that failed while it was paused has tasks that run after failures.
    const mayResume = asked.action === "resume" && state.paused;
    if (isOver(state) || (state.stopping !== undefined && !mayResume && !this.#isOfGoingOn(asked)))
      throw refused("RUN_NOT_ACTIVE", "the run has ended or is about to");
    const reason = control.refusal(state, graph, asked, actor, Date.now());
    if (reason !== undefined) throw refused("ACTION_REFUSED", reason);
    const own = task === undefined ? undefined : graph.plan.tasks.find(({ id }) => id === task.id);
    if (task !== undefined && JSON.stringify(own?.needs) !== JSON.stringify(task.needs))
      throw refused("ACTION_REFUSED", `task "${task.id}" must keep its needs while the run goes on`);
    if (task !== undefined && basedOn !== undefined && (own?.planHash ?? this.#run.input().planHash) !== basedOn)
      throw refused("ACTION_REFUSED", `somebody else has changed task "${task.id}" meanwhile; look at the run, and ask again`);
  }

  /** The action is on a task that a run which stops still carries out: a `finally` task may ask for a decision, or have parked. */
  #isOfGoingOn(asked: control.Control): boolean {
    const graph = this.#run.graph();
    const task = "task" in asked ? graph.plan.tasks[control.placeOf(graph, asked.task)] : undefined;
    return task !== undefined && mayStart(this.#run.state, task);
  }

  /** Safe to repeat under its key, and where the state says that it is done already. */
  act({ control: asked, by, why, task, policy, params, changedParams, details, key, requestHash }: ControlRequest): ControlAnswer {
    const { state, reporter, results, input, change } = this.#run;
    const keyed = key === undefined ? undefined : { key, ...(requestHash === undefined ? {} : { requestHash }) };
    if (keyed !== undefined) {
      if (keyUse(this.keys, keyed) !== "new") return { status: control.openStatus(state) };
      this.keys = [...this.keys, actedKey(keyed)].slice(-MOST_KEYS);
    }
    const now = Date.now();
    if (task !== undefined) this.#replace(task, policy);
    if (params !== undefined)
      change({ ...input(), params: changedParams === undefined ? params : { ...input().params, ...changedParams } });
    const graph = this.#run.graph();
    const actor = { by, ...(why === undefined ? {} : { why }) };
    // While the run is paused nobody wakes the approval, and those who were added may decide all the same.
    if (asked.action === "decide") this.escalate(control.placeOf(graph, asked.task), now);
    const settled = control.control(state, graph, asked, actor, now);
    this.actions += 1;
    const action = {
      number: this.actions,
      action: control.nameOf(asked),
      ...("task" in asked ? { taskId: asked.task } : {}),
      ...actor,
      ...(details === undefined ? {} : { details }),
      ...keyed,
      at: new Date(now).toISOString(),
    };
    reporter.action(action);
    if ("task" in asked) {
      const index = control.placeOf(graph, asked.task);
      if (state.tasks[index]?.status === "succeeded") results.set(index, { output: control.outputOf(asked, actor) });
      reporter.task(index);
    }
    if (asked.action === "pause" || asked.action === "resume") this.#run.tell({ ...actor, paused: asked.action === "pause" });
    this.#run.settle(settled);
    return { status: control.openStatus(state), action };
  }

  /** Nobody has decided an approval in time, so more may: that is recorded like what somebody does. Safe to repeat, and before its time. */
  escalate(index: number, now: number): void {
    const { state, reporter } = this.#run;
    const graph = this.#run.graph();
    const to = control.escalate(state, graph, index, now);
    if (to === undefined) return;
    this.actions += 1;
    const { id, approval } = taskOf(graph, index);
    reporter.action({
      number: this.actions,
      action: "escalate",
      taskId: id,
      by: "escalation",
      why: `nobody decided within ${(approval?.escalate?.afterMs ?? 0) / 1_000} s`,
      details: { to },
      at: new Date(now).toISOString(),
    });
    reporter.task(index);
  }

  /** What started the run was paused or goes on, and the run with it. */
  hear(pause: PauseSignal): void {
    const { state, reporter, tell, settle } = this.#run;
    if (isOver(state) || (state.stopping !== undefined && !this.#mayResumeFailed(pause)) || !control.pauseWith(state, pause.paused)) return;
    const { paused, ...actor } = pause;
    this.actions += 1;
    reporter.action({ number: this.actions, action: paused ? "pause" : "resume", ...actor, at: new Date().toISOString() });
    tell(pause);
    settle({ ended: [], cancel: [] });
  }

  #mayResumeFailed({ paused }: PauseSignal): boolean {
    const { state } = this.#run;
    return !paused && state.stopping === "failed" && state.pausedWith === true && patched(PATCHES.failedGoOn);
  }

  #replace(task: PlanTask, policy: Policy | undefined): void {
    const input = this.#run.input();
    const { plan } = input;
    const policies = policy === undefined ? plan.policies : [...plan.policies, policy];
    const changed = policy === undefined ? task : { ...task, policy: policies.length - 1 };
    this.#run.change({ ...input, plan: { ...plan, policies, tasks: plan.tasks.map((one) => (one.id === task.id ? changed : one)) } });
  }
}

const refused = (code: ErrorCode, message: string): ApplicationFailure => ApplicationFailure.nonRetryable(message, code);

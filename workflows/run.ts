// The generic run workflow: a small shell around the reducer. Starts what is ready, settles what ends, reports, ends.

import {
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  patched,
  setCurrentDetails,
  setHandler,
  sleep,
  workflowInfo,
} from "@temporalio/workflow";
import { evaluateCondition } from "../core/expression.ts";
import { LIMITS } from "../core/limits.ts";
import type { PlanTask } from "../core/plan.ts";
import * as byHand from "../core/run-control.ts";
import { type Deadline, deadlinesOf, missDeadlines } from "../core/deadlines.ts";
import * as retrying from "../core/run-attempts.ts";
import { restoreSnapshot, takeSnapshot } from "../core/run-snapshot.ts";
import * as reducer from "../core/run-state.ts";
import * as waiting from "../core/run-waiting.ts";
import { ByHand } from "./by-hand.ts";
import { Children } from "./children.ts";
import { conclude, describeProgress } from "./conclusion.ts";
import { AttemptEnds, iso, type Result } from "./attempt-ends.ts";
import { type Attempt, Attempts, type Room } from "./attempts.ts";
import { type AttemptEnd, codeOf, failureOf, readFailure } from "./failure.ts";
import { HeldStatus } from "./held-status.ts";
import { holdOrEnd } from "./holding.ts";
import {
  CONTROL_UPDATE,
  type ControlAnswer,
  type ControlRequest,
  ITEMS_SIGNAL,
  type ItemsSignal,
  type OpenedInput,
  PAUSE_SIGNAL,
  type PauseSignal,
  type RunInput,
  type RunResult,
  type RunStatusAnswer,
  type ScheduledInput,
  SLOT_SIGNAL,
  type SlotSignal,
  STATUS_QUERY,
  WINDOW_SIGNAL,
  type WindowSignal,
} from "./messages.ts";
import { withOutputs } from "./outputs.ts";
import { PATCHES } from "./patches.ts";
import { Reporter } from "./reporter.ts";
import { RunEntry } from "./run-entry.ts";
import { RunSlots, type SlotEvents } from "./run-slots.ts";
import { tellBackfill } from "./tell-backfill.ts";
import { open } from "./opening.ts";
import { isUrgent, taskChange } from "./task-report.ts";
import { type PreparedCall, prepareCall, scopeOf } from "./task-call.ts";

/** The details of larger runs in Temporal's UI are written with each report. */
const DESCRIBED_AT_ONCE = 50;

export async function run(input: RunInput | ScheduledInput | OpenedInput): Promise<RunResult> {
  const execution = new RunExecution("plan" in input ? input : await open(input));
  setHandler(defineQuery<RunStatusAnswer>(STATUS_QUERY), () => execution.status());
  setHandler(defineSignal<[SlotSignal | readonly SlotSignal[]]>(SLOT_SIGNAL), (told) => execution.receiveSlot(told));
  setHandler(defineSignal<[ItemsSignal]>(ITEMS_SIGNAL), (items) => execution.receiveItems(items));
  setHandler(defineSignal<[WindowSignal]>(WINDOW_SIGNAL), (told) => execution.receiveEnds(told));
  setHandler(defineSignal<[PauseSignal]>(PAUSE_SIGNAL), (pause) => execution.byHand.hear(pause));
  setHandler(defineUpdate<ControlAnswer, [ControlRequest]>(CONTROL_UPDATE), (request) => execution.byHand.act(request), {
    validator: (request) => execution.byHand.refuse(request),
  });
  return execution.carryOut();
}

/** There are few scopes, and nothing is awaited that is there: each promise costs, and a run makes thousands. */
class RunExecution {
  #input: RunInput;
  #graph: reducer.Graph;
  readonly #state: reducer.RunState;
  #startedAt: number;
  #deadlines: Deadline[] = [];
  readonly #reporter: Reporter;
  readonly #held = new HeldStatus();
  readonly #root = CancellationScope.current();
  readonly #shield = new CancellationScope({ cancellable: false });
  readonly #attempts: Attempts;
  readonly #ends: AttemptEnds;
  readonly #slots: RunSlots;
  readonly #entry: RunEntry;
  readonly byHand: ByHand;
  readonly #children: Children;
  /** What is reported but not kept in the state. */
  readonly #results = new Map<number, Result>();
  /** It has said that it waits for one of its pipeline's slots. Runs that are not amended do not. */
  #waitsForTurn = false;
  #isPumping = false;
  #wakesAt = Infinity;
  /** Bytes of commands in this workflow task, and the history's length when it began. */
  #commands = { bytes: 0, since: 0 };
  /** A bug of ours on a task's path: fails the workflow task visibly instead of hanging, until a release mends it. */
  #broken: unknown;

  constructor(input: RunInput) {
    this.#input = input;
    this.#graph = reducer.graphOf(input.plan, input);
    this.#children = new Children(input.minds === true);
    const { snapshot, startedAt = Date.now(), seq = 0, actions = 0, keys = [], unsent } = input.continued ?? {};
    this.#state = snapshot === undefined ? reducer.initRun(this.#graph) : restoreSnapshot(snapshot, this.#graph);
    this.#startedAt = startedAt;
    const slotEvents: SlotEvents = {
      granted: (index) => {
        if (waiting.giveSlot(this.#state, this.#graph, index)) this.#pump();
      },
      changed: (index) => this.#showWait(index),
      failed: (index, error) => this.#withoutSlot(index, error),
      mayAsk: () => this.#attempts.mayBegin,
    };
    this.#slots = new RunSlots(slotEvents, input);
    this.#reporter = new Reporter({
      runId: input.run.id,
      manner: input,
      tasks: input.plan.tasks.length,
      shield: this.#shield,
      askedAt: workflowInfo().runStartTime.getTime(),
      startedAt: () => iso(this.#startedAt),
      seq,
      taskChange: (index) => taskChange(this.#input, this.#graph, this.#state, index, this.#slots, this.#results.get(index)),
      isUrgent: (index) => isUrgent(this.#graph, this.#state, index, this.#slots),
      openStatus: () => byHand.openStatus(this.#state),
      longForMs: () => this.#attempts.longForMs,
      onShow: () => {
        if (this.#state.tasks.length <= DESCRIBED_AT_ONCE) this.#describe();
      },
      onReport: () => {
        // A run that is shorter has no timer for that.
        this.#wakeAt(this.#attempts.nextDue);
        this.#describe();
        this.#showHeld();
      },
    });
    for (const index of unsent?.tasks ?? []) this.#reporter.task(index);
    for (const action of unsent?.actions ?? []) this.#reporter.action(action);
    this.#entry = new RunEntry(input, this.#slots);
    this.#attempts = new Attempts({
      input,
      shield: this.#shield,
      ended: (index, end, attempt) => this.#attemptEnded(index, end, attempt),
      broken: (error) => {
        this.#broken = error;
      },
    });
    this.#ends = new AttemptEnds({
      state: this.#state,
      reporter: this.#reporter,
      results: this.#results,
      input: () => this.#input,
      graph: () => this.#graph,
      wakeAt: (moment) => this.#wakeAt(moment),
    });
    this.byHand = new ByHand({
      state: this.#state,
      reporter: this.#reporter,
      results: this.#results,
      actions,
      keys,
      input: () => this.#input,
      graph: () => this.#graph,
      change: (changed) => {
        this.#input = changed;
        this.#graph = reducer.graphOf(changed.plan, changed);
      },
      settle: (settled) => this.#settle(settled),
      tell: (pause) => this.#children.tell(pause),
    });
    // Who was asked for a slot answers again when it is asked again.
    for (const { index, since } of waiting.awaitingSlots(this.#state))
      this.#slots.ask(index, reducer.taskOf(this.#graph, index), input.run, since);
  }

  async carryOut(): Promise<RunResult> {
    if (!this.#entry.isIn) await this.#enter();
    // Only the reducer hears of a cancellation.
    this.#root.cancelRequested.catch(() => this.#guarded(() => this.#cancel()));
    return this.#shield.run(() => this.#live());
  }

  async #live(): Promise<RunResult> {
    this.#deadlines = deadlinesOf(this.#state, this.#graph, this.#startedAt);
    // Other runs hang where what they have taken over leaves something to be skipped at once.
    if (this.#input.amended) this.#settle(reducer.decideAll(this.#state, this.#graph, Date.now()));
    else this.#pump();
    // Everything has ended, or nothing runs and the history is full.
    await condition(() => this.#broken !== undefined || this.#isOver() || (this.#attempts.isDraining && this.#attempts.inFlight === 0));
    if (this.#broken !== undefined) throw this.#broken;
    if (!this.#isOver()) {
      const next = await this.#handOver();
      // A cancellation that came meanwhile would not reach the next execution.
      if (!this.#root.consideredCancelled) return continueAsNew<typeof run>(next);
      this.#cancel();
    }
    return this.#finish();
  }

  /** Waits for one of its pipeline's slots where those are limited; without one nothing of it begins. */
  async #enter(): Promise<void> {
    this.#describe();
    const waits = (): void => {
      this.#waitsForTurn = true;
      this.#showHeld();
    };
    const entered = await this.#entry.enter(this.#input.amended === true ? waits : undefined);
    this.#waitsForTurn = false;
    if (entered === "entered") {
      this.#describe();
      if (this.#input.amended === true) this.#showHeld();
    }
    if (entered === "entered" || entered === "refused") this.#startedAt = Date.now();
    if (entered !== "refused") return;
    if (this.#input.minds === true) this.#settle(reducer.refuseAll(this.#state, this.#graph, Date.now()));
    else this.#cancel();
  }

  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#broken = error;
    }
  }

  receiveSlot(told: SlotSignal | readonly SlotSignal[]): void {
    this.#slots.receive(told);
  }

  receiveItems({ taskId, awaited }: ItemsSignal): void {
    this.#slots.itemsWait(taskId, awaited);
    const index = byHand.placeOf(this.#graph, taskId);
    if (index >= 0) this.#showWait(index);
  }

  receiveEnds(told: WindowSignal): void {
    this.#attempts.receive(told);
  }

  #showWait(index: number): void {
    this.#reporter.task(index);
    this.#reporter.show();
  }

  #withoutSlot(index: number, error: unknown): void {
    const end = readFailure(error, false);
    const failure = end.kind === "cancelled" ? { code: "CANCELLED", message: "it was cancelled" } : end.error;
    this.#slots.giveBack(reducer.taskOf(this.#graph, index));
    this.#reporter.task(index);
    this.#settle(waiting.refuseSlot(this.#state, this.#graph, index, failure, Date.now()));
  }

  #isOver(): boolean {
    return reducer.isOver(this.#state);
  }

  #cancel(): void {
    const { paused, stopping } = this.#state;
    // Nobody resumes a run that is cancelled: what is left of it begins.
    const goesOn = paused === true && stopping !== "cancelled" && patched(PATCHES.cancelEndsPause);
    if (goesOn) byHand.endPause(this.#state);
    this.#settle(reducer.stop(this.#state, this.#graph, "cancelled", Date.now()));
    // Where all is cancelled a message does not leave.
    if (goesOn)
      void this.#shield.run(async () => this.#children.goOn({ by: "cancellation", why: "the run that started it was cancelled" }));
  }

  /** Starts what may start. Skipped tasks settle inside and come back here: the flag keeps that a loop. */
  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    const { historyLength } = workflowInfo();
    if (this.#commands.since !== historyLength) this.#commands = { bytes: 0, since: historyLength };
    let wakeAt = reducer.wake(this.#state, this.#graph, Date.now());
    const wasDraining = this.#attempts.isDraining;
    const room = this.#attempts.room(this.#state.ready.length);
    const most = this.#attempts.inFlight + room.calls;
    if (wasDraining && room.calls > 0) this.#slots.goOn();
    while (!this.#state.paused && this.#attempts.inFlight < most) {
      if (this.#commands.bytes > LIMITS.workflowTaskBytes) {
        wakeAt = Date.now() + 1;
        break;
      }
      const index = reducer.takeReady(this.#state);
      if (index === undefined) break;
      this.#begin(index, room);
    }
    this.#attempts.openWindow();
    this.#isPumping = false;
    this.#lookAtDeadlines();
    // The last report is about to say all of it.
    if (!this.#isOver()) this.#reporter.show();
    if (this.#attempts.isStalled) return;
    const { goesOnAt } = this.#attempts;
    // Runs that are not thrifty look once.
    if (goesOnAt > Date.now() && (!wasDraining || this.#input.thrifty === true)) this.#wakeAt(goesOnAt);
    if (wakeAt !== undefined) this.#wakeAt(wakeAt);
  }

  #describe(): void {
    const { awaited: turn } = this.#entry;
    const { awaited: room } = this.#attempts;
    const progress = describeProgress(this.#state, this.#graph, this.#slots);
    setCurrentDetails([turn, progress, room].filter((part) => part !== undefined).join("  \n"));
  }

  #showHeld(): void {
    const status = byHand.openStatus(this.#state);
    this.#held.show(this.#waitsForTurn && status === "running" ? "waiting" : status);
  }

  /** Also while nothing new may start. */
  #lookAtDeadlines(): void {
    for (const index of missDeadlines(this.#state, this.#deadlines, Date.now())) this.#reporter.task(index);
    const next = this.#deadlines.at(-1);
    if (next !== undefined) this.#wakeAt(next.at);
  }

  /** One timer is enough: an earlier one looks again. */
  #wakeAt(moment: number): void {
    if (moment >= this.#wakesAt) return;
    this.#wakesAt = moment;
    const look = async (): Promise<void> => {
      await sleep(Math.max(moment - Date.now(), 1), { summary: "looks what is due" });
      if (this.#wakesAt === moment) this.#wakesAt = Infinity;
      if (this.#attempts.giveUpOverdue()) this.#wakeAt(this.#attempts.nextDue);
      this.#pump();
    };
    void (CancellationScope.current() === this.#shield ? look() : this.#shield.run(look));
  }

  #begin(index: number, room: Room): void {
    const task = reducer.taskOf(this.#graph, index);
    const now = Date.now();
    const isFirst = this.#state.tasks[index]?.status === "pending";
    try {
      if (task.when !== undefined && isFirst && !evaluateCondition(task.when, scopeOf(this.#input, this.#graph, this.#state, task))) {
        this.#settle(reducer.skip(this.#state, this.#graph, index, now));
        return;
      }
      if (!this.#slots.has(task)) {
        waiting.awaitSlot(this.#state, index, now);
        this.#reporter.task(index);
        this.#slots.ask(index, task, this.#input.run);
        return;
      }
      reducer.start(this.#state, index, now);
      if ((task.wait ?? task.approval) !== undefined && this.#isHeld(index, task, now)) return;
      const call = prepareCall(this.#input, this.#graph, this.#state, index, now, this.#children);
      this.#commands.bytes += call.bytes;
      this.#reporter.task(index);
      this.#attempt(index, call, room);
    } catch (error) {
      // Expressions that cannot be evaluated count as an attempt.
      const failure = failureOf(error);
      if (this.#state.tasks[index]?.status !== "running") reducer.start(this.#state, index, now);
      this.#settle(retrying.failAttempt(this.#state, this.#graph, index, failure, now));
    }
  }

  /** A wait or an approval that waits on, or has come to its end; false: a worker must look. */
  #isHeld(index: number, task: PlanTask, now: number): boolean {
    const state = this.#state.tasks[index] as reducer.TaskState;
    const scope = scopeOf(this.#input, this.#graph, this.#state, task, state.attempts);
    const since = reducer.heldSince(this.#graph, state) ?? now;
    const held = holdOrEnd(task, state, scope, { since, now, amended: this.#input.amended === true });
    switch (held.kind) {
      case "look":
        return false;
      case "hold":
        reducer.hold(this.#state, index, held.reason, held.until);
        if (held.reason === "approval") this.byHand.escalate(index, now);
        this.#reporter.task(index);
        this.#wakeAt(held.until);
        return true;
      case "succeeded":
        this.#settle(this.#ends.succeed(index, { output: held.output }, now));
        return true;
      case "skipped":
        if (task.wait !== undefined) this.#ends.atDeadline(index, now);
        this.#settle(reducer.skip(this.#state, this.#graph, index, now));
        return true;
      case "failed": {
        const error = { code: "WAIT_DEADLINE", message: held.message };
        if (task.wait !== undefined) this.#ends.atDeadline(index, now, error);
        this.#reporter.task(index);
        this.#settle(retrying.failAttempt(this.#state, this.#graph, index, error, now));
        return true;
      }
    }
  }

  #attempt(index: number, call: PreparedCall, room: Room): void {
    const { attempts = 1, lost = 0 } = this.#state.tasks[index] ?? {};
    const task = reducer.taskOf(this.#graph, index);
    const facts = {
      taskId: task.id,
      attempt: attempts,
      startedAt: iso(Date.now()),
      ...(lost === 0 ? {} : { lostAttempts: lost }),
    };
    this.#reporter.attempt({ ...facts, status: "running" });
    this.#attempts.begin(index, call, { task, facts }, room);
  }

  #attemptEnded(index: number, end: AttemptEnd, attempt: Attempt): void {
    // Also between two attempts: who waits holds nothing.
    this.#slots.giveBack(attempt.task, { code: codeOf(end) });
    this.#guarded(() => {
      this.#settle(this.#ends.settle(index, end, attempt));
    });
  }

  #settle({ ended, cancel }: reducer.Settled): void {
    for (const index of ended) {
      this.#ends.close(index, Date.now());
      this.#reporter.task(index);
      this.#slots.giveBack(reducer.taskOf(this.#graph, index));
    }
    this.#attempts.cancel(cancel.map((index) => reducer.taskOf(this.#graph, index)));
    this.#pump();
  }

  status(): RunStatusAnswer {
    const entries = this.#state.tasks.map(({ status }, index) => [reducer.taskOf(this.#graph, index).id, status] as const);
    return { open: this.#state.open, tasks: Object.fromEntries(entries) };
  }

  /** The input of the run's next execution. The store knows all before it, so the snapshot can leave that out. */
  async #handOver(): Promise<RunInput> {
    await this.#reporter.close({ status: byHand.openStatus(this.#state) });
    if (this.#slots.wereUsed) await this.#slots.handBack();
    const snapshot = takeSnapshot(this.#state, this.#graph);
    const { seq, unsent } = this.#reporter;
    const { windows } = this.#attempts;
    const continued = {
      snapshot,
      ...(windows === 0 ? {} : { windows }),
      seq,
      startedAt: this.#startedAt,
      actions: this.byHand.actions,
      ...(this.byHand.keys.length === 0 ? {} : { keys: this.byHand.keys }),
      ...(unsent === undefined ? {} : { unsent }),
    };
    return { ...this.#input, continued };
  }

  /** Reports the outcome and ends the workflow the way Temporal's UI shows it: completed, failed or cancelled. */
  async #finish(): Promise<RunResult> {
    const { details, ...ended } = conclude(this.#state, this.#graph);
    const { refusal } = this.#entry;
    const whole =
      refusal === undefined
        ? withOutputs(this.#input, this.#graph, this.#state, ended)
        : { outcome: ended.outcome, error: refusal, output: undefined };
    const { outcome, error, output } = whole;
    this.#entry.leave();
    setCurrentDetails(details);
    this.#held.show(outcome);
    const more = { ...(error === undefined ? {} : { error }), ...(output === undefined ? {} : { output }) };
    await this.#reporter.end({ status: outcome, finishedAt: iso(Date.now()), ...more });
    if (this.#slots.wereUsed) await this.#slots.settled();
    if (this.#input.run.backfill !== undefined) await tellBackfill(this.#input.run, outcome === "succeeded");
    // A task that has started it learns why from its failure: a cancellation has no place for that.
    if (refusal !== undefined && this.#input.minds && workflowInfo().parent !== undefined)
      throw ApplicationFailure.nonRetryable(refusal.message, refusal.code);
    if (outcome === "cancelled") throw new CancelledFailure("the run was cancelled");
    if (outcome === "failed") throw ApplicationFailure.nonRetryable(error?.message ?? "the run failed", error?.code ?? "INTERNAL");
    return { outcome, ...(output === undefined ? {} : { output }) };
  }
}

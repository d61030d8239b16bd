// A backfill: keeps a sliding window of runs over its partitions. A shell around core/backfill.ts.

import {
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  defineSignal,
  defineUpdate,
  getExternalWorkflowHandle,
  isCancellation,
  proxyActivities,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  sleep,
  workflowInfo,
} from "@temporalio/workflow";
import { keyReused, keyUse } from "../core/acted-keys.ts";
import * as core from "../core/backfill.ts";
import { runWorkflowId } from "../core/ids.ts";
import { LIMITS } from "../core/limits.ts";
import { readFailure } from "./failure.ts";
import { BACKFILL_UPDATE, type BackfillInput, type BackfillRequest, RUN_ENDED_SIGNAL } from "./messages.ts";
import { INSPECT_OPTIONS, OPEN_OPTIONS, RECORD_OPTIONS } from "./policies.ts";
import type { DagActivities, EndedRun } from "./ports.ts";
import { nextReport } from "./report-order.ts";

const { startPartitions } = proxyActivities<DagActivities>(OPEN_OPTIONS);
const { endedRuns } = proxyActivities<DagActivities>(INSPECT_OPTIONS);
const { recordBackfill } = proxyLocalActivities<DagActivities>(RECORD_OPTIONS);

/** Runs that one call starts: a call that is repeated repeats few. */
const MOST_STARTS = 20;
/** A run that ended without a word is noticed within this time. */
const LOOK_EVERY_MS = 60_000;
/** The store hears of changes at most this often; and again at such a distance when it did not take them. */
const REPORT_EVERY_MS = 1_000;

export async function backfill(input: BackfillInput): Promise<core.BackfillStatus> {
  const execution = new BackfillExecution(input);
  setHandler(defineSignal<[EndedRun]>(RUN_ENDED_SIGNAL), (ended) => execution.runEnded(ended));
  setHandler(defineUpdate<core.BackfillState, [BackfillRequest]>(BACKFILL_UPDATE), (request) => execution.control(request), {
    validator: (request) => execution.refuse(request),
  });
  try {
    await execution.drive();
  } catch (error) {
    if (!isCancellation(error)) throw error;
    execution.control({ control: { action: "cancel", runs: true }, by: "Temporal", why: "its workflow was cancelled" });
    await CancellationScope.nonCancellable(() => execution.drive());
  }
  if (execution.isOver()) return execution.state.status;
  return continueAsNew<typeof backfill>(execution.handOver());
}

class BackfillExecution {
  readonly #id: string;
  readonly #pipeline: string;
  #state: core.BackfillState;
  readonly #seqBefore: number;
  #seq: number;
  #actions: readonly core.BackfillAction[];
  /** Changes that the store has not heard of. */
  #isDirty = true;
  #reportedAt = 0;
  /** Somebody asked for the end of its runs, who have not been told. */
  #cancelsRuns = false;
  /** Goes up with every change: what the loop waits for. */
  #changes = 0;

  constructor({ id, pipeline, state, seq, actions = [] }: BackfillInput) {
    this.#id = id;
    this.#pipeline = pipeline;
    this.#state = state;
    this.#seqBefore = seq;
    this.#seq = seq;
    this.#actions = actions;
  }

  get state(): core.BackfillState {
    return this.#state;
  }

  isOver(): boolean {
    return core.isBackfillEnded(this.#state.status);
  }

  #change(next: core.BackfillState): void {
    const settled = core.settleBackfill(next);
    if (settled === this.#state) return;
    this.#state = settled;
    this.#isDirty = true;
    this.#changes += 1;
  }

  runEnded({ runId, succeeded }: EndedRun): void {
    this.#change(core.endPartition(this.#state, runId, succeeded));
  }

  refuse({ control, ...request }: BackfillRequest): void {
    const use = keyUse(this.#state.keys ?? [], request);
    if (use === "same") return;
    if (use === "other") throw ApplicationFailure.nonRetryable(keyReused(request.key), "IDEMPOTENCY_KEY_REUSED");
    const reason = core.refuseBackfillControl(this.#state, control);
    if (reason !== undefined) throw ApplicationFailure.nonRetryable(reason, "ACTION_REFUSED");
  }

  /** Safe to repeat under its key. */
  control({ control, by, why, key, requestHash }: BackfillRequest): core.BackfillState {
    const keyed = key === undefined ? undefined : { key, ...(requestHash === undefined ? {} : { requestHash }) };
    if (keyUse(this.#state.keys ?? [], keyed ?? {}) !== "new") return this.#state;
    const { action, ...details } = control;
    this.#change(core.controlBackfill(this.#state, control, keyed));
    const told = {
      number: this.#state.actions,
      action,
      by,
      ...(why === undefined ? {} : { why }),
      ...(Object.keys(details).length === 0 ? {} : { details }),
      at: new Date(Date.now()).toISOString(),
    };
    this.#actions = [...this.#actions, told];
    // What somebody did is seen at once.
    this.#reportedAt = 0;
    if (control.action === "cancel" && control.runs) this.#cancelsRuns = true;
    return this.#state;
  }

  #cancelRuns(): void {
    this.#cancelsRuns = false;
    for (const { runId } of this.#state.open)
      void getExternalWorkflowHandle(runWorkflowId(this.#pipeline, runId))
        .cancel()
        // It has ended, or was never started: the next look tells which.
        .catch(() => undefined);
  }

  /** Until it has ended and the store knows, or the history is long. */
  async drive(): Promise<void> {
    let lookAt = Date.now() + LOOK_EVERY_MS;
    for (;;) {
      this.#change(core.openPartitions(this.#state, this.#id));
      const seen = this.#changes;
      await this.#start();
      if (this.#cancelsRuns) this.#cancelRuns();
      if (this.#state.status === "cancelling") this.#dropUnstarted();
      if (this.#isDirty && (this.isOver() || Date.now() - this.#reportedAt >= REPORT_EVERY_MS)) await this.#report();
      if (this.isOver() && !this.#isDirty) return;
      const { historyLength, continueAsNewSuggested } = workflowInfo();
      // What the store has not heard of goes along.
      if ((historyLength >= LIMITS.historyEvents / 2 || continueAsNewSuggested) && !this.isOver()) return;
      if (this.#state.open.length > 0 && Date.now() >= lookAt) {
        await this.#look();
        lookAt = Date.now() + LOOK_EVERY_MS;
      }
      const isNew = (): boolean => this.#changes !== seen;
      if (this.#isDirty) await this.#pauseFor(REPORT_EVERY_MS, isNew);
      else if (this.#state.open.length > 0) await condition(isNew, Math.max(lookAt - Date.now(), 1));
      else await condition(isNew);
    }
  }

  /** Reports wait a little for more, but nothing that is to start does. */
  async #pauseFor(milliseconds: number, isNew: () => boolean): Promise<void> {
    if (this.isOver()) await sleep(milliseconds);
    else await condition(isNew, milliseconds);
  }

  async #start(): Promise<void> {
    const wanted = (): readonly core.OpenPartition[] => this.#state.open.filter(({ started }) => !started).slice(0, MOST_STARTS);
    for (let next = wanted(); next.length > 0 && this.#state.status === "running"; next = wanted()) {
      const partitions = next.map(({ partition, runId }) => ({ partition, runId }));
      try {
        const started = await startPartitions({ id: this.#id, priority: this.#state.priority, partitions });
        for (const [index, { runId }] of partitions.entries())
          this.#change(core.startedPartition(this.#state, runId, started[index] ?? "started"));
      } catch (error) {
        if (isCancellation(error)) throw error;
        const end = readFailure(error, false);
        const message = end.kind === "cancelled" ? "the start was cancelled" : end.error.message;
        this.#change(core.pauseBackfill(this.#state, `its runs could not be started: ${message}`));
      }
    }
  }

  /** Nobody will start them, and so nobody tells of their end. */
  #dropUnstarted(): void {
    for (const { runId, started } of this.#state.open) if (!started) this.runEnded({ runId, succeeded: false });
  }

  async #look(): Promise<void> {
    try {
      for (const ended of await endedRuns(this.#state.open.map(({ runId }) => runId))) this.runEnded(ended);
    } catch (error) {
      if (isCancellation(error)) throw error;
      // Nobody could look; the next round will.
    }
  }

  async #report(): Promise<void> {
    const { count, reason, status } = this.#state;
    const { succeeded, running, failed } = core.countPartitions(this.#state);
    setCurrentDetails(
      `${status}${reason === undefined ? "" : `: ${reason}`}; of ${count} partitions ${succeeded} succeeded, ${running} run, ${failed} failed`,
    );
    this.#reportedAt = Date.now();
    const [sent, seen] = [this.#actions.length, this.#changes];
    this.#seq = nextReport(this.#seq, this.#seqBefore);
    try {
      await recordBackfill({ id: this.#id, seq: this.#seq, state: this.#state, actions: this.#actions });
      this.#actions = this.#actions.slice(sent);
      this.#isDirty = this.#changes !== seen;
    } catch (error) {
      if (isCancellation(error)) throw error;
      // The store did not take it, or took it and could not say so: the next report says it again.
    }
  }

  handOver(): BackfillInput {
    return { id: this.#id, pipeline: this.#pipeline, state: this.#state, seq: this.#seq, actions: this.#actions };
  }
}

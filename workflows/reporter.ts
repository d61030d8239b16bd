// Tells the store what changed, in coalesced batches: at most one in flight, about a second apart, and always before the run ends.

import { CancellationScope, proxyLocalActivities, sleep } from "@temporalio/workflow";
import type { AttemptChange, RunChanges, RunStatus, TaskChange, TaskError } from "../core/run-changes.ts";
import type { DagActivities } from "./ports.ts";
import { RECORD_OPTIONS } from "./policies.ts";

/** Changes closer together travel together. */
const PAUSE_MS = 1_000;
/** How long a finished run waits for a store that is away, and how often it tries. */
const FINAL_TRIES = 4_000;
const FINAL_PAUSE_MS = 5_000;

const { recordRun } = proxyLocalActivities<DagActivities>(RECORD_OPTIONS);

export interface RunEnd {
  readonly status: RunStatus;
  readonly finishedAt: string;
  readonly error?: TaskError;
}

export class Reporter {
  readonly #runId: string;
  readonly #startedAt: string;
  readonly #taskChange: (index: number) => TaskChange;
  #seq: number;
  #tasks = new Set<number>();
  #attempts: AttemptChange[] = [];
  #isScheduled = false;
  #closed = false;

  constructor(runId: string, startedAt: number, seq: number, taskChange: (index: number) => TaskChange) {
    this.#runId = runId;
    this.#startedAt = new Date(startedAt).toISOString();
    this.#seq = seq;
    this.#taskChange = taskChange;
  }

  get seq(): number {
    return this.#seq;
  }

  task(index: number): void {
    this.#tasks.add(index);
    if (this.#closed || this.#isScheduled) return;
    this.#isScheduled = true;
    void this.#flushLater();
  }

  attempt(change: AttemptChange): void {
    this.#attempts.push(change);
  }

  async #flushLater(): Promise<void> {
    // Reporting outlives the cancellation of what it reports.
    await CancellationScope.nonCancellable(async () => {
      await sleep(PAUSE_MS);
      while (!this.#closed && (this.#tasks.size > 0 || this.#attempts.length > 0)) {
        await this.#flush({ status: "running" }).catch(() => undefined);
        await sleep(PAUSE_MS);
      }
    });
    this.#isScheduled = false;
  }

  /** Sends what is pending; keeps it for the next time when the store does not take it. */
  async #flush(run: Pick<RunChanges, "status" | "finishedAt" | "error">): Promise<void> {
    const tasks = this.#tasks;
    const attempts = this.#attempts;
    this.#tasks = new Set();
    this.#attempts = [];
    this.#seq += 1;
    try {
      await recordRun({
        runId: this.#runId,
        seq: this.#seq,
        startedAt: this.#startedAt,
        ...run,
        tasks: [...tasks].map(this.#taskChange),
        attempts,
      });
    } catch (error) {
      this.#tasks = new Set([...tasks, ...this.#tasks]);
      this.#attempts = [...attempts, ...this.#attempts];
      throw error;
    }
  }

  /** The last report. A store that stays away is waited for, for hours; then the reconciler has to repair it. */
  async finish(end: RunEnd): Promise<void> {
    this.#closed = true;
    for (let left = FINAL_TRIES; left > 0; left -= 1) {
      try {
        await this.#flush(end);
        return;
      } catch {
        await sleep(FINAL_PAUSE_MS);
      }
    }
  }

  /** Before continue-as-new: everything pending goes out, or travels on as a full report of the next execution. */
  async pause(): Promise<void> {
    this.#closed = true;
    await this.#flush({ status: "running" });
  }
}

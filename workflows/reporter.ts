// Tells the store what changed, in coalesced batches: at most one in flight, about a second apart, and always before the run ends.

import { CancellationScope, proxyLocalActivities, sleep } from "@temporalio/workflow";
import type { ActionChange, AttemptChange, RunChanges, TaskChange } from "../core/run-changes.ts";
import type { DagActivities } from "./ports.ts";
import { RECORD_OPTIONS } from "./policies.ts";
import { nextReport } from "./report-order.ts";

/** Changes closer together travel together; a run shorter than this reports once. */
const PAUSE_MS = 1_000;
/** Where the server is busy, reports would make it busier: this many times as late as it was is added to the pause. */
const LAG_FACTOR = 10;
const MOST_LAG_PAUSE_MS = 30_000;
/** A store that is away is asked ever more seldom: each try costs the history about 15 events. */
const MOST_PAUSE_MS = 5 * 60_000;
/** How long a finished run waits for a store that is away; the reconciler repairs what is missing after that. */
const PATIENCE_MS = 24 * 3_600_000;

const { recordRun } = proxyLocalActivities<DagActivities>(RECORD_OPTIONS);

export interface ReporterOptions {
  readonly runId: string;
  /** Reporting outlives the cancellation of what it reports. */
  readonly shield: CancellationScope;
  /** When this execution was asked for: it began so much later than that. Milliseconds since 1970. */
  readonly askedAt: number;
  /** ISO 8601 UTC. */
  readonly startedAt: () => string;
  /** Of the last report that the execution before sent. */
  readonly seq: number;
  readonly taskChange: (index: number) => TaskChange;
  readonly openStatus: () => RunChanges["status"];
  /** Called before each report of a running run. */
  readonly onReport: () => void;
}

type RunPart = Pick<RunChanges, "status" | "finishedAt" | "error" | "output">;

export class Reporter {
  readonly #options: ReporterOptions;
  #seq: number;
  #tasks = new Set<number>();
  /** By task and attempt: an attempt that begins and ends between two reports is one change. */
  #attempts = new Map<string, AttemptChange>();
  #actions: readonly ActionChange[] = [];
  #lagPause = 0;
  #isLooping = false;
  #isClosed = false;
  #inFlight: Promise<boolean> | undefined;

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#seq = options.seq;
    this.#setLag(Date.now() - options.askedAt);
  }

  #setLag(milliseconds: number): void {
    this.#lagPause = Math.min(Math.max(milliseconds, 0) * LAG_FACTOR, MOST_LAG_PAUSE_MS);
  }

  get seq(): number {
    return this.#seq;
  }

  task(index: number): void {
    this.#tasks.add(index);
    this.#begin();
  }

  action(change: ActionChange): void {
    this.#actions = [...this.#actions, change];
    this.#begin();
  }

  /** What the last report of this execution did not have: the next one's must. */
  get unsent(): { readonly tasks: readonly number[]; readonly actions: readonly ActionChange[] } | undefined {
    return this.#isEmpty() ? undefined : { tasks: [...this.#tasks], actions: this.#actions };
  }

  #isEmpty(): boolean {
    return this.#tasks.size === 0 && this.#actions.length === 0;
  }

  #begin(): void {
    if (this.#isLooping || this.#isClosed) return;
    this.#isLooping = true;
    const { shield } = this.#options;
    if (CancellationScope.current() === shield) this.#wait(PAUSE_MS);
    else void shield.run(async () => this.#wait(PAUSE_MS));
  }

  attempt(change: AttemptChange): void {
    this.#attempts.set(`${change.taskId}#${change.attempt}`, change);
  }

  #wait(pause: number): void {
    const due = Date.now() + pause + this.#lagPause;
    void sleep(pause + this.#lagPause).then(() => {
      this.#setLag(Date.now() - due);
      return this.#report(pause);
    });
  }

  async #report(pause: number): Promise<void> {
    if (this.#isClosed || this.#isEmpty()) {
      this.#isLooping = false;
      return;
    }
    this.#options.onReport();
    const isTaken = await this.#send({ status: this.#options.openStatus() });
    this.#wait(isTaken ? PAUSE_MS : Math.min(pause * 2, MOST_PAUSE_MS));
  }

  /** Sends what is pending and answers whether the store took it; what it did not take goes with the next report. */
  #send(run: RunPart): Promise<boolean> {
    const tasks = this.#tasks;
    const attempts = this.#attempts;
    this.#tasks = new Set();
    this.#attempts = new Map();
    const actions = this.#actions;
    this.#actions = [];
    this.#seq = nextReport(this.#seq, this.#options.seq);
    const { runId, startedAt, taskChange } = this.#options;
    const report = {
      runId,
      seq: this.#seq,
      startedAt: startedAt(),
      ...run,
      tasks: [...tasks].map(taskChange),
      attempts: [...attempts.values()],
      ...(actions.length === 0 ? {} : { actions }),
    };
    this.#inFlight = recordRun(report).then(
      () => true,
      () => {
        this.#tasks = new Set([...tasks, ...this.#tasks]);
        this.#attempts = new Map([...attempts, ...this.#attempts]);
        this.#actions = [...actions, ...this.#actions];
        return false;
      },
    );
    return this.#inFlight;
  }

  /** The last report of this execution: everything pending, once nothing else is in flight. Waits long for a store that is away. */
  async close(run: RunPart): Promise<void> {
    this.#isClosed = true;
    if (this.#inFlight !== undefined) await this.#inFlight;
    const until = Date.now() + PATIENCE_MS;
    for (let pause = PAUSE_MS; !(await this.#send(run)) && Date.now() < until; pause = Math.min(pause * 2, MOST_PAUSE_MS))
      await sleep(pause);
  }
}

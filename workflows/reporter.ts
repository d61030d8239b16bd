// Tells the store what changed. At once, by way of the worker, what is only to be seen; in reports that arrive, what has to be kept.

import { CancellationScope, proxyLocalActivities, proxySinks, sleep } from "@temporalio/workflow";
import type { ActionChange, AttemptChange, RunChanges, TaskChange } from "../core/run-changes.ts";
import type { RunManner } from "../core/run-manner.ts";
import type { DagActivities, ProgressSinks } from "./ports.ts";
import { RECORD_OPTIONS } from "./policies.ts";
import { nextReport } from "./report-order.ts";

/** Changes closer together travel together; a run shorter than this reports once. */
const PAUSE_MS = 30_000;
/** For what is urgent, and for all of a run that shows nothing at once. */
const SHORT_PAUSE_MS = 1_000;
/** What is shown of a run comes at most this often: each time costs about what a task does. Of runs with many tasks, and where the server is busy, less often. */
const SHOWN_APART_MS = 100;
const SHOWN_APART_A_TASK_MS = 1;
const MOST_SHOWN_APART_MS = 1_000;
/** Reports stay small: one begins early when so many tasks have changed. */
const MOST_TASKS = 500;
/** Where the server is busy, reports would make it busier: this many times as late as it was is added to the pause. */
const LAG_FACTOR = 10;
const MOST_LAG_PAUSE_MS = 30_000;
/** A store that is away is asked ever more seldom: each try costs the history about 15 events. */
const MOST_PAUSE_MS = 5 * 60_000;
/** Of brief runs: those with a long history report no sooner than after this part of the time that it has been long, and ask a store that is away as seldom. */
const PART_OF_TIME = 1 / 10;
/** What a last report may have to go by the worker, so that it is sure to fit into the input of the workflow that may have to wait with it. */
const MOST_TASKS_AT_THE_END = 200;
/** How long a finished run waits for a store that is away; the reconciler repairs what is missing after that. */
const PATIENCE_MS = 24 * 3_600_000;

const { recordRun } = proxyLocalActivities<DagActivities>(RECORD_OPTIONS);
const { progress } = proxySinks<ProgressSinks>();

export interface ReporterOptions {
  readonly runId: string;
  readonly manner: RunManner;
  /** How many tasks it has. */
  readonly tasks: number;
  /** Reporting outlives the cancellation of what it reports. */
  readonly shield: CancellationScope;
  /** When this execution was asked for: it began so much later than that. Milliseconds since 1970. */
  readonly askedAt: number;
  /** ISO 8601 UTC. */
  readonly startedAt: () => string;
  /** Of the last report that the execution before sent. */
  readonly seq: number;
  readonly taskChange: (index: number) => TaskChange;
  /** Others wait for the task's change, or for what is seen of it in Temporal. */
  readonly isUrgent: (index: number) => boolean;
  readonly openStatus: () => RunChanges["status"];
  /** How long the history has been long. */
  readonly longForMs: () => number;
  /** Called before each report of a running run. */
  readonly onReport: () => void;
  /** Called whenever something is shown. */
  readonly onShow: () => void;
}

type RunPart = Pick<RunChanges, "status" | "finishedAt" | "error" | "output">;

/** What is to be told. */
class Changes {
  tasks = new Set<number>();
  /** By task and attempt: an attempt that begins and ends between two reports is one change. */
  attempts = new Map<string, AttemptChange>();
  actions: readonly ActionChange[] = [];

  get isEmpty(): boolean {
    return this.tasks.size === 0 && this.actions.length === 0;
  }

  /** Puts back what was taken before these. */
  putBack({ tasks, attempts, actions }: Changes): void {
    this.tasks = new Set([...tasks, ...this.tasks]);
    this.attempts = new Map([...attempts, ...this.attempts]);
    this.actions = [...actions, ...this.actions];
  }
}

export class Reporter {
  readonly #options: ReporterOptions;
  readonly #isLive: boolean;
  #seq: number;
  #unsent = new Changes();
  #unshown = new Changes();
  /** Of those: since it was last asked whether they are urgent. */
  #unasked: number[] = [];
  #shownAt = -Infinity;
  #showsLater = false;
  #isUrgent = false;
  #lagPause = 0;
  /** When the next report is due. */
  #dueAt = Infinity;
  #isSending = false;
  /** The store is away: nothing is so urgent that it would be asked sooner. */
  #isRefused = false;
  #isClosed = false;
  #inFlight: Promise<boolean> | undefined;

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#isLive = options.manner.live === true;
    this.#seq = options.seq;
    this.#setLag(Date.now() - options.askedAt);
  }

  #setLag(milliseconds: number): void {
    this.#lagPause = Math.min(Math.max(milliseconds, 0) * LAG_FACTOR, MOST_LAG_PAUSE_MS);
  }

  get #shownApart(): number {
    return Math.min(SHOWN_APART_MS + this.#options.tasks * SHOWN_APART_A_TASK_MS + this.#lagPause, MOST_SHOWN_APART_MS);
  }

  get seq(): number {
    return this.#seq;
  }

  /** What the last report of this execution did not have: the next one's must. */
  get unsent(): { readonly tasks: readonly number[]; readonly actions: readonly ActionChange[] } | undefined {
    const { isEmpty, tasks, actions } = this.#unsent;
    return isEmpty ? undefined : { tasks: [...tasks], actions };
  }

  task(index: number): void {
    this.#unsent.tasks.add(index);
    if (this.#isLive) {
      this.#unshown.tasks.add(index);
      this.#unasked.push(index);
    }
    this.#remind();
  }

  action(change: ActionChange): void {
    this.#unsent.actions = [...this.#unsent.actions, change];
    this.#isUrgent = true;
    this.#remind();
  }

  attempt(change: AttemptChange): void {
    const key = `${change.taskId}#${change.attempt}`;
    this.#unsent.attempts.set(key, change);
    if (this.#isLive) this.#unshown.attempts.set(key, change);
  }

  /** Lets the worker know what has changed since it was told last; what comes soon after that waits for more. */
  show(): void {
    if (this.#isClosed || this.#unshown.tasks.size === 0) return;
    const since = Date.now() - this.#shownAt;
    // What is held is so for long, what comes before it is not. To show it later costs the history a timer.
    if (this.#options.longForMs() > 0) this.#unasked = [];
    else if (since === 0 || (since < this.#shownApart && !this.#isOneUrgent())) {
      if (!this.#showsLater) this.#showLater();
      return;
    }
    this.#shownAt = Date.now();
    this.#unasked = [];
    if (this.#unsent.tasks.size >= MOST_TASKS || [...this.#unshown.tasks].some(this.#options.isUrgent)) {
      this.#isUrgent = true;
      this.#remind();
    }
    const shown = this.#unshown;
    this.#unshown = new Changes();
    this.#options.onShow();
    progress.show(this.#changes(shown, { status: this.#options.openStatus() }));
  }

  /** Of those that have changed since it was asked last: with thousands of them it is asked thousands of times. */
  #isOneUrgent(): boolean {
    const unasked = this.#unasked;
    this.#unasked = [];
    return unasked.some(this.#options.isUrgent);
  }

  /** Of the last changes before a silence nobody would hear otherwise. */
  #showLater(): void {
    this.#showsLater = true;
    this.#shielded(() =>
      sleep(SHORT_PAUSE_MS, { summary: "shows its progress" }).then(() => {
        this.#showsLater = false;
        this.show();
      }),
    );
  }

  #shielded(work: () => Promise<void>): void {
    const { shield } = this.#options;
    void (CancellationScope.current() === shield ? work() : shield.run(work));
  }

  #changes({ tasks, attempts, actions }: Changes, run: RunPart): RunChanges {
    const { runId, startedAt, taskChange } = this.#options;
    return {
      runId,
      seq: this.#seq,
      startedAt: startedAt(),
      ...run,
      tasks: [...tasks].map(taskChange),
      attempts: [...attempts.values()],
      ...(actions.length === 0 ? {} : { actions }),
    };
  }

  #remind(least = this.#isLive && !this.#isUrgent ? PAUSE_MS : SHORT_PAUSE_MS): void {
    const pause = Math.max(least, this.#options.longForMs() * PART_OF_TIME);
    const dueAt = Date.now() + pause + this.#lagPause;
    if (this.#isSending || this.#isClosed || dueAt >= this.#dueAt) return;
    if (this.#dueAt !== Infinity && (this.#isRefused || !this.#isLive)) return;
    this.#dueAt = dueAt;
    this.#shielded(() => sleep(pause + this.#lagPause, { summary: "reports to the store" }).then(() => this.#report(dueAt, pause)));
  }

  async #report(dueAt: number, pause: number): Promise<void> {
    // An earlier one has come between.
    if (dueAt !== this.#dueAt) return;
    this.#dueAt = Infinity;
    this.#setLag(Date.now() - dueAt);
    if (this.#isClosed || this.#unsent.isEmpty) return;
    this.#options.onReport();
    this.#isSending = true;
    const isTaken = await this.#send({ status: this.#options.openStatus() });
    this.#isSending = false;
    this.#isRefused = !isTaken;
    if (!isTaken) this.#remind(Math.min(pause * 2, MOST_PAUSE_MS));
    else if (!this.#isLive || !this.#unsent.isEmpty) this.#remind();
  }

  /** What is pending, as the next report. */
  #take(): Changes {
    const taken = this.#unsent;
    this.#unsent = new Changes();
    this.#isUrgent = false;
    this.#seq = nextReport(this.#seq, this.#options.seq);
    return taken;
  }

  /** Sends what is pending and answers whether the store took it; what it did not take goes with the next report. */
  #send(run: RunPart): Promise<boolean> {
    const sent = this.#take();
    this.#inFlight = recordRun(this.#changes(sent, run)).then(
      () => true,
      () => {
        this.#unsent.putBack(sent);
        return false;
      },
    );
    return this.#inFlight;
  }

  /** The run's last report. The worker makes it: an activity of the run would cost as much as a task. */
  async end(run: RunPart): Promise<void> {
    if (this.#options.manner.told !== true) return this.close(run);
    this.#isClosed = true;
    if (this.#inFlight !== undefined) this.#isRefused = !(await this.#inFlight);
    if (this.#isRefused || this.#unsent.tasks.size > MOST_TASKS_AT_THE_END) return this.close(run);
    progress.end(this.#changes(this.#take(), run));
  }

  /** The last report of this execution: everything pending, once nothing else is in flight. Waits long for a store that is away. */
  async close(run: RunPart): Promise<void> {
    this.#isClosed = true;
    if (this.#inFlight !== undefined) await this.#inFlight;
    const since = Date.now();
    const mostPause = (): number =>
      this.#options.manner.brief === true ? Math.max(MOST_PAUSE_MS, (Date.now() - since) * PART_OF_TIME) : MOST_PAUSE_MS;
    for (let pause = SHORT_PAUSE_MS; !(await this.#send(run)) && Date.now() < since + PATIENCE_MS; pause = Math.min(pause * 2, mostPause()))
      await sleep(pause);
  }
}

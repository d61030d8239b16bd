// The attempts of a run that are under way: where they run, how many at a time, and what cancels them.

import { CancellationScope, workflowInfo } from "@temporalio/workflow";
import { LIMITS } from "../core/limits.ts";
import type { PlanTask } from "../core/plan.ts";
import type { AttemptChange } from "../core/run-changes.ts";
import { RUNS_AFTER_FAILURE } from "../core/trigger-rules.ts";
import { type AttemptEnd, readFailure } from "./failure.ts";
import type { RunInput } from "./messages.ts";
import { RunWindows } from "./run-windows.ts";
import type { PreparedCall } from "./task-call.ts";
import type { AttemptGroup, WindowCall } from "./window.ts";

/** So many tasks that are ready at once have windows: fewer are done sooner as the run's own. */
const BULK = 250;
/** What one window has. */
const IN_WINDOW = { calls: 250, bytes: 512 * 1024 } as const;
const IN_ALL_WINDOWS = 3 * IN_WINDOW.calls;
/** While its history is long, a run begins nothing of its own. It goes on by windows when what is under way lasts longer than this. */
export const DRAIN_MS = 5_000;
/** A run that waits for long attempts of its own begins nothing more at this length. Temporal warns at 10,240 events and ends workflows at 51,200. */
const MOST_EVENTS = 10_000;

export type AttemptFacts = Omit<AttemptChange, "status" | "finishedAt">;

export interface Attempt {
  readonly task: PlanTask;
  readonly facts: AttemptFacts;
  readonly resultOf: PreparedCall["resultOf"];
}

export interface AttemptsOptions {
  readonly input: RunInput;
  readonly shield: CancellationScope;
  readonly ended: (index: number, end: AttemptEnd, attempt: Attempt) => void;
  /** A bug of ours. */
  readonly broken: (error: unknown) => void;
}

/** Where attempts may begin now, and how many. */
export interface Room {
  readonly inWindows: boolean;
  readonly calls: number;
}

const NO_ROOM: Room = { inWindows: false, calls: 0 };

/**
 * None hears of the root's cancellation directly, only through the reducer's `stop`. There is a scope for each group: one for each attempt would triple what a
 * task costs the sandbox.
 */
export class Attempts {
  readonly #options: AttemptsOptions;
  readonly #scopes = new Map<AttemptGroup, CancellationScope>();
  readonly #underWay = new Map<number, Attempt>();
  readonly #windows: RunWindows;
  readonly #isWindowed: boolean;
  /** Since when the history has been long. */
  #drainsSince: number | undefined;
  #own = 0;
  /** The calls of the next window. */
  #calls: WindowCall[] = [];
  #bytes = 0;

  constructor(options: AttemptsOptions) {
    this.#options = options;
    const { input, shield } = options;
    this.#isWindowed = input.windows === true;
    this.#scopes.set("shielded", shield);
    this.#scopes.set("stoppable", new CancellationScope({ cancellable: true, parent: shield }));
    this.#windows = new RunWindows(input.run, input.continued?.windows ?? 0, {
      ended: (index, end) => this.#ended(index, end),
      broken: options.broken,
    });
  }

  get inFlight(): number {
    return this.#underWay.size;
  }

  /** The history is long: when nothing is under way, the run continues as new. */
  get isDraining(): boolean {
    return this.#drainsSince !== undefined;
  }

  /** Not while all under way may soon have ended and the run continue as new. */
  get mayBegin(): boolean {
    const { historyLength, continueAsNewSuggested } = workflowInfo();
    if (historyLength >= LIMITS.historyEvents || continueAsNewSuggested) this.#drainsSince ??= Date.now();
    if (this.#drainsSince === undefined) return true;
    return !this.isStalled && this.inFlight > 0 && Date.now() - this.#drainsSince >= DRAIN_MS;
  }

  /** Nothing begins until it has continued as new. */
  get isStalled(): boolean {
    return this.isDraining && (!this.#isWindowed || workflowInfo().historyLength >= MOST_EVENTS);
  }

  /** Windows opened so far. */
  get windows(): number {
    return this.#windows.opened;
  }

  readonly receive: RunWindows["receive"] = (told) => this.#windows.receive(told);

  /** How many of `ready` tasks may begin, and where. */
  room(ready: number): Room {
    if (!this.mayBegin) return NO_ROOM;
    if (!this.isDraining && !(this.#isWindowed && ready >= BULK)) return { inWindows: false, calls: LIMITS.activitiesInFlight - this.#own };
    const calls = IN_ALL_WINDOWS - (this.inFlight - this.#own);
    // Small windows cost nearly as much as large ones.
    return calls < Math.min(ready, IN_WINDOW.calls) ? NO_ROOM : { inWindows: true, calls };
  }

  begin(index: number, call: PreparedCall, attempt: Omit<Attempt, "resultOf">, { inWindows }: Room): void {
    const { activity, send, resultOf } = call;
    this.#underWay.set(index, { ...attempt, resultOf });
    const group = groupOf(attempt.task);
    if (inWindows && activity !== undefined) {
      if (this.#bytes + call.bytes > IN_WINDOW.bytes || this.#calls.length >= IN_WINDOW.calls) this.openWindow();
      this.#calls.push({ index, group, isOwn: attempt.task.operator === "activity", activity });
      this.#bytes += call.bytes;
      return;
    }
    this.#own += 1;
    const { input } = this.#options;
    const scope = this.#scopeOf(group);
    const work = (): Promise<void> =>
      send().then(
        (answer) => this.#endedHere(index, { kind: "succeeded", answer }),
        (error: unknown) => {
          try {
            const isAsked = input.minds === undefined || scope.consideredCancelled;
            this.#endedHere(index, readFailure(error, attempt.task.operator === "activity", isAsked));
          } catch (bug) {
            this.#options.broken(bug);
          }
        },
      );
    // Most tasks are started by the end of another, in the right scope already.
    void (CancellationScope.current() === scope ? work() : scope.run(work));
  }

  /** What has begun in windows since the last one was opened goes off. */
  openWindow(): void {
    const calls = this.#calls;
    if (calls.length === 0) return;
    this.#calls = [];
    this.#bytes = 0;
    const idOf = (call: WindowCall | undefined): string => this.#underWay.get(call?.index ?? -1)?.task.id ?? "";
    const summary = calls.length === 1 ? idOf(calls[0]) : `${calls.length} tasks, ${idOf(calls[0])} to ${idOf(calls.at(-1))}`;
    const { shield } = this.#options;
    void shield.run(async () => this.#windows.open(calls, summary));
  }

  cancel(tasks: readonly PlanTask[]): void {
    const groups = [...new Set(tasks.map(groupOf))];
    if (groups.length === 0) return;
    for (const group of groups) this.#scopeOf(group).cancel();
    this.openWindow();
    // A message that is sent where all is cancelled already does not leave.
    void this.#options.shield.run(async () => this.#windows.cancel(groups));
  }

  #scopeOf(group: AttemptGroup): CancellationScope {
    const known = this.#scopes.get(group);
    if (known !== undefined) return known;
    const scope = new CancellationScope({ cancellable: true, parent: this.#options.shield });
    this.#scopes.set(group, scope);
    return scope;
  }

  #endedHere(index: number, end: AttemptEnd): void {
    this.#own -= 1;
    this.#ended(index, end);
  }

  #ended(index: number, end: AttemptEnd): void {
    const attempt = this.#underWay.get(index);
    if (attempt === undefined) return;
    this.#underWay.delete(index);
    this.#options.ended(index, end, attempt);
  }
}

const groupOf = ({ rule, finally: isFinally }: PlanTask): AttemptGroup => {
  if (isFinally !== undefined) return "shielded";
  return RUNS_AFTER_FAILURE.has(rule) ? "surviving" : "stoppable";
};

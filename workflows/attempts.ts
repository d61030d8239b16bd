// The attempts of a run that are under way: where they run, how many at a time, and what cancels them.

import { CancellationScope, workflowInfo } from "@temporalio/workflow";
import { LIMITS } from "../core/limits.ts";
import type { PlanTask } from "../core/plan.ts";
import type { AttemptChange } from "../core/run-changes.ts";
import type { RunManner } from "../core/run-manner.ts";
import { RUNS_AFTER_FAILURE } from "../core/trigger-rules.ts";
import { type AttemptGroup, type AttemptScope, AttemptScopes, endIn } from "./attempt-scopes.ts";
import { type AttemptEnd, readFailure } from "./failure.ts";
import { EVENTS_OF_ATTEMPT, HistoryRoom } from "./history-room.ts";
import type { RunInput, WindowSignal } from "./messages.ts";
import { RunWindows } from "./run-windows.ts";
import type { PreparedCall } from "./task-call.ts";
import type { WindowCall } from "./window.ts";

interface WindowSize {
  readonly calls: number;
  readonly bytes: number;
  /** So many calls may begin together. */
  readonly atATime: number;
  /** The next one may open when so few of those that are open have not ended. */
  readonly left: number;
  /** How many a window begins with; absent: with all. */
  readonly atOnce?: number;
}

/**
 * While there is work for it, one window alone is busy: each workflow that is costs workflow tasks of its own. Where each attempt ends by itself, it leaves six
 * events in its window.
 */
const OF_BRIEF: WindowSize = {
  calls: 600,
  bytes: 1024 * 1024,
  atATime: 600,
  left: LIMITS.activitiesInFlight,
  atOnce: LIMITS.activitiesInFlight,
};
/** Of runs that are not brief. */
const LARGE: WindowSize = { ...OF_BRIEF, calls: 800, atATime: 800 };
/** Of runs that began when windows were small. */
const SMALL: WindowSize = { calls: 250, bytes: 512 * 1024, atATime: 750, left: 500 };
/** So many tasks at once had windows then. */
const BULK_OF_SMALL = 250;
/** While its history is long, a run begins nothing of its own. It goes on by windows while an attempt under way has lasted longer than this. */
const DRAIN_MS = 5_000;
/**
 * What may last as long as others have lasted is waited for: to continue as new is better than steps. Up to so many times as long, and for this part of the
 * time before.
 */
const LASTS_LONGER = 1.5;
const DRAIN_OF_TIME = 1 / 4;
/** What becomes ready meanwhile goes into one window. Of runs that are not brief. */
const GATHER_MS = 1_000;
/** A run that is not brief and waits for long attempts of its own begins nothing more at this length. Temporal warns at 10,240 events and ends workflows at 51,200. */
const MOST_EVENTS_BEFORE = 10_000;

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

/** None hears of the root's cancellation directly, only through the reducer's `stop`. */
export class Attempts {
  readonly #options: AttemptsOptions;
  readonly #scopes: AttemptScopes;
  readonly #underWay = new Map<number, Attempt>();
  readonly #windows: RunWindows;
  readonly #size: WindowSize | undefined;
  /** Absent: the run is not brief. */
  readonly #history: HistoryRoom | undefined;
  readonly #hasOwn: boolean;
  /** Since when the history has been long. */
  #drainsSince: number | undefined;
  #lastOpenedAt = 0;
  readonly #beganAt = Date.now();
  /** What the longest one has lasted that has ended. */
  #longestMs = 0;
  #own = 0;
  /** The calls of the next window. */
  #calls: WindowCall[] = [];
  #bytes = 0;

  constructor(options: AttemptsOptions) {
    this.#options = options;
    const { input, shield } = options;
    this.#size = sizeOf(input);
    this.#scopes = new AttemptScopes(shield);
    this.#windows = new RunWindows(input.run, input.continued?.windows ?? 0, {
      ended: (index, end) => this.#ended(index, end),
      broken: options.broken,
    });
    const history = { length: () => workflowInfo().historyLength, owed: () => this.#windows.owed };
    this.#history = input.brief === true ? new HistoryRoom(history) : undefined;
    this.#hasOwn = input.plan.tasks.some(mayBeOwn);
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
    if (this.#isLong || workflowInfo().continueAsNewSuggested) this.#drainsSince ??= Date.now();
    return this.#drainsSince === undefined || (this.inFlight > 0 && Date.now() >= this.goesOnAt);
  }

  get #isLong(): boolean {
    if (this.#history !== undefined) return this.#history.forOwn(this.#own) <= 0;
    const { historyLength } = workflowInfo();
    // Runs that are not amended begin as long as what they have had is short, whatever their open attempts are still to leave.
    const willBe = this.#options.input.amended === true ? historyLength + this.#own * EVENTS_OF_ATTEMPT : historyLength;
    return willBe >= LIMITS.historyEvents;
  }

  /** While its history is long: when it goes on by windows, unless it continues as new before. */
  get goesOnAt(): number {
    if (this.#drainsSince === undefined || this.isStalled) return Infinity;
    if (this.#size === SMALL) return this.#drainsSince + DRAIN_MS;
    const [oldest] = this.#underWay.values();
    if (oldest === undefined) return Infinity;
    // Attempts that follow each other must not keep it from ever continuing as new.
    const next = this.#history?.nextStepAt ?? this.#lastOpenedAt + GATHER_MS;
    return Math.max(Date.parse(oldest.facts.startedAt) + this.#drainMs(this.#drainsSince), next);
  }

  #drainMs(since: number): number {
    if (this.#history === undefined) return DRAIN_MS;
    return Math.max(DRAIN_MS, Math.min(this.#longestMs * LASTS_LONGER, (since - this.#beganAt) * DRAIN_OF_TIME));
  }

  /** Nothing begins until it has continued as new. */
  get isStalled(): boolean {
    if (!this.isDraining || this.#size === undefined) return this.isDraining;
    return this.#history === undefined ? workflowInfo().historyLength >= MOST_EVENTS_BEFORE : this.#history.forSteps(this.#own) <= 0;
  }

  /** So long a brief run's history has been long, and so long it has to go easy on it. */
  get longForMs(): number {
    return this.#history === undefined || this.#drainsSince === undefined ? 0 : Date.now() - this.#drainsSince;
  }

  /** What is waited for by all that is ready, in words. */
  get awaited(): string | undefined {
    if (!this.isDraining) return undefined;
    const next = this.isStalled ? Infinity : this.goesOnAt;
    const when = next === Infinity ? "nothing begins before what runs has ended" : `next at ${new Date(next).toISOString()}`;
    return `its history is long: what is ready begins together, ${when}`;
  }

  /** Windows opened so far. */
  get windows(): number {
    return this.#windows.opened;
  }

  receive(told: WindowSignal): void {
    this.#history?.hear(this.#own);
    this.#windows.receive(told);
  }

  /** How many of `ready` tasks may begin, and where. */
  room(ready: number): Room {
    if (!this.mayBegin) return NO_ROOM;
    const size = this.#size;
    if (size === undefined || !(this.isDraining || this.#isBulk(ready, size)))
      return { inWindows: false, calls: Math.min(LIMITS.activitiesInFlight - this.#own, this.#history?.forOwn(this.#own) ?? Infinity) };
    const calls = size.left + size.calls - (this.inFlight - this.#own);
    const steps = this.#history?.forSteps(this.#own) ?? Infinity;
    // Small windows cost nearly as much as large ones.
    if (calls < Math.min(ready, size.calls) || steps <= 0) return NO_ROOM;
    return { inWindows: true, calls: Math.min(calls, size.atATime, this.#hasOwn ? steps : Infinity) };
  }

  /** More than the history has room for: fewer are done sooner as the run's own. */
  #isBulk(ready: number, size: WindowSize): boolean {
    if (size === SMALL) return ready >= BULK_OF_SMALL;
    return workflowInfo().historyLength + (ready + this.#own) * EVENTS_OF_ATTEMPT >= LIMITS.historyEvents;
  }

  begin(index: number, call: PreparedCall, attempt: Omit<Attempt, "resultOf">, { inWindows }: Room): void {
    const { activity, send, resultOf, dueAt } = call;
    this.#underWay.set(index, { ...attempt, resultOf });
    const group = groupOf(attempt.task);
    const size = this.#size;
    if (inWindows && activity !== undefined && size !== undefined) {
      if (this.#bytes + call.bytes > size.bytes || this.#calls.length >= size.calls) this.openWindow();
      this.#calls.push({ index, group, isOwn: attempt.task.operator === "activity", activity, ...(dueAt === undefined ? {} : { dueAt }) });
      this.#bytes += call.bytes;
      return;
    }
    this.#own += 1;
    this.#step();
    const { input } = this.#options;
    const entered = this.#scopes.enter(group, dueAt);
    const { scope } = entered;
    const work = (): Promise<void> =>
      send().then(
        (answer) => this.#endedHere(index, entered, { kind: "succeeded", answer }),
        (error: unknown) => {
          try {
            const isAsked = input.minds === undefined || scope.consideredCancelled;
            this.#endedHere(index, entered, endIn(entered, readFailure(error, attempt.task.operator === "activity", isAsked)));
          } catch (bug) {
            this.#options.broken(bug);
          }
        },
      );
    // Most tasks are started by the end of another, in the right scope already.
    void (CancellationScope.current() === scope ? work() : scope.run(work));
  }

  /** Something begins; where the history is long that is a step. */
  #step(): void {
    if (this.#drainsSince !== undefined) this.#history?.step(this.#own, this.#drainsSince);
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
    const { atOnce } = this.#size ?? {};
    this.#lastOpenedAt = Date.now();
    const mostMessages = this.#history?.messages(this.#own);
    this.#step();
    const more = { ...(atOnce === undefined ? {} : { atOnce }), ...(mostMessages === undefined ? {} : { mostMessages }) };
    void shield.run(async () => this.#windows.open({ calls, ...more }, summary));
  }

  cancel(tasks: readonly PlanTask[]): void {
    const groups = [...new Set(tasks.map(groupOf))];
    if (groups.length === 0) return;
    for (const group of groups) this.#scopes.cancel(group);
    this.openWindow();
    // A message that is sent where all is cancelled already does not leave.
    void this.#options.shield.run(async () => this.#windows.cancel(groups));
  }

  /** When the time of the next attempts is over that Temporal does not look after. */
  get nextDue(): number {
    return this.#scopes.nextDue;
  }

  /** Answers whether there were some. */
  giveUpOverdue(): boolean {
    return this.#scopes.giveUp(Date.now());
  }

  #endedHere(index: number, entered: AttemptScope, end: AttemptEnd): void {
    this.#own -= 1;
    this.#scopes.leave(entered);
    this.#ended(index, end);
  }

  #ended(index: number, end: AttemptEnd): void {
    const attempt = this.#underWay.get(index);
    if (attempt === undefined) return;
    this.#underWay.delete(index);
    this.#longestMs = Math.max(this.#longestMs, Date.now() - Date.parse(attempt.facts.startedAt));
    this.#options.ended(index, end, attempt);
  }
}

const sizeOf = ({ windows, thrifty, brief }: RunManner): WindowSize | undefined => {
  if (windows !== true) return undefined;
  if (brief === true) return OF_BRIEF;
  return thrifty === true ? LARGE : SMALL;
};

/** No window carries out a child workflow, or an input that has to be made first. */
const mayBeOwn = ({ operator, forEach, reads = [] }: PlanTask): boolean =>
  forEach !== undefined || operator === "pipeline" || (operator === "activity" && reads.length > 0);

const groupOf = ({ rule, finally: isFinally }: PlanTask): AttemptGroup => {
  if (isFinally !== undefined) return "shielded";
  return RUNS_AFTER_FAILURE.has(rule) ? "surviving" : "stoppable";
};

// Some attempts of a run that has many: a child workflow, so that their events are not in the run's history.

import {
  CancellationScope,
  condition,
  defineSignal,
  getExternalWorkflowHandle,
  setCurrentDetails,
  setHandler,
  sleep,
  TemporalFailure,
  workflowInfo,
} from "@temporalio/workflow";
import { type AttemptGroup, type AttemptScope, AttemptScopes, endIn, givenUpAt } from "./attempt-scopes.ts";
import { readFailure } from "./failure.ts";
import { WINDOW_CANCEL_SIGNAL, WINDOW_SIGNAL, type WindowEnd, type WindowSignal } from "./messages.ts";
import { type ActivityCall, callActivity } from "./task-call.ts";

export interface WindowCall {
  readonly index: number;
  readonly group: AttemptGroup;
  readonly isOwn: boolean;
  readonly activity: ActivityCall;
  /** When its time is over; absent: Temporal looks after it. */
  readonly dueAt?: number;
}

export interface WindowInput {
  readonly window: number;
  readonly calls: readonly WindowCall[];
  /** How many of them begin at once. The others follow as those end, and, where they last long, with time. Absent: all. */
  readonly atOnce?: number;
  /** How often it may tell its run of ends before its own. Absent: as often as it likes. */
  readonly mostMessages?: number;
}

/**
 * Each message costs the run a workflow task: the run hears of a third of what goes on in one, or of what there is after so long. A message of each quarter of
 * a second would fill the run's history where attempts last long; what they lasted themselves makes the longer wait small.
 */
const PART = 3;
const PATIENCE_MS = 250;
const PATIENCE_OF_AGE = 1 / 20;
/** Where messages are numbered: twice that part of its age which the next one is of those that are left. They last for hours. */
const PATIENCE_OF_SHARE = 2;
/** Of windows that begin with all. */
const SHORT_PATIENCE_MS = 100;

/** More at once were no faster where attempts are short; long ones are for more workers than one. */
const MORE_EVERY_MS = 1_000;
const MORE_AT_ONCE = 100;

/** Answers with the ends that it has not told its run before. */
export async function window(input: WindowInput): Promise<readonly WindowEnd[]> {
  const execution = new WindowExecution(input);
  setHandler(defineSignal<[readonly AttemptGroup[]]>(WINDOW_CANCEL_SIGNAL), (groups) => execution.cancel(groups));
  return execution.carryOut();
}

class WindowExecution {
  readonly #input: WindowInput;
  readonly #scopes = new AttemptScopes(CancellationScope.current());
  /** Calls that have begun, and those of them that have ended. */
  #begun = 0;
  #done = 0;
  #atOnce: number;
  #ended: WindowEnd[] = [];
  #broken: unknown;

  constructor(input: WindowInput) {
    this.#input = input;
    this.#atOnce = input.atOnce ?? input.calls.length;
  }

  carryOut(): Promise<readonly WindowEnd[]> {
    this.#begin();
    // It ends when its attempts have, also where it is cancelled.
    return CancellationScope.nonCancellable(() => {
      if (this.#hasMore) void this.#beginMore();
      void this.#lookAtTime();
      return this.#tell();
    });
  }

  get #hasMore(): boolean {
    return this.#begun < this.#input.calls.length;
  }

  get #open(): number {
    return this.#input.calls.length - this.#done;
  }

  /** Not at each end: there are hundreds. */
  #describe(): void {
    const { window: number, calls } = this.#input;
    const run = workflowInfo().parent?.workflowId ?? "no run";
    const later = calls.length - this.#begun;
    const more = later === 0 ? "" : `, ${later} begin later`;
    setCurrentDetails(
      `window ${number} of ${run}: of ${calls.length} attempts ${this.#done} ended, ${this.#begun - this.#done} run${more}`,
    );
  }

  #begin(): void {
    const { calls } = this.#input;
    for (; this.#begun - this.#done < this.#atOnce && this.#hasMore; this.#begun += 1) {
      const call = calls[this.#begun] as WindowCall;
      const entered = this.#scopes.enter(call.group, call.dueAt);
      const { scope } = entered;
      // What follows on an end is in its scope already.
      void (CancellationScope.current() === scope ? this.#attempt(call, entered) : scope.run(() => this.#attempt(call, entered)));
    }
  }

  async #beginMore(): Promise<void> {
    while (this.#hasMore) {
      const before = this.#done;
      await sleep(MORE_EVERY_MS, { summary: "whether attempts last long" });
      // Short ones make room themselves.
      if (this.#done - before < this.#atOnce) this.#atOnce += MORE_AT_ONCE;
      this.#begin();
      this.#describe();
    }
  }

  cancel(groups: readonly AttemptGroup[]): void {
    for (const group of groups) this.#scopes.cancel(group);
  }

  async #lookAtTime(): Promise<void> {
    const moments = new Set(this.#input.calls.flatMap(({ dueAt }) => (dueAt === undefined ? [] : [givenUpAt(dueAt)])));
    for (const moment of [...moments].toSorted((left, right) => left - right)) {
      await sleep(Math.max(moment - Date.now(), 1), { summary: "whether attempts take too long" });
      this.#scopes.giveUp(Date.now());
    }
  }

  #attempt({ index, isOwn, activity }: WindowCall, entered: AttemptScope): Promise<void> {
    const ended = (end: WindowEnd[1]): void => {
      this.#scopes.leave(entered);
      this.#done += 1;
      this.#ended.push([index, end]);
      this.#begin();
    };
    return callActivity(activity).then(
      (answer) => ended({ kind: "succeeded", answer }),
      (error: unknown) => {
        try {
          ended(endIn(entered, readFailure(error, isOwn, entered.scope.consideredCancelled)));
        } catch (bug) {
          this.#broken = bug;
        }
      },
    );
  }

  async #tell(): Promise<readonly WindowEnd[]> {
    const { parent } = workflowInfo();
    const run = parent === undefined ? undefined : getExternalWorkflowHandle(parent.workflowId, parent.runId);
    const beganAt = Date.now();
    const { atOnce, mostMessages } = this.#input;
    let left = mostMessages ?? Infinity;
    const patience = (): number => {
      if (atOnce === undefined) return SHORT_PATIENCE_MS;
      const part = mostMessages === undefined ? PATIENCE_OF_AGE : PATIENCE_OF_SHARE / left;
      return Math.max(PATIENCE_MS, (Date.now() - beganAt) * part);
    };
    for (;;) {
      this.#describe();
      await condition(() => this.#ended.length > 0 || this.#broken !== undefined);
      const isLast = (): boolean => this.#open === 0 || this.#broken !== undefined;
      const isPart = (): boolean => this.#open <= this.#ended.length * PART || isLast();
      if (left > 0 && !isPart()) await condition(isPart, patience());
      else if (left <= 0 && !isLast()) await condition(isLast);
      left -= 1;
      if (this.#broken !== undefined) throw this.#broken;
      const ended = this.#ended;
      this.#ended = [];
      this.#describe();
      if (this.#open === 0) return ended;
      const told: WindowSignal = { window: this.#input.window, ended };
      await run?.signal(WINDOW_SIGNAL, told).catch((error: unknown) => {
        // A run that is gone takes its windows with it.
        if (!(error instanceof TemporalFailure)) throw error;
      });
    }
  }
}

// What the end of an attempt means for its task: reported, then a success, another look or try, or a failure.

import {
  heldSince,
  hold,
  type Graph,
  mayStart,
  nextRound,
  type RunState,
  type Settled,
  succeed,
  cancelTask,
  taskOf,
  type TaskState,
} from "../core/run-state.ts";
import { failAttempt, loseAttempt } from "../core/run-attempts.ts";
import type { AttemptChange, TaskError, TaskResult } from "../core/run-changes.ts";
import type { Attempt, AttemptFacts } from "./attempts.ts";
import type { AttemptEnd, AttemptFailed } from "./failure.ts";
import { nextLook } from "./holding.ts";
import type { RunInput } from "./messages.ts";
import type { Reporter } from "./reporter.ts";

/** Lost attempts of a user's own activity that are forgiven before the task counts as failed. */
const MOST_LOST_ATTEMPTS = 100;

export type Result = Pick<TaskResult, "output" | "metrics">;

/** What it needs of the run. */
export interface EndedIn {
  readonly state: RunState;
  readonly reporter: Reporter;
  readonly results: Map<number, Result>;
  readonly input: () => RunInput;
  readonly graph: () => Graph;
  readonly wakeAt: (moment: number) => void;
}

export class AttemptEnds {
  readonly #run: EndedIn;
  /** By task: attempts of waits that go on between two looks. */
  readonly #looking = new Map<number, AttemptFacts>();

  constructor(run: EndedIn) {
    this.#run = run;
    for (const [index, { hold: reason, betweenRounds }] of run.state.tasks.entries())
      if (reason === "condition" || betweenRounds === true) this.#looking.set(index, this.#factsOf(index));
  }

  #factsOf(index: number): AttemptFacts {
    const { attempts, startedAt } = this.#run.state.tasks[index] as TaskState;
    return { taskId: taskOf(this.#run.graph(), index).id, attempt: attempts, startedAt: iso(startedAt ?? Date.now()) };
  }

  /** The wait has come to its deadline: its attempt as well, also one that came too late for a look. */
  atDeadline(index: number, now: number, error?: TaskError): void {
    const { wait } = taskOf(this.#run.graph(), index);
    if (wait?.for !== undefined || wait?.until !== undefined) return;
    const facts = this.#looking.get(index) ?? { ...this.#factsOf(index), startedAt: iso(now) };
    this.#looking.delete(index);
    const ended = error === undefined ? ({ status: "cancelled" } as const) : ({ status: "failed", error } as const);
    this.#run.reporter.attempt({ ...facts, ...ended, finishedAt: iso(now) });
  }

  /** The task has ended between two looks: somebody marked it, or the run stopped. */
  close(index: number, now: number): void {
    const facts = this.#looking.get(index);
    if (facts === undefined) return;
    this.#looking.delete(index);
    this.#run.reporter.attempt({ ...facts, status: "cancelled", finishedAt: iso(now) });
  }

  settle(index: number, end: AttemptEnd, { facts, resultOf }: Pick<Attempt, "facts" | "resultOf">): Settled {
    const now = Date.now();
    this.#looking.delete(index);
    return end.kind === "succeeded" ? this.#success(index, resultOf(end.answer), facts, now) : this.#failure(index, end, facts, now);
  }

  succeed(index: number, result: Result, now: number): Settled {
    const { state, results, graph } = this.#run;
    results.set(index, result);
    return succeed(state, graph(), index, result.output, now);
  }

  #success(index: number, { output, metrics, goesOn, worker, lostAttempts }: TaskResult, facts: AttemptFacts, now: number): Settled {
    const { state, reporter, graph, wakeAt } = this.#run;
    const task = taskOf(graph(), index);
    if (goesOn === true) {
      if (!mayStart(state, task)) {
        reporter.attempt({ ...facts, status: "cancelled", finishedAt: iso(now) });
        return cancelTask(state, graph(), index, now);
      }
      nextRound(state, index, now);
      this.#looking.set(index, facts);
      // Its figures its worker shows: those of the round would be older than what the next one has shown.
      reporter.task(index);
      return { ended: [], cancel: [] };
    }
    if (task.wait !== undefined && (output as { readonly met?: unknown } | null)?.met !== true) {
      const own = state.tasks[index] as TaskState;
      const until = nextLook(task, own, heldSince(graph(), own) ?? now, now);
      hold(state, index, "condition", until);
      this.#looking.set(index, facts);
      reporter.task(index);
      wakeAt(until);
      return { ended: [], cancel: [] };
    }
    reporter.attempt({ ...facts, status: "succeeded", finishedAt: iso(now), ...workerOf(worker, lostAttempts) });
    return this.succeed(index, { output, ...(metrics === undefined ? {} : { metrics }) }, now);
  }

  #failure(index: number, end: AttemptFailed, facts: AttemptFacts, now: number): Settled {
    const { state, reporter, input } = this.#run;
    const graph = this.#run.graph();
    const ended = { ...facts, finishedAt: iso(now) };
    if (end.kind === "cancelled") {
      reporter.attempt({ ...ended, status: "cancelled" });
      return cancelTask(state, graph, index, now);
    }
    if (end.kind === "lost" && (state.tasks[index]?.lost ?? 0) < MOST_LOST_ATTEMPTS) {
      reporter.attempt({ ...ended, status: "lost", error: end.error });
      reporter.task(index);
      return loseAttempt(state, graph, index, now);
    }
    const { retryAfterMs, ...taskError } = end.error;
    reporter.attempt({ ...ended, status: "failed", error: taskError, ...workerOf(end.worker, end.lostAttempts) });
    reporter.task(index);
    // Runs that began before that was read of own activities did not wait for it.
    const isHeard = input().amended === true || taskOf(graph, index).operator !== "activity";
    const failure = retryAfterMs === undefined || !isHeard ? taskError : { ...taskError, retryAfterMs };
    return failAttempt(state, graph, index, failure, now);
  }
}

export const iso = (milliseconds: number): string => new Date(milliseconds).toISOString();

const workerOf = (worker: string | undefined, lostAttempts = 0): Pick<AttemptChange, "worker" | "lostAttempts"> => ({
  ...(worker === undefined ? {} : { worker }),
  ...(lostAttempts === 0 ? {} : { lostAttempts }),
});

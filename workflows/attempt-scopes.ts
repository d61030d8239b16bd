// The cancellation scopes of attempts: one for each group and time, since one for each attempt would triple what a task costs the sandbox.

import { CancellationScope } from "@temporalio/workflow";
import { type AttemptFailed, TASK_OVERDUE } from "./failure.ts";

/** What stops attempts: a failure, a cancellation alone, or nothing. */
export type AttemptGroup = "stoppable" | "surviving" | "shielded";

/** Attempts whose time is over within the same seconds are given up together. */
const GRAIN_MS = 5_000;

export interface AttemptScope {
  readonly scope: CancellationScope;
  readonly group: AttemptGroup;
  /** When the time of all its attempts is over, in milliseconds since 1970. Infinity: nobody here looks after it. */
  readonly dueAt: number;
  /** What was cancelled in it has taken too long. */
  isOverdue: boolean;
  underWay: number;
}

/** How an attempt in it has ended that failed. */
export const endIn = ({ isOverdue }: AttemptScope, end: AttemptFailed): AttemptFailed =>
  isOverdue && end.kind === "cancelled" ? TASK_OVERDUE : end;

export const givenUpAt = (dueAt: number): number => Math.ceil(dueAt / GRAIN_MS) * GRAIN_MS;

export class AttemptScopes {
  readonly #parent: CancellationScope;
  readonly #scopes = new Map<string, AttemptScope>();
  readonly #cancelled = new Set<AttemptGroup>();

  constructor(parent: CancellationScope) {
    this.#parent = parent;
  }

  /** For one attempt more. `dueAt`: absent where Temporal looks after its time. */
  enter(group: AttemptGroup, dueAt = Infinity): AttemptScope {
    const due = givenUpAt(dueAt);
    const name = `${group} ${due}`;
    const found = this.#scopes.get(name) ?? {
      scope: new CancellationScope({ cancellable: true, parent: this.#parent }),
      group,
      dueAt: due,
      isOverdue: false,
      underWay: 0,
    };
    found.underWay += 1;
    this.#scopes.set(name, found);
    if (this.#cancelled.has(group) && !found.scope.consideredCancelled) found.scope.cancel();
    if (due <= Date.now()) this.giveUp(Date.now());
    return found;
  }

  /** One attempt has ended. */
  leave(entered: AttemptScope): void {
    entered.underWay -= 1;
  }

  /** When the next attempts under way are to be given up. */
  get nextDue(): number {
    let next = Infinity;
    for (const [name, { dueAt, underWay, isOverdue }] of this.#scopes) {
      // There may be thousands in a long run.
      if (underWay === 0 && dueAt !== Infinity) this.#scopes.delete(name);
      else if (!isOverdue) next = Math.min(next, dueAt);
    }
    return next;
  }

  /** Answers whether there was something to give up. */
  giveUp(now: number): boolean {
    const overdue = [...this.#scopes.values()].filter(({ dueAt, scope }) => dueAt <= now && !scope.consideredCancelled);
    for (const one of overdue) {
      one.isOverdue = true;
      one.scope.cancel();
    }
    return overdue.length > 0;
  }

  /** Also those that enter it later. */
  cancel(group: AttemptGroup): void {
    this.#cancelled.add(group);
    for (const one of this.#scopes.values()) if (one.group === group) one.scope.cancel();
  }
}

// Some attempts of a run that has many: a child workflow, so that their events are not in the run's history.

import {
  CancellationScope,
  condition,
  defineSignal,
  getExternalWorkflowHandle,
  setHandler,
  TemporalFailure,
  workflowInfo,
} from "@temporalio/workflow";
import { readFailure } from "./failure.ts";
import { WINDOW_CANCEL_SIGNAL, WINDOW_SIGNAL, type WindowEnd, type WindowSignal } from "./messages.ts";
import { type ActivityCall, callActivity } from "./task-call.ts";

/** What stops attempts: a failure, a cancellation alone, or nothing. */
export type AttemptGroup = "stoppable" | "surviving" | "shielded";

export interface WindowCall {
  readonly index: number;
  readonly group: AttemptGroup;
  readonly isOwn: boolean;
  readonly activity: ActivityCall;
}

export interface WindowInput {
  readonly window: number;
  readonly calls: readonly WindowCall[];
}

/** Each message costs the run a workflow task: the run hears of a third of what goes on in one, or of what there is after so long. */
const PART = 3;
const PATIENCE_MS = 100;

/** Answers with the ends that it has not told its run before. */
export async function window(input: WindowInput): Promise<readonly WindowEnd[]> {
  const execution = new WindowExecution(input);
  setHandler(defineSignal<[readonly AttemptGroup[]]>(WINDOW_CANCEL_SIGNAL), (groups) => execution.cancel(groups));
  return execution.carryOut();
}

class WindowExecution {
  readonly #input: WindowInput;
  readonly #scopes = new Map<AttemptGroup, CancellationScope>();
  #open: number;
  #ended: WindowEnd[] = [];
  #broken: unknown;

  constructor(input: WindowInput) {
    this.#input = input;
    this.#open = input.calls.length;
  }

  carryOut(): Promise<readonly WindowEnd[]> {
    for (const call of this.#input.calls) {
      const scope = this.#scopeOf(call.group);
      void scope.run(() => this.#attempt(call, scope));
    }
    // It ends when its attempts have, also where it is cancelled.
    return CancellationScope.nonCancellable(() => this.#tell());
  }

  cancel(groups: readonly AttemptGroup[]): void {
    for (const group of groups) this.#scopeOf(group).cancel();
  }

  #scopeOf(group: AttemptGroup): CancellationScope {
    const known = this.#scopes.get(group);
    if (known !== undefined) return known;
    const scope = new CancellationScope({ cancellable: true, parent: CancellationScope.current() });
    this.#scopes.set(group, scope);
    return scope;
  }

  #attempt({ index, isOwn, activity }: WindowCall, scope: CancellationScope): Promise<void> {
    const ended = (end: WindowEnd[1]): void => {
      this.#open -= 1;
      this.#ended.push([index, end]);
    };
    return callActivity(activity).then(
      (answer) => ended({ kind: "succeeded", answer }),
      (error: unknown) => {
        try {
          ended(readFailure(error, isOwn, scope.consideredCancelled));
        } catch (bug) {
          this.#broken = bug;
        }
      },
    );
  }

  async #tell(): Promise<readonly WindowEnd[]> {
    const { parent } = workflowInfo();
    const run = parent === undefined ? undefined : getExternalWorkflowHandle(parent.workflowId, parent.runId);
    for (;;) {
      await condition(() => this.#ended.length > 0 || this.#broken !== undefined);
      const isPart = (): boolean => this.#open <= this.#ended.length * PART || this.#broken !== undefined;
      if (!isPart()) await condition(isPart, PATIENCE_MS);
      if (this.#broken !== undefined) throw this.#broken;
      const ended = this.#ended;
      this.#ended = [];
      if (this.#open === 0) return ended;
      const told: WindowSignal = { window: this.#input.window, ended };
      await run?.signal(WINDOW_SIGNAL, told).catch((error: unknown) => {
        // A run that is gone takes its windows with it.
        if (!(error instanceof TemporalFailure)) throw error;
      });
    }
  }
}

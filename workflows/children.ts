// The child workflows that are under way: each hears when what started it is paused or goes on, and is told to stop when its time is over.

import {
  CancellationScope,
  type ChildWorkflowHandle,
  type ChildWorkflowOptions,
  executeChild,
  startChild,
  type Workflow,
  type WorkflowResultType,
} from "@temporalio/workflow";
import type { WithWorkflowArgs } from "@temporalio/common";
import type { Actor } from "../core/run-control.ts";
import { withTotalTimeout } from "./total-timeout.ts";
import { PAUSE_SIGNAL, type PauseSignal } from "./messages.ts";

export class Children {
  readonly #minds: boolean;
  /** With the scope that cancels it. */
  readonly #open = new Map<ChildWorkflowHandle<Workflow>, CancellationScope>();
  #pause: PauseSignal | undefined;

  /** `minds`: as the run's manner has it. Those of older runs end hard when their time is over, and hear nothing. */
  constructor(minds: boolean) {
    this.#minds = minds;
  }

  /** Its result. Rejects with TASK_TIMEOUT when its time is over. */
  carryOut<Child extends Workflow>(
    workflow: string,
    options: WithWorkflowArgs<Child, ChildWorkflowOptions>,
    remainingMs: number,
  ): Promise<WorkflowResultType<Child>> {
    if (!this.#minds) return executeChild<Child>(workflow, { ...options, workflowExecutionTimeout: Math.max(remainingMs, 1_000) });
    return withTotalTimeout(remainingMs, async () => {
      const child = await startChild<Child>(workflow, options);
      this.#open.set(child, CancellationScope.current());
      // It was about to start when the pause came.
      if (this.#pause !== undefined) send(child, this.#pause);
      try {
        return await child.result();
      } finally {
        this.#open.delete(child);
      }
    });
  }

  tell(pause: PauseSignal): void {
    if (!this.#minds) return;
    this.#pause = pause.paused ? pause : undefined;
    for (const child of this.#open.keys()) send(child, pause);
  }

  /** No pause holds any more. Those that are told to stop do not hear of it: they must begin nothing. */
  goOn(actor: Actor): void {
    if (!this.#minds) return;
    this.#pause = undefined;
    for (const [child, scope] of this.#open) if (!scope.consideredCancelled) send(child, { ...actor, paused: false });
  }
}

/** A child that has ended meanwhile needs no news. */
const send = (child: ChildWorkflowHandle<Workflow>, pause: PauseSignal): void =>
  void child.signal(PAUSE_SIGNAL, pause).catch(() => undefined);

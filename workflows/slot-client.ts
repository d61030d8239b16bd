// A run's side of pools: asks their owners for slots and gives them back, in order, whatever becomes of the run.

import { CancellationScope, getExternalWorkflowHandle, proxyActivities, workflowInfo } from "@temporalio/workflow";
import { poolWorkflowId } from "../core/ids.ts";
import type { Concurrency } from "../core/plan.ts";
import { type AcquireSignal, POOL_SIGNALS, type ReleaseSignal } from "./messages.ts";
import { INSPECT_OPTIONS } from "./policies.ts";
import type { DagActivities, PoolInput } from "./ports.ts";

const { ensurePool } = proxyActivities<DagActivities>(INSPECT_OPTIONS);

const DEFAULT_PRIORITY = 3;

export interface SlotWish extends PoolInput {
  readonly key: string;
  readonly priority?: number;
  readonly otherwise?: Concurrency["strategy"];
}

export class SlotClient {
  #last: Promise<void> | undefined;

  get wasUsed(): boolean {
    return this.#last !== undefined;
  }

  /** Answers when the owner has the wish, not when there is a slot: that is a signal of its own. */
  acquire({ key, priority = DEFAULT_PRIORITY, otherwise = "queue", ...pool }: SlotWish): Promise<void> {
    const request: AcquireSignal = {
      request: { key, owner: workflowInfo().workflowId, priority },
      otherwise,
      ...(pool.capacity === undefined ? {} : { capacity: pool.capacity }),
    };
    return this.#inOrder(() => this.#signal(pool, POOL_SIGNALS.acquire, request));
  }

  release(pool: PoolInput, key: string | ReleaseSignal): void {
    // An owner that is gone has nothing to give back to.
    void this.#inOrder(() => this.#signal(pool, POOL_SIGNALS.release, key)).catch(() => undefined);
  }

  /** Until everything is on its way: what a workflow sends as it ends would be lost. */
  settled(): Promise<void> {
    return CancellationScope.nonCancellable(() => this.#last ?? Promise.resolve());
  }

  #inOrder(work: () => Promise<void>): Promise<void> {
    const before = this.#last ?? Promise.resolve();
    const done = CancellationScope.nonCancellable(() => before.then(work));
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #signal(pool: PoolInput, name: string, value: unknown): Promise<void> {
    const send = (): Promise<void> => getExternalWorkflowHandle(poolWorkflowId(pool.pool)).signal(name, value);
    try {
      await send();
    } catch {
      await ensurePool(pool);
      await send();
    }
  }
}

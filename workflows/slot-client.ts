// A run's side of pools: asks their owners for slots and gives them back, in order, whatever becomes of the run.

import { CancellationScope, getExternalWorkflowHandle, proxyActivities, workflowInfo } from "@temporalio/workflow";
import { poolWorkflowId } from "../core/ids.ts";
import type { Concurrency } from "../core/plan.ts";
import { slotPriority } from "../core/slots.ts";
import { type AcquireSignal, POOL_SIGNALS, type RecountSignal, type ReleaseSignal } from "./messages.ts";
import { INSPECT_OPTIONS } from "./policies.ts";
import type { DagActivities, PoolInput } from "./ports.ts";

const { ensurePool } = proxyActivities<DagActivities>(INSPECT_OPTIONS);

export interface SlotWish extends PoolInput {
  readonly key: string;
  readonly priority?: number;
  readonly since?: number;
  readonly otherwise?: Concurrency["strategy"];
}

/** In one message. */
const MOST_GIVEN_BACK = 500;

export class SlotClient {
  readonly #gathers: boolean;
  #last: Promise<void> | undefined;
  /** The slots of the last message, while that has not been sent and gives slots back. */
  #gathered: { readonly pool: string; readonly given: (string | ReleaseSignal)[] } | undefined;

  /** `gathers`: slots that are given back while a message is under way go together. The histories of older runs show a message for each. */
  constructor(gathers: boolean) {
    this.#gathers = gathers;
  }

  get wasUsed(): boolean {
    return this.#last !== undefined;
  }

  /** Answers when the owner has the wish, not when there is a slot: that is a signal of its own. */
  acquire(wish: SlotWish): Promise<void> {
    return this.#acquire(wish, wish.capacity);
  }

  /** The same wish, should its owner know nothing of it. How many slots there are newer runs may know better. */
  acquireAgain(wish: SlotWish): Promise<void> {
    return this.#acquire(wish, undefined);
  }

  #acquire({ key, priority, since, otherwise = "queue", ...pool }: SlotWish, capacity: number | undefined): Promise<void> {
    const owner = workflowInfo().workflowId;
    const asked: AcquireSignal = {
      request: { key, owner, priority: slotPriority(priority), ...(since === undefined ? {} : { since }) },
      otherwise,
      ...(capacity === undefined ? {} : { capacity }),
    };
    return this.#inOrder(() => this.#signal(pool, POOL_SIGNALS.acquire, asked));
  }

  release(pool: PoolInput, key: string | ReleaseSignal): void {
    if (this.#gathered?.pool === pool.pool && this.#gathered.given.length < MOST_GIVEN_BACK) {
      this.#gathered.given.push(key);
      return;
    }
    const gathered = { pool: pool.pool, given: [key] };
    const sent = this.#inOrder(() => {
      if (this.#gathered === gathered) this.#gathered = undefined;
      return this.#signal(pool, POOL_SIGNALS.release, gathered.given.length === 1 ? key : gathered.given);
    });
    if (this.#gathers) this.#gathered = gathered;
    // An owner that is gone has nothing to give back to.
    void sent.catch(() => undefined);
  }

  tell(pool: PoolInput, told: RecountSignal): void {
    void this.#inOrder(() => this.#signal(pool, POOL_SIGNALS.recount, told)).catch(() => undefined);
  }

  /** Until everything is on its way: what a workflow sends as it ends would be lost. */
  settled(): Promise<void> {
    return CancellationScope.nonCancellable(() => this.#last ?? Promise.resolve());
  }

  #inOrder(work: () => Promise<void>): Promise<void> {
    this.#gathered = undefined;
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

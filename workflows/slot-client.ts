// A run's side of pools: asks their owners for slots and gives them back, in order, whatever becomes of the run.

import { CancellationScope, getExternalWorkflowHandle, proxyActivities, workflowInfo } from "@temporalio/workflow";
import { poolWorkflowId } from "../core/ids.ts";
import type { Concurrency } from "../core/plan.ts";
import { type SlotRequest, slotPriority } from "../core/slots.ts";
import type { RunManner } from "../core/run-manner.ts";
import { type AcquireSignal, POOL_SIGNALS, type RecountSignal, type ReleaseSignal } from "./messages.ts";
import { INSPECT_OPTIONS } from "./policies.ts";
import { PoolLetters } from "./pool-letters.ts";
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
  /** Absent: a message for each request, as the histories of older runs show. */
  readonly #letters: PoolLetters | undefined;
  readonly #gathers: boolean;
  /** What a pool's owner is told of this workflow with each request. */
  readonly marks: Pick<SlotRequest, "lists">;
  #last: Promise<void> | undefined;
  /** The slots of the last message, while that has not been sent and gives slots back. */
  #gathered: { readonly pool: string; readonly given: (string | ReleaseSignal)[] } | undefined;

  /** Patient ones send together what is given back while a message is under way, thrifty ones all that comes up meanwhile. */
  constructor({ patient, thrifty }: Pick<RunManner, "patient" | "thrifty">) {
    this.#gathers = patient === true;
    this.marks = thrifty === true ? { lists: true } : {};
    if (thrifty === true) this.#letters = new PoolLetters((pool, name, value) => this.#signal(pool, name, value));
  }

  get wasUsed(): boolean {
    return this.#letters?.wereWritten ?? this.#last !== undefined;
  }

  /** The owner of the pool has answered with a list. */
  noteList(pool: string): void {
    this.#letters?.noteReader(pool);
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
      request: {
        key,
        owner,
        priority: slotPriority(priority),
        ...(since === undefined ? {} : { since }),
        ...this.marks,
      },
      otherwise,
      ...(capacity === undefined ? {} : { capacity }),
    };
    return this.#letters?.add(pool, asked) ?? this.#inOrder(() => this.#signal(pool, POOL_SIGNALS.acquire, asked));
  }

  release(pool: PoolInput, key: string | ReleaseSignal): void {
    if (this.#letters !== undefined) {
      void this.#letters.add(pool, key).catch(() => undefined);
      return;
    }
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
    const sent = this.#letters?.add(pool, told) ?? this.#inOrder(() => this.#signal(pool, POOL_SIGNALS.recount, told));
    void sent.catch(() => undefined);
  }

  /** Until everything is on its way: what a workflow sends as it ends would be lost. */
  settled(): Promise<void> {
    return CancellationScope.nonCancellable(() => this.#letters?.settled() ?? this.#last ?? Promise.resolve());
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

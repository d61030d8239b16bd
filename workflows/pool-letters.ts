// What a workflow tells the owners of pools: one message to each at a time, and what comes up meanwhile goes together with the next.

import { CancellationScope, condition } from "@temporalio/workflow";
import { POOL_SIGNALS, type PoolNote } from "./messages.ts";
import type { PoolInput } from "./ports.ts";

/** In one message. */
const MOST_NOTES = 500;

interface Letter {
  readonly notes: PoolNote[];
  readonly sent: Promise<void>;
}

export class PoolLetters {
  readonly #deliver: (pool: PoolInput, signal: string, value: unknown) => Promise<void>;
  /** Those that wait to be sent, by pool. */
  readonly #open = new Map<string, Letter>();
  readonly #last = new Map<string, Promise<void>>();
  /** Pools whose owners have answered with lists themselves. Builds of before take lists of slots that are given back, and all else singly. */
  readonly #readers = new Set<string>();

  constructor(deliver: (pool: PoolInput, signal: string, value: unknown) => Promise<void>) {
    this.#deliver = deliver;
  }

  get wereWritten(): boolean {
    return this.#last.size > 0;
  }

  /** The owner of the pool takes several notes at once. */
  noteReader(pool: string): void {
    this.#readers.add(pool);
  }

  /** Notes to one pool arrive in their order. Answers when the owner has it. */
  add(pool: PoolInput, note: PoolNote): Promise<void> {
    const open = this.#open.get(pool.pool);
    if (open !== undefined && open.notes.length < MOST_NOTES) {
      open.notes.push(note);
      return open.sent;
    }
    const notes = [note];
    const before = this.#last.get(pool.pool);
    const sent = CancellationScope.nonCancellable(async () => {
      await before;
      await endOfActivation();
      if (this.#open.get(pool.pool)?.notes === notes) this.#open.delete(pool.pool);
      await this.#send(pool, notes);
    });
    this.#open.set(pool.pool, { notes, sent });
    this.#last.set(
      pool.pool,
      sent.catch(() => undefined),
    );
    return sent;
  }

  async #send(pool: PoolInput, notes: readonly PoolNote[]): Promise<void> {
    for (let left = notes; left.length > 0; ) {
      const count = this.#readers.has(pool.pool) ? left.length : Math.max(countGivenBack(left), 1);
      await this.#deliver(pool, ...signalOf(left.slice(0, count)));
      left = left.slice(count);
    }
  }

  /** Until everything is on its way. */
  async settled(): Promise<void> {
    await Promise.all(this.#last.values());
  }
}

const isGivenBack = (note: PoolNote): boolean => typeof note === "string" || "key" in note;

/** From the first on. */
const countGivenBack = (notes: readonly PoolNote[]): number => {
  const other = notes.findIndex((note) => !isGivenBack(note));
  return other < 0 ? notes.length : other;
};

const signalOf = (notes: readonly PoolNote[]): readonly [string, unknown] => {
  const told = notes.length === 1 ? notes[0] : notes;
  if (notes.every(isGivenBack)) return [POOL_SIGNALS.release, told];
  return [typeof told === "object" && "holders" in told ? POOL_SIGNALS.recount : POOL_SIGNALS.acquire, told];
};

/** All that a workflow task brings has been heard then. */
const endOfActivation = async (): Promise<void> => {
  let looks = 0;
  await condition(() => {
    looks += 1;
    return looks > 1;
  });
};

// The dead letters of a load's open chunk: those that it leaves, and those that it replays.

import type { Batch, Reject } from "../../batch.ts";
import type { Bookkeeping, RenewedLetter } from "./bookkeeping.ts";

/** New ones wait in memory for the commit, but not too many. */
const LETTERS_IN_MEMORY = 500;

export class ChunkLetters {
  readonly #books: Bookkeeping;
  #left: Reject[] = [];
  /** Ids of those whose rows are in the chunk. */
  #replayed: string[] = [];
  /** Those that were tried again in vain. */
  #renewed: RenewedLetter[] = [];

  constructor(books: Bookkeeping) {
    this.#books = books;
  }

  add({ rejects = [], letters = [] }: Batch): void {
    for (const { letter, ...reject } of rejects) {
      if (letter === undefined) this.#left.push(reject);
      else this.#renewed.push({ ...reject, letter });
    }
    this.#replayed.push(...letters);
  }

  get areMany(): boolean {
    return this.#left.length > LETTERS_IN_MEMORY;
  }

  async writeLeft(): Promise<void> {
    await this.#books.addDeadLetters(this.#left);
    this.#left = [];
  }

  /** Within the transaction of the rows. What is undone with it is not done again by this load. */
  async settleReplayed(): Promise<void> {
    await this.#books.removeLetters(this.#replayed);
    await this.#books.renewLetters(this.#renewed);
    this.#replayed = [];
    this.#renewed = [];
  }
}

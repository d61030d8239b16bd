// The insert of a load session that is under way beside the reading of the next batch: one at a time.

export class PendingInsert {
  #pending: Promise<void> | undefined;

  /** Nothing may be under way. A failure is thrown by the next `settle`. */
  begin(insert: Promise<void>): void {
    this.#pending = insert;
    insert.catch(() => undefined);
  }

  /** Waits until it has ended. */
  async settle(): Promise<void> {
    const pending = this.#pending;
    if (pending === undefined) return;
    try {
      await pending;
    } finally {
      if (this.#pending === pending) this.#pending = undefined;
    }
  }
}

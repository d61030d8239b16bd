// Where a transaction of the log ends: places lie between transactions, and only whole ones count as followed.

import type { TransactionStart } from "./events.ts";

export class LoggedTransaction {
  readonly start: TransactionStart;
  #isStandalone: boolean | undefined;

  constructor(start: TransactionStart) {
    this.start = start;
    this.#isStandalone = start.isStandalone;
  }

  /** Whether this statement is its last one; ends by COMMIT or ROLLBACK are told apart by whoever reads statements. */
  endsWith(sql: string): boolean {
    // MySQL does not say what follows: the first statement does.
    this.#isStandalone ??= !BEGINS.test(sql);
    return this.#isStandalone;
  }
}

/** A table that is made and filled by one statement begins a transaction, too. */
const BEGINS = /^\s*(?:begin|start\s+transaction|xa\s+(?:start|begin))\b|\bstart\s+transaction\s*$/i;

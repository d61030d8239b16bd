// How many rows of a load may be refused: a number, and a share of what was read.

import type { Reject } from "../connectors/batch.ts";
import { DownbeatError } from "../core/errors.ts";

export interface DeadLetterLimits {
  /** Rows that may be diverted to the dead-letter table before the load fails; 0 = the first one fails it. */
  readonly maxRows: number;
  /** Of the load's rows, those that were refused among them: 0.01 = one in a hundred. */
  readonly maxShare?: number;
}

/** As definitions write them. A share alone sets no number. */
export const limitsOf = (given: { readonly max_rows?: number; readonly max_share?: number } = {}): DeadLetterLimits => {
  const { max_rows: maxRows, max_share: maxShare } = given;
  if (maxShare === undefined) return { maxRows: maxRows ?? 0 };
  return { maxRows: maxRows ?? Number.POSITIVE_INFINITY, maxShare };
};

export const NO_LIMITS: DeadLetterLimits = { maxRows: Number.POSITIVE_INFINITY };

/** A share of fewer rows says little while more of them may come. */
const ENOUGH_ROWS = 1_000;

/** What a load has taken in and refused so far, in all its attempts: the destination's bookkeeping and this attempt's open chunk. */
interface Taken {
  readonly rows: number;
  readonly deadLetters: number;
}

export class DeadLetterGuard {
  readonly #stream: string;
  readonly #limits: DeadLetterLimits;
  #last: Reject | undefined;

  constructor(stream: string, limits: DeadLetterLimits) {
    this.#stream = stream;
    this.#limits = limits;
  }

  /** Looked at with every batch. `total`: with these. */
  refuseNumber(rejects: readonly Reject[], total: number): void {
    const first = rejects[0];
    this.#last = rejects.at(-1) ?? this.#last;
    const { maxRows } = this.#limits;
    if (first === undefined || total <= maxRows) return;
    if (maxRows === 0) {
      throw new DownbeatError(
        first.code,
        `${this.#told(first)}; repair the row, or let the task divert such rows with dead_letters.max_rows or dead_letters.max_share`,
      );
    }
    throw new DownbeatError(
      "DEAD_LETTER_LIMIT",
      `${total} rows refused, ${maxRows} allowed (dead_letters.max_rows); the last: ${this.#told(rejects.at(-1) ?? first)}`,
      { details: { refused: total, allowed: maxRows } },
    );
  }

  /** Looked at before every commit, of part of the rows only once there are enough of them. */
  refuseShare({ rows, deadLetters }: Taken, extent: "part" | "whole" = "part"): void {
    const { maxShare } = this.#limits;
    const read = rows + deadLetters;
    // Divided, not multiplied: 29 of 100 are exactly 0.29.
    const share = read === 0 ? 0 : deadLetters / read;
    if (maxShare === undefined || share <= maxShare || (extent === "part" && read < ENOUGH_ROWS)) return;
    const last = this.#last === undefined ? "" : `; the last: ${this.#told(this.#last)}`;
    throw new DownbeatError(
      "DEAD_LETTER_LIMIT",
      `${this.#stream}: ${deadLetters} of ${read} rows refused, that is ${percent(share)}, and ${percent(maxShare)} allowed (dead_letters.max_share)${last}`,
      { details: { refused: deadLetters, read, share, allowedShare: maxShare } },
    );
  }

  #told({ where, reason }: Reject): string {
    return `${this.#stream}: ${where}: ${reason}`;
  }
}

/** To three digits: enough to see on which side of a limit a share lies. */
const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`;

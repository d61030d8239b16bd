// How far the events of a log have led: the place, the transactions up to it, and whether that is the end of what was asked for.

import { parseStart } from "./gtids/events.ts";
import type { GtidPosition } from "./gtids/position.ts";
import { LoggedTransaction } from "./gtids/transaction.ts";
import { type LogEvent, parseRotate } from "./log-event.ts";
import { type FilePlace, isBefore, type LogPlace, PlaceGone, shown } from "./log-place.ts";

export interface ProgressOptions {
  readonly from: LogPlace;
  /** Whether `from` is a place of this server's files, or is found by its GTIDs alone. */
  readonly isFromHere: boolean;
  /** Those of `from`; the reading adds to them. Undefined: they are not known. */
  readonly gtids: GtidPosition | undefined;
  readonly until: LogPlace;
  /** What `until` means: a place of this server's files, or, told by another server, its GTIDs. Undefined: wherever the log ends. */
  readonly end: FilePlace | GtidPosition | undefined;
}

/** Behind a transaction. */
export interface LogEnd {
  readonly place: LogPlace;
  /** When it was logged: seconds since 1970 by the server's clock; undefined where none came yet. */
  readonly at: number | undefined;
}

export const isFile = (end: ProgressOptions["end"]): end is FilePlace => end !== undefined && "file" in end;

/** Events tell 32 bits of where the next one begins, though a file with one large transaction is longer. */
const WRAP = 0x1_0000_0000;

const unwrapped = (next: number, before: number): number => {
  const high = Math.floor(before / WRAP) * WRAP;
  return high + next < before ? high + WRAP + next : high + next;
};

/** With when its file was made. */
type ReachedPlace = FilePlace & { readonly made: number | undefined };

export class LogProgress {
  readonly #options: ProgressOptions;
  /** Where the next event begins. */
  place: ReachedPlace;
  isAtEnd: boolean;
  /** Behind the last transaction that has ended; undefined: still where the reading began. */
  #safe: ReachedPlace | undefined;
  /** Of that transaction, whichever tables it has changed. */
  #safeAt: number | undefined;
  /** The file that the reading begins in has told of itself. */
  #isDescribed = false;
  /** The transaction under way, where the log says where transactions begin. */
  #transaction: LoggedTransaction | undefined;
  /** The last one is among the GTIDs that the reading began with: older than others of them, it is one with what follows. */
  #isRepeat = false;
  #hasEnded = false;
  #gtids: GtidPosition | undefined;

  constructor(options: ProgressOptions) {
    const { from, isFromHere, gtids } = options;
    this.#options = options;
    this.place = isFromHere ? { file: from.file, offset: from.offset, made: from.made } : { file: "", offset: 0, made: undefined };
    this.#gtids = gtids;
    this.isAtEnd = this.#hasReached(from);
  }

  #hasReached(place: FilePlace): boolean {
    const { end } = this.#options;
    if (end === undefined) return false;
    return isFile(end) ? !isBefore(place, end) : this.#gtids?.covers(end) === true;
  }

  /** Where the next reading goes on. */
  get end(): LogPlace {
    const { end, until } = this.#options;
    const reached = this.safeEnd.place;
    // What an older build has begun: the place that the server has told has GTIDs, too.
    return reached.gtids === undefined && isFile(end) && !isBefore(until, reached)
      ? { file: until.file, offset: until.offset, ...(until.gtids === undefined ? {} : { gtids: until.gtids }) }
      : reached;
  }

  get safeEnd(): LogEnd {
    const safe = this.#safe;
    if (safe === undefined) return { place: this.#options.from, at: undefined };
    const { file, offset, made } = safe;
    const gtids = this.#gtids?.text;
    return {
      place: { file, offset, ...(made === undefined ? {} : { made }), ...(gtids === undefined ? {} : { gtids }) },
      at: this.#safeAt,
    };
  }

  /** No place lies behind the rows that came last. */
  get isRepeat(): boolean {
    return this.#isRepeat;
  }

  /** Another file begins. */
  rotate(event: LogEvent): void {
    const { file, offset } = parseRotate(event);
    this.place = { file, offset, made: file === this.place.file ? this.place.made : undefined };
  }

  /** The file's first event: when it was made. */
  describe({ at: made }: LogEvent): void {
    const { from, isFromHere } = this.#options;
    if (!this.#isDescribed && isFromHere && from.made !== undefined && from.made !== made) {
      throw new PlaceGone(`${shown(from)} was in a file that was made at ${from.made}, and that of this name was made at ${made}`);
    }
    // No transaction goes on in another file: a server that died while it wrote it has never committed it.
    if (this.#isDescribed) this.#transaction = undefined;
    this.#isDescribed = true;
    this.place = { ...this.place, made };
  }

  begin(event: LogEvent): void {
    const start = parseStart(event);
    if (start === undefined) return;
    // One that has ended in a way that was not known here has ended all the same.
    if (this.#transaction !== undefined) {
      this.endTransaction();
      this.settle();
    }
    if (start.gtid === undefined) this.#gtids = undefined;
    this.#transaction = new LoggedTransaction(start);
  }

  /** Whether the transaction under way has this statement as its last one. */
  endsWith(sql: string): boolean {
    return this.#transaction?.endsWith(sql) === true;
  }

  endTransaction(): void {
    if (this.#transaction === undefined) return;
    const { gtid } = this.#transaction.start;
    this.#isRepeat = gtid !== undefined && this.#gtids?.has(gtid) === true;
    if (gtid !== undefined) this.#gtids?.add(gtid);
    this.#hasEnded = true;
    this.#transaction = undefined;
  }

  /** Behind an event. Those that are made up for the reader have no place. */
  pass({ next }: LogEvent): void {
    const { file, offset, made } = this.place;
    if (next > 0) this.place = { file, offset: unwrapped(next, offset), made };
  }

  /** Behind an event that no rows of a transaction under way came ahead of: is this a place between transactions? */
  settle(event?: LogEvent): void {
    if (this.#transaction !== undefined || this.#isRepeat) return;
    // Until the first transaction that was not known, this server's files are further back than the GTIDs.
    if (!this.#options.isFromHere && !this.#hasEnded) return;
    this.#safe = this.place;
    // Events that are made up have no time either.
    if (event !== undefined && event.next > 0 && event.at > 0) this.#safeAt = event.at;
    this.isAtEnd ||= this.#hasReached(this.place);
  }

  /** The server has sent everything: no transaction is under way. */
  logEnds(): void {
    this.endTransaction();
    this.#isRepeat = false;
    this.settle();
  }
}

// Takes the events of the binary log, and gives the changes of one table as batches that end at ends of transactions.

import type { Batch } from "../../batch.ts";
import type { Log } from "../../connector.ts";
import { DownbeatError } from "../../../core/errors.ts";
import type { RowSink } from "../binary-session.ts";
import type { StreamName } from "../names.ts";
import { ChangedRows, type ChangedRowsOptions, type RowsKind } from "./changed-rows.ts";
import { parseStart, type TransactionStart } from "./gtids/events.ts";
import type { GtidPosition } from "./gtids/position.ts";
import { LoggedTransaction } from "./gtids/transaction.ts";
import { checksumLength, EVENT, type LogEvent, parseEvent, parseQuery, parseRotate } from "./log-event.ts";
import { type FilePlace, isBefore, type LogPlace, PlaceGone } from "./log-place.ts";
import { parseRows, rowsKindOf } from "./row-events.ts";
import { effectOn } from "./statements.ts";
import { parseTableMap, tableIdOf, tableNameOf } from "./table-map.ts";

export interface LogRequest extends ChangedRowsOptions {
  readonly stream: StreamName;
  readonly from: LogPlace;
  /** Asks for what follows on `from`. */
  readonly command: Buffer;
  /** Whether `from` is a place of this server's files, or is found by its GTIDs alone. */
  readonly isFromHere: boolean;
  /** Those of `from`; the reading adds to them. Undefined: they are not known. */
  readonly gtids: GtidPosition | undefined;
  readonly until: LogPlace;
  /** What `until` means: a place of this server's files, or, told by another server, its GTIDs. Undefined: wherever the log ends. */
  readonly end: FilePlace | GtidPosition | undefined;
  readonly log: Log;
}

/** A batch, and the last transaction that it holds to its end; undefined where it ends within one. */
export interface LogBatch {
  readonly batch: Batch;
  readonly end: LogEnd | undefined;
}

interface LogEnd {
  readonly place: LogPlace;
  /** When it was logged: seconds since 1970 by the server's clock; undefined where none came yet. */
  readonly at: number | undefined;
}

export const isFile = (end: LogRequest["end"]): end is FilePlace => end !== undefined && "file" in end;

/** Events tell 32 bits of where the next one begins, though a file with one large transaction is longer. */
const WRAP = 0x1_0000_0000;

const unwrapped = (next: number, before: number): number => {
  const high = Math.floor(before / WRAP) * WRAP;
  return high + next < before ? high + WRAP + next : high + next;
};

export const shown = ({ file, offset }: FilePlace): string => `${file}:${offset}`;

/** With when its file was made. */
type ReachedPlace = Pick<LogPlace, "file" | "offset"> & { readonly made: number | undefined };

export class LogReader implements RowSink {
  readonly #request: LogRequest;
  /** Where the next event begins. */
  place: ReachedPlace;
  /** Behind the last transaction that has ended; undefined: still where the reading began. */
  #safe: ReachedPlace | undefined;
  /** Of that transaction, whichever tables it has changed. */
  #safeAt: number | undefined;
  /** The file that the reading begins in has told of itself. */
  #isDescribed = false;
  /** The transaction under way, where the log says where transactions begin. */
  #transaction: LoggedTransaction | undefined;
  #hasEnded = false;
  #gtids: GtidPosition | undefined;
  isAtEnd: boolean;
  /** Bytes behind each event. */
  #checksum = 0;
  /** Rows of the table came in the transaction that is under way. */
  #isWithin = false;
  /** Numbers of the table in the log's maps; other tables' are left out. */
  #tableId = -1;
  #map: Buffer | undefined;
  #rows: ChangedRows | undefined;
  #done: LogBatch[] = [];

  constructor(request: LogRequest) {
    const { from, isFromHere, gtids } = request;
    this.#request = request;
    this.place = isFromHere ? { file: from.file, offset: from.offset, made: from.made } : { file: "", offset: 0, made: undefined };
    this.#gtids = gtids;
    this.isAtEnd = this.#hasReached(from);
  }

  #hasReached(place: FilePlace): boolean {
    const { end } = this.#request;
    if (end === undefined) return false;
    return isFile(end) ? !isBefore(place, end) : this.#gtids?.covers(end) === true;
  }

  /** Where the next reading goes on. */
  get end(): LogPlace {
    const { end, until } = this.#request;
    const reached = this.#safeEnd.place;
    // What an older build has begun: the place that the server has told has GTIDs, too.
    return reached.gtids === undefined && isFile(end) && !isBefore(until, reached)
      ? { file: until.file, offset: until.offset, ...(until.gtids === undefined ? {} : { gtids: until.gtids }) }
      : reached;
  }

  /** The server has sent everything: no transaction is under way. */
  logEnds(): void {
    if (this.#transaction !== undefined) this.#endTransaction();
    this.#settle();
  }

  /** Better between transactions, where a chunk may end, than within one. */
  isFull(): boolean {
    const fullness = this.#rows?.fullness ?? 0;
    return this.isAtEnd || this.#done.length > 0 || fullness >= (this.#isWithin ? 2 : 1);
  }

  *take(): Generator<LogBatch> {
    this.#end(this.#isWithin ? undefined : this.#safeEnd);
    yield* this.#done.splice(0);
  }

  get #safeEnd(): LogEnd {
    const safe = this.#safe;
    if (safe === undefined) return { place: this.#request.from, at: undefined };
    const { file, offset, made } = safe;
    const gtids = this.#gtids?.text;
    return {
      place: { file, offset, ...(made === undefined ? {} : { made }), ...(gtids === undefined ? {} : { gtids }) },
      at: this.#safeAt,
    };
  }

  /** Of the batch at hand. */
  #end(end: LogEnd | undefined): void {
    const rows = this.#rows;
    if (rows !== undefined && !rows.isEmpty) this.#done.push({ batch: rows.take(null), end });
  }

  /** One packet: a zero byte and an event. */
  row(bytes: Buffer, start: number, end: number): void {
    if (this.isAtEnd) return;
    const event = parseEvent(bytes, start + 1, end - this.#checksum);
    switch (event.type) {
      case EVENT.rotate: {
        const { file, offset } = parseRotate(event);
        this.place = { file, offset, made: file === this.place.file ? this.place.made : undefined };
        this.#settle();
        return;
      }
      case EVENT.formatDescription:
        this.#checksum = checksumLength({ ...event, end });
        this.#describe(event.at);
        break;
      case EVENT.gtid:
      case EVENT.gtidTagged:
      case EVENT.anonymousGtid:
      case EVENT.mariadbGtid:
        this.#begin(parseStart(event));
        break;
      case EVENT.tableMap:
        this.#tableMap(event);
        break;
      case EVENT.query:
      case EVENT.queryCompressed:
        this.#statement(event);
        break;
      case EVENT.xid:
        this.#endTransaction();
        break;
      case EVENT.xaPrepare:
        if (this.#isWithin)
          this.#refuse("rows were changed by an XA transaction, of which the log does not tell here whether it was committed");
        this.#endTransaction();
        break;
      case EVENT.partialUpdateRows:
      case EVENT.transactionPayload:
        this.#refuse(
          event.type === EVENT.transactionPayload
            ? "transactions are compressed; set binlog_transaction_compression = OFF"
            : "parts of JSON values were logged; set binlog_row_value_options = ''",
        );
        break;
      default: {
        const kind = rowsKindOf(event);
        if (kind !== undefined) this.#changes(event, kind);
      }
    }
    // Events that are made up for the reader have no place.
    const { file, offset, made } = this.place;
    if (event.next > 0) this.place = { file, offset: unwrapped(event.next, offset), made };
    if (this.#settle() && event.next > 0 && event.at > 0) this.#safeAt = event.at;
    // A piece of the stream may hold many batches.
    if (!this.#isWithin && (this.#rows?.fullness ?? 0) >= 1) this.#end(this.#safeEnd);
  }

  /** Behind an event: is this a place between transactions? */
  #settle(): boolean {
    if (this.#isWithin || this.#transaction !== undefined) return false;
    // Until the first transaction that was not known, this server's files are further back than the GTIDs.
    if (this.#safe === undefined && !this.#request.isFromHere && !this.#hasEnded) return false;
    this.#safe = this.place;
    this.isAtEnd ||= this.#hasReached(this.place);
    return true;
  }

  #describe(made: number): void {
    const { from, isFromHere } = this.#request;
    if (!this.#isDescribed && isFromHere && from.made !== undefined && from.made !== made) {
      throw new PlaceGone(`${shown(from)} was in a file that was made at ${from.made}, and that of this name was made at ${made}`);
    }
    this.#isDescribed = true;
    this.place = { ...this.place, made };
  }

  #begin(start: TransactionStart | undefined): void {
    if (start === undefined) return;
    // One that has ended in a way that was not known here has ended all the same.
    if (this.#transaction !== undefined) {
      this.#endTransaction();
      this.#settle();
    }
    if (start.gtid === undefined) this.#gtids = undefined;
    this.#transaction = new LoggedTransaction(start);
  }

  #endTransaction(): void {
    this.#isWithin = false;
    const gtid = this.#transaction?.start.gtid;
    if (gtid !== undefined) this.#gtids?.add(gtid);
    this.#hasEnded ||= this.#transaction !== undefined;
    this.#transaction = undefined;
  }

  #refuse(reason: string): never {
    throw new DownbeatError(
      "SOURCE_LOG_UNUSABLE",
      `${this.#request.what}: at ${shown(this.place)} of the log ${reason}; start the load anew`,
    );
  }

  #tableMap(event: LogEvent): void {
    const { stream } = this.#request;
    const { database, table } = tableNameOf(event);
    if (database !== stream.database || table !== stream.table) return;
    this.#tableId = tableIdOf(event);
    this.#isWithin = true;
    // What differs from the last map, but for the table's number, is another shape of the table.
    const map = Buffer.from(event.bytes.subarray(event.start + 6, event.end));
    if (this.#map?.equals(map) === true) return;
    this.#map = map;
    this.#end(undefined);
    this.#rows = new ChangedRows(parseTableMap(event), this.#request);
  }

  #changes(event: LogEvent, kind: RowsKind): void {
    if (tableIdOf(event) !== this.#tableId) return;
    const rows = this.#rows;
    if (rows === undefined) throw new Error(`${this.#request.what}: rows came ahead of their table's map`);
    const { isWhole, bytes, start, end } = parseRows(event, kind);
    if (!isWhole) this.#refuse("rows are not whole; set binlog_row_image = FULL");
    rows.add(kind, bytes, start, end, `the change at ${shown(this.place)}`);
  }

  #statement(event: LogEvent): void {
    const { stream, what, log } = this.#request;
    const statement = parseQuery(event);
    const effect = effectOn(statement, stream);
    const isLast = this.#transaction?.endsWith(statement.sql) === true;
    if (isLast && !this.#isWithin) this.#endTransaction();
    switch (effect) {
      case "none":
        return;
      case "commit":
        this.#endTransaction();
        return;
      case "rollback":
        if (this.#isWithin) this.#refuse("rows were logged that were rolled back, of a transaction that changed tables of two engines");
        this.#endTransaction();
        return;
      case "altered":
        log.info({ place: shown(this.place), statement: statement.sql.slice(0, 1_000) }, "the table was altered");
        return;
      case "emptied":
        throw new DownbeatError(
          "SOURCE_LOG_LOST",
          `${what}: at ${shown(this.place)} of the log the table's rows went without being logged: ${statement.sql.slice(0, 200)}; empty the destination's table and start the load anew`,
        );
      case "written":
        this.#refuse(`a change was logged as a statement; set binlog_format = ROW for every session: ${statement.sql.slice(0, 200)}`);
    }
  }
}

// Takes the events of the binary log, and gives the changes of one table as batches that end at ends of transactions.

import type { Batch } from "../../batch.ts";
import type { Log } from "../../connector.ts";
import { DownbeatError } from "../../../core/errors.ts";
import type { RowSink } from "../binary-session.ts";
import type { StreamName } from "../names.ts";
import { ChangedRows, type ChangedRowsOptions, type RowsKind } from "./changed-rows.ts";
import { checksumLength, EVENT, type LogEvent, parseEvent, parseQuery } from "./log-event.ts";
import { type LogPlace, shown } from "./log-place.ts";
import { type LogEnd, LogProgress, type ProgressOptions } from "./log-progress.ts";
import { parseRows, rowsKindOf } from "./row-events.ts";
import { effectOn } from "./statements.ts";
import { parseTableMap, tableIdOf, tableNameOf } from "./table-map.ts";

export interface LogRequest extends ChangedRowsOptions, ProgressOptions {
  readonly stream: StreamName;
  readonly log: Log;
}

/** A batch, and the last transaction that it holds to its end; undefined where it ends within one. */
export interface LogBatch {
  readonly batch: Batch;
  readonly end: LogEnd | undefined;
}

export class LogReader implements RowSink {
  readonly #request: LogRequest;
  readonly #progress: LogProgress;
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
    this.#request = request;
    this.#progress = new LogProgress(request);
  }

  get isAtEnd(): boolean {
    return this.#progress.isAtEnd;
  }

  /** Where the next event begins. */
  get place(): string {
    return shown(this.#progress.place);
  }

  /** Where the next reading goes on. */
  get end(): LogPlace {
    return this.#progress.end;
  }

  /** The server has sent everything. */
  logEnds(): void {
    this.#isWithin = false;
    this.#progress.logEnds();
  }

  /** Better between transactions, where a chunk may end, than within one. */
  isFull(): boolean {
    const fullness = this.#rows?.fullness ?? 0;
    return this.isAtEnd || this.#done.length > 0 || fullness >= (this.#isOpen ? 2 : 1);
  }

  *take(): Generator<LogBatch> {
    this.#end(this.#isOpen ? undefined : this.#progress.safeEnd);
    yield* this.#done.splice(0);
  }

  /** No place lies behind the last row. */
  get #isOpen(): boolean {
    return this.#isWithin || this.#progress.isRepeat;
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
      case EVENT.rotate:
        this.#progress.rotate(event);
        if (!this.#isWithin) this.#progress.settle();
        return;
      case EVENT.formatDescription:
        if (this.#isWithin) this.#refuse("begins a file, and the one before ends within a transaction: the server died while it wrote it");
        this.#checksum = checksumLength({ ...event, end });
        this.#progress.describe(event);
        break;
      case EVENT.gtid:
      case EVENT.gtidTagged:
      case EVENT.anonymousGtid:
      case EVENT.mariadbGtid:
        this.#isWithin = false;
        this.#progress.begin(event);
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
    this.#progress.pass(event);
    if (this.#isWithin) return;
    this.#progress.settle(event);
    // A piece of the stream may hold many batches.
    if ((this.#rows?.fullness ?? 0) >= 1 && !this.#isOpen) this.#end(this.#progress.safeEnd);
  }

  #endTransaction(): void {
    this.#isWithin = false;
    this.#progress.endTransaction();
  }

  #refuse(reason: string): never {
    throw new DownbeatError("SOURCE_LOG_UNUSABLE", `${this.#request.what}: at ${this.place} of the log ${reason}; start the load anew`);
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
    rows.add(kind, bytes, start, end, `the change at ${this.place}`);
  }

  #statement(event: LogEvent): void {
    const { stream, what, log } = this.#request;
    const statement = parseQuery(event);
    const effect = effectOn(statement, stream);
    if (this.#progress.endsWith(statement.sql) && !this.#isWithin) this.#endTransaction();
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
        log.info({ place: this.place, statement: statement.sql.slice(0, 1_000) }, "the table was altered");
        return;
      case "emptied":
        throw new DownbeatError(
          "SOURCE_LOG_LOST",
          `${what}: at ${this.place} of the log the table's rows went without being logged: ${statement.sql.slice(0, 200)}; empty the destination's table and start the load anew`,
        );
      case "written":
        this.#refuse(`a change was logged as a statement; set binlog_format = ROW for every session: ${statement.sql.slice(0, 200)}`);
    }
  }
}

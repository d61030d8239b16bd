// Follows the binary log from one place to another and gives the changes of one table, as batches that end at ends of transactions.

import { randomInt } from "node:crypto";
import { inflateSync } from "node:zlib";
import type { Batch } from "../../batch.ts";
import type { Log } from "../../connector.ts";
import { DownbeatError } from "../../../core/errors.ts";
import type { BinarySession, RowSink } from "../binary-session.ts";
import { lengthEncoded } from "../column-definition.ts";
import type { StreamName } from "../names.ts";
import { ChangedRows, type ChangedRowsOptions, type RowsKind } from "./changed-rows.ts";
import { checksumLength, EVENT, type LogEvent, parseEvent, parseQuery, parseRotate } from "./log-event.ts";
import { isBefore, type LogPlace } from "./log-place.ts";
import { effectOn } from "./statements.ts";
import { parseTableMap, tableIdOf, tableNameOf } from "./table-map.ts";

export interface LogRequest extends ChangedRowsOptions {
  readonly stream: StreamName;
  readonly from: LogPlace;
  readonly until: LogPlace;
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

const COM_BINLOG_DUMP = 0x12;
/** End at the end of the log instead of waiting for more. */
const NON_BLOCKING = 1;
/** Servers end another reader of the same number; those of real replicas are small. */
const serverId = (): number => randomInt(0x8000_0000, 0xffff_ffff);

/** The session's own settings must allow it: see `LOG_SETTINGS`. */
export async function* readLog(session: BinarySession, request: LogRequest): AsyncGenerator<LogBatch> {
  const reader = new LogReader(request);
  if (reader.isAtEnd) return;
  let more = await session.dump(dumpCommand(request.from), reader);
  for (;;) {
    yield* reader.take();
    if (!more || reader.isAtEnd) break;
    more = await session.more();
  }
  if (reader.isAtEnd) return;
  throw new DownbeatError(
    "SOURCE_LOG_LOST",
    `${request.what}: the log ends at ${shown(reader.place)}, before ${shown(request.until)}, where it had ended when the load began: the server has lost a part of it; start the load anew`,
  );
}

/** Before the session is taken over: we know of checksums, the first event, which is made up, needs none, and MariaDB may send its own kinds. */
export const LOG_SETTINGS = ["set @master_binlog_checksum = 'NONE'", "set @mariadb_slave_capability = 4"] as const;

const dumpCommand = ({ file, offset }: LogPlace): Buffer => {
  const head = Buffer.alloc(11);
  head[0] = COM_BINLOG_DUMP;
  // Places beyond 4 GB cannot be asked for. What is read twice ends as it was.
  head.writeUInt32LE(offset > LARGEST_OFFSET ? FILE_START : offset, 1);
  head.writeUInt16LE(NON_BLOCKING, 5);
  head.writeUInt32LE(serverId(), 7);
  return Buffer.concat([head, Buffer.from(file)]);
};

const LARGEST_OFFSET = 0xffff_ffff;
/** Behind the four bytes that every file of the log begins with. */
const FILE_START = 4;

/** Events tell 32 bits of where the next one begins, though a file with one large transaction is longer. */
const unwrapped = (next: number, before: number): number => {
  const high = Math.floor(before / (LARGEST_OFFSET + 1)) * (LARGEST_OFFSET + 1);
  return high + next < before ? high + LARGEST_OFFSET + 1 + next : high + next;
};

const shown = ({ file, offset }: LogPlace): string => `${file}:${offset}`;

const KINDS: ReadonlyMap<number, RowsKind> = new Map([
  [EVENT.writeRows1, "write"],
  [EVENT.writeRows, "write"],
  [EVENT.writeRowsCompressed1, "write"],
  [EVENT.writeRowsCompressed, "write"],
  [EVENT.updateRows1, "update"],
  [EVENT.updateRows, "update"],
  [EVENT.updateRowsCompressed1, "update"],
  [EVENT.updateRowsCompressed, "update"],
  [EVENT.deleteRows1, "delete"],
  [EVENT.deleteRows, "delete"],
  [EVENT.deleteRowsCompressed1, "delete"],
  [EVENT.deleteRowsCompressed, "delete"],
]);
/** MySQL's second version has further data behind the flags. */
const WITH_EXTRA: ReadonlySet<number> = new Set([EVENT.writeRows, EVENT.updateRows, EVENT.deleteRows]);

class LogReader implements RowSink {
  readonly #request: LogRequest;
  /** Where the next event begins. */
  place: LogPlace;
  /** Behind the last transaction that has ended. */
  #safe: LogPlace;
  /** Of that transaction, whichever tables it has changed. */
  #safeAt: number | undefined;
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
    this.place = request.from;
    this.#safe = request.from;
  }

  get isAtEnd(): boolean {
    return !isBefore(this.#safe, this.#request.until);
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
    return { place: this.#safe, at: this.#safeAt };
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
    const { file } = this.place;
    switch (event.type) {
      case EVENT.rotate: {
        this.place = parseRotate(event);
        if (!this.#isWithin) this.#safe = this.place;
        return;
      }
      case EVENT.formatDescription:
        this.#checksum = checksumLength({ ...event, end });
        break;
      case EVENT.tableMap:
        this.#tableMap(event);
        break;
      case EVENT.query:
      case EVENT.queryCompressed:
        this.#statement(event);
        break;
      case EVENT.xid:
        this.#isWithin = false;
        break;
      case EVENT.xaPrepare:
        if (this.#isWithin)
          this.#refuse("rows were changed by an XA transaction, of which the log does not tell here whether it was committed");
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
        const kind = KINDS.get(event.type);
        if (kind !== undefined) this.#changes(event, kind);
      }
    }
    // Events that are made up for the reader have no place.
    if (event.next > 0) this.place = { file, offset: unwrapped(event.next, this.place.offset) };
    if (this.#isWithin) return;
    this.#safe = this.place;
    // Those that are made up have no time either.
    if (event.next > 0 && event.at > 0) this.#safeAt = event.at;
    // A piece of the stream may hold many batches.
    if ((this.#rows?.fullness ?? 0) >= 1) this.#end(this.#safeEnd);
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
    const { bytes, start, end } = event;
    let at = start + 8;
    if (WITH_EXTRA.has(event.type)) at += bytes.readUInt16LE(at);
    const { value: count, end: bitmaps } = lengthEncoded(bytes, at);
    const bitmap = (count + 7) >> 3;
    for (let place = 0; place < count; place += 1) {
      if ((bytes[bitmaps + (place >> 3)]! & (1 << (place & 7))) === 0) this.#refuse("rows are not whole; set binlog_row_image = FULL");
    }
    const from = bitmaps + bitmap * (kind === "update" ? 2 : 1);
    const where = `the change at ${shown(this.place)}`;
    if (event.type < EVENT.writeRowsCompressed1) rows.add(kind, bytes, from, end, where);
    else {
      const plain = inflate(bytes.subarray(from, end));
      rows.add(kind, plain, 0, plain.length, where);
    }
  }

  #statement(event: LogEvent): void {
    const { stream, what, log } = this.#request;
    const statement = parseQuery(event);
    const effect = effectOn(statement, stream);
    switch (effect) {
      case "none":
        return;
      case "commit":
        this.#isWithin = false;
        return;
      case "rollback":
        if (this.#isWithin) this.#refuse("rows were logged that were rolled back, of a transaction that changed tables of two engines");
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

/** MariaDB's compression: the length's length, the length, zlib. */
const inflate = (bytes: Buffer): Buffer => inflateSync(bytes.subarray(1 + (bytes[0]! & 7)));

// Runs one query and gives its rows in blocks, each with the place where it ends.

import type { Reject, Schema, Vector } from "../batch.ts";
import { BATCH_BYTES } from "../lib/batch-builder.ts";
import type { BinaryParam, BinarySession } from "./binary-session.ts";
import { orderValues } from "./order.ts";
import { RowColumns, type RowColumnsOptions } from "./row-columns.ts";
import { resultColumns, type TypeOptions } from "./types.ts";

export interface BlockQuery {
  readonly sql: string;
  readonly params: readonly BinaryParam[];
  /** Columns that the query orders by, cursor first; they say where a block ends. */
  readonly orderNames: readonly string[];
  /** No two rows share the values of all of them: a block may end behind any row. */
  readonly isUnique: boolean;
  /** Values of the place that the query begins behind. */
  readonly after: readonly string[] | null;
  readonly types: TypeOptions;
  readonly rejectAll?: NonNullable<RowColumnsOptions["rejectAll"]>;
  readonly batchRows: number;
  /** For messages: what is read. */
  readonly what: string;
}

export interface Block {
  readonly schema: Schema;
  readonly rows: number;
  readonly vectors: readonly Vector[];
  readonly rejects: readonly Reject[];
  /** Values of the order columns at its end; null = rows behind it may share them, or one of them is NULL. */
  readonly end: readonly string[] | null;
}

/** Refused rows wait in memory, but not too many. */
const MOST_REJECTS = 1_000;

/** At least one block, if without rows. */
export async function* readBlocks(session: BinarySession, query: BlockQuery): AsyncGenerator<Block> {
  const { orderNames, isUnique, batchRows } = query;
  const statement = await session.prepare(query.sql);
  let sink: RowColumns | undefined;
  let more = await session.execute(statement, query.params, (definitions) => {
    const columns = new RowColumns(resultColumns(definitions, query.types, query.what), {
      zeroDates: query.types.zeroDates,
      orderNames,
      what: query.what,
      ...(query.rejectAll === undefined ? {} : { rejectAll: query.rejectAll }),
    });
    sink = columns;
    return {
      row: (bytes, start, end) => columns.decode(bytes, start, end),
      isFull: () => columns.rows >= batchRows || columns.bytes >= BATCH_BYTES || columns.rejects >= MOST_REJECTS,
    };
  });
  if (sink === undefined) throw new Error(`${query.what}: the query has ended without columns`);
  const rows = sink;
  const places = orderNames.map((name) => rows.columns.findIndex(({ column }) => column.name === name));
  const schema: Schema = { columns: rows.columns.map(({ column }) => column) };
  let end = query.after;
  let isHeldBack = false;
  for (let isFirst = true; ; isFirst = false) {
    // Where a block may end behind any row, what came last is cut like the rest: the same rows make the same blocks.
    const isLast = !more && !(isUnique && rows.rows > batchRows);
    const change = isLast ? rows.rows : isUnique ? Math.min(rows.rows, batchRows) : rows.lastChange(places);
    // Rows that are all alike go out together, though their end is no place to stop at.
    const count = change === 0 ? rows.rows : change;
    const tail = count === rows.rows ? rows.tailValues : undefined;
    const rejects = rows.takeRejects(count);
    const vectors = rows.take(count);
    if (tail !== undefined && tail !== null) end = tail;
    else if (count > 0) end = places.length === 0 ? null : orderValues(rows.columns, vectors, places, count - 1);
    const mayStop = isLast || isUnique || change > 0;
    if (isFirst || count > 0 || rejects.length > 0 || (isLast && isHeldBack)) {
      yield { schema, rows: count, vectors, rejects, end: mayStop ? end : null };
    }
    if (isLast) return;
    isHeldBack = !mayStop;
    if (more) more = await session.more();
  }
}

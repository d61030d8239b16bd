// A query's rows in batches, through a server-side cursor: neither side holds the whole result.

import type { Client } from "pg";
import type { Batch, Column, Position, Reject } from "../batch.ts";
import type { ConnectorContext } from "../connector.ts";
import { BatchBuilder } from "../lib/batch-builder.ts";
import { rawText } from "../lib/rows.ts";
import { appendRow, type TextRow } from "./decode.ts";

export interface CursorQuery {
  /** Selects the columns, and behind them the texts that make the position. */
  readonly sql: string;
  readonly params: readonly (string | number | boolean | null)[];
  readonly columns: readonly Column[];
  /** Makes a position of the last row's further texts; null = no place to go on from. */
  readonly positionOf: (texts: readonly string[]) => Position | null;
}

const FIRST_FETCH = 500;
const MOST_ROWS = 10_000;
const FETCH_BYTES = 4 * 1024 * 1024;

/** Runs inside the open transaction. An empty result gives one batch without rows. */
export async function* readCursor(
  client: Client,
  { sql, params, columns, positionOf }: CursorQuery,
  { signal, batchRows = MOST_ROWS * 10 }: Pick<ConnectorContext, "signal" | "batchRows">,
): AsyncGenerator<Batch> {
  await client.query(`declare downbeat_read cursor for ${sql}`, [...params]);
  const builder = new BatchBuilder({ columns });
  let rejects: Reject[] = [];
  let size = Math.min(FIRST_FETCH, batchRows);
  let rows = 0;
  let position: Position | null = null;
  for (;;) {
    signal.throwIfAborted();
    const result = await client.query<(string | boolean | null)[]>({ text: `fetch forward ${size} from downbeat_read`, rowMode: "array" });
    const before = builder.bytes;
    for (const row of result.rows) {
      rows += 1;
      const reason = appendRow(builder, columns, row);
      if (reason !== undefined)
        rejects.push({ where: whereOf(row, columns, rows), code: "SOURCE_DATA_INVALID", reason, raw: rawText(row) });
    }
    const last = result.rows.at(-1);
    if (last !== undefined) position = positionOf(last.slice(columns.length).map(String));
    const isEnd = result.rows.length < size;
    if (builder.rows >= batchRows || builder.bytes >= FETCH_BYTES * 4 || (isEnd && (builder.rows > 0 || rejects.length > 0))) {
      yield builder.take(position, { rejects });
      rejects = [];
    }
    if (isEnd) break;
    const perRow = Math.max(1, (builder.bytes - before) / result.rows.length);
    size = Math.max(1, Math.min(MOST_ROWS, batchRows, Math.floor(FETCH_BYTES / perRow)));
  }
  if (rows === 0) yield builder.take(null);
  await client.query("close downbeat_read");
}

const whereOf = (row: TextRow, columns: readonly Column[], number: number): string =>
  columns.length === 0 ? `row ${number}` : `row ${number} (${columns[0]!.name} ${String(row[0]).slice(0, 100)})`;

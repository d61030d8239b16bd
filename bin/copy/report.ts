// What a copy says at its end: a table for people, a line of JSON for each table for programs, and how to go on.

import { grouped, formatTable } from "../table.ts";
import { clock, sizeText } from "./display.ts";
import type { TableResult } from "./move-table.ts";
import type { Stream } from "./plan.ts";

export interface CopiedTable {
  readonly stream: Stream;
  readonly result: TableResult;
}

export interface Places {
  readonly from: string;
  readonly to: string;
}

export const jsonLine = ({ stream, result }: CopiedTable, { from, to }: Places): string =>
  JSON.stringify({
    from,
    to,
    stream: stream.name,
    table: stream.table,
    status: result.status.replace(" ", "_"),
    rows: result.rows,
    bytes: result.bytes,
    dead_letters: result.deadLetters,
    resumed_rows: result.resumedRows,
    seconds: result.seconds,
    ...(result.error === undefined ? {} : { error: { code: result.error.code, message: result.error.message } }),
  });

export const summary = (tables: readonly CopiedTable[]): string => {
  const rows = tables.map(({ stream, result }) => {
    const { status, rows: all, resumedRows, bytes, seconds, deadLetters } = result;
    const rate = seconds > 0 ? grouped(Math.round((all - resumedRows) / seconds)) : "";
    return [stream.table, status, grouped(all), sizeText(bytes), clock(seconds), rate, grouped(deadLetters)];
  });
  return formatTable(["table", "status", "rows", "size", "time", "rows/s", "put aside"], rows);
};

/** Of an interrupted or failed copy: what is safe, and what the same command would do. */
export const howToGoOn = ({ stream, result }: CopiedTable, staged: boolean): string => {
  const { rows } = result;
  if (rows === 0) return `${stream.table}: nothing is committed yet; the same command begins it again`;
  const where = staged ? "; the table appears when all are there" : "";
  return `${stream.table}: ${grouped(rows)} rows are committed${where}. The same command goes on behind them`;
};

const HINTS: Readonly<Record<string, string>> = {
  SOURCE_DATA_INVALID: "--max-dead-letters N puts up to N such rows aside instead",
  DEAD_LETTER_LIMIT: "--max-dead-letters N allows more of them",
  SOURCE_STREAM_NOT_FOUND: "--all-tables takes everything that the source has",
  LOAD_FENCED: "is the same copy running a second time?",
};

/** What an error's own message cannot know: the options of this command. */
export const hintFor = (code: string): string => (HINTS[code] === undefined ? "" : `\n  hint: ${HINTS[code]}`);

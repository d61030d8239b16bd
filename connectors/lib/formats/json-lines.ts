// JSON Lines: one JSON object a line. Lines that are none become rejects; digits beyond a double are kept.

import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { Batch, Column, Reject } from "../../batch.ts";
import { BATCH_ROWS } from "../batch-builder.ts";
import { inferColumns } from "../infer.ts";
import { parseObject } from "../json-text.ts";
import { fromRows, rawText, type Row } from "../rows.ts";

/** Fewer rows than a batch's most: lines are objects in memory until they are columns. */
const ROWS = Math.min(BATCH_ROWS, 20_000);

export interface JsonLinesOptions {
  readonly file: string;
  /** For people: the object's name. */
  readonly name: string;
  readonly declared: readonly Column[] | undefined;
  /** Columns seen in earlier files of the load: types only widen. */
  readonly known: readonly Column[];
  readonly skipRows: number;
}

/** Batches without positions; lines are counted from 1, empty ones are passed over. */
export async function* readJsonLines({
  file,
  name,
  declared,
  known,
  skipRows,
}: JsonLinesOptions): AsyncGenerator<{ readonly batch: Batch; readonly rows: number }> {
  let columns = declared ?? known;
  let rows: Row[] = [];
  let places: number[] = [];
  let rejects: Reject[] = [];
  let line = 0;
  let seen = 0;
  const flush = (): { batch: Batch; rows: number } => {
    if (declared === undefined) columns = inferColumns(rows, columns);
    const where = (index: number): string => `line ${places[index]} of ${name}`;
    const batch = fromRows(columns, rows, { position: null, rejects, where });
    const result = { batch, rows: seen };
    rows = [];
    places = [];
    rejects = [];
    return result;
  };
  for await (const text of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
    line += 1;
    if (text.trim() === "") continue;
    seen += 1;
    if (seen <= skipRows) continue;
    const parsed = parseObject(text);
    if (typeof parsed === "string")
      rejects.push({ where: `line ${line} of ${name}`, code: "SOURCE_DATA_INVALID", reason: parsed, raw: rawText(text) });
    else {
      rows.push(parsed);
      places.push(line);
    }
    if (rows.length >= ROWS) yield flush();
  }
  yield flush();
}

// JSON Lines: one JSON object a line. Lines that are none become rejects; digits beyond a double are kept.

import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { Batch, Column, Reject } from "../../batch.ts";
import { BATCH_ROWS } from "../batch-builder.ts";
import { inferColumns } from "../infer.ts";
import { fromRows, rawText, type Row } from "../rows.ts";

/** Fewer rows than a batch's most: lines are objects in memory until they are columns. */
const ROWS = Math.min(BATCH_ROWS, 20_000);

const MAY_LOSE_DIGITS = /\d{16,}|\d\.\d{15,}/;

/** `context.source` is the number's own text (ECMAScript's JSON.parse source text access). */
const keepDigits = (_key: string, value: unknown, context?: { readonly source?: string }): unknown => {
  const source = context?.source;
  if (typeof value !== "number" || source === undefined) return value;
  if (/^-?\d+$/.test(source)) return Number.isSafeInteger(value) ? value : BigInt(source);
  const digits = source
    .replace(/[eE].*$/, "")
    .replace(/\D/g, "")
    .replace(/^0+/, "");
  return digits.length > 15 && String(value) !== source ? source : value;
};

/** Parses one JSON text without losing digits: integers beyond 2^53 come as bigint, decimals beyond a double as their text. */
export const parseJson = (text: string): unknown => (MAY_LOSE_DIGITS.test(text) ? JSON.parse(text, keepDigits) : JSON.parse(text));

export const parseObject = (text: string): Row | string => {
  try {
    const value = parseJson(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Row) : "is not a JSON object";
  } catch (error) {
    return `is not valid JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
};

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

// JSON Lines: one JSON object a line. Lines that are none become rejects; digits beyond a double are kept.

import { isUtf8 } from "node:buffer";
import type { Reject } from "../../batch.ts";
import { inferColumns } from "../infer.ts";
import { parseObject } from "../json-text.ts";
import { fromRows, rawText, type Row } from "../rows.ts";
import type { FileBatch, FileRead } from "./engine.ts";
import { readLines, type Line } from "./lines.ts";

/** Lines are objects in memory until they are columns, so a batch of them is smaller than others. */
const MOST_LINES = 20_000;
const MOST_BYTES = 16 * 1024 * 1024;

const parseLine = ({ bytes, isCut }: Line): Row | string => {
  if (isCut) return `is longer than ${bytes.length} bytes`;
  return isUtf8(bytes) ? parseObject(bytes.toString("utf8")) : "is not UTF-8";
};

const isBlank = (bytes: Buffer): boolean => bytes.every((byte) => byte === 32 || byte === 9 || byte === 13);

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** Lines are counted from 1, blank ones are passed over. The last batch may be empty. */
export async function* readJsonLines({
  file,
  name,
  declared,
  known,
  skipRows,
  signal,
  batchRows = MOST_LINES,
}: FileRead): AsyncGenerator<FileBatch> {
  let columns = declared ?? known;
  let rows: Row[] = [];
  let places: number[] = [];
  let rejects: Reject[] = [];
  let bytes = 0;
  let line = 0;
  let seen = 0;
  const flush = (): FileBatch => {
    if (declared === undefined) columns = inferColumns(rows, columns);
    const where = (index: number): string => `line ${places[index]} of ${name}`;
    const batch = fromRows(columns, rows, { position: null, rejects, where, areParsedJson: true });
    rows = [];
    places = [];
    rejects = [];
    bytes = 0;
    return { batch, rows: seen };
  };
  for await (const lines of readLines(file, signal)) {
    for (const found of lines) {
      line += 1;
      const text = line === 1 && found.bytes.subarray(0, 3).equals(BYTE_ORDER_MARK) ? { ...found, bytes: found.bytes.subarray(3) } : found;
      if (isBlank(text.bytes)) continue;
      seen += 1;
      if (seen <= skipRows) continue;
      const parsed = parseLine(text);
      if (typeof parsed === "string") {
        const raw = rawText(text.bytes.toString("utf8", 0, 65_536));
        rejects.push({ where: `line ${line} of ${name}`, code: "SOURCE_DATA_INVALID", reason: parsed, raw });
      } else {
        rows.push(parsed);
        places.push(line);
      }
      bytes += text.bytes.length;
      if (rows.length + rejects.length >= batchRows || bytes >= MOST_BYTES) yield flush();
    }
  }
  yield flush();
}

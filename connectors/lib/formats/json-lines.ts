// JSON Lines: one JSON object a line. Lines that are none become rejects; digits beyond a double are kept.

import { JsonObjects } from "../json-objects.ts";
import { RAW_LENGTH, rawText } from "../rows.ts";
import type { FileBatch, FileRead } from "./engine.ts";
import { readLines } from "./lines.ts";

/** Lines are kept until their columns are known, so a batch of them is smaller than others. */
const MOST_LINES = 20_000;
const MOST_BYTES = 16 * 1024 * 1024;

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
  let places: number[] = [];
  let bytes = 0;
  let line = 0;
  let seen = 0;
  const objects = new JsonObjects({ declared, known, where: (index) => `line ${places[index]} of ${name}` });
  const flush = (): FileBatch => {
    const batch = objects.take(null);
    places = [];
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
      places.push(line);
      if (text.isCut) objects.refuse(`is longer than ${text.bytes.length} bytes`, rawText(text.bytes.toString("utf8", 0, RAW_LENGTH)));
      else objects.add(text.bytes);
      bytes += text.bytes.length;
      if (places.length >= batchRows || bytes >= MOST_BYTES) yield flush();
    }
  }
  yield flush();
}

// Lines as bytes, split at line feeds alone: text inside JSON may hold every other separator.

import { createReadStream } from "node:fs";

const READ_BYTES = 512 * 1024;
/** Longer lines are cut here, and said to be so: a file without line feeds must not fill the memory. */
const MOST_LINE_BYTES = 64 * 1024 * 1024;
const LINE_FEED = 10;

export interface Line {
  readonly bytes: Buffer;
  readonly isCut: boolean;
}

/** Yields the lines of one piece at a time. */
export async function* splitLines(pieces: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<readonly Line[]> {
  let parts: Buffer[] = [];
  let length = 0;
  let isCut = false;
  const keep = (piece: Buffer): void => {
    const room = MOST_LINE_BYTES - length;
    if (piece.length > room) isCut = true;
    if (room <= 0) return;
    parts.push(piece.subarray(0, room));
    length += Math.min(piece.length, room);
  };
  const take = (): Line => {
    const line = { bytes: parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts), isCut };
    parts = [];
    length = 0;
    isCut = false;
    return line;
  };
  for await (const bytes of pieces) {
    signal.throwIfAborted();
    const lines: Line[] = [];
    let start = 0;
    for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, start)) {
      keep(bytes.subarray(start, end));
      lines.push(take());
      start = end + 1;
    }
    keep(bytes.subarray(start));
    yield lines;
  }
  if (length > 0) yield [take()];
}

export const readLines = (file: string, signal: AbortSignal): AsyncGenerator<readonly Line[]> =>
  splitLines(createReadStream(file, { highWaterMark: READ_BYTES }), signal);

// Follows the binary log from one place to another.

import { DownbeatError } from "../../../core/errors.ts";
import type { BinarySession } from "../binary-session.ts";
import { type LogPlace, shown } from "./log-place.ts";
import { isFile } from "./log-progress.ts";
import { type LogBatch, LogReader, type LogRequest } from "./log-reader.ts";

/** `command` asks for what follows on `from`; the session's own settings must allow it: see `prepareDump`. Answers where the reading has ended. */
export async function* readLog(session: BinarySession, command: Buffer, request: LogRequest): AsyncGenerator<LogBatch, LogPlace> {
  const reader = new LogReader(request);
  if (reader.isAtEnd) return reader.end;
  let more = await session.dump(command, reader);
  for (;;) {
    if (!more) reader.logEnds();
    yield* reader.take();
    if (!more || reader.isAtEnd) break;
    more = await session.more();
  }
  if (reader.isAtEnd || !isFile(request.end)) return reader.end;
  throw new DownbeatError(
    "SOURCE_LOG_LOST",
    `${request.what}: the log ends at ${reader.place}, before ${shown(request.until)}, where it had ended when the load began: the server has lost a part of it; start the load anew`,
  );
}

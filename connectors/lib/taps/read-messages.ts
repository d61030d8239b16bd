// Messages of a tap, line by line, to batches with states as their positions: the same for every protocol of JSON lines.

import { isUtf8 } from "node:buffer";
import type { Batch, Column, Position } from "../../batch.ts";
import type { Line } from "../formats/lines.ts";
import { jsonText, parseObject } from "../json-text.ts";
import type { Row } from "../rows.ts";
import { RecordBatches } from "./record-batches.ts";

/** What a message says of the stream that is read. */
export type TapEvent =
  | { readonly is: "record"; readonly record: unknown }
  /** The columns from here on. */
  | { readonly is: "schema"; readonly columns: readonly Column[] }
  /** Everything that came before may be left out by who starts with this state. */
  | { readonly is: "state"; readonly state: unknown }
  /** Nothing to do: other streams, notes. */
  | { readonly is: "nothing" }
  /** A type that this protocol does not know. */
  | { readonly is: "unknown" };

export interface TapMessages {
  /** What it already knows before the first message. */
  readonly columns: readonly Column[];
  /** Throws what ends the reading. */
  interpret(message: Row): TapEvent;
}

/** A state's own JSON text, since digits beyond a double's are part of it: log positions have them. */
export interface TapPosition {
  readonly state: string;
}

export interface ReadOptions {
  readonly stream: string;
  /** Whether states are positions: a full read begins anew. */
  readonly keepsState: boolean;
  readonly position: Position | null;
  /** Takes the tap's talk, secrets and all. */
  readonly note: (text: string) => void;
  readonly progress: () => void;
  /** Called at the end of the lines, before the last batch; throws when the tap has failed. */
  readonly confirm: () => Promise<void>;
}

/** A cut or broken line that would have been a record is one that cannot be read; any other is the tap's talk. */
const isRecordText = (text: string): boolean =>
  /^\s*\{[^]{0,400}?"type"\s*:\s*"RECORD"/.test(text) || /"type"\s*:\s*"RECORD"\s*\}\s*$/.test(text);

const parseLine = ({ bytes, isCut }: Line, text: string): Row | string => {
  if (isCut) return `is longer than ${bytes.length} bytes`;
  return isUtf8(bytes) ? parseObject(text) : "is not UTF-8";
};

const RAW_BYTES = 64 * 1024;

export async function* readMessages(
  lines: AsyncIterable<readonly Line[]>,
  messages: TapMessages,
  { stream, keepsState, position: first, note, progress, confirm }: ReadOptions,
): AsyncGenerator<Batch> {
  const batches = new RecordBatches(stream, messages.columns);
  const unknown = new Set<string>();
  let position = keepsState ? first : null;
  for await (const some of lines) {
    progress();
    for (const { bytes, isCut } of some) {
      const text = bytes.toString("utf8");
      const message = parseLine({ bytes, isCut }, text);
      if (typeof message === "string") {
        if (isRecordText(text)) batches.addUnreadable(message, bytes.toString("utf8", 0, RAW_BYTES));
        else if (text.trim() !== "") note(text);
        if (batches.isFull) yield batches.take(null);
        continue;
      }
      const event = messages.interpret(message);
      switch (event.is) {
        case "record":
          batches.add(event.record, bytes.length);
          if (batches.isFull) yield batches.take(null);
          break;
        case "schema":
          if (!batches.isEmpty) yield batches.take(null);
          batches.describe(event.columns);
          break;
        case "state":
          if (!keepsState) break;
          position = { state: jsonText(event.state) };
          if (batches.isDue) yield batches.take(position);
          break;
        case "unknown": {
          const type = String(message["type"]);
          if (unknown.has(type)) break;
          unknown.add(type);
          note(`messages of the type ${type.slice(0, 100)} are passed over`);
        }
      }
    }
  }
  await confirm();
  // Records behind the last state come again in the next run; without any state the next one begins anew.
  yield batches.take(position);
}

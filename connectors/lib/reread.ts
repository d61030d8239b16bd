// Texts of dead letters that hold rows as JSON objects, read again.

import type { Batch, Column, Reject } from "../batch.ts";
import type { DeadLetter } from "../connector.ts";
import { parseObject } from "./json-text.ts";
import { fromRows, type Row } from "./rows.ts";

export interface RereadOptions {
  readonly columnsOf: (rows: readonly Row[]) => readonly Column[];
  /** What the source makes of a parsed text, or why it is none of its rows. */
  readonly rowOf?: (parsed: Row) => Row | string;
  /** As in `fromRows`; default: yes. */
  readonly areParsedJson?: boolean;
}

export const rereadObjects = (letters: readonly DeadLetter[], { columnsOf, rowOf, areParsedJson = true }: RereadOptions): Batch => {
  const rows: Row[] = [];
  const read: DeadLetter[] = [];
  const rejects: Reject[] = [];
  const refuse = ({ id, place, raw }: DeadLetter, reason: string): void =>
    void rejects.push({ where: place, code: "SOURCE_DATA_INVALID", reason, raw, letter: id });
  for (const letter of letters) {
    const parsed = parseObject(letter.raw);
    const row = typeof parsed === "string" || rowOf === undefined ? parsed : rowOf(parsed);
    if (typeof row === "string") refuse(letter, row);
    else {
      rows.push(row);
      read.push(letter);
    }
  }
  const byId = new Map(read.map((letter) => [letter.id, letter]));
  const batch = fromRows(columnsOf(rows), rows, { position: null, areParsedJson, where: (index) => read[index]?.id ?? "" });
  for (const { where: id, reason } of batch.rejects ?? []) {
    const letter = byId.get(id);
    if (letter !== undefined) refuse(letter, reason);
  }
  return { ...batch, rejects };
};

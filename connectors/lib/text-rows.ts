// Batches as the lines of a file that a bulk load reads, in pieces.

import type { Batch } from "../batch.ts";
import type { InsertColumn } from "./load/session.ts";
import { FieldText, type FieldStyle, loadField } from "./text-fields.ts";

const LINE_FEED = 10;

export interface RowStyle {
  readonly fields: FieldStyle;
  /** One character between two fields. */
  readonly separator: string;
  /** What stands for NULL. */
  readonly nullText: string;
}

export function* encodeRows(
  batch: Batch,
  columns: readonly InsertColumn[],
  { fields: style, separator, nullText }: RowStyle,
  pieceBytes: number,
): Generator<Buffer, undefined> {
  const between = separator.charCodeAt(0);
  const fields = columns.map((column) => loadField(batch, column, style));
  let out = new FieldText(pieceBytes + (pieceBytes >> 2));
  for (let row = 0; row < batch.rows; row += 1) {
    for (const [place, { valid, put }] of fields.entries()) {
      out.reserve(2);
      if (place > 0) out.byte(between);
      if (valid !== null && valid[row] === 0) out.ascii(nullText);
      else put(row, out);
    }
    out.reserve(1);
    out.byte(LINE_FEED);
    if (out.length < pieceBytes && row < batch.rows - 1) continue;
    const { bytes } = out;
    for (let from = 0; from < bytes.length; from += pieceBytes) yield bytes.subarray(from, from + pieceBytes);
    out = new FieldText(pieceBytes + (pieceBytes >> 2));
  }
}

// Columns that come to hold the values of one schema more, for streams whose messages are of several.

import type { Column, ColumnType } from "../batch.ts";
import { widened } from "./load/fit.ts";

/** As many digits as the table of column types can name; beyond it is text. */
const MOST_DIGITS = 999;

/** A field of the messages; its type is undefined where it can be nothing but null. */
export interface FieldColumn {
  readonly name: string;
  readonly type: ColumnType | undefined;
}

export const bounded = (type: ColumnType): ColumnType =>
  type.kind === "decimal" && type.precision > MOST_DIGITS ? { kind: "string" } : type;

/** A type that holds the values of both: by the rule by which tables widen, and text where that has none. */
const commonType = (left: ColumnType, right: ColumnType): ColumnType => bounded(widened(left, right) ?? { kind: "string" });

/** The known columns, those of the fields behind them. The known list itself comes back when nothing changed, so that callers can tell by identity. */
export const growColumns = (known: readonly Column[], fields: readonly FieldColumn[]): readonly Column[] => {
  const types = new Map(known.map(({ name, type }) => [name, type]));
  let changed = false;
  for (const { name, type: found } of fields) {
    if (found === undefined) continue;
    const before = types.get(name);
    const type = before === undefined ? found : commonType(before, found);
    if (type === before) continue;
    types.set(name, type);
    changed = true;
  }
  return changed ? [...types].map(([name, type]) => ({ name, type, nullable: true })) : known;
};

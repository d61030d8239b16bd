// The columns that rows are ordered by: how SQL compares them, and their values as text that loses nothing.

import { DownbeatError } from "../../core/errors.ts";
import type { Vector } from "../batch.ts";
import { readerOf } from "../lib/rows.ts";
import { quote } from "./names.ts";
import type { ResultColumn } from "./types.ts";

export interface OrderColumn {
  readonly name: string;
  /** What is ordered by. */
  readonly expression: string;
  /** A parameter of that type; text that is compared with a number would be rounded to a double. */
  readonly placeholder: string;
  /** The largest value, as positions have it. */
  readonly largest: string;
}

/** `isUnique`: no two rows share the values of all order columns. */
export const orderColumn = (name: string, { column, definition }: ResultColumn, isUnique: boolean, what: string): OrderColumn => {
  const quoted = quote(name);
  const plain = (placeholder: string, largest = `max(${quoted})`): OrderColumn => ({ name, expression: quoted, placeholder, largest });
  const { type } = column;
  switch (type.kind) {
    case "bool":
    case "uint64":
      // MariaDB's max() of a bit column is signed.
      return plain("cast(? as unsigned)", `cast(max(${quoted}) as unsigned)`);
    case "int32":
    case "int64":
      return plain("cast(? as signed)");
    case "float32":
    case "float64":
      return plain("(? + 0e0)");
    case "decimal":
      return plain(`cast(? as decimal(${type.precision}, ${type.scale}))`);
    case "date":
      return plain("cast(? as date)");
    case "time":
      return plain("cast(? as time(6))");
    case "timestamp":
    case "timestamptz":
      return plain("cast(? as datetime(6))");
    case "binary":
      return plain("from_base64(?)");
    case "uuid":
      return plain("?");
    case "json":
      throw new DownbeatError(
        "CURSOR_INVALID",
        `${what}: rows cannot be ordered by "${name}", which is JSON; choose another cursor or key`,
      );
    case "string":
      // Enums are ordered by number but compared as text, and texts that differ may count as equal: their bytes are the same for both.
      if (definition.isEnumOrSet || !isUnique) {
        const bytes = `cast(convert(${quoted} using utf8mb4) as binary)`;
        return { name, expression: bytes, placeholder: "cast(? as binary)", largest: `convert(max(${bytes}) using utf8mb4)` };
      }
      return plain("?");
  }
};

/** The values of one row in the order columns; null when one of them is NULL, since nothing is greater than NULL. */
export const orderValues = (
  columns: readonly ResultColumn[],
  vectors: readonly Vector[],
  places: readonly number[],
  row: number,
): readonly string[] | null => {
  const values: string[] = [];
  for (const place of places) {
    const type = columns[place]!.column.type;
    const value = readerOf(type, vectors[place])(row);
    if (value === null) return null;
    if (type.kind === "bool") values.push(value === true ? "1" : "0");
    else values.push(type.kind === "timestamptz" ? String(value).slice(0, -1) : String(value));
  }
  return values;
};

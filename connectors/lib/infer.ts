// Columns out of rows, for sources without a schema: types are inferred and widened, never narrowed.

import type { Column, ColumnType } from "../batch.ts";
import { isRawNumber } from "./json-text.ts";
import type { Row } from "./rows.ts";

const isExactAsDouble = (value: bigint): boolean => BigInt(Number(value)) === value;

const typeOfValue = (value: unknown): ColumnType | undefined => {
  switch (typeof value) {
    case "boolean":
      return { kind: "bool" };
    case "bigint":
      return value >= -(2n ** 63n) && value < 2n ** 63n ? { kind: "int64" } : { kind: "string" };
    case "number":
      return Number.isSafeInteger(value) ? { kind: "int64" } : { kind: "float64" };
    case "string":
      return { kind: "string" };
    case "object":
      if (value === null) return undefined;
      if (value instanceof Uint8Array) return { kind: "binary" };
      if (value instanceof Date) return { kind: "timestamptz" };
      return isRawNumber(value) ? { kind: "string" } : { kind: "json" };
    default:
      return undefined;
  }
};

/** A type that holds both: whole numbers beside fractions are fractions, a day beside moments is a moment, anything else text. */
export const commonType = (left: ColumnType, right: ColumnType): ColumnType => {
  if (left.kind === right.kind) return left;
  const kinds = new Set([left.kind, right.kind]);
  if (kinds.has("int64") && kinds.has("int32")) return { kind: "int64" };
  if (kinds.has("float64") && (kinds.has("int64") || kinds.has("int32"))) return { kind: "float64" };
  if (kinds.has("date") && kinds.has("timestamp")) return { kind: "timestamp" };
  return { kind: "string" };
};

/** What a column of the type `before` becomes by a value of the type `found`; undefined: it stays as it is. `isLarge`: it holds a whole number that a double would round. */
const grown = (before: ColumnType | undefined, found: ColumnType, isLarge: boolean): ColumnType | undefined => {
  if (before?.kind === "string") return undefined;
  const common = before === undefined ? found : commonType(before, found);
  // Beside fractions only text holds both.
  const type: ColumnType = common.kind === "float64" && isLarge ? { kind: "string" } : common;
  return type.kind === before?.kind ? undefined : type;
};

const isLargeValue = (value: unknown): boolean => typeof value === "bigint" && !isExactAsDouble(value);

/** Whether columns of these types are those that `inferColumns` would give with the row too. */
export const fitsTypes = (row: Row, types: ReadonlyMap<string, ColumnType>): boolean =>
  Object.entries(row).every(([name, value]) => {
    const found = typeOfValue(value);
    return found === undefined || grown(types.get(name), found, isLargeValue(value)) === undefined;
  });

/**
 * The columns of `rows` beside those that are known already, in the order in which they first came up. The known list itself comes back when nothing changed,
 * so that callers can tell by identity.
 */
export const inferColumns = (rows: readonly Row[], known: readonly Column[] = []): readonly Column[] => {
  const types = new Map<string, ColumnType>(known.map((column) => [column.name, column.type]));
  /** Columns with whole numbers that a double would round. */
  const large = new Set<string>();
  let changed = false;
  for (const row of rows) {
    for (const [name, value] of Object.entries(row)) {
      // A column of nothing but nulls so far is left out until a value tells its type.
      const found = typeOfValue(value);
      if (found === undefined) continue;
      if (isLargeValue(value)) large.add(name);
      const type = grown(types.get(name), found, large.has(name));
      if (type === undefined) continue;
      types.set(name, type);
      changed = true;
    }
  }
  if (!changed) return known;
  return [...types].map(([name, type]) => ({ name, type, nullable: true }));
};

// Columns out of rows, for sources without a schema: types are inferred and widened, never narrowed.

import type { Column, ColumnType } from "../batch.ts";
import type { Row } from "./rows.ts";

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
      return value === null ? undefined : value instanceof Uint8Array ? { kind: "binary" } : { kind: "json" };
    default:
      return undefined;
  }
};

/** A type that holds both: numbers become fractions, anything else text. */
const wider = (left: ColumnType, right: ColumnType): ColumnType => {
  if (left.kind === right.kind) return left;
  const kinds = new Set([left.kind, right.kind]);
  if (kinds.has("int64") && kinds.has("float64")) return { kind: "float64" };
  return { kind: "string" };
};

/**
 * The columns of `rows` beside those that are known already, in the order in which they first came up. The known list itself comes back when nothing changed,
 * so that callers can tell by identity.
 */
export const inferColumns = (rows: readonly Row[], known: readonly Column[] = []): readonly Column[] => {
  const types = new Map<string, ColumnType | undefined>(known.map((column) => [column.name, column.type]));
  let changed = false;
  for (const row of rows) {
    for (const [name, value] of Object.entries(row)) {
      const before = types.get(name);
      const found = typeOfValue(value);
      if (!types.has(name)) types.set(name, found);
      else if (found === undefined) continue;
      else if (before === undefined) types.set(name, found);
      else if (before.kind === found.kind || before.kind === "string") continue;
      else if (before.kind === "float64" && found.kind === "int64") continue;
      else types.set(name, wider(before, found));
      changed = true;
    }
  }
  if (!changed) return known;
  // A column of nothing but nulls so far is left out until a value tells its type.
  return [...types].flatMap(([name, type]) => (type === undefined ? [] : [{ name, type, nullable: true }]));
};

const SIMPLE = [
  "bool",
  "int32",
  "int64",
  "uint64",
  "float32",
  "float64",
  "string",
  "binary",
  "date",
  "time",
  "timestamp",
  "timestamptz",
  "json",
  "uuid",
] as const;

/** "int64", "decimal(12,2)", …; undefined for anything else. */
export const parseColumnType = (text: string): ColumnType | undefined => {
  const decimal = /^decimal\((\d{1,3}),\s*(\d{1,3})\)$/.exec(text);
  if (decimal !== null) {
    const [precision, scale] = [Number(decimal[1]), Number(decimal[2])];
    return precision >= 1 && scale <= precision ? { kind: "decimal", precision, scale } : undefined;
  }
  const kind = SIMPLE.find((candidate) => candidate === text);
  return kind === undefined ? undefined : { kind };
};

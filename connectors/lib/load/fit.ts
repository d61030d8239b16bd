// Which logical type holds another's values without loss, and the least type that holds both.

import type { ColumnType } from "../../batch.ts";

/** Digits before and behind the point that exact numbers need. */
const digitsOf = (type: ColumnType): { readonly whole: number; readonly scale: number } | undefined => {
  switch (type.kind) {
    case "int32":
      return { whole: 10, scale: 0 };
    case "int64":
      return { whole: 19, scale: 0 };
    case "uint64":
      return { whole: 20, scale: 0 };
    case "decimal":
      return { whole: type.precision - type.scale, scale: type.scale };
    default:
      return undefined;
  }
};

/** Whether a column of type `have` takes every value of type `want`. */
export const holds = (have: ColumnType, want: ColumnType): boolean => {
  if (have.kind === "decimal") {
    const digits = digitsOf(want);
    return digits !== undefined && digits.whole <= have.precision - have.scale && digits.scale <= have.scale;
  }
  if (have.kind === want.kind) return true;
  switch (have.kind) {
    case "int64":
      return want.kind === "int32";
    case "float64":
      return want.kind === "float32" || want.kind === "int32";
    case "timestamp":
      return want.kind === "date";
    case "string":
      return want.kind !== "binary";
    default:
      return false;
  }
};

/** The type that holds both, where there is one: integers grow to decimals, floats to doubles, everything that has a text form to text. */
export const widened = (have: ColumnType, want: ColumnType): ColumnType | undefined => {
  if (holds(have, want)) return have;
  if (holds(want, have)) return want;
  const left = digitsOf(have);
  const right = digitsOf(want);
  if (left !== undefined && right !== undefined) {
    const scale = Math.max(left.scale, right.scale);
    return { kind: "decimal", precision: Math.max(left.whole, right.whole) + scale, scale };
  }
  const kinds = new Set([have.kind, want.kind]);
  if (kinds.has("float32") && kinds.has("int32")) return { kind: "float64" };
  return undefined;
};

/** Of fractions beside whole numbers: no type holds all of both, and this one holds all but the whole numbers that it would round. */
export const roundingDouble = (have: ColumnType, want: ColumnType): ColumnType | undefined =>
  have.kind === "int64" && (want.kind === "float32" || want.kind === "float64") ? { kind: "float64" } : undefined;

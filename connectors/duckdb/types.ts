// Logical types as DuckDB types and back. What has no counterpart is refused, or read as text or JSON.

import type { ColumnType } from "../batch.ts";
import { DownbeatError } from "../../core/errors.ts";

const MOST_DIGITS = 38;

export const toSqlType = (type: ColumnType, column: string): string => {
  switch (type.kind) {
    case "bool":
      return "BOOLEAN";
    case "int32":
      return "INTEGER";
    case "int64":
      return "BIGINT";
    case "uint64":
      return "UBIGINT";
    case "float32":
      return "FLOAT";
    case "float64":
      return "DOUBLE";
    case "decimal":
      if (type.precision <= MOST_DIGITS) return `DECIMAL(${type.precision},${type.scale})`;
      throw new DownbeatError(
        "DESTINATION_TYPE_UNSUPPORTED",
        `column "${column}": decimal(${type.precision},${type.scale}) is beyond DuckDB's ${MOST_DIGITS} digits; cast it to fewer digits or to text in the source's query`,
        { details: { column, precision: type.precision, scale: type.scale } },
      );
    case "string":
      return "VARCHAR";
    case "binary":
      return "BLOB";
    case "date":
      return "DATE";
    case "time":
      return "TIME";
    case "timestamp":
      return "TIMESTAMP";
    case "timestamptz":
      return "TIMESTAMP WITH TIME ZONE";
    case "json":
      return "JSON";
    case "uuid":
      return "UUID";
  }
};

const TYPES: Readonly<Record<string, ColumnType>> = {
  BOOLEAN: { kind: "bool" },
  TINYINT: { kind: "int32" },
  SMALLINT: { kind: "int32" },
  INTEGER: { kind: "int32" },
  UTINYINT: { kind: "int32" },
  USMALLINT: { kind: "int32" },
  UINTEGER: { kind: "int64" },
  BIGINT: { kind: "int64" },
  UBIGINT: { kind: "uint64" },
  FLOAT: { kind: "float32" },
  DOUBLE: { kind: "float64" },
  VARCHAR: { kind: "string" },
  BLOB: { kind: "binary" },
  DATE: { kind: "date" },
  TIME: { kind: "time" },
  TIMESTAMP: { kind: "timestamp" },
  TIMESTAMP_S: { kind: "timestamp" },
  TIMESTAMP_MS: { kind: "timestamp" },
  "TIMESTAMP WITH TIME ZONE": { kind: "timestamptz" },
  JSON: { kind: "json" },
  UUID: { kind: "uuid" },
};

/** Types that hold only a part of a logical type's values can be read as it, but not written to as if they held all. */
const NARROW = new Set(["TINYINT", "SMALLINT", "UTINYINT", "USMALLINT", "UINTEGER", "TIMESTAMP_S", "TIMESTAMP_MS"]);

/** The logical type that a column's values are read as; undefined = none without a cast. */
export const readType = (sqlType: string): ColumnType | undefined => {
  const decimal = /^DECIMAL\((\d+),(\d+)\)$/.exec(sqlType);
  if (decimal !== null) return { kind: "decimal", precision: Number(decimal[1]), scale: Number(decimal[2]) };
  return TYPES[sqlType];
};

/** The logical type that a column can hold every value of. */
export const heldType = (sqlType: string): ColumnType | undefined => {
  if (sqlType === "HUGEINT") return { kind: "decimal", precision: MOST_DIGITS, scale: 0 };
  return NARROW.has(sqlType) ? undefined : readType(sqlType);
};

/** How a column of another type is selected so that it can be read; undefined = refused. */
export const readCast = (sqlType: string): { readonly cast: (column: string) => string; readonly type: ColumnType } | undefined => {
  const text = (column: string): string => `cast(${column} as VARCHAR)`;
  if (/\[\d*\]$|^STRUCT\(|^MAP\(|^UNION\(|^VARIANT/.test(sqlType))
    return { cast: (column) => `cast(to_json(${column}) as VARCHAR)`, type: { kind: "json" } };
  // Sums of integers are HUGEINT: 38 digits hold all but the last few of its values, and the cast refuses those.
  if (sqlType === "HUGEINT" || sqlType === "UHUGEINT") {
    return {
      cast: (column) => `cast(${column} as DECIMAL(${MOST_DIGITS},0))`,
      type: { kind: "decimal", precision: MOST_DIGITS, scale: 0 },
    };
  }
  if (/^ENUM\(|^INTERVAL$|^BIT$|^BIGNUM$|^TIME WITH TIME ZONE$|^TIME_NS$|^TIMESTAMP_NS$|^"NULL"$/.test(sqlType))
    return { cast: text, type: { kind: "string" } };
  return undefined;
};

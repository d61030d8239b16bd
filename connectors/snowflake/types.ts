// Logical types as Snowflake types and back: https://docs.snowflake.com/en/sql-reference/intro-summary-data-types

import type { ColumnType } from "../batch.ts";
import { DownbeatError } from "../../core/errors.ts";

const MOST_DIGITS = 38;

export const toSqlType = (type: ColumnType, column: string): string => {
  switch (type.kind) {
    case "bool":
      return "BOOLEAN";
    case "int32":
      return "NUMBER(10,0)";
    case "int64":
      return "NUMBER(19,0)";
    case "uint64":
      return "NUMBER(20,0)";
    // One type of eight bytes, whatever it is called.
    case "float32":
    case "float64":
      return "FLOAT";
    case "decimal":
      if (type.precision <= MOST_DIGITS && type.scale < MOST_DIGITS) return `NUMBER(${type.precision},${type.scale})`;
      throw new DownbeatError(
        "DESTINATION_TYPE_UNSUPPORTED",
        `column "${column}": decimal(${type.precision},${type.scale}) is beyond Snowflake's ${MOST_DIGITS} digits; cast it to fewer digits or to text in the source's query`,
        { details: { column, precision: type.precision, scale: type.scale } },
      );
    case "string":
      return "VARCHAR(16777216)";
    case "binary":
      return "BINARY";
    case "date":
      return "DATE";
    case "time":
      return "TIME(9)";
    case "timestamp":
      return "TIMESTAMP_NTZ(9)";
    case "timestamptz":
      return "TIMESTAMP_TZ(9)";
    case "json":
      return "VARIANT";
    case "uuid":
      return "VARCHAR(36)";
  }
};

/** Integers by the precision that this connector gives them; every other NUMBER is a decimal. */
const INTEGERS: Readonly<Record<string, ColumnType>> = {
  "NUMBER(10,0)": { kind: "int32" },
  "NUMBER(19,0)": { kind: "int64" },
  "NUMBER(20,0)": { kind: "uint64" },
};

/** Fewer digits of a second than values have would be cut. */
const LEAST_FRACTION = 6;

/** The logical type that a column, as DESCRIBE TABLE names its type, can hold every value of; undefined = none of ours. */
export const heldType = (sqlType: string): ColumnType | undefined => {
  const [, name = "", first, second] = /^([A-Z_]+)(?:\((\d+)(?:,(\d+))?\))?$/.exec(sqlType) ?? [];
  switch (name) {
    case "NUMBER":
      return INTEGERS[sqlType] ?? { kind: "decimal", precision: Number(first ?? MOST_DIGITS), scale: Number(second ?? 0) };
    case "FLOAT":
      return { kind: "float64" };
    case "VARCHAR":
      return { kind: "string" };
    case "BINARY":
      return { kind: "binary" };
    case "BOOLEAN":
      return { kind: "bool" };
    case "DATE":
      return { kind: "date" };
    case "TIME":
      return Number(first ?? 9) >= LEAST_FRACTION ? { kind: "time" } : undefined;
    case "TIMESTAMP_NTZ":
      return Number(first ?? 9) >= LEAST_FRACTION ? { kind: "timestamp" } : undefined;
    case "TIMESTAMP_TZ":
    case "TIMESTAMP_LTZ":
      return Number(first ?? 9) >= LEAST_FRACTION ? { kind: "timestamptz" } : undefined;
    case "VARIANT":
      return { kind: "json" };
    default:
      return undefined;
  }
};

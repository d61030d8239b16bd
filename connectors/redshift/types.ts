// Logical types as Redshift types, as format_type() names them, and back: https://docs.aws.amazon.com/redshift/latest/dg/c_Supported_data_types.html

import type { ColumnType } from "../batch.ts";
import { DownbeatError } from "../../core/errors.ts";

/** Bytes, not characters. */
export const LONGEST_TEXT = 65_535;
export const LONGEST_BINARY = 1_024_000;
export const TEXT_TYPE = `character varying(${LONGEST_TEXT})`;

const MOST_DIGITS = 38;
const MOST_SCALE = 37;
/** Up to so many digits lie in 64 bits, which hold no 19 nines. */
const DIGITS_OF_64_BITS = 19;

export const toSqlType = (type: ColumnType, column: string): string => {
  switch (type.kind) {
    case "bool":
      return "boolean";
    case "int32":
      return "integer";
    case "int64":
      return "bigint";
    case "uint64":
      return "numeric(20,0)";
    case "float32":
      return "real";
    case "float64":
      return "double precision";
    case "decimal":
      return numericType(type.precision, type.scale, column);
    case "string":
      return TEXT_TYPE;
    case "uuid":
      return "character varying(36)";
    case "binary":
      return `varbyte(${LONGEST_BINARY})`;
    case "date":
      return "date";
    case "time":
      return "time without time zone";
    case "timestamp":
      return "timestamp without time zone";
    case "timestamptz":
      return "timestamp with time zone";
    case "json":
      return "super";
  }
};

const numericType = (precision: number, scale: number, column: string): string => {
  const digits = precision === DIGITS_OF_64_BITS ? precision + 1 : precision;
  if (digits <= MOST_DIGITS && scale <= MOST_SCALE) return `numeric(${digits},${scale})`;
  throw new DownbeatError(
    "DESTINATION_TYPE_UNSUPPORTED",
    `column "${column}": decimal(${precision},${scale}) is beyond Redshift's ${MOST_DIGITS} digits; cast it to fewer digits or to text in the source's query`,
    { details: { column, precision, scale } },
  );
};

const TYPES: Readonly<Record<string, ColumnType>> = {
  boolean: { kind: "bool" },
  integer: { kind: "int32" },
  bigint: { kind: "int64" },
  real: { kind: "float32" },
  "double precision": { kind: "float64" },
  date: { kind: "date" },
  "time without time zone": { kind: "time" },
  "timestamp without time zone": { kind: "timestamp" },
  "timestamp with time zone": { kind: "timestamptz" },
  super: { kind: "json" },
};

/** The logical type that a column, as format_type() names it, can hold every value of; undefined = none of ours. */
export const heldType = (sqlType: string): ColumnType | undefined => {
  const numeric = /^numeric\((\d+),(\d+)\)$/.exec(sqlType);
  if (numeric !== null) {
    const [precision, scale] = [Number(numeric[1]), Number(numeric[2])];
    return { kind: "decimal", precision: precision === DIGITS_OF_64_BITS ? precision - 1 : precision, scale };
  }
  if (sqlType.startsWith("character varying")) return { kind: "string" };
  if (/^(varbyte|binary varying)/.test(sqlType)) return { kind: "binary" };
  return TYPES[sqlType];
};

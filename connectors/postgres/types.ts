// Logical types as PostgreSQL types and back.

import type { ColumnType } from "../batch.ts";
import { DownbeatError } from "../../core/errors.ts";

/** numeric's limits: https://www.postgresql.org/docs/current/datatype-numeric.html */
const MOST_DIGITS = 1_000;
/** numeric without precision holds 131,072 digits before and 16,383 behind the point: more than any stream has. */
const UNBOUND: ColumnType = { kind: "decimal", precision: 2 * MOST_DIGITS, scale: MOST_DIGITS };

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
      if (type.precision <= MOST_DIGITS) return `numeric(${type.precision},${type.scale})`;
      throw new DownbeatError(
        "DESTINATION_TYPE_UNSUPPORTED",
        `column "${column}": decimal(${type.precision},${type.scale}) is beyond PostgreSQL's ${MOST_DIGITS} digits; cast it to fewer digits or to text in the source's query`,
        { details: { column, precision: type.precision, scale: type.scale } },
      );
    case "string":
      return "text";
    case "binary":
      return "bytea";
    case "date":
      return "date";
    case "time":
      return "time without time zone";
    case "timestamp":
      return "timestamp without time zone";
    case "timestamptz":
      return "timestamp with time zone";
    // Not jsonb: json keeps the text as the source wrote it.
    case "json":
      return "json";
    case "uuid":
      return "uuid";
  }
};

const TYPES: Readonly<Record<string, ColumnType>> = {
  boolean: { kind: "bool" },
  integer: { kind: "int32" },
  bigint: { kind: "int64" },
  real: { kind: "float32" },
  "double precision": { kind: "float64" },
  numeric: UNBOUND,
  text: { kind: "string" },
  "character varying": { kind: "string" },
  bytea: { kind: "binary" },
  date: { kind: "date" },
  "time without time zone": { kind: "time" },
  "timestamp without time zone": { kind: "timestamp" },
  "timestamp with time zone": { kind: "timestamptz" },
  json: { kind: "json" },
  jsonb: { kind: "json" },
  uuid: { kind: "uuid" },
};

/** The logical type that a column, as format_type() names it, can hold every value of; undefined = none of ours. */
export const heldType = (sqlType: string): ColumnType | undefined => {
  const numeric = /^numeric\((\d+),(\d+)\)$/.exec(sqlType);
  if (numeric !== null) return { kind: "decimal", precision: Number(numeric[1]), scale: Number(numeric[2]) };
  return TYPES[sqlType] ?? (/^character varying\(\d+\)$/.test(sqlType) ? { kind: "string" } : undefined);
};

/** Whether binary COPY of a logical type goes into a column of this type as it is: the server casts nothing there. */
export const isCopyable = (type: ColumnType, sqlType: string): boolean => {
  switch (type.kind) {
    case "uint64":
    case "decimal":
      return sqlType.startsWith("numeric");
    case "string":
      return sqlType === "text" || sqlType.startsWith("character varying");
    case "json":
      return sqlType === "json" || sqlType === "jsonb";
    default:
      return TYPES[sqlType]?.kind === type.kind;
  }
};

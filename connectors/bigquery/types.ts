// Logical types as BigQuery types and back: https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types

import type { ColumnType } from "../batch.ts";
import { DownbeatError } from "../../core/errors.ts";
import type { Field } from "./jobs.ts";

/** Digits before and behind the point. */
const NUMERIC = { whole: 29, scale: 9 };
const BIGNUMERIC = { whole: 38, scale: 38 };

const decimalType = (precision: number, scale: number, column: string): string => {
  const fits = ({ whole, scale: most }: typeof NUMERIC): boolean => precision - scale <= whole && scale <= most;
  if (fits(NUMERIC)) return `NUMERIC(${precision}, ${scale})`;
  if (fits(BIGNUMERIC)) return `BIGNUMERIC(${precision}, ${scale})`;
  throw new DownbeatError(
    "DESTINATION_TYPE_UNSUPPORTED",
    `column "${column}": decimal(${precision},${scale}) is beyond BigQuery's ${BIGNUMERIC.whole} digits before and ${BIGNUMERIC.scale} behind the point; cast it to fewer digits or to text in the source's query`,
    { details: { column, precision, scale } },
  );
};

export const toSqlType = (type: ColumnType, column: string): string => {
  switch (type.kind) {
    case "bool":
      return "BOOL";
    case "int32":
    case "int64":
      return "INT64";
    case "uint64":
      return "NUMERIC(20, 0)";
    case "float32":
    case "float64":
      return "FLOAT64";
    case "decimal":
      return decimalType(type.precision, type.scale, column);
    case "string":
    case "uuid":
      return "STRING";
    case "binary":
      return "BYTES";
    case "date":
      return "DATE";
    case "time":
      return "TIME";
    case "timestamp":
      return "DATETIME";
    case "timestamptz":
      return "TIMESTAMP";
    case "json":
      return "JSON";
  }
};

/** The API names some types as the older SQL did. */
const NAMES: Readonly<Record<string, string>> = { INTEGER: "INT64", FLOAT: "FLOAT64", BOOLEAN: "BOOL" };

/** As `toSqlType` writes it. */
export const sqlTypeOf = ({ type, mode, precision, scale }: Field): string => {
  const name = NAMES[type] ?? type;
  const sqlType = precision === undefined || !name.endsWith("NUMERIC") ? name : `${name}(${precision}, ${scale ?? "0"})`;
  return mode === "REPEATED" ? `ARRAY<${sqlType}>` : sqlType;
};

/** The logical type that a column can hold every value of; undefined = none of ours. */
export const heldType = ({ type, mode, precision, scale }: Field): ColumnType | undefined => {
  if (mode === "REPEATED") return undefined;
  switch (NAMES[type] ?? type) {
    case "BOOL":
      return { kind: "bool" };
    case "INT64":
      return { kind: "int64" };
    case "FLOAT64":
      return { kind: "float64" };
    case "NUMERIC":
      if (precision === "20" && (scale ?? "0") === "0") return { kind: "uint64" };
      return { kind: "decimal", precision: Number(precision ?? 38), scale: Number(scale ?? (precision === undefined ? 9 : 0)) };
    case "BIGNUMERIC":
      return { kind: "decimal", precision: Number(precision ?? 76), scale: Number(scale ?? (precision === undefined ? 38 : 0)) };
    case "STRING":
      return { kind: "string" };
    case "BYTES":
      return { kind: "binary" };
    case "DATE":
      return { kind: "date" };
    case "TIME":
      return { kind: "time" };
    case "DATETIME":
      return { kind: "timestamp" };
    case "TIMESTAMP":
      return { kind: "timestamptz" };
    case "JSON":
      return { kind: "json" };
    default:
      return undefined;
  }
};

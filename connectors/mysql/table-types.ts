// Logical types as types of tables that MySQL and MariaDB both have, and back.

import type { ColumnType } from "../batch.ts";
import { DownbeatError } from "../../core/errors.ts";

/** https://dev.mysql.com/doc/refman/8.4/en/precision-math-decimal-characteristics.html; MariaDB takes 38 behind the point. */
const MOST_DIGITS = 65;
const MOST_SCALE = 30;

/** `textCollation` is one that compares byte by byte, trailing spaces included. */
export const toSqlType = (type: ColumnType, column: string, textCollation: string): string => {
  switch (type.kind) {
    case "bool":
      return "tinyint(1)";
    case "int32":
      return "int";
    case "int64":
      return "bigint";
    case "uint64":
      return "bigint unsigned";
    case "float32":
      return "float";
    case "float64":
      return "double";
    case "decimal":
      if (type.precision <= MOST_DIGITS && type.scale <= MOST_SCALE) return `decimal(${type.precision},${type.scale})`;
      throw new DownbeatError(
        "DESTINATION_TYPE_UNSUPPORTED",
        `column "${column}": decimal(${type.precision},${type.scale}) is beyond MySQL's ${MOST_DIGITS} digits, ${MOST_SCALE} of them behind the point; cast it to fewer digits or to text in the source's query`,
        { details: { column, precision: type.precision, scale: type.scale } },
      );
    case "string":
      return `longtext character set utf8mb4 collate ${textCollation}`;
    case "binary":
      return "longblob";
    case "date":
      return "date";
    case "time":
      return "time(6)";
    // Not timestamp(6): that ends in January 2038.
    case "timestamp":
    case "timestamptz":
      return "datetime(6)";
    case "json":
      return "json";
    case "uuid":
      return "char(36) character set ascii collate ascii_bin";
  }
};

const TYPES: Readonly<Record<string, ColumnType>> = {
  "tinyint(1)": { kind: "bool" },
  int: { kind: "int32" },
  bigint: { kind: "int64" },
  "bigint unsigned": { kind: "uint64" },
  float: { kind: "float32" },
  double: { kind: "float64" },
  date: { kind: "date" },
  "time(6)": { kind: "time" },
  "datetime(6)": { kind: "timestamp" },
  // The session's zone is UTC, and moments beyond its range are refused by the server.
  "timestamp(6)": { kind: "timestamp" },
  json: { kind: "json" },
  uuid: { kind: "uuid" },
  tinytext: { kind: "string" },
  text: { kind: "string" },
  mediumtext: { kind: "string" },
  longtext: { kind: "string" },
  tinyblob: { kind: "binary" },
  blob: { kind: "binary" },
  mediumblob: { kind: "binary" },
  longblob: { kind: "binary" },
};

/** The logical type that a column, as SHOW COLUMNS names it, holds every value of, or refuses it; undefined = none of ours. */
export const heldType = (sqlType: string, collation: string | null): ColumnType | undefined => {
  const decimal = /^decimal\((\d+),(\d+)\)$/.exec(sqlType);
  if (decimal !== null) return { kind: "decimal", precision: Number(decimal[1]), scale: Number(decimal[2]) };
  if (sqlType.startsWith("varchar(")) return { kind: "string" };
  if (sqlType.startsWith("varbinary(")) return { kind: "binary" };
  if (sqlType === "char(36)" && collation?.startsWith("ascii") === true) return { kind: "uuid" };
  // A width of integers is only for show, and newer servers show none.
  return TYPES[sqlType] ?? TYPES[sqlType.replace(/^(int|bigint)\(\d+\)/, "$1")];
};

// MySQL's types at their extremes.

import type { Json } from "../../core/json.ts";

export interface TypeCase {
  readonly sql: string;
  readonly type: string;
  readonly values: readonly string[];
  /** How the server is asked for the value as text; default: a cast. */
  readonly asText?: (column: string) => string;
  /** The contract's JSON as that text. */
  readonly show?: (value: Json) => string;
}

export const number = (value: Json): string => String(Number(value));
const asHex = {
  asText: (column: string) => `lower(hex(${column}))`,
  show: (value: Json) => Buffer.from(String(value), "base64").toString("hex"),
};
const asNumber = { asText: (column: string) => `${column} + 0`, show: number };

export const TYPES: Readonly<Record<string, TypeCase>> = {
  tiny: { sql: "tinyint", type: "int32", values: ["-128", "127", "0"] },
  utiny: { sql: "tinyint unsigned", type: "int32", values: ["255", "0"] },
  flag: { sql: "tinyint(1)", type: "int32", values: ["0", "1", "2", "-128"] },
  small: { sql: "smallint", type: "int32", values: ["-32768", "32767"] },
  usmall: { sql: "smallint unsigned", type: "int32", values: ["65535"] },
  medium: { sql: "mediumint", type: "int32", values: ["-8388608", "8388607"] },
  umedium: { sql: "mediumint unsigned", type: "int32", values: ["16777215"] },
  whole: { sql: "int", type: "int32", values: ["-2147483648", "2147483647"] },
  uwhole: { sql: "int unsigned", type: "int64", values: ["4294967295", "0"] },
  big: { sql: "bigint", type: "int64", values: ["-9223372036854775808", "9223372036854775807", "-1", "9007199254740993"] },
  ubig: { sql: "bigint unsigned", type: "uint64", values: ["18446744073709551615", "9223372036854775808", "0"] },
  padded: { sql: "int(10) unsigned zerofill", type: "int64", values: ["42"], asText: (column) => `${column} + 0` },
  single: {
    sql: "float",
    type: "float32",
    values: ["-3.4028234e38", "1.17549435e-38", "0.1"],
    asText: (column) => `cast(${column} as double)`,
    show: number,
  },
  real: {
    sql: "double",
    type: "float64",
    values: ["-1.7976931348623157e308", "2.2250738585072014e-308", "0.1"],
    asText: (column) => `${column} + 0e0`,
    show: number,
  },
  price: { sql: "decimal(12, 2)", type: "decimal(12,2)", values: ["-9999999999.99", "0.01", "0", "-0.10"] },
  exact: { sql: "decimal(18, 6)", type: "decimal(18,6)", values: ["999999999999.999999", "-999999999999.999999", "-0.000001"] },
  fraction: { sql: "decimal(18, 18)", type: "decimal(18,18)", values: ["0.999999999999999999", "-0.000000000000000001"] },
  uprice: { sql: "decimal(18, 2) unsigned", type: "decimal(18,2)", values: ["9999999999999999.99"] },
  wide: { sql: "decimal(38, 10)", type: "decimal(38,10)", values: ["-9999999999999999999999999999.9999999999", "0.0000000001", "-0.5"] },
  widest: { sql: "decimal(65, 0)", type: "decimal(65,0)", values: ["9".repeat(65), `-${"9".repeat(65)}`, "0"] },
  day: { sql: "date", type: "date", values: ["'1969-12-31'", "'1000-01-01'", "'9999-12-31'", "'2000-02-29'", "'0001-01-01'"] },
  moment: {
    sql: "datetime(6)",
    type: "timestamp",
    values: ["'1969-12-31 23:59:59.999999'", "'9999-12-31 23:59:59.999999'", "'1000-01-01 00:00:00'", "'2255-06-05 23:47:34.740992'"],
  },
  second: { sql: "datetime", type: "timestamp", values: ["'2026-11-23 12:34:56'", "'2026-11-23 00:00:00'"] },
  stamp: {
    sql: "timestamp(6) null",
    type: "timestamptz",
    values: ["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07.999999'", "'2026-03-29 02:30:00.000001'"],
  },
  clock: {
    sql: "time(6)",
    type: "time",
    values: ["'-838:59:59'", "'838:59:59'", "'00:00:00'", "'-00:00:00.000001'", "'23:59:59.999999'", "'24:00:00'"],
  },
  year: { sql: "year", type: "int32", values: ["1901", "2155"] },
  bit: { sql: "bit(1)", type: "bool", values: ["b'0'", "b'1'"], ...asNumber },
  bits: {
    sql: "bit(64)",
    type: "uint64",
    values: [`b'${"1".repeat(64)}'`, "b'10000000000000000000000000000000'", "b'0'"],
    asText: (column) => `${column} + 0`,
  },
  few: { sql: "bit(9)", type: "uint64", values: ["b'100000001'"], asText: (column) => `${column} + 0` },
  fixed: { sql: "char(5)", type: "string", values: ["'ab'", "''"] },
  text: { sql: "varchar(100)", type: "string", values: ["''", "'NULL'", "'Größe 表 🎼\\t\\r\\n\\0 it''s'"] },
  latin: { sql: "varchar(20) character set latin1", type: "string", values: ["'Größe €'"] },
  ucs: { sql: "varchar(20) character set utf16", type: "string", values: ["'🎼 表'"] },
  long: { sql: "longtext", type: "string", values: ["repeat('ä', 70000)", "repeat('b', 300)", "repeat('c', 250)", "repeat('d', 251)"] },
  choice: { sql: "enum('b', 'a', '', 'ü')", type: "string", values: ["'a'", "''", "'ü'"] },
  choices: { sql: "set('x', 'y', 'z')", type: "string", values: ["'x,z'", "''"] },
  bytes: { sql: "binary(4)", type: "binary", values: ["x'00ff'", "x'ffffffff'"], ...asHex },
  varbytes: { sql: "varbinary(10)", type: "binary", values: ["x''", "x'00ff275c'"], ...asHex },
  blob: { sql: "longblob", type: "binary", values: ["repeat(x'fe', 70000)", "x'00'"], ...asHex },
  document: {
    sql: "json",
    type: "json",
    values: [`'{"a": [1, null, "\\\\u00fc"], "b": 0.10}'`, "'[]'", "'12345678901234567890'"],
    asText: (column) => column,
    show: String,
  },
};

export const NAMES = Object.keys(TYPES);

/** Statements that make a table with a column of each type and fill it: the first row is all NULL. */
export const typesTable = (table: string): { readonly create: string; readonly inserts: readonly string[] } => {
  const longest = Math.max(...NAMES.map((name) => TYPES[name]!.values.length));
  return {
    create: `create table ${table} (id int primary key, ${NAMES.map((name) => `\`${name}\` ${TYPES[name]!.sql}`).join(", ")}) character set utf8mb4`,
    inserts: Array.from(
      { length: longest + 1 },
      (_, row) => `insert into ${table} values (${row}, ${NAMES.map((name) => TYPES[name]!.values[row - 1] ?? "null").join(", ")})`,
    ),
  };
};

// What a query's columns are read as, by the numbers of their types on the wire.

import type { FieldDef } from "pg";
import type { ColumnType } from "../batch.ts";
import type { ReadColumn } from "../postgres/read-types.ts";

/** PostgreSQL's, and two of Redshift's own. */
const PLAIN: Readonly<Record<number, ColumnType>> = {
  16: { kind: "bool" },
  20: { kind: "int64" },
  21: { kind: "int32" },
  23: { kind: "int32" },
  700: { kind: "float32" },
  701: { kind: "float64" },
  1082: { kind: "date" },
  1083: { kind: "time" },
  1114: { kind: "timestamp" },
  1184: { kind: "timestamptz" },
  4000: { kind: "json" },
  6551: { kind: "binary" },
};
const NUMERIC = 1700;

const typeOf = ({ dataTypeID, dataTypeModifier }: FieldDef): ColumnType => {
  if (dataTypeID !== NUMERIC || dataTypeModifier < 0) return PLAIN[dataTypeID] ?? { kind: "string" };
  const [precision, scale] = [(dataTypeModifier - 4) >> 16, (dataTypeModifier - 4) & 0xffff];
  return { kind: "decimal", precision, scale };
};

/** As PostgreSQL writes it: two characters, and hexadecimal digits. */
const asHex = (name: string): string => `'0x' || to_hex(${name})`;

export const readColumns = (fields: readonly FieldDef[]): readonly Pick<ReadColumn, "column" | "select">[] =>
  fields.map((field) => {
    const type = typeOf(field);
    return { column: { name: field.name, type, nullable: true }, select: type.kind === "binary" ? asHex : (name) => name };
  });

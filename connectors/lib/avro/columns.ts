// Columns out of Avro schemas, and the columns that hold the messages of several.

import type { Column, ColumnType } from "../../batch.ts";
import { bounded, growColumns } from "../grow-columns.ts";
import type { AvroLogical, AvroType } from "./schema.ts";

/** A field of the messages: of a record, or the whole value under the name "value". */
export interface AvroField {
  readonly name: string;
  readonly type: AvroType;
}

/** ["null", T] and ["null", record]: T, and that it may be missing. Any other union stays one. */
export const withoutNull = (type: AvroType): AvroType => {
  if (type.kind !== "union") return type;
  const others = type.branches.filter(({ kind }) => kind !== "null");
  return others.length === 1 && others[0] !== undefined ? others[0] : type;
};

export const fieldsOf = (type: AvroType): readonly AvroField[] => {
  const root = withoutNull(type);
  return root.kind === "record" ? root.fields : [{ name: "value", type }];
};

/** Undefined: it can be nothing but null. */
export const columnTypeOf = (type: AvroType): ColumnType | undefined => {
  const inner = withoutNull(type);
  switch (inner.kind) {
    case "null":
      return undefined;
    case "record":
    case "array":
    case "map":
      return { kind: "json" };
    case "union":
      return inner.branches.every(({ kind }) => kind === "null") ? undefined : { kind: "json" };
    case "enum":
      return { kind: "string" };
    default:
      return (inner.logical === undefined ? undefined : logicalType(inner.logical)) ?? { kind: PLAIN[inner.kind] };
  }
};

const PLAIN = {
  boolean: "bool",
  int: "int32",
  long: "int64",
  float: "float32",
  double: "float64",
  bytes: "binary",
  fixed: "binary",
  string: "string",
} as const;

const logicalType = (logical: AvroLogical): ColumnType => {
  switch (logical.name) {
    case "decimal":
      return bounded({ kind: "decimal", precision: logical.precision, scale: logical.scale });
    case "local-timestamp":
      return { kind: "timestamp" };
    case "timestamp":
      return { kind: "timestamptz" };
    default:
      return { kind: logical.name };
  }
};

/** The known columns, those of the fields behind them; the known list itself where they change nothing. */
export const addColumns = (known: readonly Column[], fields: readonly AvroField[]): readonly Column[] =>
  growColumns(
    known,
    fields.map(({ name, type }) => ({ name, type: columnTypeOf(type) })),
  );

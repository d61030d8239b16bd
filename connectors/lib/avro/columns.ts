// Columns out of Avro schemas, and the columns that hold the messages of several.

import type { Column, ColumnType } from "../../batch.ts";
import { widened } from "../load/fit.ts";
import type { AvroLogical, AvroType } from "./schema.ts";

/** As many digits as the table of column types can name; beyond it is text. */
const MOST_DIGITS = 999;

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

const bounded = (type: ColumnType): ColumnType => (type.kind === "decimal" && type.precision > MOST_DIGITS ? { kind: "string" } : type);

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

/** A type that holds the values of both: by the rule by which tables widen, and text where that has none. */
const commonType = (left: ColumnType, right: ColumnType): ColumnType => bounded(widened(left, right) ?? { kind: "string" });

/** The known columns, those of the fields behind them. The known list itself comes back when nothing changed, so that callers can tell by identity. */
export const addColumns = (known: readonly Column[], fields: readonly AvroField[]): readonly Column[] => {
  const types = new Map(known.map(({ name, type }) => [name, type]));
  let changed = false;
  for (const field of fields) {
    const found = columnTypeOf(field.type);
    if (found === undefined) continue;
    const before = types.get(field.name);
    const type = before === undefined ? found : commonType(before, found);
    if (type === before) continue;
    types.set(field.name, type);
    changed = true;
  }
  return changed ? [...types].map(([name, type]) => ({ name, type, nullable: true })) : known;
};

// Columns out of Protobuf messages.

import type { Column, ColumnType } from "../../batch.ts";
import { growColumns } from "../grow-columns.ts";
import type { ProtoField, ProtoMessage, ScalarName } from "./schema.ts";
import { wellKnown } from "./well-known.ts";

const SCALARS: Readonly<Record<ScalarName, ColumnType["kind"]>> = {
  double: "float64",
  float: "float32",
  int32: "int32",
  sint32: "int32",
  sfixed32: "int32",
  uint32: "int64",
  fixed32: "int64",
  int64: "int64",
  sint64: "int64",
  sfixed64: "int64",
  uint64: "uint64",
  fixed64: "uint64",
  bool: "bool",
  string: "string",
  bytes: "binary",
};

const scalarType = (scalar: ScalarName): ColumnType => ({ kind: SCALARS[scalar] }) as ColumnType;

export const columnTypeOf = ({ type, repeated }: ProtoField): ColumnType => {
  if (repeated) return { kind: "json" };
  switch (type.kind) {
    case "scalar":
      return scalarType(type.scalar);
    case "enum":
      return { kind: "string" };
    case "map":
      return { kind: "json" };
    case "message":
      switch (wellKnown(type.message)) {
        case "timestamp":
          return { kind: "timestamptz" };
        case "duration":
        case "decimal":
          return { kind: "string" };
        case "wrapper":
          return columnTypeOf(type.message.fields.find(({ name }) => name === "value")!);
        default:
          return { kind: "json" };
      }
  }
};

/** The known columns, those of the message behind them; the known list itself where it changes nothing. */
export const addColumns = (known: readonly Column[], { fields }: ProtoMessage): readonly Column[] =>
  growColumns(
    known,
    fields.map((field) => ({ name: field.name, type: columnTypeOf(field) })),
  );

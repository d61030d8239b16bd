// MySQL's and MariaDB's types as logical types, and how each lies in a row of the binary protocol.

import type { Column, ColumnType } from "../batch.ts";
import { DownbeatError } from "../../core/errors.ts";
import { WIRE, type ColumnDefinition } from "./column-definition.ts";

export type ZeroDates = "fail" | "null" | "dead_letter";

export interface TypeOptions {
  readonly tinyint1: "int" | "bool";
  readonly zeroDates: ZeroDates;
}

/** Of a source's options. */
export const typeOptions = (options: Readonly<Record<string, unknown>>): TypeOptions => ({
  tinyint1: options["tinyint1"] === "bool" ? "bool" : "int",
  zeroDates: (options["zero_dates"] as ZeroDates | undefined) ?? "fail",
});

/** How a value is taken out of a row. */
export type Decoding =
  | "tinyBool"
  | "tinySigned"
  | "tinyUnsigned"
  | "shortSigned"
  | "shortUnsigned"
  | "word"
  | "unsignedWord"
  | "twoWords"
  | "scaledDecimal"
  | "textDecimal"
  | "date"
  | "datetime"
  | "time"
  | "bitBool"
  | "bits"
  | "text";

export interface ResultColumn {
  readonly column: Column;
  readonly decoding: Decoding;
  readonly definition: ColumnDefinition;
}

const plain = (kind: Exclude<ColumnType["kind"], "decimal">, decoding: Decoding): { type: ColumnType; decoding: Decoding } => ({
  type: { kind },
  decoding,
});

const TEXT_TYPES: Readonly<Record<string, "json" | "uuid">> = { json: "json", uuid: "uuid" };
const GEOMETRIES = new Set(["point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection"]);

/** Undefined: the type cannot be carried without loss. */
const typeOf = (
  definition: ColumnDefinition,
  options: TypeOptions,
): { readonly type: ColumnType; readonly decoding: Decoding } | undefined => {
  const { wire, length, decimals, isUnsigned, isBinary, extended } = definition;
  switch (wire) {
    case WIRE.tiny:
      if (length === 1 && options.tinyint1 === "bool") return plain("bool", "tinyBool");
      return plain("int32", isUnsigned ? "tinyUnsigned" : "tinySigned");
    case WIRE.short:
      return plain("int32", isUnsigned ? "shortUnsigned" : "shortSigned");
    case WIRE.year:
      return plain("int32", "shortUnsigned");
    case WIRE.int24:
      return plain("int32", "word");
    case WIRE.long:
      return isUnsigned ? plain("int64", "unsignedWord") : plain("int32", "word");
    case WIRE.longlong:
      return plain(isUnsigned ? "uint64" : "int64", "twoWords");
    case WIRE.float:
      return plain("float32", "word");
    case WIRE.double:
      return plain("float64", "twoWords");
    case WIRE.newdecimal: {
      // The shown length counts the point and the sign.
      const precision = Math.max(length - (decimals > 0 ? 1 : 0) - (isUnsigned ? 0 : 1), decimals, 1);
      return { type: { kind: "decimal", precision, scale: decimals }, decoding: precision <= 18 ? "scaledDecimal" : "textDecimal" };
    }
    case WIRE.date:
    case WIRE.newdate:
      return plain("date", "date");
    case WIRE.datetime:
      return plain("timestamp", "datetime");
    case WIRE.timestamp:
      return plain("timestamptz", "datetime");
    case WIRE.time:
      return plain("time", "time");
    case WIRE.bit:
      return length === 1 ? plain("bool", "bitBool") : plain("uint64", "bits");
    case WIRE.json:
      return plain("json", "text");
    case WIRE.vector:
      return plain("binary", "text");
    case WIRE.null:
    case WIRE.enum:
    case WIRE.set:
      return plain("string", "text");
    case WIRE.varchar:
    case WIRE.varString:
    case WIRE.string:
    case WIRE.blob:
    case WIRE.tinyBlob:
    case WIRE.mediumBlob:
    case WIRE.longBlob:
      if (extended !== undefined && GEOMETRIES.has(extended)) return undefined;
      if (extended !== undefined && TEXT_TYPES[extended] !== undefined) return plain(TEXT_TYPES[extended], "text");
      return plain(isBinary ? "binary" : "string", "text");
    default:
      return undefined;
  }
};

/** What a column becomes; undefined when its type cannot be carried without loss. */
export const resultColumn = (definition: ColumnDefinition, options: TypeOptions): ResultColumn | undefined => {
  const found = typeOf(definition, options);
  if (found === undefined) return undefined;
  const losesDates = options.zeroDates === "null" && (found.decoding === "date" || found.decoding === "datetime");
  return {
    column: { name: definition.name, type: found.type, nullable: !definition.isNotNull || losesDates },
    decoding: found.decoding,
    definition,
  };
};

/** Refuses with all columns named that cannot be carried. */
export const resultColumns = (definitions: readonly ColumnDefinition[], options: TypeOptions, what: string): readonly ResultColumn[] => {
  const columns = definitions.map((definition) => resultColumn(definition, options));
  const refused = definitions.filter((_, place) => columns[place] === undefined).map(({ name }) => `"${name}"`);
  if (refused.length === 0) return columns.filter((column) => column !== undefined);
  throw new DownbeatError(
    "SOURCE_TYPE_UNSUPPORTED",
    `${what}: ${refused.join(", ")}: geometry cannot be carried without loss; leave it out with from.columns, or convert it in a from.query, e.g. with ST_AsText`,
    { details: { columns: definitions.filter((_, place) => columns[place] === undefined).map(({ name }) => name) } },
  );
};

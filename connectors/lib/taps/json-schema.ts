// JSON Schema, as taps describe their streams with, to columns. What it leaves open stays JSON.

import type { Column, ColumnType } from "../../batch.ts";
import { isRawNumber } from "../json-text.ts";

export type JsonSchema = Readonly<Record<string, unknown>>;

const isSchema = (value: unknown): value is JsonSchema => typeof value === "object" && value !== null && !Array.isArray(value);

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : value === undefined ? [] : [value]);

/** The stream's columns: those of `key` without NULL where the schema says so, all others with; `given` types go before the schema's. */
export const columnsOf = (schema: JsonSchema, key: readonly string[], given: readonly Column[]): readonly Column[] => {
  const properties = isSchema(schema["properties"]) ? schema["properties"] : {};
  const types = new Map(given.map(({ name, type }) => [name, type]));
  const described = Object.entries(properties).map(([name, property]): Column => {
    const alternatives = alternativesOf(property, schema);
    const nullable = !key.includes(name) || alternatives.some((one) => list(one["type"]).includes("null"));
    return { name, type: types.get(name) ?? typeOf(alternatives), nullable };
  });
  return [...described, ...given.filter(({ name }) => !Object.hasOwn(properties, name))];
};

const MOST_DEPTH = 20;

/** The property and what it may be instead, each with one type. */
const alternativesOf = (property: unknown, root: JsonSchema, depth = 0): readonly JsonSchema[] => {
  if (!isSchema(property) || depth > MOST_DEPTH) return [{}];
  const { $ref: reference } = property;
  if (typeof reference === "string") return alternativesOf(resolve(reference, root), root, depth + 1);
  const others = [...list(property["anyOf"]), ...list(property["oneOf"])];
  if (others.length > 0) return others.flatMap((other) => alternativesOf(other, root, depth + 1));
  const types = list(property["type"]);
  if (types.length === 0) return [isSchema(property["properties"]) ? { ...property, type: "object" } : property];
  return types.map((type) => ({ ...property, type }));
};

const resolve = (reference: string, root: JsonSchema): unknown =>
  reference
    .replace(/^#\/?/, "")
    .split("/")
    .reduce<unknown>((current, part) => (isSchema(current) ? current[part.replaceAll("~1", "/").replaceAll("~0", "~")] : undefined), root);

const typeOf = (alternatives: readonly JsonSchema[]): ColumnType => {
  const types = alternatives.filter((one) => one["type"] !== "null").map(singleType);
  const [first] = types;
  if (first === undefined) return { kind: "string" };
  return types.slice(1).reduce(commonType, first);
};

const sameType = (left: ColumnType, right: ColumnType): boolean => JSON.stringify(left) === JSON.stringify(right);

/** Whole numbers beside fractions are fractions, anything beside objects or lists stays JSON, all else is text. */
const commonType = (left: ColumnType, right: ColumnType): ColumnType => {
  if (sameType(left, right)) return left;
  const kinds = new Set([left.kind, right.kind]);
  if (kinds.has("json")) return { kind: "json" };
  return kinds.has("int64") && kinds.has("float64") ? { kind: "float64" } : { kind: "string" };
};

const singleType = (schema: JsonSchema): ColumnType => {
  switch (schema["type"]) {
    case "boolean":
      return { kind: "bool" };
    case "integer":
      return integerType(schema);
    case "number":
      return schema["airbyte_type"] === "integer" ? { kind: "int64" } : numberType(schema);
    case "string":
      return textType(schema);
    default:
      return { kind: "json" };
  }
};

const numberOf = (value: unknown): number | undefined => {
  if (isRawNumber(value)) return Number(value.rawJSON);
  return typeof value === "number" || typeof value === "bigint" ? Number(value) : undefined;
};

const INT64_MOST = 2 ** 63;
/** Digits of the widest decimals that warehouses have in common. */
const MOST_DIGITS = 38;

const integerType = ({ minimum, maximum }: JsonSchema): ColumnType => {
  const [least, most] = [numberOf(minimum) ?? 0, numberOf(maximum) ?? 0];
  // The largest int64 is not exact as a double: it is the same as 2^63.
  if (most <= INT64_MOST && least >= -INT64_MOST) return { kind: "int64" };
  return numberOf(minimum) !== undefined && least >= 0 && most <= 2 ** 64
    ? { kind: "uint64" }
    : { kind: "decimal", precision: MOST_DIGITS, scale: 0 };
};

/** `multipleOf: 0.01` says how many digits are behind the point, `maximum` how many are before it. */
const numberType = ({ multipleOf, maximum }: JsonSchema): ColumnType => {
  const step = numberOf(multipleOf);
  if (step === undefined || step <= 0 || step > 1) return { kind: "float64" };
  const scale = Math.round(-Math.log10(step));
  if (Math.abs(10 ** -scale / step - 1) > 1e-9) return { kind: "float64" };
  const most = numberOf(maximum);
  return decimalType(most === undefined || most <= 0 ? MOST_DIGITS : Math.max(Math.ceil(Math.log10(most)), 0) + scale, scale);
};

/** Beyond what decimals hold, text keeps the digits. */
const decimalType = (precision: number, scale: number): ColumnType =>
  precision >= 1 && precision <= MOST_DIGITS && scale <= precision ? { kind: "decimal", precision, scale } : { kind: "string" };

const textType = ({ format, airbyte_type: airbyteType, contentEncoding, precision, scale }: JsonSchema): ColumnType => {
  switch (airbyteType) {
    case "timestamp_without_timezone":
      return { kind: "timestamp" };
    case "big_integer":
      return { kind: "decimal", precision: MOST_DIGITS, scale: 0 };
    case "integer":
      return { kind: "int64" };
    case "time_with_timezone":
      return { kind: "string" };
  }
  if (contentEncoding === "base64") return { kind: "binary" };
  switch (format) {
    case "date-time":
      return { kind: "timestamptz" };
    case "date":
    case "time":
    case "uuid":
      return { kind: format };
    case "singer.decimal":
    case "x-singer.decimal":
      return decimalType(numberOf(precision) ?? 0, numberOf(scale) ?? 0);
    default:
      return { kind: "string" };
  }
};

// Avro schemas (specification 1.12) as trees in which every name is resolved: what columns and readers are made of.

export interface AvroRecord {
  readonly kind: "record";
  readonly name: string;
  /** Filled after the record has its name: a record may hold itself. */
  fields: readonly { readonly name: string; readonly type: AvroType }[];
}

export interface AvroUnion {
  readonly kind: "union";
  readonly branches: readonly AvroType[];
}

type Primitive = "null" | "boolean" | "int" | "long" | "float" | "double" | "bytes" | "string";

/** What a value means beyond its bytes. Names that are unknown or do not fit their type are left out, as the specification asks. */
export type AvroLogical =
  | { readonly name: "decimal"; readonly precision: number; readonly scale: number }
  | { readonly name: "uuid" | "date" }
  /** Units in a second. */
  | { readonly name: "time" | "timestamp" | "local-timestamp"; readonly perSecond: bigint };

export type AvroType =
  | { readonly kind: Primitive; readonly logical?: AvroLogical }
  | { readonly kind: "fixed"; readonly name: string; readonly size: number; readonly logical?: AvroLogical }
  | { readonly kind: "enum"; readonly name: string; readonly symbols: readonly string[] }
  | { readonly kind: "array"; readonly items: AvroType }
  | { readonly kind: "map"; readonly values: AvroType }
  | AvroUnion
  | AvroRecord;

/** Full name → type: of one schema and of those that it refers to. */
export type AvroNames = Map<string, AvroType>;

const PRIMITIVES = new Set(["null", "boolean", "int", "long", "float", "double", "bytes", "string"]);
const isPrimitive = (text: string): text is Primitive => PRIMITIVES.has(text);

const PER_SECOND = { millis: 1_000n, micros: 1_000_000n, nanos: 1_000_000_000n } as const;

type Attributes = Readonly<Record<string, unknown>>;

/** Throws an error that says what is wrong. `names` is added to. */
export const parseAvroSchema = (text: string, names: AvroNames = new Map()): AvroType => typeOf(JSON.parse(text), names, "");

const typeOf = (schema: unknown, names: AvroNames, namespace: string): AvroType => {
  if (typeof schema === "string") return namedType(schema, names, namespace);
  if (Array.isArray(schema)) return { kind: "union", branches: schema.map((branch) => typeOf(branch, names, namespace)) };
  if (typeof schema !== "object" || schema === null) throw new Error(`${JSON.stringify(schema)} is no Avro type`);
  const attributes = schema as Attributes;
  const { type } = attributes;
  switch (type) {
    case "record":
    case "error":
      return recordOf(attributes, names, namespace);
    case "enum":
      return define(attributes, names, namespace, (name) => ({ kind: "enum", name, symbols: textsOf(attributes["symbols"], name) }));
    case "fixed":
      return define(attributes, names, namespace, (name) => fixedOf(attributes, name));
    case "array":
      return { kind: "array", items: typeOf(attributes["items"], names, namespace) };
    case "map":
      return { kind: "map", values: typeOf(attributes["values"], names, namespace) };
    default: {
      if (typeof type !== "string" || !isPrimitive(type)) return typeOf(type, names, namespace);
      const logical = logicalOf(attributes, type);
      return logical === undefined ? { kind: type } : { kind: type, logical };
    }
  }
};

const fullName = (name: string, namespace: string): string => (name.includes(".") || namespace === "" ? name : `${namespace}.${name}`);

const namedType = (name: string, names: AvroNames, namespace: string): AvroType => {
  if (isPrimitive(name)) return { kind: name };
  const found = names.get(fullName(name, namespace)) ?? names.get(name);
  if (found === undefined) throw new Error(`the type ${fullName(name, namespace)} is defined nowhere`);
  return found;
};

const nameOf = ({ name, namespace: own }: Attributes, namespace: string): string => {
  if (typeof name !== "string" || name === "") throw new Error("a record, enum or fixed has no name");
  return fullName(name, typeof own === "string" ? own : namespace);
};

const define = (attributes: Attributes, names: AvroNames, namespace: string, make: (name: string) => AvroType): AvroType => {
  const name = nameOf(attributes, namespace);
  const type = make(name);
  names.set(name, type);
  return type;
};

const recordOf = (attributes: Attributes, names: AvroNames, namespace: string): AvroRecord => {
  const name = nameOf(attributes, namespace);
  const record: AvroRecord = { kind: "record", name, fields: [] };
  names.set(name, record);
  const { fields } = attributes;
  if (!Array.isArray(fields)) throw new Error(`the record ${name} has no fields`);
  const inner = name.includes(".") ? name.slice(0, name.lastIndexOf(".")) : "";
  record.fields = fields.map((field: Attributes) => {
    if (typeof field?.["name"] !== "string") throw new Error(`a field of ${name} has no name`);
    return { name: field["name"], type: typeOf(field["type"], names, inner) };
  });
  return record;
};

const fixedOf = (attributes: Attributes, name: string): AvroType => {
  const { size } = attributes;
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) throw new Error(`the fixed ${name} has no size`);
  const logical = logicalOf(attributes, "fixed", size);
  return { kind: "fixed", name, size, ...(logical === undefined ? {} : { logical }) };
};

const textsOf = (symbols: unknown, name: string): readonly string[] => {
  if (Array.isArray(symbols) && symbols.every((symbol) => typeof symbol === "string")) return symbols;
  throw new Error(`the enum ${name} has no symbols`);
};

const logicalOf = (
  { logicalType, precision, scale = 0 }: Attributes,
  kind: Primitive | "fixed",
  size?: number,
): AvroLogical | undefined => {
  if (typeof logicalType !== "string") return undefined;
  if (logicalType === "decimal" && (kind === "bytes" || kind === "fixed")) {
    const isOne = typeof precision === "number" && typeof scale === "number" && precision >= 1 && scale >= 0 && scale <= precision;
    return isOne ? { name: "decimal", precision, scale } : undefined;
  }
  if (logicalType === "uuid") return kind === "string" || size === 16 ? { name: "uuid" } : undefined;
  if (logicalType === "date") return kind === "int" ? { name: "date" } : undefined;
  const [, name, unit] = /^(time|timestamp|local-timestamp)-(millis|micros|nanos)$/.exec(logicalType) ?? [];
  if (name === undefined || kind !== (logicalType === "time-millis" ? "int" : "long") || logicalType === "time-nanos") return undefined;
  return { name: name as "time" | "timestamp" | "local-timestamp", perSecond: PER_SECOND[unit as keyof typeof PER_SECOND] };
};

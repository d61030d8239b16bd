// Protobuf schemas as their .proto texts say them: the messages of a file, each with its fields.

import type { Enum, Field, NamespaceBase, ReflectionObject, Type } from "protobufjs";

export type ScalarName =
  | "double"
  | "float"
  | "int32"
  | "sint32"
  | "sfixed32"
  | "uint32"
  | "fixed32"
  | "int64"
  | "sint64"
  | "sfixed64"
  | "uint64"
  | "fixed64"
  | "bool"
  | "string"
  | "bytes";

/** `repeated` says nothing of a map: it is one value. */
export interface ProtoField {
  readonly name: string;
  readonly id: number;
  readonly type: ProtoType;
  readonly repeated: boolean;
  /** Whether a value that is missing can be told from the type's zero; it is NULL then. */
  readonly presence: boolean;
  readonly required: boolean;
  /** Of fields with the same word only one is there. */
  readonly oneof: string | undefined;
}

export interface ProtoMessage {
  /** With its package, "shop.Order". */
  readonly name: string;
  /** Filled after the message has its name: it may hold itself. */
  fields: readonly ProtoField[];
}

export type ProtoType =
  | { readonly kind: "scalar"; readonly scalar: ScalarName }
  | { readonly kind: "enum"; readonly names: ReadonlyMap<number, string> }
  | { readonly kind: "message"; readonly message: ProtoMessage }
  | { readonly kind: "map"; readonly key: ScalarName; readonly value: ProtoType };

/** A file that another one imports, by the path that it does so by. */
export interface ProtoFile {
  readonly name: string;
  readonly text: string;
}

export interface ProtoSchema {
  /** The message at a place: the first number counts the file's messages, the next one those declared in it, and so on. Undefined: there is none. */
  messageAt(path: readonly number[]): ProtoMessage | undefined;
}

/** What Confluent's registry has of itself, and names among no references. https://github.com/confluentinc/schema-registry/tree/master/protobuf-types */
const CONFLUENT_DECIMAL = `syntax = "proto3"; package confluent.type; message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }`;

/** `imported`: each behind those that it imports itself. Throws an error that says what is wrong. */
export const parseProto = async (text: string, imported: readonly ProtoFile[]): Promise<ProtoSchema> => {
  const { default: protobuf } = await import("protobufjs");
  const { default: descriptor } = await import("protobufjs/google/protobuf/descriptor.json", { with: { type: "json" } });
  const parse = (source: string, root: InstanceType<typeof protobuf.Root>) => protobuf.parse(source, root, { keepCase: true });
  const all = new protobuf.Root();
  const known = new Set<string>();
  for (const { name, text: source } of imported) {
    known.add(name);
    parse(source, all);
  }
  const { imports = [], weakImports = [], package: packageName } = parse(text, all);
  const files = [...imports, ...weakImports, ...imported.flatMap((file) => parse(file.text, new protobuf.Root()).imports ?? [])];
  for (const file of new Set(files)) {
    if (known.has(file)) continue;
    const common = protobuf.common.get(file);
    if (common?.nested !== undefined) all.addJSON(common.nested);
    // Options that a schema defines are fields of what this file has.
    else if (file === "google/protobuf/descriptor.proto") all.addJSON(descriptor.nested);
    else if (file === "confluent/type/decimal.proto") parse(CONFLUENT_DECIMAL, all);
  }
  all.resolveAll();

  const messages = new Map<Type, ProtoMessage>();
  const isType = (object: ReflectionObject): object is Type => object instanceof protobuf.Type;
  const messageOf = (type: Type): ProtoMessage => {
    const made = messages.get(type);
    if (made !== undefined) return made;
    const message: ProtoMessage = { name: type.fullName.slice(1), fields: [] };
    messages.set(type, message);
    message.fields = type.fieldsArray.map(fieldOf);
    return message;
  };
  const namedType = (resolved: Type | Enum | null, name: string): ProtoType => {
    if (resolved === null) return { kind: "scalar", scalar: name as ScalarName };
    if (isType(resolved)) return { kind: "message", message: messageOf(resolved) };
    return { kind: "enum", names: new Map(Object.entries(resolved.valuesById).map(([id, value]) => [Number(id), value])) };
  };
  const fieldOf = (field: Field): ProtoField => {
    const value = namedType(field.resolvedType, field.type);
    const type: ProtoType = field instanceof protobuf.MapField ? { kind: "map", key: field.keyType as ScalarName, value } : value;
    return {
      name: field.name,
      id: field.id,
      type,
      repeated: field.repeated,
      presence: Boolean(field.hasPresence),
      required: field.required,
      oneof: field.partOf?.name,
    };
  };
  const declaredIn = (parent: NamespaceBase): readonly Type[] => parent.nestedArray.filter(isType);
  // By itself: other files may have messages in the same package.
  const alone = new protobuf.Root();
  parse(text, alone);
  const own = packageName === undefined ? alone : alone.lookup(packageName);

  return {
    messageAt(path) {
      let place = own as NamespaceBase | undefined | null;
      for (const index of path) place = place && declaredIn(place)[index];
      return place && isType(place) ? messageOf(all.lookupType(place.fullName)) : undefined;
    },
  };
};

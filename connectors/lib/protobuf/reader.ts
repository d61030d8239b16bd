// Reads Protobuf messages as rows of given columns.

import type { Column } from "../../batch.ts";
import { jsonText } from "../json-text.ts";
import { finiteOrText, type Row } from "../rows.ts";
import { columnTypeOf } from "./columns.ts";
import { readInt32, type Scalar, SCALARS } from "./scalars.ts";
import type { ProtoField, ProtoMessage, ProtoType, ScalarName } from "./schema.ts";
import { type Form, meaningOf, wellKnown } from "./well-known.ts";
import { GROUP, LENGTH, ProtoCursor, VARINT } from "./wire.ts";

type Fields = Record<string, unknown>;
/** From a cursor over a whole message, which lies in so many others. */
type ReadMessage = (body: ProtoCursor, depth: number) => unknown;
/** As many as Protobuf's own libraries follow: deeper ones are made to harm. */
const MOST_DEEP = 100;

/** Messages that are read as JSON says them: one may hold itself. */
type Made = Map<ProtoMessage, ReadMessage>;

/** Throws what is wrong with a message. Fields that its schema does not have are passed over, as Protobuf asks. */
export const protoReader = (message: ProtoMessage, columns: readonly Column[]): ((cursor: ProtoCursor) => Row) => {
  const wanted = new Map(columns.map((column) => [column.name, column.type.kind]));
  const formOf = (field: ProtoField): Form => {
    const { kind } = columnTypeOf(field);
    const isFloat = kind === "float32" || kind === "float64";
    return kind !== "json" && (isFloat || wanted.get(field.name) === kind) ? "native" : "plain";
  };
  const read = fieldsReader(message, formOf, new Map());
  const nullable = message.fields.filter(({ presence }) => presence).map(({ name }) => name);
  const anything = message.fields.filter(isAnything).map(({ name }) => name);
  return (cursor) => {
    const row = read(cursor, 0);
    for (const name of nullable) row[name] ??= null;
    // In a column of JSON a text would be taken for JSON.
    for (const name of anything) if (typeof row[name] === "string") row[name] = jsonText(row[name]);
    return row;
  };
};

const isAnything = ({ type, repeated }: ProtoField): boolean => !repeated && type.kind === "message" && wellKnown(type.message) === "value";

/** What a field takes off the cursor, behind its tag. */
type Take = (cursor: ProtoCursor, wire: number, into: Fields, parts: Parts, depth: number) => void;
/** Messages by their fields, in the pieces that they came in: Protobuf joins them. */
type Parts = Map<string, Buffer[]>;

interface FieldReader {
  readonly field: ProtoField;
  readonly take: Take;
  /** What is made of all pieces of a message. */
  readonly join?: ReadMessage;
  readonly zero?: () => unknown;
  /** Of the same oneof: this one's coming takes them away. */
  readonly others: readonly string[];
}

const fieldsReader = (
  message: ProtoMessage,
  formOf: (field: ProtoField) => Form,
  made: Made,
): ((body: ProtoCursor, depth: number) => Fields) => {
  const readers = message.fields.map((field) => fieldReader(message, field, formOf(field), made));
  const byId = new Map(readers.map((reader) => [reader.field.id, reader]));
  const messages = readers.filter(({ join }) => join !== undefined);
  const zeros = readers.filter(({ zero }) => zero !== undefined);
  const required = message.fields.filter((field) => field.required);
  return (cursor, depth) => {
    if (depth > MOST_DEEP) throw new Error(`has more than ${MOST_DEEP} messages in each other`);
    // Without a prototype: a field may be called "__proto__".
    const fields = Object.create(null) as Fields;
    const parts: Parts = new Map();
    for (const { field, zero } of zeros) fields[field.name] = zero?.();
    while (!cursor.isAtEnd) {
      const tag = cursor.readTag();
      const reader = byId.get(tag.id);
      if (reader === undefined) {
        cursor.skip(tag);
        continue;
      }
      for (const other of reader.others) {
        delete fields[other];
        parts.delete(other);
      }
      inField(reader.field, () => reader.take(cursor, tag.wire, fields, parts, depth));
    }
    for (const { field, join } of messages) {
      const pieces = parts.get(field.name);
      if (pieces !== undefined) fields[field.name] = inField(field, () => join?.(new ProtoCursor(joined(pieces)), depth + 1));
    }
    for (const { name } of required) if (!(name in fields)) throw new Error(`lacks the field "${name}", which its schema requires`);
    return fields;
  };
};

/** As they lie in the message, where they are one: copies of copies would take the memory of many messages. */
const joined = (pieces: readonly Buffer[]): Buffer => (pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces));

const inField = <Value>({ name }: ProtoField, read: () => Value): Value => {
  try {
    return read();
  } catch (error) {
    throw new Error(`field "${name}" ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
};

const fieldReader = (message: ProtoMessage, field: ProtoField, form: Form, made: Made): FieldReader => {
  const { name, type, repeated, presence, oneof } = field;
  const others =
    oneof === undefined ? [] : message.fields.filter((other) => other !== field && other.oneof === oneof).map((other) => other.name);
  if (type.kind === "map") return { field, others, take: mapTaker(field, type, made), zero: () => Object.create(null) };
  if (type.kind === "message") {
    const read = messageReader(type.message, form, made);
    if (repeated) {
      const take: Take = (cursor, wire, into, _, depth) =>
        void itemsOf(into, name).push(read(new ProtoCursor(bodyOf(field, cursor, wire)), depth + 1));
      return { field, others, take, zero: () => [] };
    }
    const take: Take = (cursor, wire, _, parts) => {
      const body = bodyOf(field, cursor, wire);
      const before = parts.get(name);
      if (before === undefined) parts.set(name, [body]);
      else before.push(body);
    };
    return { field, others, take, join: read };
  }
  const { wire: own, read, zero } = scalarOf(type, form);
  if (!repeated) {
    const take: Take = (cursor, wire, into) => {
      checkWire(wire, own);
      into[name] = read(cursor);
    };
    return { field, others, take, ...(presence ? {} : { zero: () => zero }) };
  }
  const take: Take = (cursor, wire, into) => {
    const items = itemsOf(into, name);
    // Numbers may come all in one piece, whatever the schema says.
    if (wire === LENGTH && own !== LENGTH) for (const body = new ProtoCursor(cursor.readBytes()); !body.isAtEnd; ) items.push(read(body));
    else {
      checkWire(wire, own);
      items.push(read(cursor));
    }
  };
  return { field, others, take, zero: () => [] };
};

const itemsOf = (into: Fields, name: string): unknown[] => into[name] as unknown[];

const checkWire = (wire: number, own: number): void => {
  if (wire !== own) throw new Error(`is written otherwise (wire type ${wire}) than its schema says (${own})`);
};

const bodyOf = ({ id }: ProtoField, cursor: ProtoCursor, wire: number): Buffer => {
  if (wire === GROUP) return cursor.readGroup(id);
  checkWire(wire, LENGTH);
  return cursor.readBytes();
};

const scalarOf = (type: Exclude<ProtoType, { kind: "message" | "map" }>, form: Form): Scalar => {
  if (type.kind === "enum") {
    const { names } = type;
    // Numbers that came into a schema later have no name in this one.
    const nameOf = (number: number): string => names.get(number) ?? String(number);
    return { wire: VARINT, zero: nameOf(0), read: (cursor) => nameOf(readInt32(cursor)) };
  }
  const scalar = SCALARS[type.scalar];
  if (form === "native") return scalar;
  if (type.scalar === "bytes") return { ...scalar, zero: "", read: (cursor) => (scalar.read(cursor) as Buffer).toString("base64") };
  if (type.scalar === "float" || type.scalar === "double")
    return { ...scalar, read: (cursor) => finiteOrText(scalar.read(cursor) as number) };
  return scalar;
};

/** Entries are messages of a key and a value; either may be missing, and is its zero then. */
const mapTaker = (field: ProtoField, { key, value }: { readonly key: ScalarName; readonly value: ProtoType }, made: Made): Take => {
  const ofEntry = { repeated: false, presence: false, required: false, oneof: undefined };
  const entry: ProtoMessage = {
    name: `${field.name} entry`,
    fields: [
      { ...ofEntry, name: "key", id: 1, type: { kind: "scalar", scalar: key } },
      { ...ofEntry, name: "value", id: 2, type: value },
    ],
  };
  const read = fieldsReader(entry, () => "plain", made);
  const empty =
    value.kind === "message" ? () => messageReader(value.message, "plain", made)(new ProtoCursor(Buffer.alloc(0)), 0) : () => null;
  return (cursor, wire, into, _, depth) => {
    const { key: name, value: held = empty() } = read(new ProtoCursor(bodyOf(field, cursor, wire)), depth + 1);
    (into[field.name] as Fields)[String(name)] = held;
  };
};

const messageReader = (message: ProtoMessage, form: Form, made: Made): ReadMessage => {
  const known = form === "plain" ? made.get(message) : undefined;
  if (known !== undefined) return known;
  const { inner, make } = meaningOf(message, form);
  let fields: ((body: ProtoCursor, depth: number) => Fields) | undefined;
  const read: ReadMessage = (body, depth) => make((fields ??= fieldsReader(message, () => inner, made))(body, depth));
  if (form === "plain") made.set(message, read);
  return read;
};

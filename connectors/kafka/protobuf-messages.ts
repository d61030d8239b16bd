// Messages of one Protobuf file of a registry: behind the schema's id they say which of the file's messages they are.
// https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format

import { addColumns } from "../lib/protobuf/columns.ts";
import { protoReader } from "../lib/protobuf/reader.ts";
import { parseProto, type ProtoMessage } from "../lib/protobuf/schema.ts";
import { ProtoCursor } from "../lib/protobuf/wire.ts";
import { HEADER_BYTES, type MessageSchema, type SchemaOf } from "./message-schema.ts";
import type { RegisteredSchema } from "./registry.ts";

/** Messages that are declared in each other are not deeper. */
const MOST_INDEXES = 100;

export const protobufMessages = async ({ text, references }: RegisteredSchema): Promise<SchemaOf> => {
  const file = await parseProto(text, references);
  const known = new Map<string, MessageSchema>();
  return (value) => {
    const path = readPath(new ProtoCursor(value, HEADER_BYTES));
    const name = path.join();
    const before = known.get(name);
    if (before !== undefined) return before;
    const message = file.messageAt(path);
    if (message === undefined) throw new Error(`is of the message ${name} of its schema, which has none there`);
    const schema = schemaOf(message);
    known.set(name, schema);
    return schema;
  };
};

const schemaOf = (message: ProtoMessage): MessageSchema => ({
  columnsWith: (columns) => addColumns(columns, message),
  readerFor: (columns) => {
    const read = protoReader(message, columns);
    return (value) => {
      const cursor = new ProtoCursor(value, HEADER_BYTES);
      readPath(cursor);
      return read(cursor);
    };
  },
});

/** The place of the message in its file, from the outermost one. A single zero stands for the first one. */
const readPath = (cursor: ProtoCursor): readonly number[] => {
  const count = cursor.readZigzag();
  if (count === 0) return [0];
  if (count < 0 || count > MOST_INDEXES) throw new Error(`says its message by ${count} numbers: it was not written with a schema registry`);
  return Array.from({ length: count }, () => cursor.readZigzag());
};

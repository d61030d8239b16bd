// The schemas of messages in Confluent's wire format: a zero, four bytes of the schema's id, and the value.

import type { Column } from "../batch.ts";
import { addColumns, fieldsOf } from "../lib/avro/columns.ts";
import { AvroCursor } from "../lib/avro/cursor.ts";
import { avroReader } from "../lib/avro/reader.ts";
import { type AvroNames, parseAvroSchema } from "../lib/avro/schema.ts";
import type { Row } from "../lib/rows.ts";
import type { RegisteredSchema, SchemaRegistry } from "./registry.ts";

export interface MessageSchema {
  /** The known columns and those of its messages; the known list itself where they add nothing. */
  columnsWith(known: readonly Column[]): readonly Column[];
  /** Reads whole values, header and all. Throws what is wrong with one. */
  readerFor(columns: readonly Column[]): (value: Buffer) => Row;
}

export interface MessageSchemas {
  /** The schema of a value, or why the value cannot be read. Throws when the registry cannot be asked. Known ones come at once. */
  of(value: Buffer): MessageSchema | string | Promise<MessageSchema | string>;
}

const HEADER_BYTES = 5;
const MAGIC = 0;

export const createMessageSchemas = (registry: SchemaRegistry): MessageSchemas => {
  const known = new Map<number, MessageSchema | string>();
  const ask = async (id: number): Promise<MessageSchema | string> => {
    const registered = await registry.schema(id);
    const schema =
      registered === undefined ? `has the schema id ${id}, which the schema registry does not know` : messageSchema(id, registered);
    known.set(id, schema);
    return schema;
  };
  return {
    of(value) {
      if (value.length < HEADER_BYTES || value[0] !== MAGIC) {
        return "does not begin with a zero byte and a schema id: it was not written with a schema registry";
      }
      const id = value.readUInt32BE(1);
      return known.get(id) ?? ask(id);
    },
  };
};

const messageSchema = (id: number, { type, text, references }: RegisteredSchema): MessageSchema | string => {
  if (type !== "AVRO") return `has the schema id ${id}, whose schema is ${type} and not AVRO`;
  const names: AvroNames = new Map();
  try {
    for (const reference of references) parseAvroSchema(reference.text, names);
    const root = parseAvroSchema(text, names);
    return {
      columnsWith: (columns) => addColumns(columns, fieldsOf(root)),
      readerFor: (columns) => {
        const read = avroReader(root, columns);
        return (value) => read(new AvroCursor(value, HEADER_BYTES));
      },
    };
  } catch (error) {
    return `has the schema id ${id}, whose schema cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
};

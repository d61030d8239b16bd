// Messages of one Avro schema of a registry.

import { addColumns, fieldsOf } from "../lib/avro/columns.ts";
import { AvroCursor } from "../lib/avro/cursor.ts";
import { avroReader } from "../lib/avro/reader.ts";
import { type AvroNames, parseAvroSchema } from "../lib/avro/schema.ts";
import { HEADER_BYTES, type MessageSchema, type SchemaOf } from "./message-schema.ts";
import type { RegisteredSchema } from "./registry.ts";

export const avroMessages = async ({ text, references }: RegisteredSchema): Promise<SchemaOf> => {
  const names: AvroNames = new Map();
  for (const reference of references) parseAvroSchema(reference.text, names);
  const root = parseAvroSchema(text, names);
  const schema: MessageSchema = {
    columnsWith: (columns) => addColumns(columns, fieldsOf(root)),
    readerFor: (columns) => {
      const read = avroReader(root, columns);
      return (value) => read(new AvroCursor(value, HEADER_BYTES));
    },
  };
  return () => schema;
};

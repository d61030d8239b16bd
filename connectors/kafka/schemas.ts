// The schemas of messages in Confluent's wire format: a zero, four bytes of the schema's id, and the value.

import { avroMessages } from "./avro-messages.ts";
import { HEADER_BYTES, type MessageSchema, type SchemaOf } from "./message-schema.ts";
import { protobufMessages } from "./protobuf-messages.ts";
import type { RegisteredSchema, SchemaRegistry } from "./registry.ts";
import type { SchemaFormat } from "./spec.ts";

export interface MessageSchemas {
  /** The schema of a value, or why the value cannot be read. Throws when the registry cannot be asked. Known ones come at once. */
  of(value: Buffer): MessageSchema | string | Promise<MessageSchema | string>;
}

const MAGIC = 0;

/** Throw what is wrong with the schema. */
const PARSERS: Readonly<Record<SchemaFormat, (registered: RegisteredSchema) => Promise<SchemaOf>>> = {
  avro: avroMessages,
  protobuf: protobufMessages,
};

export const createMessageSchemas = (registry: SchemaRegistry, format: SchemaFormat): MessageSchemas => {
  const known = new Map<number, SchemaOf | string>();
  const ask = async (id: number): Promise<SchemaOf | string> => {
    const registered = await registry.schema(id);
    const schemaOf = registered === undefined ? "which the schema registry does not know" : await parsed(registered, format);
    const found = typeof schemaOf === "string" ? `has the schema id ${id}, ${schemaOf}` : schemaOf;
    known.set(id, found);
    return found;
  };
  return {
    of(value) {
      if (value.length < HEADER_BYTES || value[0] !== MAGIC) {
        return "does not begin with a zero byte and a schema id: it was not written with a schema registry";
      }
      const id = value.readUInt32BE(1);
      const found = known.get(id);
      return found === undefined ? ask(id).then((asked) => schemaIn(asked, value)) : schemaIn(found, value);
    },
  };
};

const parsed = async (registered: RegisteredSchema, format: SchemaFormat): Promise<SchemaOf | string> => {
  if (registered.type !== format.toUpperCase()) return `whose schema is ${registered.type} and not ${format.toUpperCase()}`;
  try {
    return await PARSERS[format](registered);
  } catch (error) {
    return `whose schema cannot be read: ${reasonOf(error)}`;
  }
};

const schemaIn = (schemaOf: SchemaOf | string, value: Buffer): MessageSchema | string => {
  if (typeof schemaOf === "string") return schemaOf;
  try {
    return schemaOf(value);
  } catch (error) {
    return reasonOf(error);
  }
};

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

// Messages with schemas of a registry as batches. They wait as bytes until a batch is taken: then its columns are known.

import type { Batch, Column, Reject } from "../batch.ts";
import type { DeadLetter } from "../connector.ts";
import { jsonText, parseObject } from "../lib/json-text.ts";
import { rereadObjects } from "../lib/reread.ts";
import { fromRows, rawText, type Row } from "../lib/rows.ts";
import type { KafkaMessage } from "./fetch.ts";
import { BATCH_BYTES, type MessageBatches, MOST_ROWS } from "./messages.ts";
import { isMetadata, metadataOf, metadataRow, placeOf, type Wanted, withMetadata } from "./metadata.ts";
import type { MessageSchema } from "./message-schema.ts";
import type { MessageSchemas } from "./schemas.ts";
import type { KafkaSourceOptions } from "./spec.ts";

interface Waiting {
  readonly message: KafkaMessage;
  /** Undefined: a tombstone has none. */
  readonly schema: MessageSchema | undefined;
}

export const createSchemaBatches = (
  topic: string,
  options: KafkaSourceOptions,
  schemas: MessageSchemas,
  batchRows = MOST_ROWS,
): MessageBatches => {
  let columns: readonly Column[] = options.columns ?? [];
  let all = withMetadata(columns, options);
  let readers = new Map<MessageSchema, (value: Buffer) => Row>();
  let waiting: Waiting[] = [];
  let rejects: Reject[] = [];
  let bytes = 0;
  const reject = (message: KafkaMessage, reason: string): void =>
    void rejects.push({ where: placeOf(message, topic), code: "SOURCE_DATA_INVALID", reason, raw: letterOf(message) });

  const growColumns = (): void => {
    if (options.columns !== undefined) return;
    const used = new Set(waiting.flatMap(({ schema }) => (schema === undefined ? [] : [schema])));
    const grown = [...used].reduce((known, schema) => schema.columnsWith(known), columns);
    // The same columns stay the same object: destinations compare by identity.
    if (grown === columns) return;
    columns = grown;
    all = withMetadata(columns, options);
    readers = new Map();
  };

  const readerOf = (schema: MessageSchema): ((value: Buffer) => Row) => {
    const reader = readers.get(schema) ?? schema.readerFor(columns);
    readers.set(schema, reader);
    return reader;
  };

  return {
    async add(message) {
      const { value } = message;
      bytes += value?.length ?? 0;
      const found = value === null ? undefined : schemas.of(value);
      const schema = found instanceof Promise ? await found : found;
      if (typeof schema === "string") reject(message, schema);
      else waiting.push({ message, schema });
    },

    get isFull() {
      return waiting.length + rejects.length >= batchRows || bytes >= BATCH_BYTES;
    },

    take(position) {
      growColumns();
      const read: KafkaMessage[] = [];
      const rows: Row[] = [];
      for (const { message, schema } of waiting) {
        const row = schema === undefined || message.value === null ? {} : attempt(readerOf(schema), message.value);
        if (typeof row === "string") reject(message, row);
        else {
          read.push(message);
          rows.push({ ...row, ...metadataOf(message, options) });
        }
      }
      const { rejects: misfits = [], ...batch } = fromRows(all, rows, { position, where: String });
      for (const { where, reason } of misfits) {
        const message = read[Number(where)];
        if (message !== undefined) reject(message, reason);
      }
      const taken = rejects.length === 0 ? batch : { ...batch, rejects };
      waiting = [];
      rejects = [];
      bytes = 0;
      return taken;
    },
  };
};

/** The row, or why there is none. */
const attempt = (read: (value: Buffer) => Row, value: Buffer): Row | string => {
  try {
    return read(value);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
};

const ALL: Wanted = { metadata: true, headers: true };

/** A message as text that can be read again: its metadata, and its value in base64. */
const letterOf = (message: KafkaMessage): string =>
  rawText(jsonText({ ...metadataOf(message, ALL), value: message.value?.toString("base64") ?? null }));

/** The value that such a text holds, null for a tombstone; or why it holds none. */
const valueOf = ({ value }: Row): Buffer | null | string => {
  if (value === null) return null;
  const bytes = Buffer.from(typeof value === "string" ? value : "", "base64");
  return bytes.toString("base64") === value ? bytes : 'is no message: "value" must be its bytes in base64';
};

export const rereadSchemaMessages = async (
  letters: readonly DeadLetter[],
  options: KafkaSourceOptions,
  known: readonly Column[],
  schemas: MessageSchemas,
): Promise<Batch> => {
  let columns = options.columns ?? known.filter(({ name }) => !isMetadata(name));
  /** By the base64 of the value. */
  const found = new Map<unknown, MessageSchema | string>();
  for (const letter of letters.map(({ raw }) => parseObject(raw))) {
    const value = typeof letter === "string" ? null : valueOf(letter);
    if (typeof letter === "string" || !Buffer.isBuffer(value)) continue;
    const schema = await schemas.of(value);
    found.set(letter["value"], schema);
    if (typeof schema !== "string" && options.columns === undefined) columns = schema.columnsWith(columns);
  }
  const rowOf = (letter: Row): Row | string => {
    const value = valueOf(letter);
    const schema = found.get(letter["value"]);
    if (typeof value === "string" || typeof schema === "string") return typeof value === "string" ? value : (schema as string);
    return value === null || schema === undefined ? {} : attempt(schema.readerFor(columns), value);
  };
  return rereadObjects(letters, {
    areParsedJson: false,
    columnsOf: () => withMetadata(columns, options),
    rowOf: (letter) => {
      const row = rowOf(letter);
      const metadata = Object.fromEntries(Object.entries(letter).filter(([name]) => isMetadata(name)));
      return typeof row === "string" ? row : { ...row, ...metadataRow(metadata) };
    },
  });
};

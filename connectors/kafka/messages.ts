// Kafka messages as batches: parsed JSON (or raw values) beside their place in the topic.

import { isUtf8 } from "node:buffer";
import { DownbeatError } from "../../core/errors.ts";
import type { Batch, Column, Position, Reject } from "../batch.ts";
import type { DeadLetter } from "../connector.ts";
import { inferColumns } from "../lib/infer.ts";
import { JsonObjects } from "../lib/json-objects.ts";
import { rereadObjects } from "../lib/reread.ts";
import { fromRows, rawText, type Row } from "../lib/rows.ts";
import type { KafkaMessage } from "./fetch.ts";
import { HEADER_BYTES } from "./message-schema.ts";
import { isMetadata, metadataOf, metadataRow, placeOf, withMetadata } from "./metadata.ts";
import type { KafkaSourceOptions } from "./spec.ts";

/** Rows are objects in memory until they are columns, so a batch of messages is smaller than others. */
export const MOST_ROWS = 25_000;
export const BATCH_BYTES = 16 * 1024 * 1024;

export interface MessageBatches {
  add(message: KafkaMessage): void | Promise<void>;
  readonly isFull: boolean;
  take(position: Position): Batch;
}

/** Of the formats whose messages say by themselves what is in them. */
export const createMessageBatches = (topic: string, options: KafkaSourceOptions, batchRows = MOST_ROWS): MessageBatches => {
  let places: KafkaMessage[] = [];
  let bytes = 0;
  const where = (index: number): string => (places[index] === undefined ? topic : placeOf(places[index], topic));
  const rows = options.format === "json" ? jsonRows(options, where) : valueRows(options, where);
  return {
    add(message) {
      bytes += message.value?.length ?? 0;
      places.push(message);
      rows.add(message);
    },

    get isFull() {
      return places.length >= batchRows || bytes >= BATCH_BYTES;
    },

    take(position) {
      const batch = rows.take(position);
      places = [];
      bytes = 0;
      return batch;
    },
  };
};

type MessageRows = Pick<MessageBatches, "take"> & { readonly add: (message: KafkaMessage) => void };
type Where = (index: number) => string;

/** What a message without a value has. */
const NO_KEYS = Buffer.from("{}");

const jsonRows = (options: KafkaSourceOptions, where: Where): MessageRows => {
  const objects = new JsonObjects({ declared: options.columns, known: [], beside: withMetadata([], options), where });
  return {
    add: (message) => objects.add(withoutHeader(message.value) ?? NO_KEYS, metadataOf(message, options)),
    take: (position) => objects.take(position),
  };
};

/** One column of their values, as they are. */
const valueRows = (options: KafkaSourceOptions, where: Where): MessageRows => {
  const isText = options.format === "text";
  const value: Column = { name: "value", type: { kind: isText ? "string" : "binary" }, nullable: true };
  const columns = withMetadata(options.columns ?? [value], options);
  let rows: Row[] = [];
  let places: number[] = [];
  let rejects: Reject[] = [];
  return {
    add(message) {
      const index = places.length + rejects.length;
      if (isText && message.value !== null && !isUtf8(message.value)) {
        const raw = rawText(message.value.toString("utf8"));
        rejects.push({ where: where(index), code: "SOURCE_DATA_INVALID", reason: "is not UTF-8", raw });
        return;
      }
      rows.push({ value: message.value, ...metadataOf(message, options) });
      places.push(index);
    },
    take(position) {
      const batch = fromRows(columns, rows, { position, rejects, where: (index) => where(places[index] ?? index) });
      rows = [];
      places = [];
      rejects = [];
      return batch;
    },
  };
};

/** A letter's text is a message's value, or the whole row with its metadata where the value was JSON but did not fit its columns. */
export const rereadMessages = (
  letters: readonly DeadLetter[],
  { format, columns, ...wanted }: KafkaSourceOptions,
  known: readonly Column[],
): Batch => {
  if (format !== "json") {
    throw new DownbeatError(
      "SOURCE_OPTIONS_INVALID",
      `dead letters of messages in format ${format} cannot be read again, only those of json`,
    );
  }
  return rereadObjects(letters, {
    columnsOf: (rows) => {
      const values = rows.map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => !isMetadata(name))));
      return withMetadata(columns ?? inferColumns(values, known), wanted);
    },
    rowOf: metadataRow,
  });
};

/** What is written with a schema registry begins with a zero and a schema's id; no JSON begins so. */
const withoutHeader = (value: Buffer | null): Buffer | null => (value?.[0] === 0 ? value.subarray(HEADER_BYTES) : value);

// Kafka messages as batches: parsed JSON (or raw values) beside their place in the topic.

import { isUtf8 } from "node:buffer";
import { DownbeatError } from "../../core/errors.ts";
import type { Batch, Column, Position, Reject } from "../batch.ts";
import type { DeadLetter } from "../connector.ts";
import { inferColumns } from "../lib/infer.ts";
import { parseObject } from "../lib/json-text.ts";
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
  const declared = options.columns;
  let columns: readonly Column[] =
    declared ??
    (options.format === "json" ? [] : [{ name: "value", type: { kind: options.format === "text" ? "string" : "binary" }, nullable: true }]);
  let all = withMetadata(columns, options);
  let values: Row[] = [];
  let rows: Row[] = [];
  let places: KafkaMessage[] = [];
  let rejects: Reject[] = [];
  let bytes = 0;
  const where = (message: KafkaMessage): string => placeOf(message, topic);

  return {
    add(message) {
      const value = options.format === "json" ? withoutHeader(message.value) : message.value;
      const parsed = parseValue(value, options);
      bytes += message.value?.length ?? 0;
      if (typeof parsed === "string") {
        rejects.push({
          where: where(message),
          code: "SOURCE_DATA_INVALID",
          reason: parsed,
          raw: rawText(value?.toString("utf8") ?? ""),
        });
        return;
      }
      values.push(parsed);
      rows.push({ ...parsed, ...metadataOf(message, options) });
      places.push(message);
    },

    get isFull() {
      return rows.length + rejects.length >= batchRows || bytes >= BATCH_BYTES;
    },

    take(position) {
      if (declared === undefined && options.format === "json") {
        const found = inferColumns(values, columns);
        // The same columns stay the same object: destinations compare by identity.
        if (found !== columns) all = withMetadata(found, options);
        columns = found;
      }
      const told = places;
      const batch = fromRows(all, rows, {
        position,
        rejects,
        areParsedJson: options.format === "json",
        where: (index) => (told[index] === undefined ? topic : where(told[index])),
      });
      values = [];
      rows = [];
      places = [];
      rejects = [];
      bytes = 0;
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

const parseValue = (value: Buffer | null, { format }: KafkaSourceOptions): Row | string => {
  if (value === null) return {};
  if (format === "binary") return { value };
  if (!isUtf8(value)) return "is not UTF-8";
  return format === "text" ? { value: value.toString("utf8") } : parseObject(value.toString("utf8"));
};

// What Kafka says of a message beside its value: columns, and words for people.

import { isUtf8 } from "node:buffer";
import type { Column } from "../batch.ts";
import type { Row } from "../lib/rows.ts";
import type { KafkaMessage } from "./fetch.ts";
import type { KafkaSourceOptions } from "./spec.ts";

const TIMESTAMP = "_kafka_timestamp";

const METADATA: readonly Column[] = [
  { name: "_kafka_partition", type: { kind: "int32" }, nullable: false },
  { name: "_kafka_offset", type: { kind: "int64" }, nullable: false },
  { name: TIMESTAMP, type: { kind: "timestamptz" }, nullable: false },
  { name: "_kafka_key", type: { kind: "string" }, nullable: true },
];

const HEADERS: Column = { name: "_kafka_headers", type: { kind: "json" }, nullable: true };

/** Which of it becomes columns. */
export type Wanted = Pick<KafkaSourceOptions, "metadata" | "headers">;

export const isMetadata = (name: string): boolean => name === HEADERS.name || METADATA.some((column) => column.name === name);

/** A key of the message that has the name of metadata gives way to it. */
export const withMetadata = (columns: readonly Column[], wanted: Wanted): readonly Column[] => {
  const metadata = [...(wanted.metadata ? METADATA : []), ...(wanted.headers ? [HEADERS] : [])];
  return [...columns.filter(({ name }) => metadata.every((other) => other.name !== name)), ...metadata];
};

export const metadataOf = ({ partition, offset, timestampMs, key, headers }: KafkaMessage, wanted: Wanted): Row => {
  if (!wanted.metadata) return wanted.headers ? { _kafka_headers: headersOf(headers) } : {};
  const row: Row = {
    _kafka_partition: partition,
    _kafka_offset: offset,
    [TIMESTAMP]: timestampMs * 1_000n,
    _kafka_key: key === null ? null : textOf(key),
  };
  return wanted.headers ? { ...row, _kafka_headers: headersOf(headers) } : row;
};

const headersOf = (headers: KafkaMessage["headers"]): Row => {
  // Without a prototype: a header may be called "__proto__".
  const row = Object.create(null) as Record<string, unknown>;
  const text = (bytes: Buffer | null): string | null => (bytes === null ? null : textOf(bytes));
  const byName = Map.groupBy(headers, ([name]) => text(name) ?? "");
  for (const [name, found] of byName) row[name] = found.length === 1 ? text(found[0]![1]) : found.map(([, value]) => text(value));
  return row;
};

/** A row with metadata as JSON has it: moments are whole numbers of microseconds there. */
export const metadataRow = (row: Row): Row => (typeof row[TIMESTAMP] === "number" ? { ...row, [TIMESTAMP]: BigInt(row[TIMESTAMP]) } : row);

export const placeOf = ({ partition, offset }: KafkaMessage, topic: string): string =>
  `offset ${offset} of partition ${partition} of ${topic}`;

/** As text where it is some: other bytes must not become the same text. */
export const textOf = (bytes: Buffer): string => bytes.toString(isUtf8(bytes) ? "utf8" : "base64");

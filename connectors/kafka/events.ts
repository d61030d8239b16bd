// Kafka messages as events: each named by its place in the topic.

import { isUtf8 } from "node:buffer";
import { storable, storableText, type Json } from "../../core/json.ts";
import type { EventPage, SourceEvent } from "../event-source.ts";
import { positionOf, type KafkaMessage, type PartitionRange } from "./fetch.ts";
import { textOf } from "./metadata.ts";
import type { KafkaEventOptions } from "./spec.ts";

const PAGE_EVENTS = 1_000;
const PAGE_BYTES = 4 * 1024 * 1024;

/** `answers` moves the ranges on as it hands messages over. */
export async function* eventPages(
  topic: string,
  options: KafkaEventOptions,
  ranges: readonly PartitionRange[],
  answers: AsyncIterable<readonly KafkaMessage[]>,
): AsyncGenerator<EventPage> {
  for await (const messages of answers) {
    // An answer may be larger than a page: the position then stands before what is left of its partition.
    let bytes = 0;
    let events: SourceEvent[] = [];
    for (const [index, message] of messages.entries()) {
      events.push(eventOf(topic, message, options));
      bytes += message.value?.length ?? 0;
      if (events.length < PAGE_EVENTS && bytes < PAGE_BYTES) continue;
      const next = messages[index + 1]?.offset;
      yield {
        events,
        position: positionOf(
          ranges.map((range) => (next !== undefined && range.partition === message.partition ? { ...range, next } : range)),
        ),
      };
      events = [];
      bytes = 0;
    }
    if (events.length > 0) yield { events, position: positionOf(ranges) };
  }
  yield { events: [], position: positionOf(ranges) };
}

const eventOf = (topic: string, message: KafkaMessage, { format }: KafkaEventOptions): SourceEvent => {
  const { partition, offset, timestampMs, key, value, headers } = message;
  const read = readValue(value, format);
  return {
    // A topic that was made anew begins again at offset 0: the time tells its messages from those of the old one.
    key: `${topic}/${partition}/${offset}/${timestampMs}`,
    data: {
      topic,
      partition,
      offset: Number(offset),
      timestamp: new Date(Number(timestampMs)).toISOString(),
      key: key === null ? null : storableTextOf(key),
      value: read.value,
      headers: Object.fromEntries(
        headers.map(([name, content]) => [name === null ? "" : storableTextOf(name), content === null ? null : storableTextOf(content)]),
      ),
    },
    ...(read.fault === undefined ? {} : { fault: read.fault }),
  };
};

const storableTextOf = (bytes: Buffer): string => storableText(textOf(bytes));

const readValue = (value: Buffer | null, format: KafkaEventOptions["format"]): { readonly value: Json; readonly fault?: string } => {
  if (value === null) return { value: null };
  if (!isUtf8(value)) return { value: storableTextOf(value), fault: "the message's value is not UTF-8" };
  const text = value.toString("utf8");
  if (format === "text") return { value: storableText(text) };
  try {
    return { value: storable(JSON.parse(text) as Json, text) };
  } catch {
    return { value: storableText(text), fault: "the message's value is not JSON; set format: text where it need not be" };
  }
};

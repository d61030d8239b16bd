// What loads into topics remember of themselves, in a compacted topic: how far each is, and which items it has taken in. Written in the transaction of the rows.

import type { Consumer } from "@platformatic/kafka";
import type { Json } from "../../core/json.ts";
import type { ConnectorContext, LoadTarget } from "../connector.ts";
import type { LoadStates } from "../lib/load/load-states.ts";
import { kafkaError, untilAborted } from "./client.ts";
import { readPartitions } from "./fetch.ts";
import type { RowMessage } from "./row-messages.ts";
import type { WantedTopic } from "./topics.ts";

export const LOADS_TOPIC: WantedTopic = { name: "_downbeat.loads", partitions: 1, isCompacted: true };
export const LETTERS_TOPIC: WantedTopic = { name: "_downbeat.dead_letters", isCompacted: false };

/** Several installations may share brokers, and have pipelines of one name; they do not write into one topic. */
export type Flow = Pick<LoadTarget, "key" | "table">;

/** Of one flow. */
export interface Books {
  /** Where an incremental load goes on in the next run. */
  readonly cursor: Json;
  readonly loads: LoadStates;
}

export interface RememberedBooks {
  readonly books: Books;
  readonly items: ReadonlySet<string>;
}

const EMPTY: Books = { cursor: null, loads: {} };

const keyOf = ({ key, table }: Flow, item?: string): string => JSON.stringify([key, table, ...(item === undefined ? [] : [item])]);

export const booksMessage = (flow: Flow, books: Books): RowMessage => ({
  topic: LOADS_TOPIC.name,
  key: Buffer.from(keyOf(flow)),
  value: Buffer.from(JSON.stringify(books)),
});

export const itemMessage = (flow: Flow, item: string): RowMessage => ({
  topic: LOADS_TOPIC.name,
  key: Buffer.from(keyOf(flow, item)),
  value: Buffer.from("1"),
});

const EARLIEST = -2n;
const LATEST = -1n;

/** All that was committed before it was asked, also where other loads' transactions are still under way: those are waited for. */
export const readBooks = async (consumer: Consumer, flow: Flow, context: ConnectorContext): Promise<RememberedBooks> => {
  const topic = LOADS_TOPIC.name;
  const offsetAt = async (timestamp: bigint): Promise<bigint> => {
    const offsets = await untilAborted(context.signal, () => consumer.listOffsets({ topics: [topic], timestamp, isolationLevel: 0 }));
    return offsets.get(topic)?.[0] ?? 0n;
  };
  let books = EMPTY;
  const items = new Set<string>();
  const own = keyOf(flow);
  try {
    const range = { partition: 0, next: await offsetAt(EARLIEST), end: await offsetAt(LATEST) };
    for await (const messages of readPartitions(consumer, topic, [range], context)) {
      for (const { key, value } of messages) {
        const text = key?.toString() ?? "";
        // Without a value: somebody has it forgotten.
        if (text === own) books = value === null ? EMPTY : (JSON.parse(value.toString()) as Books);
        if (!text.startsWith(`${own.slice(0, -1)},`)) continue;
        const [, , item] = JSON.parse(text) as readonly [string, string, string];
        if (value === null) items.delete(item);
        else items.add(item);
      }
    }
  } catch (error) {
    throw kafkaError(error, `topic ${topic}`, context, "destination");
  }
  return { books, items };
};

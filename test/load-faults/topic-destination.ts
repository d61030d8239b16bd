// A topic as what loads write into: a topic a case; read as consumers do that see committed messages alone.

import { Admin, Consumer } from "@platformatic/kafka";
import type { KafkaAddress } from "../../bin/services/kafka.ts";
import { waitUntil } from "../../bin/services/wait.ts";
import type { Books } from "../../connectors/kafka/books.ts";
import { type KafkaMessage, readPartitions } from "../../connectors/kafka/fetch.ts";
import type { Json } from "../../core/json.ts";
import { type Place, type Sight } from "./destinations.ts";
import { type ColumnName, lineOf, type Texts } from "./rows.ts";

const LOADS = "_downbeat.loads";
const LETTERS = "_downbeat.dead_letters";
const LEADER_MS = 60_000;
const silent = (): void => undefined;

/** Values as JSON, back in the words of the events. */
const textOf = (name: ColumnName, value: Json): string | null => {
  if (value === null) return null;
  if (name === "at" || name === "moment") {
    const [seconds = "", micros = ""] = String(value).replace("T", " ").replace("Z", "").split(".");
    return `${seconds}.${micros.padEnd(6, "0")}`;
  }
  return String(value);
};

const lineOfMessage = (value: Buffer): string => {
  const row = JSON.parse(value.toString()) as Readonly<Record<ColumnName, Json>>;
  return lineOf(Object.fromEntries(Object.entries(row).map(([name, one]) => [name, textOf(name as ColumnName, one)])) as Texts);
};

/** With keys the last message of each counts. */
const linesOf = (messages: readonly KafkaMessage[]): readonly string[] => {
  const lines = new Map<string, string>();
  for (const { key, value, partition, offset } of messages) {
    const name = key?.toString() ?? `${partition}/${offset}`;
    if (value === null) lines.delete(name);
    else lines.set(name, lineOfMessage(value));
  }
  return [...lines.values()];
};

export interface TopicDestination extends AsyncDisposable {
  /** A topic of this name. */
  readonly place: (name: string) => Place;
}

export const topicDestination = ({ brokers }: KafkaAddress): TopicDestination => {
  const options = { clientId: "faults", bootstrapBrokers: [...brokers] };
  const admin = new Admin(options);
  const { signal } = new AbortController();

  const hasTopic = async (topic: string): Promise<boolean> => (await admin.listTopics({ includeInternals: false })).includes(topic);

  /** What was made just now may have no leader yet. */
  const isLed = async (topic: string): Promise<void> => {
    const { topics } = await admin.metadata({ topics: [topic], forceUpdate: true });
    if (topics.get(topic)?.partitions.every(({ leader }) => leader >= 0) !== true) throw new Error(`${topic} has no leader`);
  };

  /** Up to where the topic ends for those who see everything: what is being committed is waited for, what an attempt has left open is not. */
  const messagesIn = async (topic: string): Promise<readonly KafkaMessage[] | undefined> => {
    if (!(await hasTopic(topic))) return undefined;
    await waitUntil(() => isLed(topic), { timeoutMs: LEADER_MS });
    // One asks after every topic that it has ever read, also after those that are gone.
    const consumer = new Consumer({ ...options, groupId: "faults", isolationLevel: 1 });
    const offsets = async (timestamp: bigint): Promise<readonly bigint[]> =>
      (await consumer.listOffsets({ topics: [topic], timestamp, isolationLevel: 1 })).get(topic) ?? [];
    try {
      const [starts, ends] = [await offsets(-2n), await offsets(-1n)];
      const ranges = ends.map((end, partition) => ({ partition, next: starts[partition] ?? 0n, end }));
      const context = { signal, progress: silent, log: { debug: silent, info: silent, warn: silent }, tempDir: "", baseDir: "" };
      const messages: KafkaMessage[] = [];
      for await (const some of readPartitions(consumer, topic, ranges, context)) messages.push(...some);
      return messages;
    } finally {
      await consumer.close(true);
    }
  };

  const look = async (topic: string, key: string): Promise<Sight> => {
    const own = ((await messagesIn(LOADS)) ?? []).findLast((message) => message.key?.toString() === JSON.stringify([key, topic]));
    const books = own?.value === undefined || own.value === null ? undefined : (JSON.parse(own.value.toString()) as Books);
    const loads = Object.entries(books?.loads ?? {}).map(([origin, { rows, chunks, dead_letters: deadLetters, done }]) => ({
      origin,
      rows,
      chunks,
      deadLetters,
      done,
    }));
    const letters = ((await messagesIn(LETTERS)) ?? [])
      .map(({ value }) => JSON.parse(String(value)) as { readonly topic: string; readonly origin: string; readonly place: string })
      .filter((letter) => letter.topic === topic);
    const messages = await messagesIn(topic);
    const last = Object.keys(books?.loads ?? {}).at(-1);
    return {
      lines: messages === undefined ? undefined : linesOf(messages),
      loads,
      // The state is the receipt: the transaction that moves it on has the rows.
      receipts: loads.flatMap(({ origin, rows, chunks }) =>
        Array.from({ length: chunks }, (_, chunk) => ({ origin, seq: chunk + 1, rows: chunk === 0 ? rows : 0 })),
      ),
      letters: letters.map(({ origin, place }) => ({ origin, place })),
      cursors: books?.cursor === null || last === undefined ? [] : [last],
      staging: [],
    };
  };

  return {
    place: (topic) => ({
      kind: "kafka",
      config: { brokers },
      table: topic,
      look: (key) => look(topic, key),
      // Whoever comes later is the one who has the load.
      isBlocked: () => Promise.resolve(false),
      clear: async () => {
        if (await hasTopic(topic)) await admin.deleteTopics({ topics: [topic] });
      },
    }),
    [Symbol.asyncDispose]: () => admin.close(),
  };
};

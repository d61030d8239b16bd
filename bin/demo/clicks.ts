// The demo's Kafka source: produces click events, adds more, counts them by reading the topic.

import { Admin, Consumer, Producer, stringDeserializers, stringSerializers } from "@platformatic/kafka";
import type { Totals } from "./totals.ts";

const TOPIC = "clicks";
const PARTITIONS = 4;
const PER_SEND = 2_000;

export class ClicksSource {
  readonly #brokers: string[];
  readonly #count: number;
  #produced = 0;

  constructor(brokers: readonly string[], count: number) {
    this.#brokers = [...brokers];
    this.#count = count;
  }

  async seed(): Promise<number> {
    const admin = new Admin({ clientId: "downbeat-demo", bootstrapBrokers: this.#brokers });
    await admin.createTopics({ topics: [TOPIC], partitions: PARTITIONS, replicas: 1 });
    await admin.close();
    return this.#produce(this.#count);
  }

  async change(_round: number): Promise<number> {
    return this.#produce(3_000);
  }

  async #produce(count: number): Promise<number> {
    // Idempotent: a send that is tried again must not write its messages twice.
    const producer = new Producer({
      clientId: "downbeat-demo",
      bootstrapBrokers: this.#brokers,
      serializers: stringSerializers,
      idempotent: true,
    });
    try {
      for (let sent = 0; sent < count; sent += PER_SEND) {
        const messages = Array.from({ length: Math.min(PER_SEND, count - sent) }, () => {
          this.#produced += 1;
          const id = this.#produced;
          const at = new Date(Date.UTC(2026, 0, 1) + id * 1_000).toISOString();
          const value = JSON.stringify({ id, user_id: (id * 7919) % 50_000, url: `/produkte/${id % 997}`, at, value: id % 100 });
          return { topic: TOPIC, key: String(id % 1_000), value, partition: id % PARTITIONS };
        });
        await producer.send({ messages });
      }
    } finally {
      await producer.close();
    }
    return count;
  }

  /** Reads the whole topic: the broker's truth, not the producer's memory. */
  async totals(): Promise<Totals> {
    const consumer = new Consumer({
      clientId: "downbeat-demo",
      groupId: `downbeat-demo-${process.pid}-${Date.now()}`,
      bootstrapBrokers: this.#brokers,
      deserializers: stringDeserializers,
    });
    const ends = (await consumer.listOffsets({ topics: [TOPIC] })).get(TOPIC) ?? [];
    let left = ends.reduce((sum, end) => sum + Number(end), 0);
    const ids = new Set<number>();
    let rows = 0;
    let sum = 0;
    const stream = await consumer.consume({ topics: [TOPIC], mode: "earliest", autocommit: false });
    for await (const message of stream) {
      const click = JSON.parse(message.value ?? "{}") as { id: number; value: number };
      ids.add(click.id);
      rows += 1;
      sum += click.value;
      left -= 1;
      if (left <= 0) break;
    }
    await consumer.close(true);
    return { rows, ids: ids.size, sum: sum.toFixed(2) };
  }
}

// A load's producer: one transaction a chunk, under an id that is the load's own, so that whoever comes later ends what an earlier attempt has left open.

import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { Producer } from "@platformatic/kafka";
import { DownbeatError } from "../../core/errors.ts";
import type { ConnectorContext } from "../connector.ts";
import type { Flow } from "./books.ts";
import { clientOptions, kafkaError, says, untilAborted } from "./client.ts";
import type { RowMessage } from "./row-messages.ts";
import type { Compression, KafkaConfig } from "./spec.ts";

/** The longest that brokers allow by default (transaction.max.timeout.ms); a transaction that lasts longer is undone by them. */
const TRANSACTION_MS = 900_000;
/** Brokers take a megabyte in one piece (max.message.bytes), what they add to messages included. */
const PIECE_BYTES = 900_000;
const BYTES_BESIDE = 70;
const MOST_MESSAGES = 5_000;
/** Ids of an attempt whose transaction is being undone are given a moment later. */
const INIT_EVERY_MS = 200;
const MOST_INITS = 300;
const CLOSE_MS = 5_000;
/** As clients that have none yet say: https://kafka.apache.org/protocol#The_Messages_InitProducerId */
const NO_PRODUCER = { producerId: -1n, producerEpoch: -1 };

type Transaction = Awaited<ReturnType<Producer["beginTransaction"]>>;

const transactionalId = ({ key, table }: Flow): string =>
  `downbeat-${createHash("sha256")
    .update(JSON.stringify([key, table]))
    .digest("hex")
    .slice(0, 32)}`;

export interface ProducerOptions {
  readonly flow: Flow;
  readonly compression: Compression;
  /** Keys decide the partition, as they do for other clients. */
  readonly isKeyed: boolean;
}

export class LoadProducer implements AsyncDisposable {
  readonly #producer: Producer;
  readonly #options: ProducerOptions;
  readonly #context: ConnectorContext;
  readonly #partitioner: object;
  #open: Transaction | undefined;
  /** When its first message went: that is where brokers begin to count. */
  #since: number | undefined;
  #waiting: RowMessage[] = [];
  #bytes = 0;

  /** Whoever had the load before can commit nothing from here on, and what it has left open is undone. */
  static async open(config: KafkaConfig, options: ProducerOptions, context: ConnectorContext): Promise<LoadProducer> {
    const { Producer: KafkaProducer, compatibilityPartitioner } = await import("@platformatic/kafka");
    const producer = new KafkaProducer({
      ...clientOptions(config),
      idempotent: true,
      transactionalId: transactionalId(options.flow),
      timeout: TRANSACTION_MS,
      compression: options.compression,
    });
    const opened = new LoadProducer(producer, options, context, options.isKeyed ? { partitioner: compatibilityPartitioner } : {});
    try {
      await opened.#begin();
      return opened;
    } catch (error) {
      await opened[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(producer: Producer, options: ProducerOptions, context: ConnectorContext, partitioner: object) {
    this.#producer = producer;
    this.#options = options;
    this.#context = context;
    this.#partitioner = partitioner;
  }

  async #begin(): Promise<Transaction> {
    for (let time = 1; this.#open === undefined; time += 1) {
      try {
        this.#open = await this.#asked(() => this.#producer.beginTransaction(NO_PRODUCER));
        this.#since = undefined;
      } catch (error) {
        if (time === MOST_INITS || !says((error as Error).cause, /CONCURRENT_TRANSACTIONS/)) throw error;
        await this.#producer.transaction?.cancel();
        await pause(INIT_EVERY_MS, undefined, { signal: this.#context.signal });
      }
    }
    return this.#open;
  }

  /** Into the open transaction, in the order in which they come. */
  async send(messages: Iterable<RowMessage>): Promise<void> {
    for (const message of messages) {
      const bytes = (message.key?.length ?? 0) + (message.value?.length ?? 0) + BYTES_BESIDE;
      if (this.#waiting.length === MOST_MESSAGES || (this.#waiting.length > 0 && this.#bytes + bytes > PIECE_BYTES)) await this.#flush();
      this.#waiting.push(message);
      this.#bytes += bytes;
    }
  }

  async #flush(): Promise<void> {
    const messages = this.#waiting;
    if (messages.length === 0) return;
    this.#waiting = [];
    this.#bytes = 0;
    const transaction = await this.#begin();
    this.#since ??= performance.now();
    this.#context.progress();
    await this.#asked(() => transaction.send({ messages, ...this.#partitioner }));
  }

  async commit(): Promise<void> {
    await this.#flush();
    const transaction = await this.#begin();
    await this.#asked(() => transaction.commit());
    this.#open = undefined;
  }

  async #asked<Value>(call: () => Promise<Value>): Promise<Value> {
    const { key, table } = this.#options.flow;
    const what = `topic ${table}`;
    try {
      return await untilAborted(this.#context.signal, call);
    } catch (error) {
      if (!says(error, /PRODUCER_FENCED|INVALID_PRODUCER_EPOCH/)) throw kafkaError(error, what, this.#context, "destination");
      if (this.#since !== undefined && performance.now() - this.#since > TRANSACTION_MS) {
        throw new DownbeatError(
          "DESTINATION_UNAVAILABLE",
          `Kafka ${what}: the chunk took longer than the ${TRANSACTION_MS / 60_000} minutes that brokers give a transaction, and was undone; try again`,
          { cause: error },
        );
      }
      throw new DownbeatError("LOAD_FENCED", `another attempt of the load "${key}" has moved it on; this one stops`, { cause: error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = async (): Promise<void> => {
      await this.#open?.abort().catch(() => undefined);
      await this.#producer.close(true).catch(() => undefined);
    };
    // Brokers that do not answer any more are not waited for longer.
    await Promise.race([ended(), pause(CLOSE_MS, undefined, { ref: false })]);
  }
}

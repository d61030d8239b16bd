// A load into a topic: rows, dead letters, items and how far the load is become visible with one transaction's commit.

import type { Consumer } from "@platformatic/kafka";
import type { Json } from "../../core/json.ts";
import type { Batch, Reject } from "../batch.ts";
import type { ConnectorContext, Load, LoadTarget, ResumePoint, TargetState } from "../connector.ts";
import { advanced, begunState, type LoadState, resumePoint, withState } from "../lib/load/load-states.ts";
import { refuseChanges, refuseKeyless } from "../lib/load/refusals.ts";
import { type Books, booksMessage, type Flow, itemMessage, LETTERS_TOPIC, LOADS_TOPIC, readBooks, type RememberedBooks } from "./books.ts";
import { createConsumer } from "./client.ts";
import { type RowMessage, rowMessages } from "./row-messages.ts";
import { type KafkaConfig, type KafkaTargetOptions, kafkaTargetOptions } from "./spec.ts";
import { ensureTopic, isTopic, requireTopicName } from "./topics.ts";
import { LoadProducer } from "./transactions.ts";

const EMPTY_CHUNK = { rows: 0, bytes: 0, deadLetters: 0, items: [] as readonly string[] };

const remembered = async (config: KafkaConfig, flow: Flow, context: ConnectorContext): Promise<RememberedBooks> => {
  const consumer: Consumer = await createConsumer(config);
  try {
    return await readBooks(consumer, flow, context);
  } finally {
    await consumer.close(true).catch(() => undefined);
  }
};

export const describeKafkaTarget = async (config: KafkaConfig, flow: Flow, context: ConnectorContext): Promise<TargetState> => {
  requireTopicName(flow.table);
  const exists = await isTopic(config, flow.table, context);
  if (!(await isTopic(config, LOADS_TOPIC.name, context))) return { exists };
  const { books } = await remembered(config, flow, context);
  const [origin, last] = Object.entries(books.loads).at(-1) ?? [];
  if (origin === undefined || last === undefined) return { exists };
  return { exists, lastLoad: { origin, rows: last.rows, done: last.done, staged: false } };
};

export const openKafkaLoad = async (config: KafkaConfig, target: LoadTarget, context: ConnectorContext): Promise<Load> => {
  requireTopicName(target.table);
  refuseKeyless(target);
  const options = kafkaTargetOptions.parse(target.options);
  await ensureTopic(config, LOADS_TOPIC, context);
  const producer = await LoadProducer.open(
    config,
    { flow: target, compression: options.compression, isKeyed: target.keyColumns.length > 0 },
    context,
  );
  try {
    // Only now nobody else can move it on.
    return new KafkaLoad({ config, target, options, context, producer }, await remembered(config, target, context));
  } catch (error) {
    await producer[Symbol.asyncDispose]();
    throw error;
  }
};

interface Parts {
  readonly config: KafkaConfig;
  readonly target: LoadTarget;
  readonly options: KafkaTargetOptions;
  readonly context: ConnectorContext;
  readonly producer: LoadProducer;
}

class KafkaLoad implements Load {
  readonly resume: ResumePoint;
  readonly #parts: Parts;
  #books: Books;
  readonly #items: Set<string>;
  #chunk = EMPTY_CHUNK;
  /** The topic of dead letters is there. */
  #hasLetters = false;

  constructor(parts: Parts, { books, items }: RememberedBooks) {
    this.#parts = parts;
    this.#books = books;
    this.#items = new Set(items);
    const { origin, incremental } = parts.target;
    this.resume = resumePoint(books.loads[origin], incremental ? books.cursor : null);
  }

  async begin(bounds: Json): Promise<void> {
    const { config, context, options, target } = this.#parts;
    const { partitions } = options;
    await ensureTopic(config, { name: target.table, partitions, isCompacted: target.mode === "merge" }, context);
    await this.#save(begunState(this.resume.position, bounds), this.#books.cursor);
  }

  async write(batch: Batch): Promise<void> {
    const { producer, target } = this.#parts;
    if (batch.deleted !== undefined) refuseChanges(target);
    await producer.send(rowMessages(batch, target));
    const rejects = batch.rejects ?? [];
    if (rejects.length > 0) await this.#sendLetters(rejects);
    const { rows, bytes, deadLetters, items } = this.#chunk;
    this.#chunk = {
      rows: rows + batch.rows,
      bytes: bytes + (batch.rows > 0 ? batch.bytes : 0),
      deadLetters: deadLetters + rejects.length,
      items: [...items, ...(batch.items ?? [])],
    };
  }

  async #sendLetters(rejects: readonly Reject[]): Promise<void> {
    const { config, context, producer, target } = this.#parts;
    if (!this.#hasLetters) await ensureTopic(config, LETTERS_TOPIC, context);
    this.#hasLetters = true;
    const { key, origin, table: topic } = target;
    const letters = rejects.map(({ where, code, reason, raw }): RowMessage => {
      const letter = { key, topic, origin, place: where, code, reason, raw };
      return { topic: LETTERS_TOPIC.name, key: Buffer.from(key), value: Buffer.from(JSON.stringify(letter)) };
    });
    await producer.send(letters);
  }

  async commit(position: Json): Promise<void> {
    const { producer, target } = this.#parts;
    const { failpoint, incremental } = target;
    const { items } = this.#chunk;
    const state = this.#begun();
    await failpoint("before-commit");
    await producer.send(items.map((item) => itemMessage(target, item)));
    await failpoint("between-rows-and-cursor");
    const whole = position === null;
    await this.#save(
      // A stream without positions has been read to its end: nothing is left to do.
      { ...advanced(state, this.#chunk, position), done: whole },
      incremental && !whole ? position : this.#books.cursor,
      () => failpoint("within-commit"),
    );
    for (const item of items) this.#items.add(item);
    this.#chunk = EMPTY_CHUNK;
    await failpoint("after-commit");
  }

  /** Brokers begin this transaction only when the one before can be read: whoever reads after a load has ended finds all of it. */
  finish(): Promise<void> {
    return this.#save({ ...this.#begun(), done: true }, this.#books.cursor);
  }

  seen(items: readonly string[]): Promise<ReadonlySet<string>> {
    return Promise.resolve(new Set(items.filter((item) => this.#items.has(item))));
  }

  #begun(): LoadState {
    const state = this.#books.loads[this.#parts.target.origin];
    if (state === undefined) throw new Error("the load has not begun");
    return state;
  }

  async #save(state: LoadState, cursor: Json, within?: () => Promise<void>): Promise<void> {
    const { producer, target } = this.#parts;
    const books: Books = { cursor, loads: withState(this.#books.loads, target.origin, state) };
    await producer.send([booksMessage(target, books)]);
    await within?.();
    await producer.commit();
    this.#books = books;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.producer[Symbol.asyncDispose]();
  }
}

// An opened Kafka connection: topics, their bounds, and reading them to the end.

import { setTimeout as pause } from "node:timers/promises";
import type { Consumer } from "@platformatic/kafka";
import { DownbeatError } from "../../core/errors.ts";
import type { Json } from "../../core/json.ts";
import type { Connector, ConnectorContext, StreamInfo, StreamRequest } from "../connector.ts";
import { clientOptions, createConsumer, kafkaError, untilAborted } from "./client.ts";
import { eventPages } from "./events.ts";
import { positionOf, readPartitions, type PartitionRange } from "./fetch.ts";
import { describeKafkaTarget, openKafkaLoad } from "./load.ts";
import { createMessageBatches, rereadMessages } from "./messages.ts";
import { createRegistry, type SchemaRegistry } from "./registry.ts";
import { createSchemaBatches, rereadSchemaMessages } from "./schema-messages.ts";
import { createMessageSchemas, type MessageSchemas } from "./schemas.ts";
import { isSchemaFormat, type KafkaConfig, type KafkaEventOptions, type KafkaSourceOptions, type SchemaFormat } from "./spec.ts";

/** Partition → next offset, as text: offsets are 64 bits wide. */
type Offsets = Readonly<Record<string, string>>;

/** Brokers that do not answer any more are not waited for longer. */
const CLOSE_MS = 5_000;
const LATEST = -1n;
const EARLIEST = -2n;

export const openKafka = async (config: KafkaConfig, context: ConnectorContext): Promise<Connector> => {
  const consumer = await createConsumer(config);
  const registry = createRegistry(config, context);
  const ask = async <Value>(what: string, call: () => Promise<Value>): Promise<Value> => {
    try {
      return await untilAborted(context.signal, call);
    } catch (error) {
      throw kafkaError(error, what, context);
    }
  };

  const offsetsAt = async (topic: string, timestamp: bigint): Promise<readonly bigint[]> => {
    await requireTopic(consumer, topic, ask);
    const found = await ask(`offsets of ${topic}`, () => consumer.listOffsets({ topics: [topic], timestamp, isolationLevel: 1 }));
    return found.get(topic) ?? [];
  };

  /** `bounds`: where to end; otherwise at the end as it is now. */
  const rangesOf = async ({ stream, position }: Place, options: StartOptions, bounds?: Offsets): Promise<PartitionRange[]> => {
    const kept = { first: await offsetsAt(stream, EARLIEST), end: await offsetsAt(stream, LATEST) };
    const ends = bounds ?? asText(kept.end);
    const starts = startOffsets({ stream, position }, options, ends, kept);
    return Object.entries(ends).map(([partition, end]) => ({
      partition: Number(partition),
      next: starts[partition] ?? 0n,
      end: BigInt(end),
    }));
  };

  /** When the ends of partitions were asked: all that had been committed then is in front of them. A load that goes on with the ends of another process does not know it. */
  const askedAt = new WeakMap<Offsets, number>();

  return {
    async check() {
      await ask("metadata", () => consumer.metadata({}));
      await registry?.check();
    },

    source: {
      async discover(): Promise<readonly StreamInfo[]> {
        const topics = await ask("list of topics", () => listTopics(config));
        return topics.map((name) => ({ name, columns: [] }));
      },

      async bounds(request): Promise<Json> {
        const asOf = Date.now();
        const ends = asText(await offsetsAt(request.stream, LATEST));
        askedAt.set(ends, asOf);
        return ends;
      },

      async *read(request) {
        const options = request.options as unknown as KafkaSourceOptions;
        refuseForeignOptions(request);
        const ends = request.bounds as Offsets;
        const asOf = askedAt.get(ends);
        const ranges = await rangesOf(request, options, ends);
        const batches = isSchemaFormat(options.format)
          ? createSchemaBatches(request.stream, options, schemasOf(registry, options.format), context.batchRows)
          : createMessageBatches(request.stream, options, context.batchRows);
        const position = (): Json => positionOf(ranges);
        try {
          for await (const messages of readPartitions(consumer, request.stream, ranges, context)) {
            for (const message of messages) {
              const added = batches.add(message);
              if (added !== undefined) await added;
            }
            if (batches.isFull) yield batches.take(position());
          }
        } catch (error) {
          throw kafkaError(error, `topic ${request.stream}`, context);
        }
        yield { ...batches.take(position()), ...(asOf === undefined ? {} : { asOf }) };
      },

      reread(letters, { options: given, known }) {
        const options = given as unknown as KafkaSourceOptions;
        return isSchemaFormat(options.format)
          ? rereadSchemaMessages(letters, options, known, schemasOf(registry, options.format))
          : rereadMessages(letters, options, known);
      },
    },

    events: {
      async *follow(request) {
        const options = request.options as unknown as KafkaEventOptions;
        const ranges = await rangesOf(request, options);
        try {
          yield* eventPages(request.stream, options, ranges, readPartitions(consumer, request.stream, ranges, context));
        } catch (error) {
          throw kafkaError(error, `topic ${request.stream}`, context);
        }
      },
    },

    destination: {
      describeTarget: (target) => describeKafkaTarget(config, target, context),
      openLoad: (target) => openKafkaLoad(config, target, context),
    },

    async [Symbol.asyncDispose]() {
      await Promise.race([consumer.close(true).catch(() => undefined), pause(CLOSE_MS, undefined, { ref: false })]);
    },
  };
};

/** One read's own: an id that was unknown may be known to the next. */
const schemasOf = (registry: SchemaRegistry | undefined, format: SchemaFormat): MessageSchemas => {
  if (registry !== undefined) return createMessageSchemas(registry, format);
  throw new DownbeatError("SOURCE_OPTIONS_INVALID", `format: ${format} needs schema_registry_url in the connection's configuration`);
};

type Place = Pick<StreamRequest, "stream" | "position">;
type StartOptions = Pick<KafkaSourceOptions, "from" | "on_lost_offsets">;

const asText = (offsets: readonly bigint[]): Offsets =>
  Object.fromEntries(offsets.map((offset, partition) => [String(partition), offset.toString()]));

type Ask = <Value>(what: string, call: () => Promise<Value>) => Promise<Value>;

const requireTopic = async (consumer: Consumer, topic: string, ask: Ask): Promise<void> => {
  const metadata = await ask(`topic ${topic}`, () => consumer.metadata({ topics: [topic], autocreateTopics: false }));
  if (metadata.topics.has(topic)) return;
  throw new DownbeatError("SOURCE_STREAM_NOT_FOUND", `Kafka has no topic "${topic}"`);
};

const listTopics = async (config: KafkaConfig): Promise<readonly string[]> => {
  const { Admin } = await import("@platformatic/kafka");
  const admin = new Admin(clientOptions(config));
  try {
    return (await admin.listTopics({ includeInternals: false })).toSorted();
  } finally {
    await admin.close();
  }
};

const refuseForeignOptions = ({ query, cursor }: StreamRequest): void => {
  if (query !== undefined) throw new DownbeatError("SOURCE_OPTIONS_INVALID", "a topic is read by stream, not by query");
  if (cursor !== undefined) throw new DownbeatError("CURSOR_INVALID", "a topic goes on from its offsets; leave cursor out");
};

/** Committed offsets, or where a first run begins; what retention has deleted meanwhile is an error unless allowed. */
const startOffsets = (
  request: Place,
  options: StartOptions,
  ends: Offsets,
  kept: { readonly first: readonly bigint[]; readonly end: readonly bigint[] },
): Record<string, bigint> => {
  const committed = request.position as Offsets | null;
  const starts: Record<string, bigint> = {};
  for (const [partition, end] of Object.entries(ends)) {
    const first = kept.first[Number(partition)] ?? 0n;
    const now = kept.end[Number(partition)] ?? 0n;
    const last = committed?.[partition];
    if (last === undefined) {
      // A partition that came up later is read from its beginning: nothing of it was read before.
      starts[partition] = committed === null && options.from === "latest" ? BigInt(end) : first;
    } else if (BigInt(last) >= first && BigInt(last) <= now) starts[partition] = BigInt(last);
    else if (options.on_lost_offsets === "earliest") starts[partition] = first;
    else {
      const what =
        BigInt(last) < first
          ? `messages ${last} to ${first - 1n} were deleted before they were read; raise the topic's retention`
          : `the last load read up to offset ${last}, and the topic ends at ${now}: it was made anew or has lost messages`;
      throw new DownbeatError(
        "SOURCE_DATA_INVALID",
        `topic ${request.stream}, partition ${partition}: ${what}; set on_lost_offsets: earliest to go on with what is there`,
      );
    }
  }
  return starts;
};

// Kafka against the contract of sources, on a real broker; and what only topics can do.

import { Producer, stringSerializers } from "@platformatic/kafka";
import { describe, expect, it } from "vitest";
import { sourceCases } from "../../connectors/contract/source.ts";
import type { StreamRequest } from "../../connectors/connector.ts";
import { kafka } from "../../connectors/kafka/spec.ts";
import { toRows } from "../../connectors/lib/rows.ts";
import type { Json } from "../../core/json.ts";
import { freshTopic } from "../fixtures/services.ts";
import { openConnector, runCases, testContext, testFolder } from "./kit.ts";

const folder = testFolder("kafka");
const { brokers, topic } = await freshTopic(3);
const { topic: empty } = await freshTopic(2);
const { topic: mixed } = await freshTopic(1);
const make = (signal?: AbortSignal): ReturnType<typeof openConnector> => openConnector(kafka, { brokers }, testContext(folder, signal));

const produce = async (into: string, values: readonly string[], partitions: number): Promise<void> => {
  const producer = new Producer({ clientId: "test", bootstrapBrokers: [...brokers], serializers: stringSerializers, idempotent: true });
  try {
    await producer.send({
      messages: values.map((value, index) => ({ topic: into, key: String(index), value, partition: index % partitions })),
    });
  } finally {
    await producer.close();
  }
};

const orders = (from: number, count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => JSON.stringify({ id: from + index, text: `Grüße ${from + index}` }));
await produce(topic, orders(1, 60), 3);
await produce(mixed, ['{"id": 9007199254740993, "price": 0.1}', "no json", "[1]", '{"id": 2, "price": 12345678901234567.89}'], 1);

const options = kafka.sourceOptions?.parse({}) as Readonly<Record<string, unknown>>;
let next = 1_000;

runCases(
  "kafka source",
  sourceCases({
    open: (signal) => make(signal),
    stream: topic,
    options,
    capabilities: kafka.capabilities,
    emptyStream: empty,
    async append() {
      next += 10;
      await produce(topic, orders(next, 7), 3);
    },
    openUnreachable: () => openConnector(kafka, { brokers: ["127.0.0.1:1"], connect_timeout_seconds: 2 }, testContext(folder)),
  }),
);

const read = async (stream: string, position: Json = null, more: Record<string, unknown> = {}) => {
  await using connector = await make();
  const source = connector.source;
  if (source === undefined) throw new Error("kafka is a source");
  const request: Omit<StreamRequest, "bounds"> = {
    stream,
    options: { ...options, ...(kafka.sourceOptions?.parse(more) as Record<string, unknown>) },
    nullCursor: "fail",
    newRun: true,
    position,
    seen: () => Promise.resolve(new Set()),
  };
  const bounds = (await source.bounds?.(request)) ?? null;
  const batches = [];
  for await (const batch of source.read({ ...request, bounds })) batches.push(batch);
  return batches;
};

describe("topics", () => {
  it("tell with their last batch until when all that was committed has come, also where nothing was", async () => {
    const before = Date.now();
    const batches = await read(topic);
    expect(batches.at(-1)?.asOf).toBeGreaterThanOrEqual(before);
    expect(batches.at(-1)?.asOf).toBeLessThanOrEqual(Date.now());
    const later = await read(topic, batches.at(-1)?.position ?? null);
    expect(later.map(({ rows }) => rows)).toEqual([0]);
    expect(later[0]?.asOf).toBeGreaterThan(before);
  });

  it("carries metadata beside the message", async () => {
    const rows = (await read(topic)).flatMap(toRows);
    expect(rows.find((row) => row["id"] === 1)).toMatchObject({ text: "Grüße 1", _kafka_partition: 0, _kafka_offset: 0, _kafka_key: "0" });
  });

  it("messages that are no JSON object are rejects with their offsets, the others come with every digit", async () => {
    const batches = await read(mixed);
    expect(batches.flatMap((batch) => batch.rejects ?? []).map(({ where }) => where)).toEqual([
      `offset 1 of partition 0 of ${mixed}`,
      `offset 2 of partition 0 of ${mixed}`,
    ]);
    expect(batches.flatMap(toRows).map((row) => String(row["id"]))).toEqual(["9007199254740993", "2"]);
  });

  it("a column that is declared decimal keeps digits that a double would lose", async () => {
    const rows = (await read(mixed, null, { columns: { id: "int64", price: "decimal(20,2)" } })).flatMap(toRows);
    expect(rows.map((row) => row["price"])).toEqual(["0.10", "12345678901234567.89"]);
  });

  it("messages that did not fit their columns are read again from their dead letters, metadata and all", async () => {
    const tight = await read(mixed, null, { columns: { id: "int64", price: "decimal(5,2)" } });
    const letters = tight
      .flatMap((batch) => batch.rejects ?? [])
      .filter(({ reason }) => reason.includes("price"))
      .map(({ where: place, raw }) => ({ id: place, place, raw }));
    await using connector = await make();
    const wide = { ...options, ...(kafka.sourceOptions?.parse({ columns: { id: "int64", price: "decimal(20,2)" } }) as object) };
    const batch = await connector.source!.reread!(letters, { stream: mixed, options: wide, known: [] });
    expect(batch.rejects).toEqual([]);
    const [, second] = (await read(mixed, null, { columns: { id: "int64", price: "decimal(20,2)" } })).flatMap(toRows);
    expect(toRows(batch)).toEqual([second]);
  });

  it("text and binary formats take values as they are", async () => {
    expect((await read(mixed, null, { format: "text" })).flatMap(toRows)[1]).toMatchObject({ value: "no json" });
    expect((await read(mixed, null, { format: "binary" })).flatMap(toRows)[1]).toMatchObject({
      value: Buffer.from("no json").toString("base64"),
    });
  });

  it("from: latest begins at the end of the topic", async () => {
    expect((await read(topic, null, { from: "latest" })).flatMap(toRows)).toEqual([]);
  });
});

// What topics do: transactions, compression, new partitions, deleted messages, topics made anew, values of every kind; brokers that are silent.

import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { Admin, Producer, type CompressionAlgorithmValue } from "@platformatic/kafka";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Batch } from "../../connectors/batch.ts";
import type { StreamRequest } from "../../connectors/connector.ts";
import { kafka } from "../../connectors/kafka/spec.ts";
import { toRows } from "../../connectors/lib/rows.ts";
import type { Json } from "../../core/json.ts";
import { freshName, freshTopic } from "../fixtures/services.ts";
import { openConnector, testContext, testFolder } from "./kit.ts";

const folder = testFolder("kafka-topics");
const { brokers } = await freshTopic(1);
const admin = new Admin({ clientId: "test", bootstrapBrokers: [...brokers] });
beforeAll(() => admin.metadata({ topics: [] }));
afterAll(() => admin.close());

interface Sent {
  readonly value: Buffer | string;
  readonly key?: Buffer;
  readonly partition?: number;
  readonly headers?: Map<Buffer, Buffer>;
}

const send = async (topic: string, messages: readonly Sent[], compression: CompressionAlgorithmValue = "none"): Promise<void> => {
  const producer = new Producer({ clientId: "test", bootstrapBrokers: [...brokers], idempotent: true });
  try {
    await producer.send({
      compression,
      messages: messages.map(({ value, partition = 0, ...rest }) => ({ topic, value: Buffer.from(value), partition, ...rest })),
    });
  } finally {
    await producer.close();
  }
};

const values = (from: number, count: number): readonly Sent[] =>
  Array.from({ length: count }, (_, index) => ({ value: JSON.stringify({ id: from + index }) }));

const load = async (topic: string, position: Json = null, options: Record<string, unknown> = {}, signal?: AbortSignal) => {
  await using connector = await openConnector(kafka, { brokers, connect_timeout_seconds: 5 }, testContext(folder, signal));
  const request: Omit<StreamRequest, "bounds"> = {
    stream: topic,
    options: kafka.sourceOptions?.parse(options) as Record<string, unknown>,
    nullCursor: "fail",
    newRun: true,
    position,
    seen: () => Promise.resolve(new Set()),
  };
  const bounds = (await connector.source?.bounds?.(request)) ?? null;
  const batches: Batch[] = [];
  for await (const batch of connector.source?.read({ ...request, bounds }) ?? []) batches.push(batch);
  const rows = batches.flatMap(toRows);
  return {
    batches,
    rows,
    ids: rows.map((row) => row["id"]),
    rejects: batches.flatMap((batch) => batch.rejects ?? []).map(({ where, reason }) => `${where}: ${reason}`),
    position: batches.at(-1)?.position ?? null,
  };
};

const ids = (from: number, count: number): readonly number[] => Array.from({ length: count }, (_, index) => from + index);

describe("what is read", () => {
  it.each(["gzip", "zstd", "snappy", "lz4"] as const)("messages packed with %s", async (compression) => {
    const { topic } = await freshTopic(1);
    await send(topic, values(1, 200), compression);
    expect((await load(topic)).ids).toEqual(ids(1, 200));
  });

  it("committed transactions alone, up to the first that is still open", async () => {
    const { topic } = await freshTopic(1);
    const producer = new Producer({ clientId: "test", bootstrapBrokers: [...brokers], idempotent: true, transactionalId: freshName() });
    const transact = async (from: number, end: "commit" | "abort"): Promise<void> => {
      const transaction = await producer.beginTransaction();
      await transaction.send({ messages: values(from, 3).map(({ value }) => ({ topic, value: Buffer.from(value), partition: 0 })) });
      await transaction[end]();
    };
    try {
      await transact(1, "commit");
      await transact(4, "abort");
      await transact(7, "commit");
      // The broker answers a commit before what it commits may be read.
      const first = await vi.waitFor(
        async () => {
          const loaded = await load(topic);
          expect(loaded.ids).toEqual([1, 2, 3, 7, 8, 9]);
          return loaded;
        },
        { timeout: 60_000, interval: 200 },
      );
      const open = await producer.beginTransaction();
      await open.send({ messages: [{ topic, value: Buffer.from('{"id": 10}'), partition: 0 }] });
      const second = await load(topic, first.position);
      expect(second.ids).toEqual([]);
      await open.commit();
      await vi.waitFor(async () => expect((await load(topic, second.position)).ids).toEqual([10]), { timeout: 60_000, interval: 200 });
    } finally {
      await producer.close();
    }
  });

  it("partitions that came up since the last run, from their beginning", async () => {
    const { topic } = await freshTopic(1);
    await send(topic, values(1, 3));
    const first = await load(topic);
    await admin.createPartitions({ topics: [{ name: topic, count: 3, assignments: null }] });
    await expect
      .poll(
        () =>
          send(
            topic,
            values(4, 2).map((message) => ({ ...message, partition: 2 })),
          ).then(() => true),
        { timeout: 120_000 },
      )
      .toBe(true);
    expect((await load(topic, first.position)).ids).toEqual([4, 5]);
  });

  it("values and keys that are no UTF-8: rejects and base64, never another text", async () => {
    const { topic } = await freshTopic(1);
    await send(topic, [
      { value: Buffer.from([0x7b, 0xff, 0x7d]) },
      { value: '{"id": 1}', key: Buffer.from([0xff, 0x00]) },
      { value: '{"id": 2}', key: Buffer.from("ключ") },
    ]);
    const { rows, rejects } = await load(topic);
    expect(rejects).toEqual([`offset 0 of partition 0 of ${topic}: is not UTF-8`]);
    expect(rows.map((row) => row["_kafka_key"])).toEqual(["/wA=", "ключ"]);
  });

  it("keys of the message that are named like metadata give way to it", async () => {
    const { topic } = await freshTopic(1);
    await send(topic, [{ value: '{"id": 1, "_kafka_offset": 77}' }]);
    const { batches, rows } = await load(topic);
    expect(rows).toMatchObject([{ id: 1, _kafka_offset: 0 }]);
    expect(batches[0]?.schema.columns.filter(({ name }) => name === "_kafka_offset")).toHaveLength(1);
    expect((await load(topic, null, { metadata: false })).rows).toEqual([{ id: 1, _kafka_offset: 77 }]);
  });

  it("headers where they are asked for: texts, base64, and lists of what comes more than once", async () => {
    const { topic } = await freshTopic(1);
    const [again, trace] = [Buffer.from("again"), Buffer.from("trace")];
    const headers = new Map([
      [trace, Buffer.from("Grüße")],
      [again, Buffer.from("1")],
      [Buffer.from("again"), Buffer.from([0xff])],
      [Buffer.from("__proto__"), Buffer.from("x")],
    ]);
    await send(topic, [{ value: '{"id": 1}', headers }, { value: '{"id": 2}' }]);
    const { rows } = await load(topic, null, { metadata: false, headers: true });
    expect(JSON.parse(JSON.stringify(rows))).toEqual(
      JSON.parse(
        '[{"id": 1, "_kafka_headers": {"trace": "Grüße", "again": ["1", "/w=="], "__proto__": "x"}}, {"id": 2, "_kafka_headers": {}}]',
      ),
    );
    expect((await load(topic)).batches[0]?.schema.columns.map(({ name }) => name)).not.toContain("_kafka_headers");
  });

  it("JSON that was written with a schema registry comes without the registry's header", async () => {
    const { topic } = await freshTopic(1);
    const header = Buffer.from([0, 0, 0, 0, 7]);
    await send(topic, [{ value: Buffer.concat([header, Buffer.from('{"id": 1}')]) }, { value: header }, { value: '{"id": 2}' }]);
    const { ids, rejects } = await load(topic);
    expect(ids).toEqual([1, 2]);
    expect(rejects).toHaveLength(1);
  });

  it("large messages in batches that are bounded by bytes", async () => {
    const { topic } = await freshTopic(1);
    const text = "x".repeat(500_000);
    for (let from = 0; from < 50; from += 1) await send(topic, [{ value: JSON.stringify({ id: from, text }) }]);
    const { batches, ids: read } = await load(topic);
    expect(read).toEqual(ids(0, 50));
    expect(batches.length).toBeGreaterThan(1);
    expect(Math.max(...batches.map(({ bytes }) => bytes))).toBeLessThan(24 * 1024 * 1024);
  });
});

describe("messages that are gone", () => {
  it("what was deleted unread fails the load, or is passed over where that is allowed", async () => {
    const { topic } = await freshTopic(1);
    await send(topic, values(0, 3));
    const { position } = await load(topic);
    await send(topic, values(3, 5));
    await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset: 6n }] }] });
    await expect(load(topic, position)).rejects.toMatchObject({
      code: "SOURCE_DATA_INVALID",
      message: expect.stringContaining("messages 3 to 5 were deleted before they were read") as unknown,
    });
    expect((await load(topic, position, { on_lost_offsets: "earliest" })).ids).toEqual([6, 7]);
  });

  it("a topic that was made anew is not taken for read", async () => {
    const { topic } = await freshTopic(1);
    await send(topic, values(0, 5));
    const { position } = await load(topic);
    await admin.deleteTopics({ topics: [topic] });
    await expect
      .poll(
        () =>
          admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 }).then(
            () => true,
            () => false,
          ),
        { timeout: 120_000 },
      )
      .toBe(true);
    await expect
      .poll(
        () =>
          send(topic, values(100, 2)).then(
            () => true,
            () => false,
          ),
        { timeout: 120_000 },
      )
      .toBe(true);
    await expect(load(topic, position)).rejects.toMatchObject({
      code: "SOURCE_DATA_INVALID",
      message: expect.stringContaining("was made anew") as unknown,
    });
    expect((await load(topic, position, { on_lost_offsets: "earliest" })).ids.slice(-2)).toEqual([100, 101]);
  });

  it("a run that is tried again after a later one has nothing left to read", async () => {
    const { topic } = await freshTopic(1);
    await send(topic, values(0, 5));
    await using connector = await openConnector(kafka, { brokers }, testContext(folder));
    const batches: Batch[] = [];
    for await (const batch of connector.source?.read({
      stream: topic,
      options: kafka.sourceOptions?.parse({}) as Record<string, unknown>,
      nullCursor: "fail",
      newRun: false,
      position: { 0: "4" },
      bounds: { 0: "2" },
      seen: () => Promise.resolve(new Set()),
    }) ?? [])
      batches.push(batch);
    expect(batches).toMatchObject([{ rows: 0, position: { 0: "4" } }]);
  });
});

it("a broker that takes connections and says nothing does not hold up a cancellation", async () => {
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const abort = new AbortController();
  const address = [`127.0.0.1:${(silent.address() as AddressInfo).port}`];
  const connector = await openConnector(kafka, { brokers: address }, testContext(folder, abort.signal));
  try {
    silent.once("connection", () => abort.abort(new Error("cancelled")));
    await expect(connector.check()).rejects.toThrow("cancelled");
  } finally {
    await connector[Symbol.asyncDispose]();
    silent.close();
  }
});

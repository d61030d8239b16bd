// Kafka against the contract of destinations, on a real broker: what consumers see that read committed messages alone.

import { Admin, Consumer, Producer } from "@platformatic/kafka";
import { afterAll, describe, expect, it } from "vitest";
import { destinationCases } from "../../connectors/contract/destination.ts";
import { kafka } from "../../connectors/kafka/spec.ts";
import { fromRows, toRows } from "../../connectors/lib/rows.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import { freshName, kafkaBrokers } from "../fixtures/services.ts";
import { openConnector, runCases, testContext, testFolder } from "./kit.ts";
import { target } from "./load-kit.ts";
import { batchesOf, request } from "./sql-roles.ts";
import { sampleTable } from "./types.ts";

const folder = testFolder("kafka-destination");
const brokers = kafkaBrokers();
const make = (): ReturnType<typeof openConnector> => openConnector(kafka, { brokers }, testContext(folder));
const consumer = new Consumer({ clientId: "test", bootstrapBrokers: [...brokers], groupId: freshName() });
const admin = new Admin({ clientId: "test", bootstrapBrokers: [...brokers] });
afterAll(() => Promise.all([consumer.close(true), admin.close()]));

interface Message {
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  /** Null: the row of this key is gone. */
  readonly row: JsonObject | null;
}

/** All that was committed; undefined = no such topic. Up to where the topic ends for those who see everything, so that what was committed just now is waited for. */
const messagesIn = async (topic: string): Promise<readonly Message[] | undefined> => {
  if (!(await admin.listTopics({ includeInternals: false })).includes(topic)) return undefined;
  const ends = (await consumer.listOffsets({ topics: [topic], timestamp: -1n, isolationLevel: 0 })).get(topic) ?? [];
  const bounds = Object.fromEntries(ends.map((end, partition) => [String(partition), end.toString()]));
  await using connector = await make();
  const options = kafka.sourceOptions?.parse({ format: "text" }) as Readonly<Record<string, unknown>>;
  const batches = await batchesOf(connector.source!.read({ ...request({ stream: topic, options }), bounds }));
  const messages = batches.flatMap(toRows).map((row) => ({
    partition: Number(row["_kafka_partition"]),
    offset: Number(row["_kafka_offset"]),
    key: row["_kafka_key"] as string | null,
    row: row["value"] === null ? null : (JSON.parse(String(row["value"])) as JsonObject),
  }));
  // Messages without keys take partitions in turn.
  return messages.toSorted((left, right) => left.offset - right.offset || left.partition - right.partition);
};

/** As whoever makes a table of a topic does it: the last message of a key counts. */
const readTable = async (topic: string): Promise<readonly Record<string, Json>[] | undefined> => {
  const messages = await messagesIn(topic);
  const rows = new Map<string, JsonObject>();
  for (const [place, { key, row }] of (messages ?? []).entries()) {
    const name = key ?? `without a key, ${place}`;
    if (row === null) rows.delete(name);
    else rows.set(name, row);
  }
  return messages === undefined ? undefined : [...rows.values()];
};

runCases(
  "kafka destination",
  destinationCases({
    make,
    readTable,
    modes: ["append", "merge"],
    types: sampleTable(),
    refusedTypes: [],
    hasSchema: false,
    readDeadLetters: async (key) =>
      ((await messagesIn("_downbeat.dead_letters")) ?? []).filter((letter) => letter.key === key).map(({ row }) => String(row?.["reason"])),
  }),
  [
    { reason: "topics have names of few characters", tests: ["names with capitals, quotes, spaces, Unicode and reserved words are kept"] },
    { reason: "a.b.c.d is a topic's name", tests: ["a name that is no table name is refused"] },
  ],
);

const COLUMNS = [
  { name: "id", type: { kind: "int64" }, nullable: false },
  { name: "name", type: { kind: "string" }, nullable: true },
] as const;

describe("a topic", () => {
  it.each(["", "..", "größe", "a b", "x".repeat(250)])("cannot be called %j", async (table) => {
    await using connector = await make();
    await expect(connector.destination!.openLoad(target({ key: freshName(), table }))).rejects.toMatchObject({
      code: "DESTINATION_TABLE_INVALID",
      message: expect.stringContaining("cannot be a topic") as string,
    });
  });

  it("is made with as many partitions as asked for, compacted for a merge, and keeps a key's messages in one of them", async () => {
    const table = freshName();
    await using connector = await make();
    const options = kafka.targetOptions?.parse({ partitions: 5, compression: "gzip" }) as Readonly<Record<string, unknown>>;
    await using load = await connector.destination!.openLoad(
      target({ key: freshName(), table, mode: "merge", keyColumns: ["id", "name"], options }),
    );
    await load.begin(null);
    const rows = Array.from({ length: 400 }, (_, index) => ({ id: index % 100, name: "ü" }));
    await load.write(fromRows(COLUMNS, rows, { position: null }));
    await load.commit(null);
    await load.finish();
    const { topics } = await admin.metadata({ topics: [table], forceUpdate: true });
    expect(topics.get(table)?.partitionsCount).toBe(5);
    const [described] = await admin.describeConfigs({
      resources: [{ resourceType: 2, resourceName: table, configurationKeys: ["cleanup.policy"] }],
    });
    expect(described?.configs[0]).toMatchObject({ name: "cleanup.policy", value: "compact" });
    const messages = (await messagesIn(table)) ?? [];
    expect(messages).toHaveLength(400);
    const partitions = new Map(messages.map(({ key, partition }) => [key, partition]));
    expect(partitions.get('{"id":7,"name":"ü"}')).toBeDefined();
    expect(new Set(partitions.values()).size).toBe(5);
    for (const { key, partition } of messages) expect(partition).toBe(partitions.get(key));
  });

  it("takes more rows than one request of a producer may hold, in their order", async () => {
    const table = freshName();
    await using connector = await make();
    const options = kafka.targetOptions?.parse({ partitions: 1 }) as Readonly<Record<string, unknown>>;
    await using load = await connector.destination!.openLoad(target({ key: freshName(), table, options }));
    await load.begin(null);
    const rows = Array.from({ length: 12_000 }, (_, id) => ({ id, name: "x".repeat((id * 37) % 1_000) }));
    await load.write(fromRows(COLUMNS, rows, { position: null }));
    await load.commit(null);
    await load.finish();
    expect((await readTable(table))?.map((row) => row["id"])).toEqual(rows.map(({ id }) => id));
  });

  it("is whole for whoever asks where it ends when a load has ended", async () => {
    const table = freshName();
    await using connector = await make();
    const options = kafka.targetOptions?.parse({ partitions: 6 }) as Readonly<Record<string, unknown>>;
    const source = { stream: table, options: kafka.sourceOptions?.parse({}) as Readonly<Record<string, unknown>> };
    for (let run = 1; run <= 10; run += 1) {
      await using load = await connector.destination!.openLoad(target({ key: freshName(), table, options }));
      await load.begin(null);
      const rows = Array.from({ length: 60 }, (_, id) => ({ id }));
      await load.write(fromRows(COLUMNS, rows, { position: null }));
      await load.commit(null);
      await load.finish();
      const bounds = await connector.source!.bounds!(request(source));
      const read = await batchesOf(connector.source!.read({ ...request(source), bounds }));
      expect(read.reduce((sum, batch) => sum + batch.rows, 0)).toBe(run * 60);
    }
  });

  it("is loaded anew by a flow whose state was taken out of the bookkeeping, items and all", async () => {
    const flow = { key: freshName(), table: freshName(), incremental: true };
    await using connector = await make();
    const load = async (origin: string): Promise<readonly [Json, number]> => {
      await using opened = await connector.destination!.openLoad(target({ ...flow, origin }));
      const seen = (await opened.seen(["a", "b"])).size;
      const { position } = opened.resume;
      await opened.begin(null);
      await opened.write({ ...fromRows(COLUMNS, [{ id: 1 }], { position: 1 }), items: ["a", "b"] });
      await opened.commit(1);
      await opened.finish();
      return [position, seen];
    };
    expect(await load("run-1")).toEqual([null, 0]);
    expect(await load("run-2")).toEqual([1, 2]);
    const producer = new Producer({ clientId: "test", bootstrapBrokers: [...brokers], idempotent: true });
    try {
      const keys = [[], ["a"]].map((item) => Buffer.from(JSON.stringify([flow.key, flow.table, ...item])));
      await producer.send({ messages: keys.map((key) => ({ topic: "_downbeat.loads", key })) });
    } finally {
      await producer.close();
    }
    expect(await load("run-3")).toEqual([null, 1]);
  });

  it("a row that is too long for it is refused with what to do", async () => {
    await using connector = await make();
    await using load = await connector.destination!.openLoad(target({ key: freshName(), table: freshName() }));
    await load.begin(null);
    const failed = (async () => {
      await load.write(fromRows(COLUMNS, [{ id: 1, name: "x".repeat(3_000_000) }], { position: null }));
      await load.commit(null);
    })();
    await expect(failed).rejects.toMatchObject({
      code: "DESTINATION_DATA_REFUSED",
      message: expect.stringContaining("max.message.bytes") as string,
    });
  });
});

// Topics as events: every message once whatever the pages, named for ever; where a first look begins; messages that are not what was asked for.

import { Admin, Producer } from "@platformatic/kafka";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { EventPage } from "../../connectors/event-source.ts";
import { kafka } from "../../connectors/kafka/spec.ts";
import type { Json } from "../../core/json.ts";
import { freshName, freshTopic } from "../fixtures/services.ts";
import { openConnector, testContext, testFolder } from "./kit.ts";

const folder = testFolder("kafka-events");
const { brokers } = await freshTopic(1);
const producer = new Producer({ clientId: "test", bootstrapBrokers: [...brokers], idempotent: true });
const admin = new Admin({ clientId: "test", bootstrapBrokers: [...brokers] });
beforeAll(() => admin.metadata({ topics: [] }));
afterAll(async () => {
  await producer.close();
  await admin.close();
});

const send = (topic: string, values: readonly (Buffer | string)[], partition = 0) =>
  producer.send({ messages: values.map((value) => ({ topic, value: Buffer.from(value), partition })) });

const follow = async (topic: string, position: Json, options: Record<string, unknown> = {}): Promise<readonly EventPage[]> => {
  await using connector = await openConnector(kafka, { brokers, connect_timeout_seconds: 5 }, testContext(folder));
  const pages: EventPage[] = [];
  const request = { stream: topic, options: kafka.eventOptions?.parse(options) as Record<string, unknown>, position };
  for await (const page of connector.events?.follow(request) ?? []) pages.push(page);
  return pages;
};

const valuesOf = (pages: readonly EventPage[]): readonly Json[] =>
  pages.flatMap(({ events }) => events.map(({ data }) => (data as { readonly value: Json }).value));
const last = (pages: readonly EventPage[]): Json => pages.at(-1)?.position ?? null;

describe("kafka events", () => {
  it("begin with what comes after the first look, or with the oldest", async () => {
    const { topic } = await freshTopic(2);
    await send(topic, ['{"n": 1}']);
    const first = await follow(topic, null);
    expect(first).toMatchObject([{ events: [] }]);
    await send(topic, ['{"n": 2}'], 1);
    await send(topic, ['{"n": 3}'], 0);
    const next = await follow(topic, last(first));
    expect(valuesOf(next)).toHaveLength(2);
    expect(valuesOf(next)).toEqual(expect.arrayContaining([{ n: 2 }, { n: 3 }]));
    expect(await follow(topic, last(next))).toEqual([{ events: [], position: last(next) }]);
    expect(valuesOf(await follow(topic, null, { from: "earliest" }))).toHaveLength(3);
  });

  it("go on from every page with exactly the rest, under the same keys", async () => {
    const { topic } = await freshTopic(3);
    for (const partition of [0, 1, 2]) {
      const numbers = Array.from({ length: 1_500 }, (_, n) => JSON.stringify({ n, partition }));
      await send(topic, numbers, partition);
    }
    const pages = await follow(topic, null, { from: "earliest" });
    const keys = pages.flatMap(({ events }) => events.map(({ key }) => key));
    expect(new Set(keys).size).toBe(4_500);
    expect(keys).toHaveLength(4_500);
    expect(Math.max(...pages.map(({ events }) => events.length))).toBe(1_000);
    for (const [index, { position }] of pages.entries()) {
      const rest = await follow(topic, position);
      const expected = pages.slice(index + 1).flatMap(({ events }) => events.map(({ key }) => key));
      expect(rest.flatMap(({ events }) => events.map(({ key }) => key)).toSorted()).toEqual(expected.toSorted());
    }
  });

  it("say where they came from", async () => {
    const { topic } = await freshTopic(1);
    const [key, tombstone] = [Buffer.from("k"), Buffer.from("gone")];
    await producer.send({
      messages: [
        {
          topic,
          partition: 0,
          key,
          value: Buffer.from('{"n": 1}'),
          headers: new Map([[Buffer.from("h"), Buffer.from("1")]]),
          timestamp: 0n,
        },
        { topic, partition: 0, key: tombstone, timestamp: 1_000n },
      ],
    });
    const pages = await follow(topic, null, { from: "earliest" });
    expect(pages.flatMap(({ events }) => events)).toEqual([
      {
        key: `${topic}/0/0/0`,
        data: { topic, partition: 0, offset: 0, timestamp: "1970-01-01T00:00:00.000Z", key: "k", value: { n: 1 }, headers: { h: "1" } },
      },
      {
        key: `${topic}/0/1/1000`,
        data: { topic, partition: 0, offset: 1, timestamp: "1970-01-01T00:00:01.000Z", key: "gone", value: null, headers: {} },
      },
    ]);
  });

  it("say what cannot be read as asked", async () => {
    const { topic } = await freshTopic(1);
    await send(topic, ["plain", Buffer.from([0xff, 0xfe]), '{"a": "\\u0000"}']);
    const json = (await follow(topic, null, { from: "earliest" })).flatMap(({ events }) => events);
    expect(json.map(({ data, fault }) => [(data as { readonly value: Json }).value, fault])).toEqual([
      ["plain", expect.stringContaining("is not JSON")],
      ["//4=", expect.stringContaining("is not UTF-8")],
      [{ a: "\uFFFD" }, undefined],
    ]);
    const text = (await follow(topic, null, { from: "earliest", format: "text" })).flatMap(({ events }) => events);
    expect(text.map(({ fault }) => fault === undefined)).toEqual([true, false, true]);
  });

  it("refuse to go on where messages were lost, unless that may be", async () => {
    const { topic } = await freshTopic(1);
    await expect(follow(topic, { "0": "5" })).rejects.toMatchObject({ code: "SOURCE_DATA_INVALID" });
    expect(await follow(topic, { "0": "5" }, { on_lost_offsets: "earliest" })).toEqual([{ events: [], position: { "0": "0" } }]);
    await expect(follow(freshName(), null)).rejects.toMatchObject({ code: "SOURCE_STREAM_NOT_FOUND" });
  });
});

// Avro messages of a real broker with schemas of a real registry: exact values, schemas that change, messages that cannot be read, a registry that is away.

import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { kafka } from "../../connectors/kafka/spec.ts";
import { toRows } from "../../connectors/lib/rows.ts";
import { avroType, decimalBytes, framed } from "../fixtures/avro.ts";
import { freshName, freshTopic, schemaRegistryUrl } from "../fixtures/services.ts";
import { register, send, UNKNOWN_ID, useFormat } from "./registry-kit.ts";

const { open, optionsOf, load } = useFormat("avro");

const record = (...fields: readonly object[]) => ({ type: "record", name: "Order", namespace: "shop", fields });
const ID = { name: "id", type: "long" };
const sameAs = (schema: object, id: number) => (value: object) => framed(id, avroType(schema).toBuffer(value));

describe("what is read", () => {
  it("values of every type come exactly, beside their place in the topic", async () => {
    const { topic } = await freshTopic(1);
    const schema = record(
      ID,
      { name: "small", type: "int" },
      { name: "ratio", type: "double" },
      { name: "price", type: { type: "bytes", logicalType: "decimal", precision: 30, scale: 4 } },
      { name: "at", type: { type: "long", logicalType: "timestamp-micros" } },
      { name: "clock", type: { type: "long", logicalType: "local-timestamp-millis" } },
      { name: "day", type: ["null", { type: "int", logicalType: "date" }], default: null },
      { name: "note", type: ["null", "string"], default: null },
      { name: "state", type: { type: "enum", name: "State", symbols: ["NEW", "PAID"] } },
      { name: "bytes", type: "bytes" },
      { name: "lines", type: { type: "array", items: { type: "record", name: "Line", fields: [{ name: "n", type: "long" }] } } },
    );
    const encode = sameAs(schema, await register(schema));
    const whole = {
      id: 9_007_199_254_740_993n,
      small: -5,
      ratio: 0.1,
      price: decimalBytes(-12345678901234567890123n, 11),
      at: 1_700_000_000_123_456n,
      clock: 1n,
      day: { int: 19_723 },
      note: { string: "Grüße" },
      state: "PAID",
      bytes: Buffer.from([0, 255]),
      lines: [{ n: 1n }],
    };
    await send(topic, [encode(whole), encode({ ...whole, id: -(2n ** 63n), day: null, note: null, lines: [] })]);
    const { rows, rejects, columns } = await load(topic);
    expect(rejects).toEqual([]);
    expect(columns).toEqual([
      "id int64",
      "small int32",
      "ratio float64",
      "price decimal(30,4)",
      "at timestamptz",
      "clock timestamp",
      "day date",
      "note string",
      "state string",
      "bytes binary",
      "lines json",
      "_kafka_partition int32",
      "_kafka_offset int64",
      "_kafka_timestamp timestamptz",
      "_kafka_key string",
    ]);
    expect(rows).toMatchObject([
      {
        id: "9007199254740993",
        small: -5,
        ratio: 0.1,
        price: "-1234567890123456789.0123",
        at: "2023-11-14T22:13:20.123456Z",
        clock: "1970-01-01T00:00:00.001000",
        day: "2024-01-01",
        note: "Grüße",
        state: "PAID",
        bytes: "AP8=",
        lines: [{ n: 1 }],
        _kafka_offset: 0,
        _kafka_key: "k0",
      },
      { id: "-9223372036854775808", day: null, note: null, lines: [], _kafka_offset: 1 },
    ]);
  });

  it("tombstones are rows without values, and a key that is like text is that text", async () => {
    const { topic } = await freshTopic(1);
    const schema = record(ID);
    await send(topic, [sameAs(schema, await register(schema))({ id: 1n }), null]);
    expect((await load(topic)).rows).toMatchObject([
      { id: 1, _kafka_key: "k0" },
      { id: null, _kafka_offset: 1, _kafka_key: "k1" },
    ]);
  });

  it("schemas that change within one topic: columns are added and widened, the rest of the topic has its own", async () => {
    const { topic } = await freshTopic(1);
    const first = record(ID, { name: "n", type: "int" });
    const second = record(ID, { name: "n", type: "long" }, { name: "more", type: ["null", "string"], default: null });
    const [one, two] = [sameAs(first, await register(first)), sameAs(second, await register(second))];
    const wide = two({ id: 2n, n: 2n ** 60n, more: { string: "x" } });
    await send(topic, [one({ id: 1n, n: 1 }), one({ id: 2n, n: 2 }), wide, one({ id: 4n, n: 4 }), wide]);
    const together = await load(topic, { options: { metadata: false } });
    expect(together.columns).toEqual(["id int64", "n int64", "more string"]);
    expect(together.rows.map((row) => row["n"])).toEqual([1, 2, "1152921504606846976", 4, "1152921504606846976"]);
    await send(topic, [one({ id: 6n, n: 6 })]);
    const next = await load(topic, { position: together.position, options: { metadata: false } });
    expect(next.columns).toEqual(["id int64", "n int32"]);
    expect(next.rows).toEqual([{ id: 6, n: 6 }]);
  });

  it("schemas that refer to others of other subjects, over two corners", async () => {
    const { topic } = await freshTopic(1);
    const [country, city] = [freshName(), freshName()];
    const countrySchema = { type: "enum", name: "Country", namespace: "geo", symbols: ["DE", "FR"] };
    const citySchema = { type: "record", name: "City", namespace: "geo", fields: [{ name: "country", type: "geo.Country" }] };
    await register(countrySchema, {}, country);
    await register(citySchema, { references: [{ name: "geo.Country", subject: country, version: 1 }] }, city);
    const schema = record(ID, { name: "city", type: "geo.City" }, { name: "country", type: "geo.Country" });
    const id = await register(schema, {
      references: [
        { name: "geo.City", subject: city, version: 1 },
        { name: "geo.Country", subject: country, version: 1 },
      ],
    });
    const types = { "geo.Country": avroType(countrySchema) };
    const all = { ...types, "geo.City": avroType(citySchema, types) };
    await send(topic, [framed(id, avroType(schema, all).toBuffer({ id: 1n, city: { country: "FR" }, country: "DE" }))]);
    expect((await load(topic)).rows).toMatchObject([{ id: 1, city: { country: "FR" }, country: "DE" }]);
  });

  it("columns that are declared say names and types", async () => {
    const { topic } = await freshTopic(1);
    const schema = record(ID, { name: "at", type: { type: "long", logicalType: "timestamp-millis" } });
    await send(topic, [sameAs(schema, await register(schema))({ id: 1n, at: 5n })]);
    const columns = { at: "int64", id: "string", missing: "date" };
    expect((await load(topic, { options: { metadata: false, columns } })).rows).toEqual([{ at: 5, id: "1", missing: null }]);
  });
});

describe("messages that cannot be read", () => {
  it("are rejects with their places and reasons; the others come", async () => {
    const { topic } = await freshTopic(1);
    const schema = record(ID);
    const id = await register(schema);
    const good = sameAs(schema, id)({ id: 7n });
    const other = await register('syntax = "proto3"; message Order { int64 id = 1; }', { schemaType: "PROTOBUF" });
    await send(topic, [
      good,
      Buffer.from('{"id": 1}'),
      framed(id, good.subarray(5), 1),
      framed(UNKNOWN_ID, good.subarray(5)),
      Buffer.concat([good, good]),
      framed(other, Buffer.from("{}")),
      Buffer.from([0, 0]),
      good,
    ]);
    const { rows, rejects } = await load(topic);
    expect(rows.map((row) => row["_kafka_offset"])).toEqual([0, 7]);
    const at = (offset: number) => `offset ${offset} of partition 0 of ${topic}`;
    const told = Object.fromEntries(rejects.map(({ where, reason }) => [where, reason]));
    const noHeader = "does not begin with a zero byte and a schema id: it was not written with a schema registry";
    expect(told).toEqual({
      [at(1)]: noHeader,
      [at(2)]: noHeader,
      [at(3)]: `has the schema id ${UNKNOWN_ID}, which the schema registry does not know`,
      [at(4)]: "has 6 bytes behind its value",
      [at(5)]: `has the schema id ${other}, whose schema is PROTOBUF and not AVRO`,
      [at(6)]: noHeader,
    });
    expect(rejects.every(({ code }) => code === "SOURCE_DATA_INVALID")).toBe(true);
  });

  it("are read again from their dead letters, metadata and all; what is still bad stays", async () => {
    const { topic } = await freshTopic(1);
    const schema = record(ID, { name: "price", type: { type: "bytes", logicalType: "decimal", precision: 9, scale: 2 } });
    const encode = sameAs(schema, await register(schema));
    await send(topic, [encode({ id: 2n ** 53n + 1n, price: decimalBytes(1_234_567n, 4) }), framed(UNKNOWN_ID, Buffer.alloc(1))]);
    const { rejects } = await load(topic, { options: { columns: { id: "int64", price: "decimal(5,2)" } } });
    const letters = rejects.map(({ where, raw }) => ({ id: where, place: where, raw }));
    expect(letters).toHaveLength(2);
    await using connector = await open();
    const request = { stream: topic, options: optionsOf({}), known: [] };
    const batch = await connector.source!.reread!([...letters, { id: "x", place: "x", raw: '{"value": "?"}' }], request);
    expect(toRows(batch)).toEqual((await load(topic)).rows);
    expect(toRows(batch)).toMatchObject([{ id: "9007199254740993", price: "12345.67", _kafka_offset: 0, _kafka_key: "k0" }]);
    expect(batch.rejects?.map(({ letter, reason }) => `${letter}: ${reason}`)).toEqual([
      `offset 1 of partition 0 of ${topic}: has the schema id ${UNKNOWN_ID}, which the schema registry does not know`,
      'x: is no message: "value" must be its bytes in base64',
    ]);
  });
});

describe("the registry", () => {
  const schema = record(ID);
  const topicOfOne = async (): Promise<string> => {
    const { topic } = await freshTopic(1);
    await send(topic, [sameAs(schema, await register(schema))({ id: 1n })]);
    return topic;
  };
  /** Where no registry can answer as is asked of it here: with refusals. */
  const answering = async (listener: RequestListener): Promise<string> => {
    const server = createServer(listener).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    onTestFinished(() => void server.close());
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  const withStatus = (status: number) => answering((_request, response) => response.writeHead(status).end());

  it("that is away makes an error that names it and may be tried again, and no rejects", async () => {
    const topic = await topicOfOne();
    const away = { schema_registry_url: "http://127.0.0.1:1" };
    const error = { code: "SOURCE_UNAVAILABLE", message: expect.stringMatching(/schema registry.*http:\/\/127\.0\.0\.1:1\//) as unknown };
    await expect(load(topic, { config: away })).rejects.toMatchObject(error);
    await using connector = await open(away);
    await expect(connector.check()).rejects.toMatchObject(error);
  });

  it.each([
    [500, "SOURCE_UNAVAILABLE"],
    [401, "SOURCE_AUTH"],
    [403, "SOURCE_AUTH"],
    [429, "RATE_LIMITED"],
    [404, "CONNECTION_INVALID"],
  ])("that answers %i makes the error %s", async (status, code) => {
    const config = { schema_registry_url: await withStatus(status) };
    await expect(load(await topicOfOne(), { config })).rejects.toMatchObject({ code });
  });

  it("is asked once for each schema, with the user and password; check asks it too", async () => {
    const topic = await topicOfOne();
    const encode = sameAs(schema, await register(schema));
    await send(topic, [encode({ id: 2n }), encode({ id: 3n })]);
    const asked: string[] = [];
    // Before the real one: what it is asked with.
    const url = await answering((request, response) => {
      asked.push(`${request.url} ${request.headers.authorization}`);
      void fetch(`${schemaRegistryUrl()}${request.url}`).then(async (answer) =>
        response.writeHead(answer.status, { "content-type": "application/json" }).end(await answer.text()),
      );
    });
    const config = { schema_registry_url: url, schema_registry_user: "u", schema_registry_password: "p" };
    expect((await load(topic, { config })).rows.map((row) => row["id"])).toEqual([1, 2, 3]);
    expect(new Set(asked).size).toBe(asked.length);
    expect(asked.every((line) => /^\/schemas\/ids\/\d+ Basic dTpw$/.test(line))).toBe(true);
    await using connector = await open(config);
    await connector.check();
    expect(asked.at(-1)).toBe("/schemas/types Basic dTpw");
  });

  it("must be in the connection", async () => {
    const config = { schema_registry_url: undefined };
    await expect(load(await topicOfOne(), { config })).rejects.toMatchObject({
      code: "SOURCE_OPTIONS_INVALID",
      message: expect.stringContaining("needs schema_registry_url") as unknown,
    });
    expect(() => kafka.config.parse({ brokers: ["a:1"], schema_registry_url: "http://u:p@host" })).toThrow(/takes no login/);
  });
});

// Protobuf messages of a real broker with schemas of a real registry: exact values, several messages of a file, imports, what cannot be read.

import { expect, it } from "vitest";
import { toRows } from "../../connectors/lib/rows.ts";
import { freshName, freshTopic } from "../fixtures/services.ts";
import { framedProto, protoEncoder } from "../fixtures/protobuf.ts";
import { register, send, UNKNOWN_ID, useFormat } from "./registry-kit.ts";

const { open, optionsOf, load } = useFormat("protobuf");

const registerProto = (text: string, references: NonNullable<Parameters<typeof register>[1]>["references"] = [], subject = freshName()) =>
  register(text, { schemaType: "PROTOBUF", references }, subject);

const ORDERS = `syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
message Order {
  int64 id = 1;
  optional string note = 2;
  google.protobuf.Timestamp at = 3;
  State state = 4;
  repeated Line lines = 5;
  enum State { NEW = 0; PAID = 1; }
  message Line { uint32 number = 1; double price = 2; }
}
message Customer {
  fixed64 id = 1;
  bytes key = 2;
}
`;

it("values come exactly, beside their place in the topic; tombstones have none", async () => {
  const { topic } = await freshTopic(1);
  const id = await registerProto(ORDERS);
  const encode = protoEncoder(ORDERS);
  const order = {
    id: "9007199254740993",
    note: "Grüße",
    at: { seconds: "1700000000", nanos: 123_456_000 },
    state: "PAID",
    lines: [{ number: 4_294_967_295, price: 0.1 }],
  };
  await send(topic, [framedProto(id, encode("shop.Order", order)), framedProto(id, Buffer.alloc(0)), null]);
  const { rows, rejects, columns } = await load(topic);
  expect(rejects).toEqual([]);
  expect(columns).toEqual([
    "id int64",
    "note string",
    "at timestamptz",
    "state string",
    "lines json",
    "_kafka_partition int32",
    "_kafka_offset int64",
    "_kafka_timestamp timestamptz",
    "_kafka_key string",
  ]);
  expect(rows).toMatchObject([
    { ...order, at: "2023-11-14T22:13:20.123456Z", _kafka_offset: 0, _kafka_key: "k0" },
    { id: 0, note: null, at: null, state: "NEW", lines: [], _kafka_offset: 1 },
    { id: null, note: null, state: null, lines: null, _kafka_offset: 2 },
  ]);
});

it("messages of several kinds of one file, and of other files, share a topic", async () => {
  const { topic } = await freshTopic(1);
  const id = await registerProto(ORDERS);
  const encode = protoEncoder(ORDERS);
  const geo = freshName();
  const country =
    'syntax = "proto3"; package geo; enum Country { NONE = 0; DE = 1; } message City { string name = 1; Country country = 2; }';
  await registerProto(country, [], geo);
  const address = 'syntax = "proto3"; package shop; import "geo.proto"; message Address { geo.City city = 1; geo.Country country = 2; }';
  const other = await registerProto(address, [{ name: "geo.proto", subject: geo, version: 1 }]);
  const place = { city: { name: "Ulm", country: "DE" }, country: "DE" };
  await send(topic, [
    framedProto(id, encode("shop.Order.Line", { number: 7, price: 1.5 }), [4, 0, 0]),
    framedProto(id, encode("shop.Customer", { id: "18446744073709551615", key: "AP8=" }), [2, 2]),
    framedProto(other, protoEncoder(address, country)("shop.Address", place)),
  ]);
  const { rows, columns } = await load(topic, { options: { metadata: false } });
  expect(columns).toEqual(["number int64", "price float64", "id uint64", "key binary", "city json", "country string"]);
  expect(rows).toEqual([
    { number: 7, price: 1.5, id: null, key: null, city: null, country: null },
    { number: null, price: null, id: "18446744073709551615", key: "AP8=", city: null, country: null },
    { number: null, price: null, id: null, key: null, ...place },
  ]);
});

it("messages that cannot be read are rejects with places and reasons, and are read again from their dead letters once they can be", async () => {
  const { topic } = await freshTopic(1);
  const id = await registerProto(ORDERS);
  const good = framedProto(id, protoEncoder(ORDERS)("shop.Order", { id: "7" }));
  const avro = await register({ type: "record", name: "R", fields: [] });
  const lost = await registerProto('syntax = "proto3"; import "google/protobuf/timestamp.proto"; message M { int32 a = 1; }');
  await send(topic, [
    good,
    Buffer.from('{"id": 1}'),
    framedProto(UNKNOWN_ID, Buffer.alloc(0)),
    framedProto(avro, Buffer.alloc(0)),
    framedProto(id, Buffer.alloc(0), [2, 18]),
    framedProto(id, Buffer.from([0x12, 0x05, 0x61])),
    framedProto(id, Buffer.alloc(0), [1]),
    framedProto(lost, Buffer.from([0x08, 0x02])),
  ]);
  const { rows, rejects } = await load(topic);
  expect(rows).toMatchObject([
    { id: 7, _kafka_offset: 0 },
    { a: 2, _kafka_offset: 7 },
  ]);
  const at = (offset: number) => `offset ${offset} of partition 0 of ${topic}`;
  expect(Object.fromEntries(rejects.map(({ where, reason }) => [where, reason]))).toEqual({
    [at(1)]: "does not begin with a zero byte and a schema id: it was not written with a schema registry",
    [at(2)]: `has the schema id ${UNKNOWN_ID}, which the schema registry does not know`,
    [at(3)]: `has the schema id ${avro}, whose schema is AVRO and not PROTOBUF`,
    [at(4)]: "is of the message 9 of its schema, which has none there",
    [at(5)]: 'field "note" ends within a value: 5 bytes are needed, 1 are left',
    [at(6)]: "says its message by -1 numbers: it was not written with a schema registry",
  });
  await using connector = await open();
  const letters = rejects.map(({ where, raw }) => ({ id: where, place: where, raw }));
  const broken = JSON.parse(letters.find(({ place }) => place === at(5))?.raw ?? "") as object;
  const mended = { id: "x", place: "x", raw: JSON.stringify({ ...broken, value: good.toString("base64") }) };
  const batch = await connector.source!.reread!([...letters, mended], { stream: topic, options: optionsOf({}), known: [] });
  expect(toRows(batch)).toMatchObject([{ id: 7, _kafka_offset: 5 }]);
  expect(batch.rejects).toHaveLength(6);
});

it("columns that are declared say names and types", async () => {
  const { topic } = await freshTopic(1);
  const encode = protoEncoder(ORDERS);
  const at = { seconds: "0", nanos: 1 };
  await send(topic, [framedProto(await registerProto(ORDERS), encode("shop.Order", { id: "5", at }))]);
  const columns = { at: "string", id: "decimal(20,0)", missing: "date" };
  expect((await load(topic, { options: { metadata: false, columns } })).rows).toEqual([
    { at: "1970-01-01T00:00:00.000000001Z", id: "5", missing: null },
  ]);
});

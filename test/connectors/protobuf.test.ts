// Protobuf messages read to the last bit, judged by the bytes of another encoder and by bytes written by hand.

import { describe, expect, it } from "vitest";
import type { Column } from "../../connectors/batch.ts";
import { addColumns } from "../../connectors/lib/protobuf/columns.ts";
import { protoReader } from "../../connectors/lib/protobuf/reader.ts";
import { parseProto, type ProtoFile } from "../../connectors/lib/protobuf/schema.ts";
import { ProtoCursor } from "../../connectors/lib/protobuf/wire.ts";
import { fromRows, toRows, typeName } from "../../connectors/lib/rows.ts";
import { protoEncoder } from "../fixtures/protobuf.ts";

const PROTO3 = 'syntax = "proto3";';

interface Manner {
  readonly columns?: readonly Column[];
  readonly imported?: readonly ProtoFile[];
  readonly path?: readonly number[];
}

const readerOf = async (text: string, { columns, imported = [], path = [0] }: Manner = {}) => {
  const message = (await parseProto(text, imported)).messageAt(path);
  if (message === undefined) throw new Error(`there is no message ${path.join()}`);
  const all = columns ?? addColumns([], message);
  const read = protoReader(message, all);
  return {
    columns: all.map(({ name, type }) => `${name} ${typeName(type)}`),
    raw: (bytes: Buffer) => read(new ProtoCursor(bytes)),
    /** As it comes out of a column. */
    row: (bytes: Buffer) => {
      const batch = fromRows(all, [read(new ProtoCursor(bytes))], { position: null });
      expect(batch.rejects ?? []).toEqual([]);
      return toRows(batch)[0];
    },
  };
};

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");

describe("scalars", () => {
  const text = `${PROTO3} message M { double a = 1; float b = 2; int32 c = 3; sint32 d = 4; sfixed32 e = 5; uint32 f = 6; fixed32 g = 7;
    int64 h = 8; sint64 i = 9; sfixed64 j = 10; uint64 k = 11; fixed64 l = 12; bool m = 13; string n = 14; bytes o = 15; E p = 16; }
    enum E { NONE = 0; ONE = 1; }`;

  it("come exactly at both ends of their ranges", async () => {
    const { columns, row } = await readerOf(text);
    expect(columns.map((column) => column.split(" ")[1])).toEqual(
      "float64 float32 int32 int32 int32 int64 int64 int64 int64 int64 uint64 uint64 bool string binary string".split(" "),
    );
    const encode = protoEncoder(text);
    const least = { a: -1.5e300, b: -0.5, c: -(2 ** 31), d: -(2 ** 31), e: -(2 ** 31), f: 0, g: 0, p: "ONE", n: "Grüße", o: "AP8=" };
    const longs = { h: "-9223372036854775808", i: "-9223372036854775808", j: "-9223372036854775808", k: "0", l: "0" };
    expect(row(encode("M", { ...least, ...longs, m: true }))).toEqual({
      ...least,
      ...longs,
      k: 0,
      l: 0,
      m: true,
    });
    const most = { c: 2 ** 31 - 1, d: 2 ** 31 - 1, e: 2 ** 31 - 1, f: 2 ** 32 - 1, g: 2 ** 32 - 1 };
    const large = {
      h: "9223372036854775807",
      i: "9007199254740993",
      j: "9223372036854775807",
      k: "18446744073709551615",
      l: "18446744073709551615",
    };
    expect(row(encode("M", { ...most, ...large }))).toMatchObject({ ...most, ...large });
    for (const value of ["127", "128", "2147483647", "2147483648", "562949953421311", "562949953421312", "9007199254740992"])
      expect(String(row(encode("M", { h: value, i: `-${value}`, k: value }))?.["h"])).toBe(value);
  });

  it("that are not there are their type's zero, or NULL where that can be told", async () => {
    const { row } = await readerOf(text);
    expect(row(Buffer.alloc(0))).toEqual({
      ...Object.fromEntries("a b c d e f g h i j k l".split(" ").map((name) => [name, 0])),
      m: false,
      n: "",
      o: "",
      p: "NONE",
    });
    const optional = await readerOf(`${PROTO3} message M { optional int32 a = 1; optional string b = 2; }`);
    expect(optional.row(Buffer.alloc(0))).toEqual({ a: null, b: null });
    expect(optional.row(hex("0800"))).toEqual({ a: 0, b: null });
    const proto2 = await readerOf('syntax = "proto2"; message M { required int32 a = 1; optional int32 b = 2 [default = 7]; }');
    expect(proto2.row(hex("0801"))).toEqual({ a: 1, b: null });
    expect(() => proto2.raw(Buffer.alloc(0))).toThrow('lacks the field "a", which its schema requires');
    const edition = await readerOf('edition = "2023"; message M { int32 a = 1; int32 b = 2 [features.field_presence = IMPLICIT]; }');
    expect(edition.row(Buffer.alloc(0))).toEqual({ a: null, b: 0 });
  });

  it("enums' numbers that the schema has no name for come as numbers, negative ones among them", async () => {
    const { row } = await readerOf(`${PROTO3} message M { E a = 1; } enum E { X = 0; Y = -1; }`);
    expect(row(hex("08 ffffffffffffffffff01"))).toEqual({ a: "Y" });
    expect(row(hex("08 2a"))).toEqual({ a: "42" });
  });
});

describe("what comes more than once", () => {
  it("repeated numbers packed or one by one, as both parsers take them", async () => {
    const { row } = await readerOf(`${PROTO3} message M { repeated sint32 a = 1; repeated string b = 2; }`);
    expect(row(hex("0a 03 01 02 03 08 04 12 01 78 12 00"))).toEqual({ a: [-1, 1, -2, 2], b: ["x", ""] });
    expect(row(Buffer.alloc(0))).toEqual({ a: [], b: [] });
  });

  it("the last scalar counts, the parts of a message are joined, and of a oneof the last one is there", async () => {
    const { row } = await readerOf(
      `${PROTO3} message M { int32 a = 1; P b = 2; oneof c { int32 d = 3; P e = 4; string f = 5; } } message P { int32 x = 1; repeated int32 y = 2; }`,
    );
    expect(row(hex("0801 0802 1202 0805 1202 1001 1202 1002"))).toEqual({ a: 2, b: { x: 5, y: [1, 2] }, d: null, e: null, f: null });
    expect(row(hex("1801 2202 0801 2a01 78"))).toMatchObject({ d: null, e: null, f: "x" });
    expect(row(hex("2a01 78 1800"))).toMatchObject({ d: 0, e: null, f: null });
  });

  it("maps, an entry whose key or value is not there, and one that comes again", async () => {
    const text = `${PROTO3} message M { map<int64, string> a = 1; map<string, P> b = 2; map<bool, double> c = 3; map<string, bytes> d = 4; } message P { int32 x = 1; }`;
    const { row } = await readerOf(text);
    const values = { a: { "-5": "x" }, b: { __proto__x: { x: 1 } }, c: { true: 0.5 }, d: { k: "AP8=" } };
    expect(row(protoEncoder(text)("M", values))).toEqual(values);
    expect(row(hex("0a00 1203 0a01 6b 0a05 0801 1201 79 0a05 0801 1201 7a"))).toEqual({
      a: { 0: "", 1: "z" },
      b: { k: { x: 0 } },
      c: {},
      d: {},
    });
  });

  it("groups and fields that the schema does not have are passed over, whole", async () => {
    const { row } = await readerOf('syntax = "proto2"; message M { optional int32 a = 1; optional group G = 2 { optional int32 x = 1; } }');
    const encoded = hex("13 0807 14 1d 00000000 2b 1a01 61 33 34 2c 31 0000000000000000 0805");
    const { a, ...group } = row(encoded) ?? {};
    expect(a).toBe(5);
    expect(Object.values(group)).toEqual([{ x: 7 }]);
  });
});

describe("messages that everyone knows", () => {
  const text = `${PROTO3} import "google/protobuf/timestamp.proto"; import "google/protobuf/duration.proto"; import "google/protobuf/wrappers.proto"; import "google/protobuf/struct.proto";
    message M { google.protobuf.Timestamp at = 1; google.protobuf.Duration took = 2; google.protobuf.Int64Value n = 3; google.protobuf.BytesValue raw = 4;
      google.protobuf.Struct about = 5; google.protobuf.Value any = 6; repeated google.protobuf.Timestamp times = 7; google.protobuf.ListValue list = 8; }`;

  it("are what they mean, in columns and within JSON", async () => {
    const { columns, row } = await readerOf(text);
    expect(columns).toEqual([
      "at timestamptz",
      "took string",
      "n int64",
      "raw binary",
      "about json",
      "any json",
      "times json",
      "list json",
    ]);
    const encode = protoEncoder(text);
    const bytes = encode("M", {
      at: { seconds: "-1", nanos: 999_999_000 },
      took: { seconds: "-3", nanos: -1_000_000 },
      n: { value: "9007199254740993" },
      raw: { value: "AP8=" },
      about: { fields: { a: { numberValue: 1 }, b: { nullValue: "NULL_VALUE" }, c: { listValue: { values: [{ boolValue: true }] } } } },
      any: { stringValue: "1" },
      times: [{ seconds: "1700000000", nanos: 5 }, { seconds: "0" }],
      list: { values: [{ stringValue: "x" }, { structValue: { fields: {} } }] },
    });
    expect(row(bytes)).toEqual({
      at: "1969-12-31T23:59:59.999999Z",
      took: "-3.001s",
      n: "9007199254740993",
      raw: "AP8=",
      about: { a: 1, b: null, c: [true] },
      any: "1",
      times: ["2023-11-14T22:13:20.000000005Z", "1970-01-01T00:00:00Z"],
      list: ["x", {}],
    });
    expect(row(Buffer.alloc(0))).toMatchObject({ at: null, n: null, any: null, times: [] });
  });

  it("nanoseconds are not cut: a reject, or all digits where the column is text", async () => {
    const encode = protoEncoder(text);
    const bytes = encode("M", { at: { seconds: "1", nanos: 1_500 } });
    expect((await readerOf(text)).raw.bind(null, bytes)).toThrow(/field "at" ends at 1500 nanoseconds/);
    const columns: readonly Column[] = [{ name: "at", type: { kind: "string" }, nullable: true }];
    expect((await readerOf(text, { columns })).row(bytes)).toEqual({ at: "1970-01-01T00:00:01.000001500Z" });
    const none = encode("M", { at: { seconds: "1", nanos: -1 } });
    expect((await readerOf(text)).raw.bind(null, none)).toThrow("has 1 seconds and -1 nanoseconds, which is no time");
  });

  it("Confluent's decimals are text with all digits, and exact in a column that is declared", async () => {
    const decimal = `${PROTO3} import "confluent/type/decimal.proto"; message M { confluent.type.Decimal price = 1; }`;
    // -1234567 at scale 2.
    const bytes = hex("0a 09 0a 03 ed2979 10 09 18 02");
    expect((await readerOf(decimal)).row(bytes)).toEqual({ price: "-12345.67" });
    const columns: readonly Column[] = [{ name: "price", type: { kind: "decimal", precision: 9, scale: 2 }, nullable: true }];
    expect((await readerOf(decimal, { columns })).row(bytes)).toEqual({ price: "-12345.67" });
  });
});

describe("schemas", () => {
  it("a message may hold itself, and values that JSON has no number for are text there", async () => {
    const text = `${PROTO3} message Node { string name = 1; Node left = 2; repeated Node more = 3; repeated double weights = 4; }`;
    const { row } = await readerOf(text);
    const bytes = protoEncoder(text)("Node", { name: "a", left: { name: "b", more: [{ name: "c" }] }, weights: [NaN, Infinity, 0.5] });
    expect(row(bytes)).toEqual({
      name: "a",
      left: { name: "b", more: [{ name: "c", more: [], weights: [] }], weights: [] },
      more: [],
      weights: ["NaN", "Infinity", 0.5],
    });
  });

  it("messages are found by their places in their own file, whatever other files have in the package", async () => {
    const text = `${PROTO3} package shop; import "other.proto"; message First { int32 a = 1; enum E { X = 0; } message In { int32 b = 1; } message Deep { message Deeper { Other c = 1; } } } message Second { int32 d = 1; }`;
    const other = { name: "other.proto", text: `${PROTO3} package shop; message Other { int32 x = 1; }` };
    const columnsAt = async (...path: readonly number[]) => (await readerOf(text, { path, imported: [other] })).columns;
    expect(await columnsAt(0)).toEqual(["a int32"]);
    expect(await columnsAt(1)).toEqual(["d int32"]);
    expect(await columnsAt(0, 0)).toEqual(["b int32"]);
    expect(await columnsAt(0, 1, 0)).toEqual(["c json"]);
    await expect(columnsAt(2)).rejects.toThrow("there is no message 2");
    await expect(columnsAt(0, 7)).rejects.toThrow("there is no message 0,7");
  });

  it("options that a schema defines itself are no matter; a file that is nowhere is told", async () => {
    const own = `${PROTO3} import "google/protobuf/descriptor.proto"; import "confluent/meta.proto"; extend google.protobuf.FieldOptions { string pii = 50000; } message M { int32 a = 1 [(pii) = "no"]; }`;
    expect((await readerOf(own)).columns).toEqual(["a int32"]);
    await expect(readerOf(`${PROTO3} import "lost.proto"; message M { lost.Thing a = 1; }`)).rejects.toThrow(/lost\.Thing/);
    await expect(readerOf("no proto")).rejects.toThrow(/illegal token/);
  });
});

describe("messages that are made to harm", () => {
  it("that lie in each other a thousand times are refused", async () => {
    const { raw, row } = await readerOf(`${PROTO3} message N { N child = 1; bytes pad = 2; map<string, N> more = 3; }`);
    const field = (tag: number, body: Buffer): Buffer => {
      const header = [tag];
      let rest = body.length;
      for (; rest >= 128; rest >>>= 7) header.push((rest & 0x7f) | 0x80);
      return Buffer.concat([Buffer.from([...header, rest]), body]);
    };
    const nested = (levels: number, wrap: (body: Buffer) => Buffer): Buffer =>
      Array.from({ length: levels }).reduce<Buffer>((body) => wrap(body), field(0x12, Buffer.alloc(50_000)));
    const asChild = (body: Buffer): Buffer => field(0x0a, body);
    const inMap = (body: Buffer): Buffer => field(0x1a, field(0x12, body));
    expect(row(nested(50, asChild))).toHaveProperty("child.child.child");
    expect(() => raw(nested(1_000, asChild))).toThrow(/has more than 100 messages in each other/);
    expect(() => raw(nested(1_000, inMap))).toThrow(/has more than 100 messages in each other/);
  });

  it("a message that has only the name of one that everyone knows is what its fields say", async () => {
    const own = {
      name: "google/protobuf/wrappers.proto",
      text: `${PROTO3} package google.protobuf; message Int64Value { } message StringValue { string text = 1; }`,
    };
    const text = `${PROTO3} import "google/protobuf/wrappers.proto"; message M { google.protobuf.Int64Value a = 1; google.protobuf.StringValue b = 2; }`;
    const { columns, row } = await readerOf(text, { imported: [own] });
    expect(columns).toEqual(["a json", "b json"]);
    expect(row(hex("0a00 1203 0a01 78"))).toEqual({ a: {}, b: { text: "x" } });
  });
});

describe("messages that are broken", () => {
  it.each([
    ["0a 05 61", "ends within a value: 5 bytes are needed, 1 are left"],
    ["0a 01 ff", 'field "a" has a string that is not UTF-8'],
    ["08 01", 'field "a" is written otherwise (wire type 0) than its schema says (2)'],
    ["10 ffffffffffffffffffff01", "has a number of more than 64 bits"],
    ["10 ffffffffffffffffff7f", "has a number of more than 64 bits"],
    ["07", "has a field of the number 0"],
    ["3f", "has a field 7 of the unknown wire type 7"],
    ["3b 44", "has a group 7 that ends as 8"],
    ["3b", "ends within a value"],
    ["80", "ends within a value"],
  ])("%s: %s", async (bytes, reason) => {
    const { raw } = await readerOf(`${PROTO3} message M { string a = 1; uint64 b = 2; }`);
    expect(() => raw(hex(bytes))).toThrow(reason);
  });
});

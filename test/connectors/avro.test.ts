// Avro schemas as columns and messages as rows, against bytes that another library wrote.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Column } from "../../connectors/batch.ts";
import { addColumns, fieldsOf } from "../../connectors/lib/avro/columns.ts";
import { AvroCursor } from "../../connectors/lib/avro/cursor.ts";
import { avroReader } from "../../connectors/lib/avro/reader.ts";
import { parseAvroSchema } from "../../connectors/lib/avro/schema.ts";
import { parseColumnType } from "../../connectors/lib/column-types.ts";
import { fromRows, toRows, typeName } from "../../connectors/lib/rows.ts";
import { avroType, decimalBytes } from "../fixtures/avro.ts";

const record = (fields: readonly object[], more: object = {}): object => ({ type: "record", name: "R", fields, ...more });
const one = (type: unknown): object => record([{ name: "v", type }]);
const parse = (schema: object | string) => parseAvroSchema(JSON.stringify(schema));
const columnsOf = (...schemas: readonly (object | string)[]): readonly Column[] =>
  schemas.reduce<readonly Column[]>((known, schema) => addColumns(known, fieldsOf(parse(schema))), []);
const told = (columns: readonly Column[]): readonly string[] => columns.map(({ name, type }) => `${name} ${typeName(type)}`);
const declared = (types: Readonly<Record<string, string>>): readonly Column[] =>
  Object.entries(types).map(([name, text]) => ({ name, type: parseColumnType(text)!, nullable: true }));

/** What a destination gets of the value: rows, or why there are none. */
const read = (schema: object | string, bytes: Buffer, columns = columnsOf(schema)) => {
  const batch = fromRows(columns, [avroReader(parse(schema), columns)(new AvroCursor(bytes, 0))], { position: null });
  return batch.rejects?.[0]?.reason ?? toRows(batch)[0];
};
const value = (type: unknown, written: unknown, column?: string) => {
  const schema = one(type);
  const row = read(schema, avroType(schema).toBuffer({ v: written }), column === undefined ? undefined : declared({ v: column }));
  return typeof row === "string" ? row : row?.["v"];
};

describe("columns", () => {
  const logical = (type: unknown, logicalType: string, more: object = {}): object => ({ type, logicalType, ...more });
  it.each<[unknown, string]>([
    ["boolean", "bool"],
    ["int", "int32"],
    ["long", "int64"],
    ["float", "float32"],
    ["double", "float64"],
    ["string", "string"],
    ["bytes", "binary"],
    [{ type: "fixed", name: "F", size: 3 }, "binary"],
    [{ type: "enum", name: "E", symbols: ["A"] }, "string"],
    [{ type: "array", items: "int" }, "json"],
    [{ type: "map", values: "int" }, "json"],
    [{ type: "record", name: "N", fields: [] }, "json"],
    [["null", "long"], "int64"],
    [["string", "null"], "string"],
    [["int", "string"], "json"],
    [logical("bytes", "decimal", { precision: 20, scale: 3 }), "decimal(20,3)"],
    [logical("bytes", "decimal", { precision: 2, scale: 3 }), "binary"],
    [{ type: "fixed", name: "D", size: 8, logicalType: "decimal", precision: 9 }, "decimal(9,0)"],
    [logical("int", "date"), "date"],
    [logical("long", "date"), "int64"],
    [logical("int", "time-millis"), "time"],
    [logical("long", "time-micros"), "time"],
    [logical("long", "time-millis"), "int64"],
    [logical("long", "timestamp-millis"), "timestamptz"],
    [logical("long", "timestamp-micros"), "timestamptz"],
    [logical("long", "timestamp-nanos"), "timestamptz"],
    [logical("long", "local-timestamp-micros"), "timestamp"],
    [logical("string", "uuid"), "uuid"],
    [{ type: "fixed", name: "U", size: 16, logicalType: "uuid" }, "uuid"],
    [logical("string", "of-tomorrow"), "string"],
  ])("of %j is %s", (type, column) => {
    expect(told(columnsOf(one(type)))).toEqual([`v ${column}`]);
  });

  it("of fields that are nothing but null are none, and of what is no record is one", () => {
    expect(columnsOf(one("null"))).toEqual([]);
    expect(told(columnsOf("long"))).toEqual(["value int64"]);
    expect(told(columnsOf(["null", record([{ name: "a", type: "int" }])] as never))).toEqual(["a int32"]);
  });

  it("of several schemas hold the values of all; nothing new is the same list", () => {
    const known = columnsOf(one("int"));
    expect(addColumns(known, fieldsOf(parse(one("int"))))).toBe(known);
    const wide = columnsOf(
      one("int"),
      record([
        { name: "v", type: "long" },
        { name: "w", type: "string" },
      ]),
    );
    expect(told(wide)).toEqual(["v int64", "w string"]);
    expect(addColumns(wide, fieldsOf(parse(one("int"))))).toBe(wide);
    expect(told(columnsOf(one("long"), one("double")))).toEqual(["v string"]);
    expect(told(columnsOf(one("float"), one("double")))).toEqual(["v float64"]);
    const decimal = (precision: number, scale: number) => one({ type: "bytes", logicalType: "decimal", precision, scale });
    expect(told(columnsOf(decimal(10, 2), decimal(10, 4)))).toEqual(["v decimal(12,4)"]);
  });
});

describe("values", () => {
  it("numbers come to the last bit", () => {
    for (const long of [
      0n,
      -1n,
      63n,
      -64n,
      2n ** 27n,
      -(2n ** 28n),
      2n ** 48n,
      -(2n ** 49n),
      2n ** 53n + 1n,
      2n ** 63n - 1n,
      -(2n ** 63n),
    ]) {
      expect(String(value("long", long))).toBe(String(long));
    }
    fc.assert(fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (long) => String(value("long", long)) === String(long)));
    fc.assert(fc.property(fc.integer(), (int) => value("int", int) === int));
    fc.assert(fc.property(fc.double({ noDefaultInfinity: true, noNaN: true }), (double) => Object.is(value("double", double), double)));
  });

  it("decimals of bytes and of a fixed, of either sign", () => {
    const decimal = { logicalType: "decimal", precision: 38, scale: 4 };
    const unscaled = 12345678901234567890123456789012345678n;
    expect(value({ type: "bytes", ...decimal }, decimalBytes(unscaled, 16))).toBe("1234567890123456789012345678901234.5678");
    expect(value({ type: "fixed", name: "F", size: 17, ...decimal }, decimalBytes(-unscaled, 17))).toBe(
      "-1234567890123456789012345678901234.5678",
    );
    expect(value({ type: "bytes", logicalType: "decimal", precision: 5, scale: 2 }, decimalBytes(-1n, 1))).toBe("-0.01");
    expect(value({ type: "bytes", logicalType: "decimal", precision: 3, scale: 2 }, decimalBytes(1234n, 2))).toMatch(
      /12.34 is not a decimal\(3,2\)/,
    );
  });

  it.each<[string, string, bigint | number, string]>([
    ["int", "date", -1, "1969-12-31"],
    ["int", "time-millis", 86_399_999, "23:59:59.999000"],
    ["long", "time-micros", 1n, "00:00:00.000001"],
    ["long", "timestamp-millis", -1n, "1969-12-31T23:59:59.999000Z"],
    ["long", "timestamp-micros", 1_700_000_000_123_456n, "2023-11-14T22:13:20.123456Z"],
    ["long", "timestamp-nanos", 1_700_000_000_123_456_000n, "2023-11-14T22:13:20.123456Z"],
    ["long", "local-timestamp-millis", 0n, "1970-01-01T00:00:00"],
    ["long", "local-timestamp-micros", -1n, "1969-12-31T23:59:59.999999"],
  ])("%s %s %s is %s", (type, logicalType, written, expected) => {
    expect(value({ type, logicalType }, written)).toBe(expected);
  });

  it("nanoseconds that a moment cannot hold are refused, and kept whole where the column is declared", () => {
    const nanos = { type: "long", logicalType: "timestamp-nanos" };
    expect(() => value(nanos, -1n)).toThrow(/field "v" is -1 nanoseconds.*declare it as int64 or string/);
    expect(value(nanos, -1n, "int64")).toBe(-1);
    expect(value(nanos, -1n, "string")).toBe("1969-12-31T23:59:59.999999999Z");
    expect(() => value({ type: "long", logicalType: "timestamp-millis" }, 2n ** 62n)).toThrow(/beyond what a column of times can hold/);
  });

  it("nested values are JSON: every digit, moments by ISO 8601, bytes in base64, branches by their names", () => {
    const schema = record([
      {
        name: "v",
        type: {
          type: "record",
          name: "N",
          fields: [
            { name: "long", type: "long" },
            { name: "at", type: ["null", { type: "long", logicalType: "timestamp-micros" }] },
            { name: "bytes", type: "bytes" },
            { name: "price", type: { type: "bytes", logicalType: "decimal", precision: 5, scale: 2 } },
            { name: "either", type: { type: "array", items: ["null", "int", "string"] } },
            { name: "map", type: { type: "map", values: "float" } },
            { name: "next", type: ["null", "N"] },
          ],
        },
      },
    ]);
    const inner = { long: 2n ** 60n, at: { long: 1n }, bytes: Buffer.from([255]), price: decimalBytes(250n, 2) };
    const leaf = { ...inner, at: null, either: [], map: {}, next: null };
    const written = { ...inner, either: [null, { int: 1 }, { string: "x" }], map: { a: 0.5, b: Number.NaN }, next: { N: leaf } };
    const row = read(schema, avroType(schema).toBuffer({ v: written }), declared({ v: "string" })) as { v: string };
    const start = '{"long":1152921504606846976,"at":';
    const rest = ',"bytes":"/w==","price":"2.50","either":';
    expect(row.v).toBe(
      `${start}"1970-01-01T00:00:00.000001Z"${rest}[null,{"int":1},{"string":"x"}],"map":{"a":0.5,"b":"NaN"},"next":${start}null${rest}[],"map":{},"next":null}}`,
    );
  });

  it("fields of evolved schemas fit the columns that hold them all", () => {
    const columns = columnsOf(one("int"), one("string"), one({ type: "int", logicalType: "date" }));
    const schema = one({ type: "int", logicalType: "date" });
    expect(read(schema, avroType(schema).toBuffer({ v: 1 }), columns)).toEqual({ v: "1970-01-02" });
    expect(value({ type: "int", logicalType: "date" }, 1, "timestamp")).toBe("1970-01-02T00:00:00");
    expect(value({ type: "string" }, '{"a":1}', "json")).toEqual({ a: 1 });
  });

  it("names with and without namespaces, of schemas that are referred to, and those that every object inherits", () => {
    const names = new Map();
    parseAvroSchema('{"type":"enum","name":"Colour","namespace":"shop","symbols":["RED","BLUE"]}', names);
    const type = parseAvroSchema(
      '{"type":"record","name":"shop.R","fields":[{"name":"__proto__","type":"Colour"},{"name":"b","type":"shop.Colour"},{"name":"missing","type":"null"}]}',
      names,
    );
    const columns = addColumns([], fieldsOf(type));
    const row = avroReader(type, columns)(new AvroCursor(Buffer.from([2, 0]), 0));
    expect(toRows(fromRows(columns, [row], { position: null }))).toEqual([
      Object.fromEntries([
        ["__proto__", "BLUE"],
        ["b", "RED"],
      ]),
    ]);
    expect(() => parse(one("Nowhere"))).toThrow("the type Nowhere is defined nowhere");
  });
});

describe("messages that are no such values", () => {
  const of =
    (type: unknown, ...bytes: readonly number[]) =>
    () =>
      read(one(type), Buffer.from(bytes));
  it.each<[string, () => unknown, RegExp]>([
    ["end early", of("double", 1, 2), /field "v" ends within a value: 8 bytes are needed, 2 are left/],
    ["go on", of("int", 2, 2), /has 1 bytes behind its value/],
    ["have a length below zero", of("bytes", 1), /ends within a value/],
    ["have an int of 33 bits", of("int", 0xff, 0xff, 0xff, 0xff, 0x1f), /more than 32 bits/],
    ["have a long without end", of("long", ...Array.from({ length: 11 }, () => 0xff)), /more than 64 bits/],
    ["have a branch that is not there", of(["null", "int"], 4), /names number 2 of 2/],
    ["have half of a character", of("string", 2, 0xc3), /not UTF-8/],
    ["have a boolean of 2", of("boolean", 2), /neither 0 nor 1/],
    [
      "promise more items than they have",
      of({ type: "array", items: "null" }, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0),
      /says that it has \d+ items/,
    ],
  ])("%s", (_name, act, message) => expect(act).toThrow(message));

  it("arrays in blocks with their sizes are read", () => {
    expect(of({ type: "array", items: "int" }, 3, 4, 2, 4, 2, 6, 0)()).toEqual({ v: [1, 2, 3] });
  });
});

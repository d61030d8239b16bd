// JSON Schema as taps write it, to columns.

import { describe, expect, it } from "vitest";
import { parseObject } from "../../connectors/lib/json-text.ts";
import { typeName } from "../../connectors/lib/rows.ts";
import { columnsOf, type JsonSchema } from "../../connectors/lib/taps/json-schema.ts";
import { mergedConfig } from "../../connectors/lib/taps/merged-config.ts";

const typeOf = (property: string): string => {
  const schema = parseObject(
    `{"properties": {"x": ${property}}, "definitions": {"money": {"type": "number", "multipleOf": 0.01}}}`,
  ) as JsonSchema;
  const [column] = columnsOf(schema, [], []);
  return column === undefined ? "none" : typeName(column.type);
};

describe("types of JSON Schema", () => {
  it.each([
    ['{"type": "boolean"}', "bool"],
    ['{"type": ["null", "integer"]}', "int64"],
    ['{"type": "integer", "minimum": -9223372036854775808, "maximum": 9223372036854775807}', "int64"],
    ['{"type": "integer", "minimum": 0, "maximum": 18446744073709551615}', "uint64"],
    ['{"type": "integer", "maximum": 18446744073709551616}', "decimal(38,0)"],
    ['{"type": "number"}', "float64"],
    ['{"type": "number", "airbyte_type": "integer"}', "int64"],
    ['{"type": "number", "multipleOf": 0.01}', "decimal(38,2)"],
    ['{"type": "number", "multipleOf": 1e-06, "maximum": 9999999999.999999}', "decimal(16,6)"],
    ['{"type": "number", "multipleOf": 0.01, "maximum": 100000000, "exclusiveMaximum": true}', "decimal(10,2)"],
    ['{"type": "number", "multipleOf": 1e-38, "maximum": 1e100}', "string"],
    ['{"type": "number", "multipleOf": 0.25}', "float64"],
    ['{"type": "string"}', "string"],
    ['{"type": "string", "format": "date-time"}', "timestamptz"],
    ['{"type": "string", "format": "date-time", "airbyte_type": "timestamp_without_timezone"}', "timestamp"],
    ['{"type": "string", "format": "date"}', "date"],
    ['{"type": "string", "format": "time"}', "time"],
    ['{"type": "string", "format": "time", "airbyte_type": "time_with_timezone"}', "string"],
    ['{"type": "string", "format": "uuid"}', "uuid"],
    ['{"type": "string", "format": "email"}', "string"],
    ['{"type": "string", "format": "singer.decimal", "precision": 20, "scale": 4}', "decimal(20,4)"],
    ['{"type": "string", "format": "x-singer.decimal"}', "string"],
    ['{"type": "string", "airbyte_type": "big_integer"}', "decimal(38,0)"],
    ['{"type": "string", "contentEncoding": "base64"}', "binary"],
    ['{"type": "object"}', "json"],
    ['{"type": ["array", "null"], "items": {}}', "json"],
    ["{}", "json"],
    ["true", "json"],
    ['{"type": "null"}', "string"],
    ['{"type": ["string", "integer"]}', "string"],
    ['{"type": ["integer", "number", "null"]}', "float64"],
    ['{"type": ["string", "object"]}', "json"],
    ['{"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}', "timestamptz"],
    ['{"anyOf": [{"type": "string", "format": "date-time"}, {"type": ["string", "null"]}]}', "string"],
    ['{"oneOf": [{"$ref": "#/definitions/money"}, {"type": "null"}]}', "decimal(38,2)"],
    ['{"$ref": "#/properties/x"}', "json"],
  ])("%s is %s", (property, type) => {
    expect(typeOf(property)).toBe(type);
  });

  it("only keys may be without NULL, and types that are given go before", () => {
    const schema = {
      properties: { id: { type: "integer" }, key: { type: ["null", "string"] }, name: { type: "string" } },
      required: ["name"],
    };
    const given = [
      { name: "name", type: { kind: "json" }, nullable: true },
      { name: "more", type: { kind: "date" }, nullable: true },
    ] as const;
    expect(columnsOf(schema, ["id", "key"], given)).toEqual([
      { name: "id", type: { kind: "int64" }, nullable: false },
      { name: "key", type: { kind: "string" }, nullable: true },
      { name: "name", type: { kind: "json" }, nullable: true },
      { name: "more", type: { kind: "date" }, nullable: true },
    ]);
  });
});

describe("secrets of a tap", () => {
  it("go to their places, and may come as one JSON", () => {
    const config = { host: "h", auth: { user: "u" }, keys: ["a", { value: "b" }] };
    const secrets = { "auth.password": "p", "keys.1.value": "c", token: "t", "new.deep.one": "d", __proto__x: "z" };
    const merged = {
      host: "h",
      auth: { user: "u", password: "p" },
      keys: ["a", { value: "c" }],
      token: "t",
      new: { deep: { one: "d" } },
      __proto__x: "z",
    };
    expect(mergedConfig({ config, secrets })).toEqual({ config: merged, secrets: Object.values(secrets) });
    expect(mergedConfig({ config, secrets: JSON.stringify(secrets) }).config).toEqual(merged);
    expect(Object.keys(mergedConfig({ config: {}, secrets: '{"__proto__.polluted": "x"}' }).config)).toEqual(["__proto__"]);
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
  });

  it.each(["[]", '{"a": 1}', "hunter2"])("%s is refused without being shown", (text) => {
    const refused = (): unknown => mergedConfig({ config: {}, secrets: text });
    expect(refused).toThrow(expect.objectContaining({ code: "CONNECTION_INVALID" }) as Error);
    expect(refused).toThrow(expect.objectContaining({ message: expect.not.stringContaining(text) as string }) as Error);
  });
});

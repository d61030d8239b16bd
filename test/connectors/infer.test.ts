// Columns out of rows, and JSON numbers with all their digits.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Column } from "../../connectors/batch.ts";
import { parseColumnType } from "../../connectors/lib/column-types.ts";
import { inferColumns } from "../../connectors/lib/infer.ts";
import { jsonText, parseJson, parseObject, plainJson } from "../../connectors/lib/json-text.ts";
import { fromRows, toRows, type Row } from "../../connectors/lib/rows.ts";

const kinds = (columns: readonly Column[]): Record<string, string> =>
  Object.fromEntries(columns.map(({ name, type }) => [name, type.kind]));
const rowsOf = (...texts: readonly string[]): readonly Row[] => texts.map((text) => parseJson(text) as Row);

describe("types of JSON values", () => {
  it.each([
    [["1", "null", "2"], "int64", [1, null, 2]],
    [["1", "1.5"], "float64", [1, 1.5]],
    [["1.5", "1"], "float64", [1.5, 1]],
    [["9007199254740993", "1"], "int64", ["9007199254740993", 1]],
    [["9007199254740993", "1.5"], "string", ["9007199254740993", "1.5"]],
    [["1.5", "9007199254740993"], "string", ["1.5", "9007199254740993"]],
    [["18446744073709551615"], "string", ["18446744073709551615"]],
    [["12345678901234567.89"], "string", ["12345678901234567.89"]],
    [["1e400"], "string", ["1e400"]],
    [["1", '"one"'], "string", ["1", "one"]],
    [["true", "1"], "string", ["true", "1"]],
    [['{"a":1}', "[1]"], "json", [{ a: 1 }, [1]]],
    [['{"a":1}', '"text"'], "string", ['{"a":1}', "text"]],
  ])("%j is %s, and no row is lost by it", (values, kind, read) => {
    const rows = rowsOf(...values.map((value) => `{"v": ${value}}`));
    const columns = inferColumns(rows);
    expect(kinds(columns)).toEqual({ v: kind });
    const batch = fromRows(columns, rows, { position: null, areParsedJson: true });
    expect(batch.rejects).toBeUndefined();
    expect(toRows(batch).map(({ v }) => v)).toEqual(read);
  });

  it("a column of nothing but nulls waits for its first value", () => {
    const first = inferColumns(rowsOf('{"a": 1, "b": null}'));
    expect(kinds(first)).toEqual({ a: "int64" });
    expect(kinds(inferColumns(rowsOf('{"b": true}'), first))).toEqual({ a: "int64", b: "bool" });
  });

  it("what is known already comes back as the same list when rows bring nothing new", () => {
    const known = inferColumns(rowsOf('{"a": 1.5}'));
    expect(inferColumns(rowsOf('{"a": 2, "b": null}', "{}"), known)).toBe(known);
  });

  it("types only widen: any order of the same rows ends with the same type", () => {
    const value = fc.oneof(
      fc.boolean(),
      fc.integer(),
      fc.double({ noInteger: true, noNaN: true }),
      fc.string(),
      fc.bigInt(),
      fc.constant({ a: 1 }),
    );
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 8 }), fc.nat(), (values, split) => {
        const rows = values.map((v) => ({ v }));
        const at = split % rows.length;
        const once = kinds(inferColumns(rows));
        expect(kinds(inferColumns(rows.toReversed()))).toEqual(once);
        const inTwo = kinds(inferColumns(rows.slice(at), inferColumns(rows.slice(0, at))));
        // Across batches a large whole number is forgotten once it was given out as int64.
        expect([once, { v: "float64" }]).toContainEqual(inTwo);
      }),
    );
  });
});

describe("JSON text", () => {
  it.each([
    "9007199254740993",
    "-12345678901234567890",
    "0.12345678901234567890123",
    "1e400",
    '{"deep":[{"n":12345678901234567.89,"m":9007199254740993}]}',
    '{"short":0.1,"n":-0.5,"z":10}',
  ])("%s comes back with every digit", (text) => {
    expect(jsonText(parseJson(text))).toBe(text);
  });

  it("numbers that a double holds are plain numbers", () => {
    expect(parseJson("[1.10000000000000000, 0.30000000000000004, 123456789012345.67]")).toEqual([
      1.1, 0.30000000000000004, 123456789012345.67,
    ]);
  });

  it("plain JSON takes what it cannot hold as text", () => {
    expect(plainJson(parseJson('{"a":9007199254740993,"b":0.12345678901234567890}'))).toBe(
      '{"a":"9007199254740993","b":"0.12345678901234567890"}',
    );
  });

  it.each(["1e400", "[1]", "null", '"text"', "12345678901234567890"])("%s is no row", (text) => {
    expect(parseObject(text)).toBe("is not a JSON object");
  });

  it.each([
    ["no json", "Unexpected token"],
    ['{"a": hello}', "Unexpected token"],
    [`{"a": undefined, "b": "${"long ".repeat(50)}"}`, "Unexpected token"],
    ["undefined", "Unexpected token"],
    ['{"a":1 "b"}', "Expected ',' or '}' after property value"],
    ['{"a": [1, 2], "c": 1 "d"}', "Expected ',' or '}' after property value"],
    ['{"a":1}x', "Unexpected non-whitespace character after JSON"],
    ['{"a":"x', "Unterminated string"],
    ['{"a":', "Unexpected end of JSON input"],
  ])("why %j is none does not depend on what it says, nor where", (text, reason) => {
    expect(parseObject(text)).toBe(`is not valid JSON: ${reason}`);
  });

  it.each(["", "{", "{'a': 1}", '{"a": NaN}'])("%j is no JSON", (text) => {
    expect(parseObject(text)).toMatch(/^is not valid JSON: /);
  });
});

describe("column types as text", () => {
  it.each([
    ["int64", { kind: "int64" }],
    ["decimal(12, 2)", { kind: "decimal", precision: 12, scale: 2 }],
    ["decimal(2,3)", undefined],
    ["decimal", undefined],
    ["varchar", undefined],
  ])("%s", (text, type) => {
    expect(parseColumnType(text)).toEqual(type);
  });
});

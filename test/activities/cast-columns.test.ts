// Every pair of types: values come through exactly, or the row is told of; what cannot be is known before.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canCast, castColumns } from "../../activities/cast-columns.ts";
import type { ColumnType } from "../../connectors/batch.ts";
import { parseColumnType } from "../../connectors/lib/column-types.ts";
import { pickRows } from "../../connectors/lib/pick-rows.ts";
import { fromRows, toRows } from "../../connectors/lib/rows.ts";
import type { Json } from "../../core/json.ts";

const typeOf = (text: string): ColumnType => {
  const type = parseColumnType(text);
  if (type === undefined) throw new Error(`${text} is no type`);
  return type;
};

/** The value in its new type, or why it has none. */
const cast = (from: string, value: unknown, to: string): Json => {
  const batch = fromRows([{ name: "v", type: typeOf(from), nullable: true }], [{ v: value }, { v: null }], { position: null });
  const done = castColumns(batch, [{ place: 0, type: typeOf(to) }]);
  const [reject] = done.rejects ?? [];
  const schema = { columns: [{ name: "v", type: typeOf(to), nullable: true }] };
  const [row] = toRows({ ...done, schema });
  // The NULL beside it stays whatever becomes of the value.
  expect(toRows({ ...done, schema }).at(-1)).toEqual({ v: null });
  return reject === undefined ? (row?.["v"] ?? null) : reject.reason;
};

describe("a value", () => {
  it.each<readonly [from: string, value: unknown, to: string, found: Json]>([
    ["string", "12", "int32", 12],
    ["string", "9223372036854775807", "int64", "9223372036854775807"],
    ["string", "12.345", "decimal(6,3)", "12.345"],
    ["string", "1e-7", "float64", 1e-7],
    ["string", "2026-02-28", "date", "2026-02-28"],
    ["string", "2026-02-28 01:02:03.5", "timestamp", "2026-02-28T01:02:03.500000"],
    ["string", "2026-02-28T01:02:03+02:00", "timestamptz", "2026-02-27T23:02:03Z"],
    ["string", '{"a":[1]}', "json", { a: [1] }],
    ["string", "6F9619FF-8B86-D011-B42D-00CF4FC964FF", "uuid", "6f9619ff-8b86-d011-b42d-00cf4fc964ff"],
    ["string", "false", "bool", false],
    ["int64", 2n ** 31n - 1n, "int32", 2147483647],
    ["int64", 7n, "string", "7"],
    ["int32", 1, "bool", true],
    ["bool", true, "int32", 1],
    ["bool", true, "string", "true"],
    ["uint64", 2n ** 64n - 1n, "decimal(20,0)", "18446744073709551615"],
    ["decimal(10,2)", "3.00", "int64", 3],
    ["decimal(38,10)", "1234567890123456789012345678.5", "decimal(30,1)", "1234567890123456789012345678.5"],
    ["decimal(10,2)", "3.10", "float64", 3.1],
    ["float64", 0.125, "decimal(6,3)", "0.125"],
    ["float64", 3, "int32", 3],
    ["float64", 0.1, "string", "0.1"],
    ["json", '{"a": 12345678901234567890}', "string", '{"a": 12345678901234567890}'],
    ["timestamp", "2026-02-28T01:02:03", "timestamptz", "2026-02-28T01:02:03Z"],
    ["timestamptz", "2026-02-28T01:02:03Z", "string", "2026-02-28T01:02:03Z"],
  ])("%s %s as %s", (from, value, to, found) => {
    expect(canCast(typeOf(from), typeOf(to))).toBe(true);
    expect(cast(from, value, to)).toEqual(found);
  });

  it.each<readonly [from: string, value: unknown, to: string, reason: string]>([
    ["string", "abc", "int32", 'column "v": abc is not a int32'],
    ["string", "", "int64", 'column "v":  is not a int64'],
    ["string", "2026-02-30", "date", 'column "v": 2026-02-30 is not a date'],
    ["string", "{", "json", 'column "v": { is not a json'],
    ["int64", 2n ** 31n, "int32", 'column "v": 2147483648 is not a int32'],
    ["int64", -1n, "uint64", 'column "v": -1 is not a uint64'],
    ["int32", 2, "bool", 'column "v": 2 is not a bool'],
    ["decimal(10,2)", "3.50", "int64", 'column "v": 3.50 is not a int64'],
    ["decimal(10,2)", "1000.00", "decimal(5,2)", 'column "v": 1000.00 is not a decimal(5,2)'],
    ["float64", 3.5, "int32", 'column "v": 3.5 is not a int32'],
    ["float64", Number.NaN, "decimal(5,2)", 'column "v": NaN is not a decimal(5,2)'],
  ])("%s %s is no %s", (from, value, to, reason) => {
    expect(cast(from, value, to)).toBe(reason);
  });
});

describe("types", () => {
  it.each([
    ["date", "int64"],
    ["binary", "string"],
    ["json", "int64"],
    ["timestamptz", "timestamp"],
    ["bool", "float64"],
    ["uuid", "json"],
  ])("%s can never be %s", (from, to) => {
    expect(canCast(typeOf(from), typeOf(to))).toBe(false);
  });
});

it("of many columns and rows those stay that have a value of every type, with all else of theirs", () => {
  const value = fc.option(fc.oneof(fc.integer({ min: -200, max: 200 }).map(String), fc.string()), { nil: null });
  const row = fc.record({ a: value, b: value, c: fc.option(fc.string(), { nil: null }) });
  const isSmall = (text: string | null): boolean => text === null || (/^[+-]?\d+$/.test(text) && Math.abs(Number(text)) < 2 ** 31);
  fc.assert(
    fc.property(fc.array(row, { maxLength: 40 }), (rows) => {
      const columns = ["a", "b", "c"].map((name) => ({ name, type: typeOf("string"), nullable: true }));
      const batch = fromRows(columns, rows, { position: 7 });
      const done = castColumns(batch, [
        { place: 0, type: typeOf("int32") },
        { place: 1, type: typeOf("int32") },
      ]);
      const good = rows.filter(({ a, b }) => isSmall(a) && isSmall(b));
      const schema = { columns: columns.map((column, place) => (place < 2 ? { ...column, type: typeOf("int32") } : column)) };
      const number = (text: string | null): number | null => (text === null ? null : Number(text) + 0);
      expect(toRows({ ...done, schema })).toEqual(good.map(({ a, b, c }) => ({ a: number(a), b: number(b), c })));
      expect(done.rejects ?? []).toHaveLength(rows.length - good.length);
      expect(done.position).toBe(7);
    }),
  );
});

it("picks rows of every layout, and says which of them are gone", () => {
  const columns = [
    { name: "flag", type: typeOf("bool"), nullable: true },
    { name: "count", type: typeOf("int32"), nullable: false },
    { name: "total", type: typeOf("int64"), nullable: true },
    { name: "text", type: typeOf("string"), nullable: true },
  ];
  const rows = Array.from({ length: 9 }, (_, row) => ({
    flag: row % 3 === 0 ? null : row % 2 === 0,
    count: row,
    total: row % 4 === 0 ? null : row * 10,
    text: row % 5 === 0 ? null : "ü".repeat(row),
  }));
  const batch = { ...fromRows(columns, rows, { position: null }), deleted: Uint8Array.from(rows, (_, row) => row % 2) };
  const picked = pickRows(batch, [0, 3, 4, 8]);
  expect(toRows(picked)).toEqual([rows[0], rows[3], rows[4], rows[8]]);
  expect([...(picked.deleted ?? [])]).toEqual([0, 1, 0, 0]);
  expect(toRows(pickRows(batch, []))).toEqual([]);
});

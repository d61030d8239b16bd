// Names and types of tables that loads write into.

import { describe, expect, it } from "vitest";
import type { ColumnType } from "../../connectors/batch.ts";
import { duckdbDialect } from "../../connectors/duckdb/load-session.ts";
import { holds, widened } from "../../connectors/lib/load/fit.ts";
import { parseTable, quoteName, splitName } from "../../connectors/lib/load/names.ts";
import { evolve, shapeTable } from "../../connectors/lib/load/table-shape.ts";
import { postgresDialect } from "../../connectors/postgres/load-session.ts";

const decimal = (precision: number, scale: number): ColumnType => ({ kind: "decimal", precision, scale });
const kind = (name: Exclude<ColumnType["kind"], "decimal">): ColumnType => ({ kind: name });

describe("table names", () => {
  it.each([
    ["orders", ["orders"]],
    ["raw.orders", ["raw", "orders"]],
    ['"a.b".c', ["a.b", "c"]],
    ['raw."say ""hi"""', ["raw", 'say "hi"']],
    ["größe 表", ["größe 表"]],
    ['a"b', undefined],
    ["a..b", undefined],
    ["a.", undefined],
    ["", undefined],
  ])("%s", (text, parts) => {
    expect(splitName(text)).toEqual(parts);
  });

  it("knows its default schema and keeps its own one to itself", () => {
    expect(parseTable("orders", postgresDialect)).toEqual({ schema: "public", name: "orders" });
    expect(parseTable("orders", duckdbDialect)).toEqual({ schema: "main", name: "orders" });
    expect(() => parseTable("_downbeat.loads", postgresDialect)).toThrow(/Downbeat's own/);
    expect(() => parseTable("a.b.c", postgresDialect)).toThrow(/write "table" or "schema.table"/);
    expect(() => parseTable("ä".repeat(32), postgresDialect)).toThrow(/64/);
  });

  it("quotes whatever it is given", () => {
    expect(quoteName('x"; drop table y; --')).toBe('"x""; drop table y; --"');
    expect(quoteName("a.b")).toBe('"a"."b"');
  });
});

describe("types that hold others", () => {
  it.each([
    [kind("int64"), kind("int32")],
    [kind("float64"), kind("int32")],
    [decimal(20, 0), kind("uint64")],
    [decimal(12, 4), decimal(10, 2)],
    [kind("timestamp"), kind("date")],
    [kind("string"), kind("uuid")],
  ])("%o holds %o", (have, want) => {
    expect(holds(have, want)).toBe(true);
    expect(widened(want, have)).toEqual(have);
  });

  it.each([
    [kind("int32"), kind("int64")],
    [kind("int64"), kind("uint64")],
    [kind("float32"), kind("int32")],
    [kind("float64"), kind("int64")],
    [decimal(12, 2), decimal(12, 3)],
    [decimal(18, 0), kind("int64")],
    [kind("string"), kind("binary")],
    [kind("date"), kind("timestamp")],
    [kind("timestamptz"), kind("timestamp")],
    [kind("json"), kind("string")],
  ])("%o does not hold %o", (have, want) => {
    expect(holds(have, want)).toBe(false);
  });

  it.each([
    [kind("int64"), kind("uint64"), decimal(20, 0)],
    [decimal(10, 2), decimal(8, 4), decimal(12, 4)],
    [kind("int32"), decimal(5, 2), decimal(12, 2)],
    [kind("int32"), kind("float32"), kind("float64")],
    [kind("bool"), kind("string"), kind("string")],
    [kind("int64"), kind("float64"), undefined],
    [kind("bool"), kind("int32"), undefined],
    [kind("timestamp"), kind("timestamptz"), undefined],
  ])("%o and %o widen to %o", (have, want, both) => {
    expect(widened(have, want)).toEqual(both);
  });
});

describe("shapes of tables", () => {
  const shape = (existing: Parameters<typeof shapeTable>[0]["existing"], name: string, type: ColumnType): ReturnType<typeof shapeTable> =>
    shapeTable({
      dialect: postgresDialect,
      relation: '"t"',
      table: "t",
      existing,
      schema: { columns: [{ name, type, nullable: true }] },
      policy: evolve,
    });

  it("writes nothing when everything fits", () => {
    expect(shape([{ name: "a", sqlType: "bigint", type: kind("int64"), required: true }], "a", kind("int32")).statements).toEqual([]);
  });

  it("takes text into types of the system's own, unless they could cut or round it", () => {
    const own = (sqlType: string): Parameters<typeof shapeTable>[0]["existing"] => [
      { name: "a", sqlType, type: undefined, required: false },
    ];
    expect(shape(own("mood"), "a", kind("string")).insert[0]?.sqlType).toBe("mood");
    expect(shape(own("character(3)"), "a", kind("string")).statements).toEqual([]);
    expect(() => shape(own("bit(3)"), "a", kind("string"))).toThrow(/bit\(3\)/);
    expect(() => shape(own("timestamp(0) without time zone"), "a", kind("timestamp"))).toThrow(/without loss/);
  });

  it("quotes names in what it runs", () => {
    expect(shape([{ name: "a", sqlType: "text", type: kind("string"), required: false }], 'b"; drop', kind("bool")).statements).toEqual([
      'alter table "t" add column "b""; drop" boolean',
    ]);
  });
});

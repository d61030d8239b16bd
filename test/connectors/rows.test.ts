// JavaScript values ↔ columns: exact, or a reject that says which column and why.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Column, ColumnType } from "../../connectors/batch.ts";
import { fromRows, toRows, type Row } from "../../connectors/lib/rows.ts";

const column = (type: ColumnType, nullable = true): Column => ({ name: "v", type, nullable });
const through = (type: ColumnType, value: unknown, areParsedJson = false): unknown => {
  const batch = fromRows([column(type)], [{ v: value }], { position: null, areParsedJson });
  return batch.rejects === undefined ? toRows(batch)[0]?.["v"] : batch.rejects[0]?.reason;
};
const decimal = (precision: number, scale: number): ColumnType => ({ kind: "decimal", precision, scale });

describe("values that fit", () => {
  it.each<readonly [ColumnType, unknown, unknown]>([
    [{ kind: "bool" }, "true", true],
    [{ kind: "bool" }, 0, false],
    [{ kind: "int32" }, -(2 ** 31), -2147483648],
    [{ kind: "int64" }, "9223372036854775807", "9223372036854775807"],
    [{ kind: "int64" }, "007", 7],
    [{ kind: "uint64" }, 2n ** 64n - 1n, "18446744073709551615"],
    [{ kind: "float64" }, Number.NaN, "NaN"],
    [{ kind: "float64" }, "1e-7", 1e-7],
    [decimal(18, 4), "-99999999999999.9999", "-99999999999999.9999"],
    [decimal(38, 10), "1234567890123456789012345678.0123456789", "1234567890123456789012345678.0123456789"],
    [decimal(4, 2), "1.2e1", "12.00"],
    [decimal(3, 3), 0.125, "0.125"],
    [decimal(4, 2), "-0.001e1", "-0.01"],
    [{ kind: "date" }, "0001-01-01", "0001-01-01"],
    [{ kind: "time" }, "-838:59:59.000001", "-838:59:59.000001"],
    [{ kind: "timestamp" }, "1969-12-31 23:59:59.999999", "1969-12-31T23:59:59.999999"],
    [{ kind: "timestamptz" }, "2026-03-01T00:30:00+01:00", "2026-02-28T23:30:00Z"],
    [{ kind: "timestamptz" }, new Date(1), "1970-01-01T00:00:00.001000Z"],
    [{ kind: "binary" }, Buffer.from([0, 255]), "AP8="],
    [{ kind: "binary" }, "AP8=", "AP8="],
    [{ kind: "uuid" }, "0F8FAD5B-D9CB-469F-A165-70867728950E", "0f8fad5b-d9cb-469f-a165-70867728950e"],
    [{ kind: "json" }, '{"a":1}', { a: 1 }],
    [{ kind: "json" }, { a: [null] }, { a: [null] }],
    [{ kind: "string" }, { a: 2n ** 60n }, '{"a":1152921504606846976}'],
    [{ kind: "string" }, new Date(0), "1970-01-01T00:00:00.000Z"],
    [{ kind: "string" }, "", ""],
    [{ kind: "string" }, undefined, null],
  ])("%j takes %s", (type, value, read) => {
    expect(through(type, value)).toEqual(read);
  });

  it("a string of parsed JSON in a json column is a JSON string", () => {
    expect(through({ kind: "json" }, "12", true)).toBe("12");
    expect(through({ kind: "json" }, "12", false)).toBe(12);
  });
});

describe("values that do not fit", () => {
  it.each<readonly [ColumnType, unknown]>([
    [{ kind: "bool" }, "yes"],
    [{ kind: "int32" }, 2 ** 31],
    [{ kind: "int64" }, 1.5],
    [{ kind: "int64" }, 2 ** 53],
    [{ kind: "int64" }, ""],
    [{ kind: "uint64" }, -1],
    [{ kind: "float64" }, 2n ** 53n + 1n],
    [{ kind: "float64" }, "12 EUR"],
    [decimal(4, 2), "1.005"],
    [decimal(4, 2), "100"],
    [decimal(4, 2), "."],
    [decimal(4, 2), "1e999999"],
    [{ kind: "date" }, "2026-02-30"],
    [{ kind: "time" }, "12:60:00"],
    [{ kind: "timestamp" }, "2026-01-01T00:00:00Z"],
    [{ kind: "timestamp" }, "2026-01-01T00:00:00.1234567"],
    [{ kind: "timestamptz" }, "yesterday"],
    [{ kind: "binary" }, "no base64!"],
    [{ kind: "uuid" }, "0f8fad5b"],
    [{ kind: "json" }, "{"],
    [{ kind: "string" }, Buffer.from([0xff])],
    [{ kind: "string" }, "\ud800"],
  ])("%j refuses %s with the column's name", (type, value) => {
    expect(through(type, value)).toMatch(/^column "v": /);
  });

  it("a row that is refused in a later column leaves nothing of itself", () => {
    const columns: readonly Column[] = [
      { name: "id", type: { kind: "int64" }, nullable: false },
      { name: "text", type: { kind: "string" }, nullable: true },
      { name: "n", type: { kind: "int32" }, nullable: true },
    ];
    const rows: readonly Row[] = [
      { id: 1, text: "one", n: null },
      { id: 2, text: null, n: "x" },
      { id: null, text: "three", n: 3 },
      { id: 4, text: "four", n: 4 },
    ];
    const batch = fromRows(columns, rows, { position: 4, where: (index) => `line ${index + 1}`, items: ["a"] });
    expect(toRows(batch)).toEqual([
      { id: 1, text: "one", n: null },
      { id: 4, text: "four", n: 4 },
    ]);
    expect(batch.rejects?.map(({ where, reason }) => `${where}: ${reason}`)).toEqual([
      'line 2: column "n": x is not a int32',
      'line 3: column "id" must not be NULL',
    ]);
    expect(batch).toMatchObject({ rows: 2, position: 4, items: ["a"] });
  });
});

it("names that every object inherits are columns like others", () => {
  const columns = ["constructor", "toString", "__proto__"].map((name): Column => ({ ...column({ kind: "string" }), name }));
  const rows = [{}, JSON.parse('{"constructor": "c", "toString": "t", "__proto__": "p"}') as Row];
  expect(toRows(fromRows(columns, rows, { position: null })).map((row) => Object.values(row))).toEqual([
    [null, null, null],
    ["c", "t", "p"],
  ]);
});

it("whatever goes in as decimal text comes out as the same number", () => {
  const texts = fc.tuple(fc.bigInt({ min: -(10n ** 18n) + 1n, max: 10n ** 18n - 1n }), fc.integer({ min: 0, max: 18 }));
  fc.assert(
    fc.property(texts, ([digits, scale]) => {
      const text = `${digits}e-${scale}`;
      const read = String(through(decimal(36, 18), text));
      expect(BigInt(read.replace(".", ""))).toBe(digits * 10n ** BigInt(18 - scale));
    }),
  );
});

it("texts and integers come back as they were, NULLs between them", () => {
  const row = fc.record({
    v: fc.option(fc.string({ unit: "binary" })),
    n: fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
  });
  fc.assert(
    fc.property(fc.array(row, { maxLength: 40 }), (rows) => {
      const columns: readonly Column[] = [column({ kind: "string" }), { name: "n", type: { kind: "int64" }, nullable: true }];
      const wellFormed = rows.filter(({ v }) => v?.isWellFormed() !== false);
      const read = toRows(fromRows(columns, wellFormed, { position: null }));
      expect(read.map(({ v, n }) => [v, n === null ? null : BigInt(String(n))])).toEqual(wellFormed.map(({ v, n }) => [v, n]));
    }),
  );
});

// Rows of Avro files that do not fit: rejects, their dead letters, and columns where schemas differ between files.

import { describe, expect, it } from "vitest";
import { rereadFile } from "../../connectors/lib/formats/reread-file.ts";
import { toRows } from "../../connectors/lib/rows.ts";
import { container } from "../fixtures/avro.ts";
import { columnsOf, matching, read, record } from "./avro-kit.ts";

describe("rows that are not for their columns", () => {
  const schema = record({ id: "int", at: { type: "long", logicalType: "timestamp-nanos" }, note: "string", amount: "string" });
  const rows = [
    { id: 1, at: 1_000n, note: "a", amount: "1" },
    { id: 2, at: 1n, note: "b", amount: "2" },
    { id: 3, at: 2_000n, note: "half", amount: "3" },
    { id: 4, at: 3_000n, note: "d", amount: "many" },
    { id: 5, at: 4_000n, note: "e", amount: "5" },
  ];
  const bytes = container(schema, [rows.slice(0, 2), rows.slice(2)]);
  // Half of a character, in a text of the same length.
  bytes[bytes.indexOf("half")] = 0xc3;
  const columns = { id: "int64", at: "timestamptz", note: "string", amount: "int32" };

  it("are rejects with their number, and the others come", async () => {
    const found = await read(bytes, { columns });
    expect(found.rows.map(({ id }) => id)).toEqual([1, 5]);
    expect(found.rejects.toSorted((left, right) => (left.where < right.where ? -1 : 1))).toMatchObject([
      {
        where: "row 2 of x.avro",
        code: "SOURCE_DATA_INVALID",
        reason: matching(/field "at" is 1 nanoseconds/),
        raw: '{"id":2,"at":"1970-01-01T00:00:00.000000001Z","note":"b","amount":"2"}',
      },
      { where: "row 3 of x.avro", reason: matching(/field "note" has a string that is not UTF-8/), raw: matching(/"note":"\ufffdalf"/) },
      {
        where: "row 4 of x.avro",
        reason: 'column "amount": many is not a int32',
        raw: '{"id":4,"at":"1970-01-01T00:00:00.000003Z","note":"d","amount":"many"}',
      },
    ]);
  });

  it("are passed over as well when the file is gone on with, and count", async () => {
    const small = await read(bytes, { columns, batchRows: 2 });
    expect(small.ends).toEqual([2, 4, 5]);
    const rest = await read(bytes, { columns, skipRows: 3 });
    expect(rest).toMatchObject({ rejects: [{ where: "row 4 of x.avro" }], rows: [{ id: 5 }] });
  });

  it("are read again from their dead letters once the columns are declared as they are", async () => {
    const { rejects } = await read(bytes, { columns });
    const letters = rejects.map(({ where, raw }) => ({ id: where, place: where, raw }) as Parameters<typeof rereadFile>[0][number]);
    const declared = columnsOf({ ...columns, at: "string", amount: "string" });
    const again = rereadFile(letters, { name: "*.avro", declared, known: [] });
    expect(toRows(again).find(({ id }) => id === 4)).toEqual({ id: 4, at: "1970-01-01T00:00:00.000003Z", note: "d", amount: "many" });
    expect(again.rejects).toEqual([]);
    expect(() => rereadFile(letters, { name: "*.avro", declared: undefined, known: [] })).toThrow(/Avro files need from\.columns/);
  });

  it("values of every kind come back from a dead letter as they are read", async () => {
    const types = record({
      long: "long",
      double: "double",
      bytes: "bytes",
      price: { type: "bytes", logicalType: "decimal", precision: 5, scale: 2 },
      day: { type: "int", logicalType: "date" },
      time: { type: "long", logicalType: "time-micros" },
      local: { type: "long", logicalType: "local-timestamp-micros" },
      map: { type: "map", values: "long" },
      either: ["int", "string"],
      text: ["null", "string"],
      bad: "string",
    });
    const row = {
      long: 2n ** 60n,
      double: Number.NaN,
      bytes: Buffer.from([0, 255]),
      price: Buffer.from([255]),
      day: -1,
      time: 1n,
      local: -1n,
      map: { a: -(2n ** 60n) },
      either: { string: "x" },
      text: { string: '"quoted"' },
      bad: "no number",
    };
    const written = container(types, [[row]]);
    const good = await read(written);
    const { bad, ...others } = good.types;
    const { rejects } = await read(written, { columns: { ...others, bad: "int32" } });
    const [letter] = rejects.map(({ where, raw }) => ({ id: where, place: where, raw }) as Parameters<typeof rereadFile>[0][number]);
    const again = rereadFile([letter!], { name: "x.avro", declared: columnsOf({ ...others, bad: bad! }), known: [] });
    expect(toRows(again)).toEqual(good.rows);
  });
});

describe("schemas that differ between files", () => {
  const first = container(record({ id: "int", price: { type: "bytes", logicalType: "decimal", precision: 6, scale: 2 } }), [
    [{ id: 1, price: Buffer.from([100]) }],
  ]);
  const later = record({ id: "long", price: { type: "bytes", logicalType: "decimal", precision: 8, scale: 4 }, note: ["null", "string"] });

  it("columns only widen, and one that a file does not have is NULL in it", async () => {
    const { columns: known, rows } = await read(first);
    expect(rows).toEqual([{ id: 1, price: "1.00" }]);
    const grown = await read(container(later, [[{ id: 2n ** 40n, price: Buffer.from([100]), note: { string: "x" } }]]), { known });
    expect(grown.types).toEqual({ id: "int64", price: "decimal(8,4)", note: "string" });
    expect(grown.rows).toEqual([{ id: 2 ** 40, price: "0.0100", note: "x" }]);
    const back = await read(first, { known: grown.columns });
    expect(back.columns).toBe(grown.columns);
    expect(back.rows).toEqual([{ id: 1, price: "1.0000", note: null }]);
  });

  it("declared columns are those, whatever the file has", async () => {
    const found = await read(first, { columns: { price: "string", note: "string" } });
    expect(found.rows).toEqual([{ price: "1.00", note: null }]);
  });
});

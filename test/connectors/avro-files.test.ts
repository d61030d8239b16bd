// Avro's container files, written by other libraries and by hand: every row, of every codec; what is cut, damaged or too large is named by its place.

import { readdirSync, readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { deflateRawSync, gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { avroType, container, containerBlock, containerHeader } from "../fixtures/avro.ts";
import { broken, folder, read, record, tryRead } from "./avro-kit.ts";

const WRITTEN = path.join(import.meta.dirname, "../fixtures/avro-files");

describe("files of other writers", () => {
  /** What make.py has written. */
  const CONTENT = Array.from({ length: 1_000 }, (_, id) => ({
    id,
    name: id % 5 === 0 ? null : `name ${id % 7}`,
    price: ((id * 7 - 100) / 100).toFixed(2),
    at: new Date(Date.UTC(2026, 0, 1) + id * 1_000).toISOString().replace("000Z", "000001Z"),
    state: id % 2 === 1 ? "PAID" : "NEW",
    tags: Array.from({ length: id % 3 }, () => "ä"),
  }));
  const names = readdirSync(WRITTEN).filter((name) => name.endsWith(".avro") && !name.includes(".xz."));
  const bytesOf = (name: string): Buffer => readFileSync(path.join(WRITTEN, name));

  describe.each(names)("%s", (name) => {
    const bytes = bytesOf(name);

    it("is read whole, with the columns of its schema", async () => {
      const found = await read(bytes, { name });
      expect(found.rows).toEqual(CONTENT);
      expect(found).toMatchObject({
        rejects: [],
        types: { id: "int64", name: "string", price: "decimal(12,2)", at: "timestamptz", state: "string", tags: "json" },
      });
    });

    it("is gone on with behind any row, in batches as small as asked", async () => {
      for (const skipRows of [0, 1, 333, 700, 999, 1_000]) {
        const found = await read(bytes, { name, skipRows, batchRows: 70 });
        expect(found.rows).toEqual(CONTENT.slice(skipRows));
        expect(found.ends).toEqual([
          ...Array.from({ length: Math.floor((1_000 - skipRows) / 70) }, (_, place) => skipRows + (place + 1) * 70),
          1_000,
        ]);
      }
    });

    it("is refused before any row wherever it is cut", async () => {
      // The last block is longer than this in each of them.
      for (const cut of [0, 3, 40, 500, bytes.length - 1, bytes.length - 16, bytes.length - 17, bytes.length - 300]) {
        const found = await tryRead(bytes.subarray(0, cut), { name, batchRows: 10 });
        expect(found, `cut at ${cut}`).toMatchObject({ error: broken(new RegExp(name)), ends: [] });
      }
    });
  });

  it.each(names.filter((name) => /snappy|bzip2/.test(name)))("%s never gives other rows than were written", async (name) => {
    const whole = bytesOf(name);
    const begin = whole.indexOf(whole.subarray(-16)) + 16;
    for (let place = begin; place < whole.length; place += 997) {
      const damaged = Buffer.from(whole);
      damaged[place]! ^= 1;
      const found = await tryRead(damaged, { name });
      expect(found.error, `damaged at ${place}`).toMatchObject(broken(/block \d+, at byte \d+, /));
      expect(found.rows).toEqual(CONTENT.slice(0, found.rows.length));
    }
  });

  it("xz is refused with its name, and what would be read", async () => {
    await expect(read(bytesOf("fastavro.xz.avro"))).rejects.toMatchObject(
      broken(/"xz"; what is read is null, deflate, snappy, zstandard, bzip2/),
    );
  });
});

describe("files by hand", () => {
  const schema = record({ id: "long", text: "string" });
  const rowsOf = (from: number, count: number) =>
    Array.from({ length: count }, (_, index) => ({ id: BigInt(from + index), text: `t${from + index}` }));
  const readRows = (from: number, count: number) =>
    Array.from({ length: count }, (_, index) => ({ id: from + index, text: `t${from + index}` }));
  const BLOCKS = [rowsOf(0, 3), [], rowsOf(3, 1), rowsOf(4, 5)];

  it.each<[string | undefined, ((plain: Buffer) => Buffer) | undefined]>([
    [undefined, undefined],
    ["null", undefined],
    ["deflate", (plain) => deflateRawSync(plain)],
    ["zstandard", (plain) => zstdCompressSync(plain)],
  ])("packed by %s, with a block without rows", async (codec, pack) => {
    const bytes = container(schema, BLOCKS, { ...(codec === undefined ? {} : { codec }), ...(pack === undefined ? {} : { pack }) });
    expect((await read(bytes)).rows).toEqual(readRows(0, 9));
  });

  it("blocks of no bytes at all are none, however the others are packed", async () => {
    const nothing = containerBlock(Buffer.alloc(0), 0);
    const bytes = container(schema, BLOCKS, { codec: "deflate", pack: (plain) => deflateRawSync(plain) });
    const { length } = containerHeader(schema, { codec: "deflate" });
    expect((await read(Buffer.concat([bytes.subarray(0, length), nothing, bytes.subarray(length), nothing]))).rows).toEqual(readRows(0, 9));
  });

  it("no blocks at all tell the columns", async () => {
    expect(await read(containerHeader(schema))).toMatchObject({ rows: [], types: { id: "int64", text: "string" }, ends: [0] });
  });

  it("the name tells the format, also of a packed file, or the option does", async () => {
    const bytes = container(schema, BLOCKS);
    expect((await read(gzipSync(bytes), { name: "x.AVRO.gz" })).rows).toEqual(readRows(0, 9));
    expect((await read(bytes, { name: "x.dat", format: "avro" })).rows).toEqual(readRows(0, 9));
    expect(await readdir(folder)).toEqual([]);
  });

  it("headers of a megabyte, with more than is known", async () => {
    const metadata = { "user.note": Buffer.alloc(1_000_000, "x") };
    expect((await read(container(schema, BLOCKS, { metadata }))).rows).toEqual(readRows(0, 9));
  });

  it("values that are no records are a column, and optional records may be missing", async () => {
    expect((await read(container("string", [["a", "b"]]))).rows).toEqual([{ value: "a" }, { value: "b" }]);
    const optional = await read(container(["null", record({ a: "int" })] as never, [[{ R: { a: 1 } }, null]]));
    expect(optional.rows).toEqual([{ a: 1 }, { a: null }]);
  });

  it("cut at any byte it is refused before a row of it counts; only a cut between two blocks looks whole", async () => {
    const bytes = container(schema, BLOCKS);
    const between = new Map<number, number>();
    BLOCKS.forEach((_, count) => between.set(container(schema, BLOCKS.slice(0, count)).length, BLOCKS.slice(0, count).flat().length));
    for (let cut = 0; cut < bytes.length; cut += 1) {
      const found = await tryRead(bytes.subarray(0, cut), { batchRows: 1 });
      const count = between.get(cut);
      if (count === undefined) expect(found, `cut at ${cut}`).toMatchObject({ error: broken(/x\.avro/), rows: [] });
      else expect(found).toMatchObject({ error: undefined, rows: readRows(0, count) });
    }
  });

  const header = containerHeader(schema);
  const begin = header.length;
  const second = container(schema, BLOCKS.slice(0, 1)).length;
  const content = (...rows: readonly unknown[]): Buffer => Buffer.concat(rows.map((row) => avroType(schema).toBuffer(row)));
  const one = rowsOf(0, 1)[0];
  const long = (value: number): Buffer => avroType("long").toBuffer(BigInt(value) as never);
  it.each<[string, Buffer, RegExp]>([
    ["nothing", Buffer.alloc(0), /^x\.avro is not a readable Avro file: it does not begin with "Obj"/],
    ["something else", Buffer.from("PAR1 and so on"), /does not begin with "Obj"/],
    ["a header without schema", Buffer.concat([Buffer.from("Obj\u0001\0"), Buffer.alloc(16)]), /its header has no avro\.schema/],
    ["a header that is none", Buffer.from("Obj\u0001\u0002\u0002a\u0003"), /its header ends within a value/],
    [
      "a schema that is none",
      container(schema, [], { metadata: { "avro.schema": Buffer.from('{"type":"nothing"}') } }),
      /its schema cannot be read: the type nothing is defined nowhere/,
    ],
    [
      "another file behind it",
      Buffer.concat([container(schema, BLOCKS.slice(0, 1)), container(schema, [])]),
      new RegExp(`block 2, at byte ${second}, says that it has -\\d+ rows`),
    ],
    [
      "too few rows in a block",
      Buffer.concat([header, containerBlock(content(one), 2)]),
      new RegExp(`block 1, at byte ${begin}, is damaged: row 2 of the file field "id" ends within a value`),
    ],
    ["no rows in a block of bytes", Buffer.concat([header, containerBlock(content(one), 0)]), /has 4 bytes behind its 0 rows/],
    ["too many rows in a block", Buffer.concat([header, containerBlock(content(one, one), 1)]), /has 4 bytes behind its 1 rows/],
    [
      "a block that is too large",
      Buffer.concat([header, long(1), long(200_000_000), Buffer.alloc(100)]),
      /says that it has 200000000 bytes; 134217728 are read at most/,
    ],
    [
      "a block with fewer bytes than none",
      Buffer.concat([header, long(1), long(-1), Buffer.alloc(100)]),
      /says that it has 1 rows in -1 bytes/,
    ],
    ["a block header without end", Buffer.concat([header, Buffer.alloc(100, 0xff)]), /has a number of more than 64 bits/],
  ])("%s", async (_what, bytes, message) => {
    expect(await tryRead(bytes)).toMatchObject({ error: broken(message), rows: [] });
  });

  it("a sync marker that is another shows before any row", async () => {
    const bytes = container(schema, BLOCKS);
    bytes[bytes.length - 1]! ^= 1;
    const at = container(schema, BLOCKS.slice(0, 3)).length;
    expect(await tryRead(bytes, { batchRows: 1 })).toMatchObject({
      error: broken(new RegExp(`block 4, at byte ${at}, has no sync marker behind its \\d+ bytes`)),
      ends: [],
    });
  });

  it.each<[string, (plain: Buffer) => Buffer]>([
    ["deflate", (plain) => deflateRawSync(plain).subarray(0, -2)],
    ["zstandard", (plain) => zstdCompressSync(plain).subarray(0, -2)],
    ["snappy", () => Buffer.from([1])],
    ["bzip2", (plain) => plain],
  ])("content that is not whole %s is named by its block", async (codec, pack) => {
    const bytes = Buffer.concat([containerHeader(schema, { codec }), containerBlock(content(one), 1, { pack })]);
    await expect(read(bytes)).rejects.toMatchObject(broken(new RegExp(`block 1, at byte ${containerHeader(schema, { codec }).length}, `)));
  });

  it.each<[string, (plain: Buffer) => Buffer]>([
    ["deflate", (plain) => deflateRawSync(plain)],
    ["zstandard", (plain) => zstdCompressSync(plain)],
    ["snappy", () => Buffer.from([0x81, 0x80, 0x80, 0x40, 0, 0, 0, 0, 0])],
  ])("%s that unpacks to more than is read is refused", async (codec, pack) => {
    const bytes = Buffer.concat([containerHeader(schema, { codec }), containerBlock(Buffer.alloc(128 * 1024 * 1024 + 1), 1, { pack })]);
    await expect(read(bytes)).rejects.toMatchObject(broken(/134217728/));
  });

  it("rows without bytes are taken up to a number, and more of them refused", async () => {
    const nothing = record({ none: "null" });
    const block = (rows: number): Buffer => Buffer.concat([containerHeader(nothing), containerBlock(Buffer.alloc(0), rows)]);
    expect((await read(block(3))).rows).toHaveLength(3);
    expect(await tryRead(block(2 ** 50))).toMatchObject({
      error: broken(/block 1, at byte \d+, says that it has 1125899906842624 rows, and has 0 bytes/),
      rows: [],
    });
  });

  it("so are items without bytes, however they lie in each other, and numbers beyond all columns", async () => {
    const lists = avroType({ type: "array", items: { type: "array", items: "null" } });
    const nulls = (count: number): null[] => Array.from({ length: count }, () => null);
    const row = (...counts: readonly number[]): Buffer =>
      Buffer.concat([
        containerHeader(record({ lists: lists.schema() })),
        containerBlock(lists.toBuffer(counts.map(nulls)), 1),
        containerBlock(Buffer.concat(Array.from({ length: 100 }, () => lists.toBuffer([]))), 100),
      ]);
    expect((await read(row(40_000, 60_000))).rows).toHaveLength(101);
    expect(await tryRead(row(40_000, 60_000, 1))).toMatchObject({ error: broken(/block 1, .*items/), rows: [] });
    const number = record({ number: { type: "bytes", logicalType: "decimal", precision: 4_000, scale: 0 } });
    expect(await tryRead(container(number, [[{ number: Buffer.alloc(1_025, 1) }]]))).toMatchObject({
      error: broken(/block 1, .*number of 1025 bytes/),
      rows: [],
    });
  });

  it("an abort ends reading with its reason", async () => {
    await expect(read(container(schema, BLOCKS), { signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow("enough");
  });
});

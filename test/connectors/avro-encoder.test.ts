// Avro files that we write: every type to its last bit, as another library reads it and as we do; blocks of the size that readers expect.

import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { zstdDecompressSync } from "node:zlib";
import avsc from "avsc";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import type { Batch, Column, ColumnType } from "../../connectors/batch.ts";
import { readFile } from "../../connectors/lib/formats/read-file.ts";
import { encodeFile, endingOf } from "../../connectors/lib/formats/write-file.ts";
import { fromRows, toRows } from "../../connectors/lib/rows.ts";
import { signedBytes, signedOf } from "../../connectors/lib/signed-bytes.ts";
import { s3TargetOptions } from "../../connectors/s3/spec.ts";
import { avroType, decimalBytes } from "../fixtures/avro.ts";

const folder = await mkdtemp(path.join(tmpdir(), "downbeat-avro-written-"));
afterAll(() => rm(folder, { recursive: true, force: true }));

const column = (name: string, type: ColumnType, nullable = true): Column => ({ name, type, nullable });

const COLUMNS = [
  column("bool", { kind: "bool" }),
  column("int32", { kind: "int32" }),
  column("int64", { kind: "int64" }, false),
  column("uint64", { kind: "uint64" }),
  column("float32", { kind: "float32" }),
  column("float64", { kind: "float64" }),
  column("small", { kind: "decimal", precision: 18, scale: 4 }),
  column("large", { kind: "decimal", precision: 38, scale: 10 }),
  column("string", { kind: "string" }),
  column("binary", { kind: "binary" }),
  column("date", { kind: "date" }),
  column("time", { kind: "time" }),
  column("timestamp", { kind: "timestamp" }),
  column("timestamptz", { kind: "timestamptz" }),
  column("json", { kind: "json" }),
  column("uuid", { kind: "uuid" }, false),
];
const ROWS = [
  {
    bool: true,
    int32: -(2 ** 31),
    int64: -(2n ** 63n),
    uint64: 2n ** 64n - 1n,
    float32: 0.5,
    float64: Number.MIN_VALUE,
    small: "-99999999999999.9999",
    large: "-9999999999999999999999999999.9999999999",
    string: "ä 日本 🎻",
    binary: Buffer.from([0, 255]),
    date: "0001-01-01",
    time: "23:59:59.999999",
    timestamp: "1969-12-31T23:59:59.999999",
    timestamptz: "9999-12-31T23:59:59.999999Z",
    json: '{"a":[1,null]}',
    uuid: "00000000-0000-4000-8000-0123456789ab",
  },
  { int64: 2n ** 63n - 1n, uuid: "ffffffff-ffff-ffff-ffff-ffffffffffff" },
  {
    bool: false,
    int32: 2 ** 31 - 1,
    int64: 2n ** 51n,
    uint64: 0n,
    float32: Number.POSITIVE_INFINITY,
    float64: Number.NaN,
    small: "0.0001",
    large: "0.0000000001",
    string: "",
    binary: Buffer.alloc(0),
    date: "9999-12-31",
    time: "00:00:00",
    timestamp: "0001-01-01T00:00:00",
    timestamptz: "1970-01-01T00:00:00Z",
    json: '"text"',
    uuid: "00000000-0000-4000-8000-0123456789ab",
  },
];
const whole = fromRows(COLUMNS, ROWS, { position: null });

const readBack = async (bytes: Uint8Array): Promise<{ readonly columns: readonly Column[]; readonly rows: readonly unknown[] }> => {
  const file = path.join(folder, "x.avro");
  writeFileSync(file, bytes);
  const rows: unknown[] = [];
  let columns: readonly Column[] = [];
  const { signal } = new AbortController();
  const given = { file, name: "x.avro", delimiter: ",", header: true, known: [], skipRows: 0, tempDir: folder, signal };
  for await (const { batch } of readFile(given)) {
    rows.push(...toRows(batch));
    columns = batch.schema.columns;
  }
  return { columns, rows };
};

/** By avsc. Blocks: their sizes. */
const readByAvsc = async (bytes: Uint8Array) => {
  const decoder = new avsc.streams.BlockDecoder({
    parseHook: (schema: object) => avroType(schema),
    codecs: {
      null: (packed: Buffer, end: (error: null, plain: Buffer) => void) => end(null, packed),
      deflate: avsc.streams.BlockDecoder.defaultCodecs()["deflate"],
      zstandard: (packed: Buffer, end: (error: null, plain: Buffer) => void) => end(null, zstdDecompressSync(packed)),
    },
  } as never);
  const rows: Record<string, unknown>[] = [];
  for await (const row of Readable.from([bytes]).pipe(decoder) as AsyncIterable<Record<string, unknown>>) rows.push(row);
  return rows;
};

describe("written Avro", () => {
  it.each(["none", "deflate", "zstd"] as const)("packed by %s: every type as another library reads it", async (compression) => {
    const [first, second, third] = await readByAvsc(await encodeFile("avro", whole, compression));
    expect({ ...first }).toEqual({
      bool: { boolean: true },
      int32: { int: -(2 ** 31) },
      int64: -(2n ** 63n),
      uint64: { bytes: decimalBytes(2n ** 64n - 1n, 9) },
      float32: { float: 0.5 },
      float64: { double: Number.MIN_VALUE },
      small: { bytes: decimalBytes(-999_999_999_999_999_999n, 8) },
      large: { bytes: decimalBytes(-(10n ** 38n - 1n), 16) },
      string: { string: "ä 日本 🎻" },
      binary: { bytes: Buffer.from([0, 255]) },
      date: { int: -719_162 },
      time: { long: 86_399_999_999n },
      timestamp: { long: -1n },
      timestamptz: { long: 253_402_300_799_999_999n },
      json: { string: '{"a":[1,null]}' },
      uuid: "00000000-0000-4000-8000-0123456789ab",
    });
    const nulls = Object.fromEntries(COLUMNS.map(({ name }) => [name, null]));
    expect({ ...second }).toEqual({ ...nulls, int64: 2n ** 63n - 1n, uuid: "ffffffff-ffff-ffff-ffff-ffffffffffff" });
    expect(third).toMatchObject({
      int64: 2n ** 51n,
      large: { bytes: Buffer.from([1]) },
      float64: { double: Number.NaN },
      binary: { bytes: Buffer.alloc(0) },
    });
  });

  it("is read back by us as it was, but for numbers without sign and JSON, which Avro has no types for", async () => {
    const found = await readBack(await encodeFile("avro", whole, "deflate"));
    const expected = toRows(whole).map(({ uint64, json, ...row }) => ({
      ...row,
      uint64: uint64 === null ? null : String(uint64),
      json: json === null ? null : JSON.stringify(json),
    }));
    expect(found.rows).toEqual(expected);
    const kept = COLUMNS.map(({ name, type }) =>
      name === "uint64" ? { kind: "decimal", precision: 20, scale: 0 } : name === "json" ? { kind: "string" } : type,
    );
    expect(found.columns.map(({ type }) => type)).toEqual(kept);
  });

  it("many rows lie in blocks of about 64 KB, and no rows in none", async () => {
    const columns = [column("id", { kind: "int64" }), column("text", { kind: "string" })];
    const batch = fromRows(
      columns,
      Array.from({ length: 20_000 }, (_, id) => ({ id, text: `text ${id}` })),
      { position: null },
    );
    const bytes = Buffer.from(await encodeFile("avro", batch));
    const sync = bytes.subarray(-16);
    const ends: number[] = [];
    for (let at = bytes.indexOf(sync); at >= 0; at = bytes.indexOf(sync, at + 16)) ends.push(at);
    const sizes = ends.slice(1).map((end, place) => end - ends[place]!);
    expect(sizes.length).toBeGreaterThan(3);
    for (const size of sizes.slice(0, -1)) expect(size).toBeGreaterThan(65_000);
    expect(Math.max(...sizes)).toBeLessThan(66_000);
    expect((await readBack(bytes)).rows).toEqual(toRows(batch));
    const empty = await readBack(await encodeFile("avro", fromRows(columns, [], { position: null })));
    expect(empty).toMatchObject({ rows: [], columns });
  });

  it("values of any size come back", async () => {
    const columns = [column("v", { kind: "int64" }, false), column("b", { kind: "binary" }, false)];
    const values = fc.array(fc.record({ v: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), b: fc.uint8Array({ maxLength: 300 }) }));
    await fc.assert(
      fc.asyncProperty(values, async (rows) => {
        const batch: Batch = fromRows(columns, rows, { position: null });
        expect((await readBack(await encodeFile("avro", batch))).rows).toEqual(toRows(batch));
      }),
      { numRuns: 50 },
    );
    fc.assert(fc.property(fc.bigInt(), (value) => signedOf(signedBytes(value)) === value));
    for (const [value, length] of [
      [0n, 1],
      [127n, 1],
      [128n, 2],
      [-128n, 1],
      [-129n, 2],
    ] as const)
      expect(signedBytes(value)).toHaveLength(length);
  });

  it("a name that Avro does not take is refused with what to do", async () => {
    for (const name of ["a b", "1st", "größe", ""]) {
      const batch = fromRows([column(name, { kind: "bool" })], [{ [name]: true }], { position: null });
      await expect(encodeFile("avro", batch)).rejects.toMatchObject({
        code: "DESTINATION_SCHEMA_MISMATCH",
        message: expect.stringContaining("columns.rename") as unknown,
      });
    }
  });

  it("formats take only what packs them", () => {
    for (const [format, compression] of [
      ["avro", "gzip"],
      ["csv", "deflate"],
      ["parquet", "zstd"],
      ["parquet", "deflate"],
    ])
      expect(s3TargetOptions.safeParse({ format, compression }).error?.issues).toMatchObject([{ path: ["compression"] }]);
    expect(s3TargetOptions.parse({ format: "avro", compression: "zstd" })).toMatchObject({ format: "avro" });
    expect([endingOf("avro", "deflate"), endingOf("csv", "zstd"), endingOf("parquet", "none")]).toEqual(["avro", "csv.zst", "parquet"]);
  });
});

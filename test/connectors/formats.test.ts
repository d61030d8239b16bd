// CSV, JSON Lines and Parquet files: every row exactly, or a reject that says where; going on in the middle; what is broken is named.

import { readFileSync, writeFileSync } from "node:fs";
import { rm, readdir, mkdir, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { DuckDBInstance } from "@duckdb/node-api";
import type { Batch, Column, ParquetRows } from "../../connectors/batch.ts";
import { readResult } from "../../connectors/lib/duckdb-decode.ts";
import { parquetRelation } from "../../connectors/lib/formats/parquet-rows.ts";
import { fileOptions, readFile, type ReadFileOptions } from "../../connectors/lib/formats/read-file.ts";
import { unpack } from "../../connectors/lib/formats/unpack.ts";
import { encodeFile } from "../../connectors/lib/formats/write-file.ts";
import { fromRows, toRows, type Row } from "../../connectors/lib/rows.ts";

const folder = await mkdtemp(path.join(tmpdir(), "downbeat-formats-"));
const tempDir = path.join(folder, "temp");
await mkdir(tempDir);
afterAll(() => rm(folder, { recursive: true, force: true }));
let files = 0;
const duckdb = await (await DuckDBInstance.create(":memory:")).connect();
afterAll(() => duckdb.closeSync());

/** As a destination takes them that lets DuckDB read them. */
const namedRows = async ({ file, from, select, release }: ParquetRows, { schema, rows }: Batch): Promise<readonly Row[]> => {
  const result = await duckdb.stream(`select ${select.join(", ")} from ${parquetRelation(file, from, rows)}`);
  let found: readonly Row[] = [];
  for await (const batch of readResult(result, schema.columns, { signal: new AbortController().signal }))
    found = [...found, ...toRows(batch)];
  await release();
  return found;
};

type Options = Partial<Omit<ReadFileOptions, "columns">> & { readonly columns?: Readonly<Record<string, string>> };

const read = async (name: string, content: string | Uint8Array, { columns, ...more }: Options = {}) => {
  const file = path.join(folder, `${(files += 1)}`);
  writeFileSync(file, content);
  const found = {
    rows: [] as Record<string, unknown>[],
    rejects: [] as string[],
    types: {} as Record<string, string>,
    ends: [] as number[],
    /** Rows that were not carried but named. */
    named: 0,
  };
  const { signal } = new AbortController();
  await using plain = await unpack({ file, name }, { tempDir, signal });
  for await (const { batch, rows } of readFile({
    file: plain?.path ?? file,
    name,
    delimiter: ",",
    header: true,
    known: [],
    skipRows: 0,
    tempDir,
    signal,
    ...(columns === undefined ? {} : { columns: fileOptions.columns.parse(columns) as readonly Column[] }),
    ...more,
  })) {
    found.rows = [...found.rows, ...(batch.parquet === undefined ? toRows(batch) : await namedRows(batch.parquet, batch))];
    found.named += batch.parquet === undefined ? 0 : batch.rows;
    found.rejects.push(...(batch.rejects ?? []).map(({ where, reason }) => `${where}: ${reason}`));
    found.types = Object.fromEntries(batch.schema.columns.map(({ name: column, type }) => [column, type.kind]));
    found.ends.push(rows);
  }
  return found;
};

const matching = (pattern: RegExp): string => expect.stringMatching(pattern) as string;

const known = (name: string, kind: "int64" | "float64" | "bool" | "string"): Column => ({ name, type: { kind }, nullable: true });

describe("batches as small as the host asks", () => {
  const rows = Array.from({ length: 5_000 }, (_, id) => ({ id, even: id % 2 === 0 }));
  const batch = fromRows([known("id", "int64"), known("even", "bool")], rows, { position: null });

  it.each(["csv", "jsonl", "parquet"] as const)("%s gives the same rows in them, and goes on behind each", async (format) => {
    const content = await encodeFile(format, batch);
    const all = await read(`rows.${format}`, content, { batchRows: 700 });
    expect(all.rows).toEqual(rows);
    expect(all.ends.slice(0, 7)).toEqual([700, 1_400, 2_100, 2_800, 3_500, 4_200, 4_900]);
    const rest = await read(`rows.${format}`, content, { batchRows: 700, skipRows: 2_100 });
    expect(rest.rows).toEqual(rows.slice(2_100));
  });
});

describe("CSV", () => {
  it.each([
    ["007\n12", "string", ["007", "12"]],
    ["12\n-3\n0", "int64", [12, -3, 0]],
    ["9223372036854775807\n1", "int64", ["9223372036854775807", 1]],
    ["9223372036854775808", "string", ["9223372036854775808"]],
    ["9007199254740993\n0.5", "string", ["9007199254740993", "0.5"]],
    ["1\n2.50\n-1e-7", "float64", [1, 2.5, -1e-7]],
    ["0.12345678901234567890", "string", ["0.12345678901234567890"]],
    ["1e400", "string", ["1e400"]],
    ["+49", "string", ["+49"]],
    ["1_000", "string", ["1_000"]],
    ["true\nFALSE", "bool", [true, false]],
    ["true\n1", "string", ["true", "1"]],
    ["2026-02-28", "date", ["2026-02-28"]],
    ["2026-02-30", "string", ["2026-02-30"]],
    ["28.02.2026", "string", ["28.02.2026"]],
    ["2026-02-28 10:00:00.123456", "timestamp", ["2026-02-28T10:00:00.123456"]],
    ["2026-02-28 10:00:00.1234567", "string", ["2026-02-28 10:00:00.1234567"]],
    ["2026-02-28T10:00:00+02:00", "timestamptz", ["2026-02-28T08:00:00Z"]],
    ["2026-02-28T10:00Z\n2026-02-28", "string", ["2026-02-28T10:00Z", "2026-02-28"]],
    ["10:00:00", "string", ["10:00:00"]],
    ['""\n5', "int64", [null, 5]],
    ['""', "string", [""]],
    [" 5", "string", [" 5"]],
  ])("%j is %s", async (values, type, expected) => {
    const found = await read(
      "x.csv",
      `id,v\n${values
        .split("\n")
        .map((value, index) => `${index},${value}\n`)
        .join("")}`,
    );
    expect(found).toMatchObject({ types: { id: "int64", v: type }, rejects: [] });
    expect(found.rows.map(({ v }) => v)).toEqual(expected);
  });

  it("lines that begin like comments or preambles are rows or rejects, never left out", async () => {
    const found = await read("x.csv", "id,name\n#1,one\n# no row at all\n\n2,two\n");
    expect(found.rows.map(({ id }) => id)).toEqual(["#1", "2"]);
    expect(found.rejects).toEqual([expect.stringMatching(/^line 3 of x.csv: /) as string]);
  });

  it("quotes hold delimiters, quotes and line feeds; lines end in any way", async () => {
    expect((await read("x.csv", 'id,name\r\n1,"a, ""b""\nc"\r\n2,\r\n')).rows).toEqual([
      { id: 1, name: 'a, "b"\nc' },
      { id: 2, name: null },
    ]);
    expect((await read("x.csv", "id\r1\r2")).rows).toEqual([{ id: 1 }, { id: 2 }]);
  });

  it("a quote without an end, a wrong quote and bytes that are no UTF-8 are rejects", async () => {
    const latin = Buffer.from('id,name\n1,caf\xe9\n2,ok\n3,"a"b\n4,ok\n5,"never ends\n6,ok\n', "latin1");
    const found = await read("x.csv", latin);
    expect(found.rows).toEqual([
      { id: 2, name: "ok" },
      { id: 4, name: "ok" },
    ]);
    expect(found.rejects.map((reject) => reject.split(":")[0])).toEqual(["line 2 of x.csv", "line 4 of x.csv", "line 6 of x.csv"]);
  });

  it.each([
    ["\ufeffid,name\n1,one\n", { id: 1, name: "one" }],
    ["\n\nid,name\n1,one\n", { id: 1, name: "one" }],
    ['"id","na""me"\n1,one\n', { id: 1, 'na"me': "one" }],
    ["id,ID,id,\n1,2,3,4\n", { id: 1, ID: 2, id_1: 3, column3: 4 }],
  ])("the header %j names the columns", async (text, row) => {
    expect((await read("x.csv", text)).rows).toEqual([row]);
  });

  it("without a header columns are named by place, or as declared", async () => {
    expect((await read("x.csv", "1,one\n", { header: false })).rows).toEqual([{ column0: 1, column1: "one" }]);
    expect((await read("x.csv", "1,one\n", { header: false, columns: { a: "string", b: "string" } })).rows).toEqual([{ a: "1", b: "one" }]);
  });

  it("declared columns are converted exactly; what does not fit is a reject with its row", async () => {
    const columns = { price: "decimal(6,2)", id: "int64", raw: "binary", doc: "json" };
    const found = await read(
      "x.csv",
      'id,price,other,raw,doc\n1,19.99,x,AP8=,"{""a"":1}"\n1.5,1,x,,\n3,1.005,x,,\n4,"",x,,{\n5,1e3,x,,null\n',
      { columns },
    );
    expect(found.rows).toEqual([
      { price: "19.99", id: 1, raw: "AP8=", doc: { a: 1 } },
      { price: "1000.00", id: 5, raw: null, doc: null },
    ]);
    expect(found.rejects).toEqual([
      'row 2 of x.csv: column "id": 1.5 is not a int64',
      'row 3 of x.csv: column "price": 1.005 is not a decimal(6,2)',
      'row 4 of x.csv: column "doc": { is not a json',
    ]);
  });

  it("a declared column that the header lacks is an error with what there is", async () => {
    await expect(read("x.csv", "id,name\n1,one\n", { columns: { nmae: "string" } })).rejects.toMatchObject({
      code: "SOURCE_DATA_INVALID",
      message: expect.stringMatching(/nmae.*id, name/) as unknown,
    });
  });

  it("types of earlier files are kept or widened, never narrowed", async () => {
    const text = "a,b,c,d\n1,2,,x\n";
    const before = [known("a", "float64"), known("b", "string"), known("c", "bool"), known("d", "int64")];
    expect((await read("x.csv", text, { known: before })).types).toEqual({ a: "float64", b: "string", c: "bool", d: "string" });
  });

  it("values that earlier files' types do not hold widen them, missing ones do not", async () => {
    const before = [known("a", "int64"), known("b", "int64"), known("c", "bool"), known("d", "int64")];
    const text = 'a,b,c,d\n1,1,true,""\n2,2.5,no,\n';
    const { rows, types } = await read("x.csv", text, { known: before });
    expect(types).toEqual({ a: "int64", b: "float64", c: "string", d: "int64" });
    expect(rows).toEqual([
      { a: 1, b: 1, c: "true", d: null },
      { a: 2, b: 2.5, c: "no", d: null },
    ]);
  });

  it.each(["", "\n\n"])("an empty file (%j) has no rows, and the columns that are known", async (text) => {
    expect(await read("x.csv", text, { known: [known("id", "int64")] })).toMatchObject({ rows: [], types: { id: "int64" } });
  });

  it("a header alone gives columns without rows", async () => {
    expect(await read("x.csv", "id,name")).toMatchObject({ rows: [], types: { id: "string", name: "string" } });
  });

  it("a wrong delimiter is one error instead of ten thousand rejects", async () => {
    const text = `id,name,rest\n${"1,2\n".repeat(10_001)}`;
    await expect(read("x.csv", text)).rejects.toMatchObject({
      code: "SOURCE_FILE_BROKEN",
      message: expect.stringContaining("check from.delimiter") as unknown,
    });
  });

  it("tabs separate in .tsv, whatever is asked separates elsewhere", async () => {
    expect((await read("x.tsv", "id\tname\n1\ta,b\n")).rows).toEqual([{ id: 1, name: "a,b" }]);
    expect((await read("x.csv", "id;name\n1;a,b\n", { delimiter: ";" })).rows).toEqual([{ id: 1, name: "a,b" }]);
  });

  it("what is written is read back: texts with everything in them, NULL and the empty text apart", async () => {
    const text = fc.option(fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("", '"', ",", "\n", "a\r\nb", "#", "'", " ", "NULL")));
    const columns: readonly Column[] = [known("id", "int64"), known("v", "string"), known("w", "string")];
    await fc.assert(
      fc.asyncProperty(fc.array(fc.record({ v: text, w: text }), { minLength: 1, maxLength: 20 }), async (given) => {
        const rows = given.map((row, id): Row => ({ id, ...row })).filter(({ v, w }) => `${String(v)}${String(w)}`.isWellFormed());
        const bytes = await encodeFile("csv", fromRows(columns, rows, { position: null }));
        const found = await read("x.csv", bytes, { columns: { id: "int64", v: "string", w: "string" } });
        expect(found).toMatchObject({ rows, rejects: [] });
      }),
      { numRuns: 40 },
    );
  });
});

describe("JSON Lines", () => {
  it("takes one object a line, and counts the lines of what is none", async () => {
    const found = await read(
      "x.jsonl",
      '\ufeff{"id": 1}\r\n\n  \n{"id": 2\n[3]\n{"id": 9007199254740993, "deep": {"n": 12345678901234567.89}}',
    );
    expect(found.rows).toEqual([
      { id: 1, deep: null },
      { id: "9007199254740993", deep: { n: Number("12345678901234567.89") } },
    ]);
    expect(found.rejects).toEqual([
      expect.stringMatching(/^line 4 of x.jsonl: is not valid JSON/) as string,
      "line 5 of x.jsonl: is not a JSON object",
    ]);
  });

  it("only line feeds end lines: other separators may stand inside of texts", async () => {
    expect((await read("x.jsonl", '{"v": "a\u2028b\u2029c\u0085d"}\n')).rows).toEqual([{ v: "a\u2028b\u2029c\u0085d" }]);
  });

  it("a line that is no UTF-8 is a reject, not another text", async () => {
    expect(await read("x.jsonl", Buffer.from('{"v": "caf\xe9"}\n{"v": "ok"}\n', "latin1"))).toMatchObject({
      rows: [{ v: "ok" }],
      rejects: ["line 1 of x.jsonl: is not UTF-8"],
    });
  });

  it("lines across the borders of what is read at once stay whole", async () => {
    const rows = Array.from({ length: 40 }, (_, id) => ({ id, text: "ä".repeat(30_000 + id) }));
    expect((await read("x.jsonl", rows.map((row) => `${JSON.stringify(row)}\n`).join(""))).rows).toEqual(rows);
  });

  it("batches end by bytes too", async () => {
    const line = `${JSON.stringify({ text: "x".repeat(1_000_000) })}\n`;
    expect((await read("x.jsonl", line.repeat(40))).ends).toEqual([17, 34, 40]);
  });

  it("types widen from batch to batch", async () => {
    const lines = Array.from({ length: 20_001 }, (_, id) => `{"v": ${id < 20_000 ? id : `"last"`}}\n`).join("");
    const found = await read("x.jsonl", lines);
    expect(found.types).toEqual({ v: "string" });
    expect(found.rows.at(-1)).toEqual({ v: "last" });
  });
});

describe("going on in the middle of a file", () => {
  const rows = Array.from({ length: 250_000 }, (_, id): Row => ({ id, name: id % 7 === 0 ? null : `name ${id}` }));
  const columns: readonly Column[] = [known("id", "int64"), known("name", "string")];
  const whole = fromRows(columns, rows, { position: null });

  it.each(["csv", "jsonl", "parquet"] as const)("from each end of a batch exactly the rest follows: %s", async (format) => {
    const bytes = await encodeFile(format, whole);
    const all = await read(`x.${format}`, bytes);
    expect(all.rows).toEqual(toRows(whole));
    expect(all.ends.length).toBeGreaterThan(1);
    for (const end of all.ends.slice(0, 2)) {
      const rest = await read(`x.${format}`, bytes, { skipRows: end, known: columns });
      expect(rest.rows[0]).toEqual(all.rows[end]);
      expect(rest.rows.length).toBe(rows.length - end);
    }
  });
});

describe("rows that are named instead of carried", () => {
  const named = { takesParquet: true, isCopy: true } as const;
  const rows = Array.from({ length: 300_000 }, (_, id): Row => ({ id, name: id % 7 === 0 ? null : `name ${id}` }));
  const columns: readonly Column[] = [known("id", "int64"), known("name", "string")];
  const whole = fromRows(columns, rows, { position: null });

  it.each(["csv", "parquet"] as const)("%s: all of them, in order, from any place, and nothing stays behind", async (format) => {
    const bytes = await encodeFile(format, whole);
    const all = await read(`x.${format}`, bytes, named);
    expect(all).toMatchObject({ named: rows.length, rejects: [] });
    expect(all.rows).toEqual(toRows(whole));
    const rest = await read(`x.${format}`, bytes, { ...named, skipRows: 200_001 });
    expect(rest.rows).toEqual(all.rows.slice(200_001));
    const small = await read(`x.${format}`, bytes, { ...named, batchRows: 70_000 });
    expect(small.ends.every((end, place) => end - (small.ends[place - 1] ?? 0) <= 70_000)).toBe(true);
    expect(small.rows).toEqual(all.rows);
    expect((await read(`x.${format}`, bytes, { ...named, skipRows: rows.length })).rows).toEqual([]);
    expect(await readdir(tempDir)).toEqual([]);
  });

  it("a file that others may change, and columns that would hide the rows' numbers, are carried", async () => {
    const bytes = await encodeFile("parquet", whole);
    expect(await read("x.parquet", bytes, { takesParquet: true })).toMatchObject({ named: 0 });
    const hiding = fromRows([known("File_Row_Number", "int64")], [{ File_Row_Number: 7 }], { position: null });
    expect(await read("x.parquet", await encodeFile("parquet", hiding), named)).toMatchObject({ named: 0, rows: [{ File_Row_Number: 7 }] });
  });

  it("columns of other types are cast as they are for rows that are carried", async () => {
    const file = path.join(folder, "cast.parquet");
    await duckdb.run(`copy (select [1, i] as "a list", {'n': i} as struct, i::hugeint as huge, i::utinyint as tiny, interval 1 day as span from range(3) t(i))
      to '${file}' (format parquet)`);
    const bytes = readFileSync(file);
    const carried = await read("x.parquet", bytes);
    expect(await read("x.parquet", bytes, named)).toMatchObject({ named: 3, rows: carried.rows, types: carried.types });
  });

  it("what is damaged where nothing has looked yet is confirmed as the file's fault", async () => {
    const bytes = Buffer.from(await encodeFile("parquet", whole));
    bytes.fill(0xff, 4, 200_000);
    const file = path.join(folder, "damaged.parquet");
    writeFileSync(file, bytes);
    const options = { file, name: "x.parquet", delimiter: ",", header: true, known: [], skipRows: 0, tempDir, ...named };
    for await (const { batch } of readFile({ ...options, signal: new AbortController().signal })) {
      await expect(batch.parquet?.confirm()).rejects.toMatchObject({ code: "SOURCE_FILE_BROKEN" });
      await batch.parquet?.release();
    }
    expect(await readdir(tempDir)).toEqual([]);
  });
});

describe("CSV that DuckDB converts", () => {
  /** Ways to write values, beside such that are a little different. */
  const texts = {
    int64: ["0", "-1", "9007199254740993", "-9223372036854775808", "9223372036854775807", ""],
    float64: ["0.5", "-0", "-0.0", "1e5", "1.50", "12345678901234.5", "0.1234567890123456", "2.5e-300", "9007199254740992", "3"],
    bool: ["true", "FALSE", "True"],
    date: ["2026-02-28", "0001-01-01", "9999-12-31"],
    timestamp: [
      "2026-02-28 10:00",
      "2026-02-28T10:00:01.5",
      "2026-02-28 10:00:00.120000",
      "0001-01-01 00:00:00",
      "9999-12-31 23:59:59.999999",
    ],
    timestamptz: ["2026-02-28T10:00:00Z", "2026-02-28 10:00:00.5+02", "2026-02-28T10:00:00-0330", "2026-02-28T10:00:00+14:00"],
  };

  it.each(Object.entries(texts))("%s: the same values as one by one", async (type, values) => {
    const text = `id,v\n${values.map((value, id) => `${id},"${value}"\n`).join("")}`;
    const converted = await read("x.csv", text, { takesParquet: true });
    expect(converted).toMatchObject({ types: { v: type }, named: values.length, rejects: [] });
    const declared = await read("x.csv", text, { columns: { id: "int64", v: type } });
    expect(converted.rows).toEqual(declared.rows);
  });

  it.each([
    ["1", "2.5", "float64", 2.5],
    ["1", "x", "string", "x"],
    ["1", "9223372036854775808", "string", "9223372036854775808"],
    ["0.5", "9007199254740993", "string", "9007199254740993"],
    ["2026-02-28", "infinity", "string", "infinity"],
    ["2026-02-28", "10000-01-01", "string", "10000-01-01"],
    ["2026-02-28 10:00:00", "10000-01-01 00:00:00", "string", "10000-01-01 00:00:00"],
    ["2026-02-28T10:00:00Z", "2026-02-28T10:00Z", "timestamptz", "2026-02-28T10:00:00Z"],
    ["0001-01-01", "0000-01-01", "date", "0000-01-01"],
    ["", "5", "int64", 5],
  ])("a value far behind %j that is %j makes the column %s", async (usual, last, type, expected) => {
    const lines = `"${usual}",z\n`.repeat(30_000);
    const found = await read("x.csv", `v,w\n${lines}"${last}",z\n`, { takesParquet: true });
    expect(found).toMatchObject({ types: { v: type, w: "string" }, rejects: [] });
    expect(found.rows.at(-1)).toEqual({ v: expected, w: "z" });
  });

  it("lines that do not fit are rejects once, however often the file is read", async () => {
    const lines = "1,x\n".repeat(30_000);
    const found = await read("x.csv", `v,w\n1\n${lines}2.5,y\n1,2,3\n`, { takesParquet: true });
    expect(found).toMatchObject({ types: { v: "float64" }, rejects: [/^line 2 of/, /^line 30004 of/].map(matching) });
    expect(found.rows).toHaveLength(30_001);
  });
});

describe("files that are packed or broken", () => {
  it.each([
    ["x.csv.gz", gzipSync("id\n1\n")],
    ["x.csv.gz", Buffer.concat([gzipSync("id\n"), gzipSync("1\n")])],
    ["x.csv.zst", zstdCompressSync("id\n1\n")],
    ["x.jsonl.zst", zstdCompressSync('{"id":1}')],
  ])("%s is unpacked, and leaves nothing behind", async (name, bytes) => {
    expect((await read(name, bytes)).rows).toEqual([{ id: 1 }]);
    expect(await readdir(tempDir)).toEqual([]);
  });

  it.each([
    ["x.csv.gz", gzipSync("id\n1\n".repeat(1_000)).subarray(0, 30)],
    ["x.csv.gz", Buffer.from("this is no gzip")],
    ["x.jsonl.zst", zstdCompressSync('{"id": 1}\n'.repeat(10_000)).subarray(0, 20)],
    ["x.parquet", Buffer.from("this is no Parquet file")],
    ["x.parquet", Buffer.alloc(0)],
    ["x.csv", Buffer.from('"id')],
  ])("%s is SOURCE_FILE_BROKEN with its name", async (name, bytes) => {
    await expect(read(name, bytes)).rejects.toMatchObject({
      code: "SOURCE_FILE_BROKEN",
      message: expect.stringContaining(name) as unknown,
    });
    expect(await readdir(tempDir)).toEqual([]);
  });

  it("a Parquet file that was cut off is SOURCE_FILE_BROKEN, whether at its end or within", async () => {
    const bytes = await encodeFile(
      "parquet",
      fromRows(
        [known("id", "int64")],
        Array.from({ length: 10_000 }, (_, id) => ({ id })),
        { position: null },
      ),
    );
    await expect(read("x.parquet", bytes.subarray(0, -10))).rejects.toMatchObject({ code: "SOURCE_FILE_BROKEN" });
    const holed = Buffer.from(bytes).fill(0xff, 4, 200);
    await expect(read("x.parquet", holed)).rejects.toMatchObject({ code: "SOURCE_FILE_BROKEN" });
  });

  it("Parquet files keep their own types", async () => {
    const bytes = await encodeFile("parquet", fromRows([known("id", "int64")], [{ id: 1 }], { position: null }));
    await expect(read("x.parquet", bytes, { columns: { id: "string" } })).rejects.toMatchObject({ code: "SOURCE_OPTIONS_INVALID" });
  });

  it("a name that tells no format asks for one", async () => {
    await expect(read("x.dat", "id\n1\n")).rejects.toMatchObject({
      code: "SOURCE_OPTIONS_INVALID",
      message: expect.stringContaining("from.format") as unknown,
    });
    expect((await read("x.dat", "id\n1\n", { format: "csv" })).rows).toEqual([{ id: 1 }]);
  });

  it("an abort ends reading", async () => {
    const abort = new AbortController();
    abort.abort(new Error("enough"));
    for (const [name, text] of [
      ["x.csv", "id\n1\n"],
      ["x.jsonl", '{"id":1}\n'],
    ] as const)
      await expect(read(name, text, { signal: abort.signal })).rejects.toThrow("enough");
  });
});

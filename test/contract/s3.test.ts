// S3 against the contracts of sources and destinations, on a real server; and what only objects can do: change, be truncated, be foreign.

import { deflateRawSync, gzipSync } from "node:zlib";
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { describe, expect, it } from "vitest";
import { destinationCases } from "../../connectors/contract/destination.ts";
import { sourceCases } from "../../connectors/contract/source.ts";
import type { StreamRequest } from "../../connectors/connector.ts";
import { readFile } from "../../connectors/lib/formats/read-file.ts";
import { toRows } from "../../connectors/lib/rows.ts";
import { s3 } from "../../connectors/s3/spec.ts";
import type { Json } from "../../core/json.ts";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { container } from "../fixtures/avro.ts";
import { freshBucket } from "../fixtures/services.ts";
import { openConnector, runCases, testContext, testFolder } from "./kit.ts";

const folder = testFolder("s3");
const { bucket, endpoint, region, accessKeyId, secretAccessKey } = await freshBucket();
const config = { bucket, endpoint, region, path_style: true, access_key_id: accessKeyId, secret_access_key: secretAccessKey };
const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
const put = (Key: string, Body: string | Uint8Array): Promise<unknown> => client.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));
const make = (signal?: AbortSignal): ReturnType<typeof openConnector> => openConnector(s3, config, testContext(folder, signal));

await put("in/a.csv", 'id,name\n1,one\n2,\n3,""\n');
await put("in/b.csv.gz", gzipSync('id,name\n4,four\n5,"a, b"\n'));
await put("broken/truncated.csv.gz", gzipSync("id,name\n".repeat(5_000)).subarray(0, 40));
await put("broken/no.parquet", "this is no Parquet file");
const fixture = (name: string): Buffer => readFileSync(path.join(import.meta.dirname, "../fixtures/packed", name));
const PACKED = ["framed.csv.sz", "hadoop.csv.snappy", "streams.csv.bz2"];
for (const name of PACKED) await put(`packed/${name}`, fixture(name));
await put("broken/truncated.csv.bz2", fixture("streams.csv.bz2").subarray(0, 20_000));
await put("ragged/r.csv", "id,name\n1,one\n2,two,too many\n3,three\n");
await put("bad/lines.jsonl", '{"id": 1}\n{"id": 2\n{"id": 3}\n[]\n');

const options = (more: Record<string, unknown> = {}): Readonly<Record<string, unknown>> =>
  s3.sourceOptions?.parse({ new_only: true, ...more }) as Record<string, unknown>;
const request = (stream: string, more: Partial<StreamRequest> = {}): StreamRequest => ({
  stream,
  options: options(),
  nullCursor: "fail",
  newRun: true,
  position: null,
  bounds: null,
  seen: () => Promise.resolve(new Set<string>()),
  ...more,
});

runCases(
  "s3 source",
  sourceCases({
    open: (signal) => make(signal),
    stream: "in/*",
    options: options({ new_only: false }),
    discovered: "in/*.csv.gz",
    capabilities: s3.capabilities,
    expectedRows: 5,
    openUnauthorized: () => openConnector(s3, { ...config, secret_access_key: "wrong" }, testContext(folder)),
    openUnreachable: () => openConnector(s3, { ...config, endpoint: "http://127.0.0.1:1" }, testContext(folder)),
  }),
);

const AVRO = { type: "record", name: "Order", fields: [{ name: "id", type: "long" }] };
const LATER = { ...AVRO, fields: [...AVRO.fields, { name: "tags", type: { type: "array", items: "string" } }] };
const orders = (from: number, count: number): readonly Readonly<Record<string, unknown>>[] =>
  Array.from({ length: count }, (_, index) => ({ id: BigInt(from + index), tags: ["a", String(from + index)] }));
const deflated = { codec: "deflate", pack: deflateRawSync } as const;
/** Blocks of a few hundred rows; more rows than one batch has. */
const MANY = 50 * 401;
await put(
  "avro/a.avro",
  container(
    AVRO,
    Array.from({ length: 50 }, (_, block) => orders(block * 401, 401)),
    deflated,
  ),
);
await put("avro/b.avro", container(LATER, [orders(MANY, 3)]));
await put("avro/c.avro.gz", gzipSync(container(AVRO, [orders(MANY + 3, 2)])));
await put("broken/cut.avro", container(AVRO, [orders(0, 3)]).subarray(0, -1));

runCases(
  "s3 source of Avro",
  sourceCases({
    open: (signal) => make(signal),
    stream: "avro/*",
    options: options({ new_only: false }),
    discovered: "avro/*.avro",
    capabilities: s3.capabilities,
    expectedRows: MANY + 5,
  }),
);

let added = 5;
await put("news/m.csv", "id,name\n1,one\n2,two\n");
await put("news/n.jsonl", '{"id":3}\n{"id":4,"name":"four"}\n');

runCases(
  "s3 source of new objects",
  sourceCases({
    open: (signal) => make(signal),
    stream: "news/*",
    emptyStream: "later/*",
    options: options(),
    capabilities: s3.capabilities,
    async append() {
      added += 1;
      await put(`news/a${added}.csv`, `id,name\n${added},more\n`);
    },
  }),
  [{ reason: "with new_only a pattern that matches nothing yet is no mistake", tests: ["an unknown stream is SOURCE_STREAM_NOT_FOUND"] }],
);

/** The rows of the files that the table's manifests name: what a reader is told to go by. */
const readTable = async (table: string): Promise<readonly Record<string, Json>[] | undefined> => {
  const listed = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: `${table}/_downbeat/` }));
  const manifests = (listed.Contents ?? []).filter(({ Key }) => Key?.endsWith(".json"));
  if (manifests.length === 0) return undefined;
  const rows: Record<string, Json>[] = [];
  for (const { Key } of manifests) {
    const text = await (await client.send(new GetObjectCommand({ Bucket: bucket, Key }))).Body?.transformToString();
    for (const file of (JSON.parse(text ?? "{}") as { files: string[] }).files) {
      const object = await client.send(new GetObjectCommand({ Bucket: bucket, Key: file }));
      const local = path.join(folder, path.basename(file));
      await writeFile(local, (await object.Body?.transformToByteArray()) ?? "");
      const reading = readFile({
        file: local,
        name: file,
        delimiter: ",",
        header: true,
        known: [],
        skipRows: 0,
        tempDir: folder,
        signal: new AbortController().signal,
      });
      for await (const { batch } of reading) rows.push(...toRows(batch));
    }
  }
  return rows;
};

runCases(
  "s3 destination",
  destinationCases({
    make: () => make(),
    readTable,
    modes: ["append", "replace"],
    hasSchema: false,
    types: {
      columns: [
        { name: "big", type: { kind: "int64" }, nullable: true },
        { name: "price", type: { kind: "decimal", precision: 18, scale: 4 }, nullable: true },
        { name: "day", type: { kind: "date" }, nullable: true },
        { name: "at", type: { kind: "timestamp" }, nullable: true },
        { name: "note", type: { kind: "string" }, nullable: true },
        { name: "raw", type: { kind: "binary" }, nullable: true },
        { name: "yes", type: { kind: "bool" }, nullable: true },
      ],
      rows: [
        {
          big: -(2n ** 63n),
          price: "-99999999999999.9999",
          day: "0001-01-01",
          at: "1969-12-31T23:59:59.999999",
          note: "",
          raw: Buffer.from([0, 255]),
          yes: false,
        },
        { big: null, price: null, day: null, at: null, note: null, raw: null, yes: null },
      ],
      read: [
        {
          big: "-9223372036854775808",
          price: "-99999999999999.9999",
          day: "0001-01-01",
          at: "1969-12-31T23:59:59.999999",
          note: "",
          raw: "AP8=",
          yes: false,
        },
        { big: null, price: null, day: null, at: null, note: null, raw: null, yes: null },
      ],
    },
    refusedTypes: [],
    async readDeadLetters(key) {
      const listed = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
      const reasons: string[] = [];
      for (const { Key } of (listed.Contents ?? []).filter((object) => object.Key?.endsWith(".json"))) {
        const text = await (await client.send(new GetObjectCommand({ Bucket: bucket, Key }))).Body?.transformToString();
        if ((JSON.parse(text ?? "{}") as { key?: string }).key !== key) continue;
        const letters = (listed.Contents ?? []).filter((object) =>
          object.Key?.startsWith(`${path.posix.dirname(Key ?? "")}/dead-letters/`),
        );
        for (const letter of letters) {
          const lines = await (await client.send(new GetObjectCommand({ Bucket: bucket, Key: letter.Key }))).Body?.transformToString();
          reasons.push(
            ...(lines ?? "")
              .trim()
              .split("\n")
              .map((line) => (JSON.parse(line) as { reason: string }).reason),
          );
        }
      }
      return reasons;
    },
  }),
  [{ reason: "a table is a folder, so names with dots and quotes are names", tests: ["a name that is no table name is refused"] }],
);

const readAll = async (asked: StreamRequest) => {
  await using connector = await make();
  const batches = [];
  for await (const batch of connector.source?.read(asked) ?? []) batches.push(batch);
  return batches;
};

describe("folders as tables", () => {
  it.each(["", ".", "..", "/absolute"])("%j is refused", async (table) => {
    await using connector = await make();
    const target = {
      key: "k",
      origin: "o",
      incremental: false,
      table,
      mode: "append",
      keyColumns: [],
      schema: "evolve",
      options: {},
      failpoint: () => Promise.resolve(),
    } as const;
    await expect(connector.destination?.openLoad(target)).rejects.toMatchObject({ code: "DESTINATION_TABLE_INVALID" });
  });
});

describe("objects as streams", () => {
  it("keeps NULL and the empty string of a CSV apart", async () => {
    const rows = (await readAll(request("in/a.csv"))).flatMap(toRows);
    expect(rows).toEqual([
      { id: 1, name: "one" },
      { id: 2, name: null },
      { id: 3, name: "" },
    ]);
  });

  it("takes only objects that were not seen, and says which it brought to their end", async () => {
    const first = await readAll(request("in/*"));
    const items = first.flatMap((batch) => batch.items ?? []);
    expect(items).toHaveLength(2);
    const again = await readAll(request("in/*", { seen: (asked) => Promise.resolve(new Set(asked.filter((item) => item === items[0]))) }));
    expect(again.flatMap(toRows).map((row) => row["id"])).toEqual([4, 5]);
  });

  it("packed objects of every kind come whole, and are gone on with in the middle", async () => {
    const batches = await readAll(request("packed/*"));
    const ids = batches.flatMap(toRows).map((row) => row["id"]);
    expect(ids).toEqual(PACKED.flatMap(() => Array.from({ length: 20_000 }, (_, id) => id)));
    const ends = batches.map((batch) => batch.position as { readonly key: string; readonly tag: string });
    const position = { ...ends.find(({ key }) => key.endsWith(".bz2")), row: 19_990 };
    const rest = await readAll(request("packed/*.bz2", { position }));
    expect(rest.flatMap(toRows).map((row) => row["id"])).toEqual(Array.from({ length: 10 }, (_, id) => 19_990 + id));
  });

  it.each(["truncated.csv.gz", "truncated.csv.bz2"])("%s is SOURCE_FILE_BROKEN and named", async (name) => {
    await expect(readAll(request(`broken/${name}`))).rejects.toMatchObject({
      code: "SOURCE_FILE_BROKEN",
      message: expect.stringContaining(name) as unknown,
    });
  });

  it("Avro objects come whole, are gone on with in the middle, and grow columns from one to the next", async () => {
    const batches = await readAll(request("avro/*"));
    const rows = batches.flatMap(toRows);
    expect(rows.map((row) => row["id"])).toEqual(Array.from({ length: MANY + 5 }, (_, id) => id));
    expect(rows.slice(-4)).toEqual([
      ...orders(MANY + 1, 2).map(({ id, tags }) => ({ id: Number(id), tags })),
      { id: MANY + 3, tags: null },
      { id: MANY + 4, tags: null },
    ]);
    for (const { position } of batches) {
      const rest = await readAll(request("avro/*", { options: options({ new_only: false }), newRun: false, position }));
      const { key, row } = position as { readonly key: string; readonly row: number | null };
      const behind = { "avro/a.avro": MANY, "avro/b.avro": MANY + 3 }[key] ?? MANY + 5;
      expect(rest.flatMap(toRows)).toEqual(rows.slice(row ?? behind));
    }
  });

  it("an Avro object that was cut is SOURCE_FILE_BROKEN, with its name and the place", async () => {
    await expect(readAll(request("broken/cut.avro"))).rejects.toMatchObject({
      code: "SOURCE_FILE_BROKEN",
      message: expect.stringMatching(
        /^broken\/cut\.avro is not a readable Avro file: block 1, at byte \d+, .*the file ends before/,
      ) as unknown,
    });
  });

  it("a broken Parquet file is SOURCE_FILE_BROKEN and named", async () => {
    await expect(readAll(request("broken/no.parquet"))).rejects.toMatchObject({
      code: "SOURCE_FILE_BROKEN",
      message: expect.stringContaining("no.parquet") as unknown,
    });
  });

  it("a ragged CSV row is a reject with its line, the others come", async () => {
    const batches = await readAll(request("ragged/r.csv"));
    expect(batches.flatMap(toRows).map((row) => row["id"])).toEqual([1, 3]);
    expect(batches.flatMap((batch) => batch.rejects ?? [])).toMatchObject([
      { code: "SOURCE_DATA_INVALID", where: "line 3 of ragged/r.csv" },
    ]);
  });

  it("lines that are no JSON object are rejects with their lines, the others come", async () => {
    const batches = await readAll(request("bad/lines.jsonl"));
    expect(batches.flatMap(toRows)).toEqual([{ id: 1 }, { id: 3 }]);
    expect(batches.flatMap((batch) => batch.rejects ?? []).map(({ where }) => where)).toEqual([
      "line 2 of bad/lines.jsonl",
      "line 4 of bad/lines.jsonl",
    ]);
  });

  it("an object that changes between listing and reading is SOURCE_CHANGED", async () => {
    for (const id of [1, 2, 3]) await put(`moving/m${id}.csv`, `id\n${id}\n`);
    await using connector = await make();
    const reading = connector.source?.read(request("moving/*"))[Symbol.asyncIterator]();
    await reading?.next();
    // The second one may have been fetched beside the work on the first.
    await put("moving/m3.csv", "id\n33\n");
    await reading?.next();
    await expect(reading?.next()).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
  });
});

// Partitioned tables in S3: the contract of destinations, what folders are called, and what DuckDB makes of them.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { GetObjectCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { afterAll, describe, expect, it } from "vitest";
import { destinationCases } from "../../connectors/contract/destination.ts";
import type { Connector, LoadTarget } from "../../connectors/connector.ts";
import { fromRows, toRows, type Row } from "../../connectors/lib/rows.ts";
import { s3 } from "../../connectors/s3/spec.ts";
import type { Json } from "../../core/json.ts";
import { freshBucket } from "../fixtures/services.ts";
import { openConnector, runCases, testContext, testFolder } from "./kit.ts";
import { column, target, write } from "./load-kit.ts";

const folder = testFolder("s3-partitions");
const { bucket, endpoint, region, accessKeyId, secretAccessKey } = await freshBucket();
const config = { bucket, endpoint, region, path_style: true, access_key_id: accessKeyId, secret_access_key: secretAccessKey };
const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
afterAll(() => client.destroy());
const make = (): ReturnType<typeof openConnector> => openConnector(s3, config, testContext(folder));

const keysUnder = async (prefix: string): Promise<readonly string[]> =>
  ((await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }))).Contents ?? []).map(({ Key = "" }) => Key);
const bytesOf = async (Key: string): Promise<Uint8Array> =>
  (await (await client.send(new GetObjectCommand({ Bucket: bucket, Key }))).Body?.transformToByteArray()) ?? new Uint8Array();
const manifestsOf = async (table: string): Promise<readonly { readonly key: string; readonly files: readonly string[] }[]> => {
  const keys = (await keysUnder(`${table}/_downbeat/`)).filter((key) => key.endsWith(".json"));
  return Promise.all(keys.map(async (key) => JSON.parse(Buffer.from(await bytesOf(key)).toString()) as { key: string; files: string[] }));
};

/** The rows of objects, as the source reads them. */
const readObjects = async (stream: string): Promise<readonly Record<string, Json>[]> => {
  await using connector = await make();
  const rows: Record<string, Json>[] = [];
  const options = s3.sourceOptions?.parse({}) as Record<string, unknown>;
  const asked = {
    stream,
    options,
    nullCursor: "fail",
    newRun: true,
    position: null,
    bounds: null,
    seen: () => Promise.resolve(new Set<string>()),
  } as const;
  for await (const batch of connector.source?.read(asked) ?? []) rows.push(...toRows(batch));
  return rows;
};

const readTable = async (table: string): Promise<readonly Record<string, Json>[] | undefined> => {
  const manifests = await manifestsOf(table);
  if (manifests.length === 0) return undefined;
  const rows: Record<string, Json>[] = [];
  for (const file of manifests.flatMap(({ files }) => files)) rows.push(...(await readObjects(file)));
  return rows;
};

/** The connector with these options in every load. */
const makeWith = async (options: Record<string, unknown>): Promise<Connector> => {
  const connector = await make();
  const { destination } = connector;
  if (destination === undefined) throw new Error("s3 is a destination");
  return {
    check: () => connector.check(),
    destination: {
      describeTarget: (into) => destination.describeTarget(into),
      openLoad: (into) => destination.openLoad({ ...into, options }),
    },
    [Symbol.asyncDispose]: () => connector[Symbol.asyncDispose](),
  };
};

const cases = (options: Record<string, unknown>) =>
  destinationCases({
    make: () => makeWith(options),
    readTable,
    modes: ["append", "replace"],
    hasSchema: false,
    types: {
      columns: [column("id", { kind: "int64" }), column("day", { kind: "date" })],
      rows: [
        { id: 2n ** 62n, day: "0001-01-01" },
        { id: null, day: null },
      ],
      read: [
        { id: String(2n ** 62n), day: "0001-01-01" },
        { id: null, day: null },
      ],
    },
    refusedTypes: [],
    async readDeadLetters(key) {
      const tables = (await keysUnder(""))
        .filter((name) => name.includes("/_downbeat/") && name.endsWith(".json"))
        .map((name) => name.split("/")[0] ?? "");
      const reasons: string[] = [];
      for (const table of new Set(tables)) {
        if (!(await manifestsOf(table)).some((manifest) => manifest.key === key)) continue;
        for (const letters of await keysUnder(`${table}/_downbeat/dead-letters/`))
          reasons.push(
            ...Buffer.from(await bytesOf(letters))
              .toString()
              .trim()
              .split("\n")
              .map((line) => (JSON.parse(line) as { reason: string }).reason),
          );
      }
      return reasons;
    },
  });

const OTHERWISE = [
  { reason: "a table is a folder, so names with dots and quotes are names", tests: ["a name that is no table name is refused"] },
  {
    reason: "its rows are more partitions than a chunk may have",
    tests: ["a batch of many rows with NULLs and long texts keeps its order within columns"],
  },
];

runCases("s3 destination, partitioned", cases({ partition_by: ["id"] }), OTHERWISE);
const AVRO_NAMES = {
  reason: "names in Avro are of letters, digits and _",
  tests: ["names with capitals, quotes, spaces, Unicode and reserved words are kept"],
};

runCases("s3 destination, Avro", cases({ format: "avro" }), [...OTHERWISE.slice(0, 1), AVRO_NAMES]);
runCases("s3 destination, packed Avro in partitions", cases({ partition_by: ["id"], format: "avro", compression: "deflate" }), [
  ...OTHERWISE,
  AVRO_NAMES,
]);
runCases("s3 destination, packed CSV in partitions", cases({ partition_by: ["id"], format: "csv", compression: "zstd" }), OTHERWISE);

const COLUMNS = [
  column("id", { kind: "int64" }),
  column("country", { kind: "string" }),
  column("day", { kind: "date" }),
  column("is_new", { kind: "bool" }),
  column("price", { kind: "float64" }),
];
const ROWS: readonly Row[] = [
  { id: 1, country: "DE", day: "2026-11-28", is_new: true, price: 1 },
  { id: 2, country: null, day: "2026-11-28", is_new: false, price: 2 },
  { id: 3, country: "DE", day: "2026-11-28", is_new: true, price: 3 },
  { id: 4, country: "", day: null, is_new: null, price: 4 },
  { id: 5, country: "a/b=c%d ü:\n", day: "0999-01-01", is_new: false, price: 5 },
  { id: 6, country: "..", day: "2026-11-28", is_new: true, price: 6 },
];

const load = async (into: Partial<LoadTarget>, rows: readonly Row[] = ROWS): Promise<void> => {
  await using connector = await make();
  await using opened = await connector.destination!.openLoad(target({ key: `key of ${into.table}`, ...into }));
  await write(opened, COLUMNS, rows);
};
const foldersOf = (table: string, keys: readonly string[]): readonly string[] =>
  keys.filter((key) => !key.includes("_downbeat")).map((key) => key.slice(table.length + 1, key.lastIndexOf("/")));

describe("partitions", () => {
  it("are called as Hive calls them, each with its rows in their order, and all columns", async () => {
    await load({ table: "named", options: { partition_by: ["country", "is_new"] } });
    const keys = await keysUnder("named/");
    expect(foldersOf("named", keys)).toEqual(
      [
        "country=DE/is_new=true",
        "country=__HIVE_DEFAULT_PARTITION__/is_new=false",
        "country=__HIVE_DEFAULT_PARTITION__/is_new=__HIVE_DEFAULT_PARTITION__",
        "country=a%2Fb%3Dc%25d ü%3A%0A/is_new=false",
        "country=../is_new=true",
      ].toSorted(),
    );
    expect(await readObjects("named/country=DE/**")).toEqual([ROWS[0], ROWS[2]]);
    expect((await readObjects("named/**")).toSorted((left, right) => Number(left["id"]) - Number(right["id"]))).toEqual(ROWS);
  });

  it("are read by DuckDB: it finds the values in the paths, and those are the columns'", async () => {
    await load({ table: "duck", options: { partition_by: ["country", "day"] } });
    for (const key of await keysUnder("duck/country")) {
      mkdirSync(path.join(folder, path.dirname(key)), { recursive: true });
      writeFileSync(path.join(folder, key), await bytesOf(key));
    }
    const connection = await (await DuckDBInstance.create(":memory:")).connect();
    const query = `select id, country, day, is_new, price from read_parquet('${folder}/duck/**/*.parquet', hive_partitioning = true, hive_types = {country: varchar, day: date}) order by id`;
    const found = (await connection.runAndReadAll(query)).getRowObjectsJson();
    expect(found.map(({ id, country, day }) => [Number(id), country, day])).toEqual(
      // The empty text has no folder of its own.
      ROWS.map(({ id, country, day }) => [id, country === "" ? null : country, day]),
    );
    const only = await connection.runAndReadAll(
      `select count(*) as n from read_parquet('${folder}/duck/**/*.parquet', hive_partitioning = true) where country = 'DE'`,
    );
    expect(only.getRowsJson()).toEqual([["2"]]);
    connection.closeSync();
  });

  it("an attempt that died leaves nothing behind in any of them, and rejected rows stay", async () => {
    await using connector = await make();
    const into = target({ key: "k", table: "left", options: { partition_by: ["country"] } });
    const dead = await connector.destination!.openLoad(into);
    await dead.begin(null);
    await dead.write({
      ...fromRows(COLUMNS, ROWS, { position: 1 }),
      rejects: [{ where: "w", code: "SOURCE_DATA_INVALID", reason: "r", raw: "{}" }],
    });
    await dead.commit(1);
    await dead.write(fromRows(COLUMNS, [{ ...ROWS[0], country: "only here" }], { position: 2 }));
    expect(await keysUnder("left/country=only here/")).toHaveLength(1);
    const next = await connector.destination!.openLoad(into);
    await next.write(fromRows(COLUMNS, ROWS.slice(0, 1), { position: 2 }));
    await next.commit(2);
    await next.finish();
    const [manifest] = await manifestsOf("left");
    const keys = await keysUnder("left/");
    expect(keys.filter((key) => !key.includes("_downbeat"))).toEqual(manifest?.files.toSorted());
    expect(keys.filter((key) => key.includes("_downbeat/dead-letters/"))).toHaveLength(1);
  });

  it("a replace takes away the partitions that it does not have", async () => {
    const options = { partition_by: ["country"] };
    await load({ table: "again", origin: "run-1", mode: "replace", options });
    await load({ table: "again", origin: "run-2", mode: "replace", options }, ROWS.slice(0, 1));
    expect(foldersOf("again", await keysUnder("again/"))).toEqual(["country=DE"]);
    await using connector = await make();
    expect(await connector.destination!.describeTarget({ key: "key of again", table: "again" })).toMatchObject({ exists: true });
  });

  it("files of an attempt alone make no table, whatever partition they are in", async () => {
    await using connector = await make();
    const into = target({ key: "k", table: "unborn", options: { partition_by: ["country"] } });
    const opened = await connector.destination!.openLoad(into);
    await opened.begin(null);
    await opened.write(fromRows(COLUMNS, ROWS, { position: 1 }));
    expect(await connector.destination!.describeTarget({ key: "k", table: "unborn" })).toMatchObject({ exists: false });
  });

  it.each([
    ["a column that is not there", ["nation"], ROWS, "DESTINATION_SCHEMA_MISMATCH", '"nation"'],
    ["a type that has no one text", ["price"], ROWS, "DESTINATION_TYPE_UNSUPPORTED", '"price" is a float64'],
    [
      "more than a thousand partitions",
      ["id"],
      Array.from({ length: 1_001 }, (_, id) => ({ ...ROWS[0], id })),
      "DESTINATION_DATA_REFUSED",
      "1000 partitions by id",
    ],
  ])("%s is refused before anything is written", async (_, by, rows, code, message) => {
    await expect(load({ table: "refused", options: { partition_by: by } }, rows)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message) as unknown,
    });
    expect(foldersOf("refused", await keysUnder("refused/"))).toEqual([]);
  });
});

describe("written files", () => {
  it.each([
    ["csv", "gzip", ".csv.gz", "1f8b"],
    ["jsonl", "zstd", ".jsonl.zst", "28b52ffd"],
    ["avro", "deflate", ".avro", "4f626a01"],
  ])("%s with %s ends with %s, and is read back", async (format, compression, ending, magic) => {
    await load({ table: `packed-${format}`, options: { format, compression } });
    const [key = ""] = (await manifestsOf(`packed-${format}`))[0]?.files ?? [];
    expect(key.endsWith(ending)).toBe(true);
    expect(
      Buffer.from(await bytesOf(key))
        .toString("hex")
        .startsWith(magic),
    ).toBe(true);
    expect((await readObjects(key)).map((row) => row["country"])).toEqual(ROWS.map((row) => row["country"]));
  });

  it("Parquet is not packed once more, and a column partitions once", () => {
    expect(s3.targetOptions?.safeParse({ format: "parquet", compression: "gzip" }).success).toBe(false);
    expect(s3.targetOptions?.safeParse({ partition_by: ["a", "a"] }).success).toBe(false);
  });
});

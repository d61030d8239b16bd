// The demo's S3 source: CSV.gz, JSONL and Parquet files; adds and replaces some; counts them by reading the objects back.

import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client, CreateBucketCommand } from "@aws-sdk/client-s3";
import { DuckDBInstance } from "@duckdb/node-api";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { totalsQuery, type DemoTable, type Totals } from "./totals.ts";

export interface S3Address {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export const BUCKET = "lake";

type Format = "csv.gz" | "jsonl" | "parquet";

const COPY_OPTIONS: Record<Format, string> = {
  "csv.gz": "format csv, header, compression gzip",
  jsonl: "format json",
  parquet: "format parquet, compression zstd",
};

const FOLDERS: Record<string, Format> = { prices: "csv.gz", reviews: "jsonl", stock: "parquet" };

const PER_FILE = 5_000;

/** The rows of each folder's files, out of their id. */
const SELECTS: Record<string, string> = {
  prices:
    "select id, 'SKU-' || (id % 997) as sku, cast(id % 10000 as decimal(12, 2)) / 100 as price, date '2026-01-01' + cast(id % 300 as integer) as valid_from",
  reviews: "select id, 1 + id % 5 as stars, case when id % 7 = 0 then null else 'très bon 東京 ' || id end as comment",
  stock:
    "select id, id % 40 as warehouse_no, (id * 13) % 500 as quantity, timestamp '2026-01-01' + to_microseconds(id * 1234567) as counted_at",
};

export class LakeSource {
  readonly #client: S3Client;

  constructor(address: S3Address) {
    const { accessKeyId, secretAccessKey, endpoint, region } = address;
    this.#client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
  }

  async seed(): Promise<Record<string, number>> {
    await this.#client.send(new CreateBucketCommand({ Bucket: BUCKET }));
    for (const part of [0, 1, 2]) await this.#put("prices", `part-${part}`, part * PER_FILE, PER_FILE);
    for (const part of [0, 1]) await this.#put("reviews", `part-${part}`, part * PER_FILE, PER_FILE);
    await this.#put("stock", "stock", 0, 2 * PER_FILE);
    return { prices: 3 * PER_FILE, reviews: 2 * PER_FILE, stock: 2 * PER_FILE };
  }

  /** A new file for each new_only stream, a new content for the replaced one. */
  async change(round: number): Promise<Record<string, number>> {
    const part = 2 + round;
    await this.#put("prices", `part-${part}`, part * PER_FILE, PER_FILE);
    await this.#put("reviews", `part-${part}`, part * PER_FILE, PER_FILE);
    const stock = 2 * PER_FILE + round * 1_000;
    await this.#put("stock", "stock", round, stock);
    return { prices: PER_FILE, reviews: PER_FILE, stock };
  }

  async totals(table: DemoTable): Promise<Totals> {
    const folder = await mkdtemp(path.join(tmpdir(), "downbeat-demo-"));
    try {
      const listed = await this.#client.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: `${table.task}/` }));
      for (const [index, { Key: key = "" }] of (listed.Contents ?? []).entries()) {
        const object = await this.#client.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
        await writeFile(path.join(folder, `${index}.${FOLDERS[table.task]}`), (await object.Body?.transformToByteArray()) ?? "");
      }
      const reader = { "csv.gz": "read_csv", jsonl: "read_json", parquet: "read_parquet" }[FOLDERS[table.task] ?? "parquet"];
      const [row] = await query(totalsQuery(`${reader}('${folder}/*')`, table));
      return { rows: Number(row?.["row_count"]), ids: Number(row?.["id_count"]), sum: String(row?.["amount_sum"]) };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async publishedKeys(prefix: string): Promise<readonly string[]> {
    const listed = await this.#client.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: prefix }));
    return (listed.Contents ?? []).map(({ Key: key = "" }) => key);
  }

  async #put(folder: string, name: string, firstId: number, count: number): Promise<void> {
    const format = FOLDERS[folder] ?? "parquet";
    const file = path.join(await mkdtemp(path.join(tmpdir(), "downbeat-demo-")), `${name}.${format}`);
    await query(
      `copy (${SELECTS[folder]} from range(${firstId + 1}, ${firstId + 1 + count}) numbers(id)) to '${file}' (${COPY_OPTIONS[format]})`,
    );
    await this.#client.send(new PutObjectCommand({ Bucket: BUCKET, Key: `${folder}/${name}.${format}`, Body: await readFile(file) }));
    await rm(path.dirname(file), { recursive: true, force: true });
  }
}

const query = async (sql: string): Promise<readonly Record<string, unknown>[]> => {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    return (await connection.runAndReadAll(sql)).getRowObjectsJson();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
};

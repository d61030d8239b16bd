// Fills what loads read from besides tables: objects in S3, a topic in Kafka, an HTTP API with pages.

import { readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { CreateBucketCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { DuckDBInstance } from "@duckdb/node-api";
import { Admin, Producer, stringSerializers } from "@platformatic/kafka";
import type { KafkaAddress } from "../../bin/services/kafka.ts";
import type { S3Address } from "../../bin/services/s3.ts";
import type { SourceName } from "./cases.ts";
import { avroOf, csvOf, duckdbReader, jsonLineOf, jsonOf } from "./encodings.ts";
import { COLUMNS, eventsOf, FIRST_PART, UPDATES_FROM, type Event, type Part, PARTS } from "./rows.ts";
import type { PreparedSource } from "./sources.ts";

const ALL = eventsOf("all");
/** Objects of the first part begin with 1, of the grown one with 0 or 1. What comes later sorts before and behind them; later versions of rows behind. */
const OBJECTS: Readonly<Record<string, readonly Event[]>> = {
  "1-a": ALL.slice(0, 1_300),
  "1-b": ALL.slice(1_300, FIRST_PART),
  "0-late": ALL.slice(FIRST_PART, UPDATES_FROM),
  "2-later": ALL.slice(UPDATES_FROM),
};

const parquetOf = async (objects: readonly Event[], folder: string): Promise<Buffer> => {
  const [csv, parquet] = [path.join(folder, "object.csv"), path.join(folder, "object.parquet")];
  await writeFile(csv, csvOf(objects.filter(({ isBad }) => !isBad)));
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    await connection.run("set time zone 'UTC'");
    await connection.run(`copy (${duckdbReader(csv)}) to '${parquet.replaceAll("'", "''")}' (format parquet)`);
    return await readFile(parquet);
  } finally {
    connection.closeSync();
    instance.closeSync();
    await Promise.all([csv, parquet].map((file) => rm(file, { force: true })));
  }
};

export const fillS3 = async (
  { endpoint, region, accessKeyId, secretAccessKey }: S3Address,
  bucket: string,
  folder: string,
): Promise<Pick<Record<SourceName, PreparedSource>, "s3-csv" | "s3-parquet" | "s3-jsonl" | "s3-avro">> => {
  const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
  const put = (Key: string, Body: Buffer | string): Promise<unknown> => client.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));
  try {
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    for (const [name, objects] of Object.entries(OBJECTS)) {
      await put(`csv/${name}.csv.gz`, gzipSync(csvOf(objects)));
      await put(`jsonl/${name}.jsonl`, objects.map((event) => `${jsonLineOf(event)}\n`).join(""));
      await put(`avro/${name}.avro`, avroOf(objects));
      await put(`parquet/${name}.parquet`, await parquetOf(objects, folder));
    }
  } finally {
    client.destroy();
  }
  const config = { bucket, region, endpoint, path_style: true, access_key_id: accessKeyId, secret_access_key: secretAccessKey };
  const beginnings: Readonly<Record<Part, string>> = { first: "1", grown: "[01]", all: "" };
  const source = (prefix: string, ending: string, options: Readonly<Record<string, unknown>>): PreparedSource => ({
    kind: "s3",
    config: () => config,
    request: (part) => ({ stream: `${prefix}/${beginnings[part]}*.${ending}`, options }),
  });
  return {
    "s3-csv": source("csv", "csv.gz", { columns: COLUMNS, new_only: true }),
    "s3-parquet": source("parquet", "parquet", {}),
    "s3-jsonl": source("jsonl", "jsonl", { columns: COLUMNS }),
    "s3-avro": source("avro", "avro", { columns: COLUMNS }),
  };
};

const PARTITIONS = 5;
/** Versions of a row lie in one partition, so that their order is kept. */
const partitionOf = ({ texts }: Event): number => Number(texts.id) % PARTITIONS;

export const fillKafka = async ({ brokers }: KafkaAddress, topic: string): Promise<PreparedSource> => {
  const admin = new Admin({ clientId: "downbeat-faults", bootstrapBrokers: [...brokers] });
  try {
    await admin.createTopics({ topics: [topic], partitions: PARTITIONS, replicas: 1 });
  } finally {
    await admin.close();
  }
  const producer = new Producer({
    clientId: "downbeat-faults",
    bootstrapBrokers: [...brokers],
    serializers: stringSerializers,
    idempotent: true,
  });
  try {
    // In several sends a partition: what a broker gives at once is whole sends.
    for (let from = 0; from < ALL.length; from += 500) {
      const messages = ALL.slice(from, from + 500).map((event) => ({
        topic,
        key: event.texts.id ?? "",
        value: jsonLineOf(event),
        partition: partitionOf(event),
      }));
      await producer.send({ messages });
    }
  } finally {
    await producer.close();
  }
  const ends = Array.from({ length: PARTITIONS }, (_, partition) => [
    String(partition),
    String(eventsOf("first").filter((event) => partitionOf(event) === partition).length),
  ]);
  return {
    kind: "kafka",
    config: () => ({ brokers }),
    request: (part) => ({
      stream: topic,
      options: { columns: COLUMNS },
      ...(part === "first" ? { bounds: Object.fromEntries(ends) } : {}),
    }),
  };
};

const PAGE = 250;

/** A bad record is no object. */
const pageOf = (part: Part, page: number): string => {
  const events = eventsOf(part).slice((page - 1) * PAGE, page * PAGE);
  return `{"orders":[${events.map((event) => (event.isBad ? JSON.stringify(`no object: ${event.texts.id}`) : jsonOf(event))).join(",")}]}`;
};

export const serveHttp = async (): Promise<{ readonly source: PreparedSource; readonly server: Server }> => {
  const pages = new Map<string, string>();
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
    const part: Part = PARTS.find((one) => pathname === `/${one}`) ?? "all";
    const page = Number(searchParams.get("page"));
    const key = `${part} ${page}`;
    const body = pages.get(key) ?? pageOf(part, page);
    pages.set(key, body);
    response.setHeader("content-type", "application/json").end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const options = { records: "orders", columns: COLUMNS, pagination: { type: "page", size: PAGE } };
  return {
    server,
    source: { kind: "http", config: () => ({ base_url: `http://127.0.0.1:${port}` }), request: (part) => ({ stream: part, options }) },
  };
};

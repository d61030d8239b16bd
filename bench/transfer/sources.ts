// What bench:transfer reads: each source is filled once, with many rows and with a fifth of them.

import { createReadStream } from "node:fs";
import { open, rm } from "node:fs/promises";
import path from "node:path";
import { CreateBucketCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { Admin, Producer, stringSerializers } from "@platformatic/kafka";
import mysql from "mysql2/promise";
import { ORDERS_DATABASE, type OrdersFormat, seedOrders, writeOrders } from "../data/orders.ts";
import { type Size, textOf, TOTALS, type TransferSource } from "./direction.ts";
import type { Systems } from "./systems.ts";

type Rows = Readonly<Record<Size, number>>;

const SIZES: readonly Size[] = ["small", "large"];
const OBJECTS = 5;
const PARTITIONS = 4;
const MESSAGES_A_SEND = 5_000;

export const mysqlSource = async ({ mysql: { host, port, user, password }, folder }: Systems, rows: Rows): Promise<TransferSource> => {
  const login = { host, port, user, password };
  const address = { ...login, database: ORDERS_DATABASE };
  const tableOf = (size: Size): string => `orders_${size}`;
  for (const size of SIZES) await seedOrders(login, tableOf(size), rows[size], folder);
  return {
    name: "MySQL",
    rows,
    connection: { kind: "mysql", config: address },
    from: (size) => ({ stream: tableOf(size), tinyint1: "bool" }),
    floor: (size) => ({ ...address, table: tableOf(size) }),
    totals: async (size) => {
      const connection = await mysql.createConnection({ ...address, dateStrings: true });
      try {
        const [found] = await connection.query<mysql.RowDataPacket[]>(`${TOTALS} ${tableOf(size)}`);
        return textOf(found[0]);
      } finally {
        await connection.end();
      }
    },
  };
};

export const s3Source = async ({ s3, folder }: Systems, rows: Rows, format: Exclude<OrdersFormat, "jsonl">): Promise<TransferSource> => {
  const { endpoint, region, accessKeyId, secretAccessKey } = s3;
  const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
  const bucket = `orders-${format.replaceAll(".", "-")}`;
  const totals: Partial<Record<Size, string>> = {};
  try {
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    for (const size of SIZES) {
      const written = await writeOrders(path.join(folder, bucket), format, { rows: rows[size], files: OBJECTS, totals: TOTALS });
      for (const file of written.paths) {
        await using body = await open(file);
        const { size: length } = await body.stat();
        await client.send(
          new PutObjectCommand({
            Bucket: bucket,
            Key: `${size}/${path.basename(file)}`,
            Body: body.createReadStream(),
            ContentLength: length,
          }),
        );
        await rm(file);
      }
      totals[size] = textOf(written.totals);
    }
  } finally {
    client.destroy();
  }
  const config = { endpoint, region, bucket, path_style: true, access_key_id: accessKeyId, secret_access_key: secretAccessKey };
  return {
    name: format === "parquet" ? "S3 Parquet" : "S3 CSV.gz",
    rows,
    connection: { kind: "s3", config },
    from: (size) => ({ stream: `${size}/*.${format}` }),
    floor: (size) => ({ endpoint, region, accessKeyId, secretAccessKey, bucket, prefix: `${size}/`, format }),
    totals: (size) => Promise.resolve(totals[size] ?? ""),
  };
};

export const kafkaSource = async ({ kafka, folder }: Systems, rows: Rows): Promise<TransferSource> => {
  const brokers = [...kafka.brokers];
  const client = { clientId: "downbeat-bench", bootstrapBrokers: brokers };
  const topicOf = (size: Size): string => `orders-${size}`;
  const totals: Partial<Record<Size, string>> = {};
  const admin = new Admin(client);
  const producer = new Producer({ ...client, serializers: stringSerializers, idempotent: true });
  try {
    await admin.createTopics({ topics: SIZES.map(topicOf), partitions: PARTITIONS, replicas: 1 });
    for (const size of SIZES) {
      const written = await writeOrders(path.join(folder, "kafka"), "jsonl", { rows: rows[size], files: 1, totals: TOTALS });
      for await (const lines of linesOf(written.paths)) {
        const messages = lines.map((value, place) => ({ topic: topicOf(size), value, partition: place % PARTITIONS }));
        await producer.send({ messages });
      }
      for (const file of written.paths) await rm(file);
      totals[size] = textOf(written.totals);
    }
  } finally {
    await producer.close();
    await admin.close();
  }
  return {
    name: "Kafka JSON",
    rows,
    connection: { kind: "kafka", config: { brokers } },
    from: (size) => ({ stream: topicOf(size) }),
    floor: (size) => ({ brokers, topic: topicOf(size) }),
    totals: (size) => Promise.resolve(totals[size] ?? ""),
  };
};

async function* linesOf(files: readonly string[]): AsyncGenerator<readonly string[]> {
  let lines: string[] = [];
  for (const file of files) {
    let rest = "";
    for await (const text of createReadStream(file, "utf8") as AsyncIterable<string>) {
      const parts = `${rest}${text}`.split("\n");
      rest = parts.pop() ?? "";
      lines.push(...parts);
      while (lines.length >= MESSAGES_A_SEND) yield lines.splice(0, MESSAGES_A_SEND);
    }
  }
  if (lines.length > 0) yield lines;
}

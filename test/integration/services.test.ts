// The shared servers are real, and what tests get on them is their own.
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { Admin } from "@platformatic/kafka";
import { Connection } from "@temporalio/client";
import { createConnection, type RowDataPacket } from "mysql2/promise";
import pg from "pg";
import { describe, expect, it } from "vitest";
import { SEARCH_ATTRIBUTES } from "../../workflows/messages.ts";
import { freshBucket, freshMysqlDatabase, freshPostgresDatabase, freshTopic, temporalServer } from "../fixtures/services.ts";

describe("shared servers", () => {
  it("MySQL: a database of one's own, with row images in the binary log", async () => {
    const { host, port, user, password, database } = await freshMysqlDatabase();
    const connection = await createConnection({ host, port, user, password, database });
    const [rows] = await connection.query<RowDataPacket[]>(
      "select @@binlog_format format, @@binlog_row_image image, @@log_bin log, database() name",
    );
    await connection.end();
    expect(rows).toEqual([{ format: "ROW", image: "FULL", log: 1, name: database }]);
  });

  it("PostgreSQL: a database of one's own, durable and ready for logical decoding", async () => {
    const { url, database } = await freshPostgresDatabase();
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const sql = "select current_database() name, current_setting('wal_level') wal, current_setting('fsync') fsync";
    const { rows } = await client.query<Record<string, string>>(sql);
    await client.end();
    expect(rows).toEqual([{ name: database, wal: "logical", fsync: "on" }]);
  });

  it("S3: a bucket of one's own that gives back what was put, and refuses a wrong secret", async () => {
    const { endpoint, region, accessKeyId, secretAccessKey, bucket } = await freshBucket();
    const open = (secret: string): S3Client =>
      new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey: secret } });
    const client = open(secretAccessKey);
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: "größe/1.txt", Body: "eins" }));
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: "größe/1.txt" }));
    expect(await Body?.transformToString()).toBe("eins");
    await expect(open("wrong").send(new GetObjectCommand({ Bucket: bucket, Key: "größe/1.txt" }))).rejects.toThrow(/signature/i);
  });

  it("Kafka: a topic of one's own with its partitions", async () => {
    const { brokers, topic } = await freshTopic(3);
    const admin = new Admin({ clientId: "test", bootstrapBrokers: [...brokers] });
    const metadata = await admin.metadata({ topics: [topic] });
    await admin.close();
    expect(metadata.topics.get(topic)?.partitionsCount).toBe(3);
  });

  it("Temporal: answers and knows the runs' search attributes", async () => {
    const connection = await Connection.connect({ address: temporalServer().address });
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace: "default" });
    await connection.close();
    expect(Object.keys(customAttributes ?? {})).toEqual(expect.arrayContaining(Object.keys(SEARCH_ATTRIBUTES)));
  });
});

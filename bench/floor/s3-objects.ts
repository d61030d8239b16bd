// The floors' way of reading objects: as streams, or as files of which the next is fetched beside the work on the present one.

import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import path from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { GetObjectCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";

export interface FloorObjects {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly bucket: string;
  readonly prefix: string;
  readonly format: "parquet" | "csv.gz";
}

const open = async ({ endpoint, region, accessKeyId, secretAccessKey, bucket, prefix }: FloorObjects) => {
  const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }));
  const keys = Contents.flatMap(({ Key }) => Key ?? []).toSorted();
  const get = async (key: string): Promise<Readable> =>
    (await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }))).Body as Readable;
  return { client, keys, get };
};

export async function* readStreams(objects: FloorObjects): AsyncGenerator<Readable> {
  const { client, keys, get } = await open(objects);
  for (const key of keys) yield await get(key);
  client.destroy();
}

export async function* fetchFiles(objects: FloorObjects, folder: string): AsyncGenerator<string> {
  const { client, keys, get } = await open(objects);
  const fetch = async (key: string): Promise<string> => {
    const file = path.join(folder, `floor-${path.basename(key)}`);
    await pipeline(await get(key), createWriteStream(file));
    return file;
  };
  let next = keys[0] === undefined ? undefined : fetch(keys[0]);
  for (const place of keys.keys()) {
    const file = await next;
    const following = keys[place + 1];
    next = following === undefined ? undefined : fetch(following);
    if (file === undefined) return;
    yield file;
    await rm(file);
  }
  client.destroy();
}

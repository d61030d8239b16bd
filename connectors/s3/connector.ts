// An opened S3 connection.

import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import path from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Connector, ConnectorContext } from "../connector.ts";
import { DownbeatError } from "../../core/errors.ts";
import { createObjectSource, type ListedObject, type ObjectStore } from "../lib/object-source.ts";
import { createS3Client, s3Call } from "./client.ts";
import { openS3Load } from "./load.ts";
import { S3Files } from "./files.ts";
import { isBookkeeping, listObjects } from "./list.ts";
import { describeS3Target } from "./manifest.ts";
import { S3Objects } from "./objects.ts";
import type { S3Config } from "./spec.ts";

const MAX_PATTERNS = 50;
/** Discovery looks at the beginning of a bucket, not at millions of keys. */
const DISCOVERY_KEYS = 5_000;

export const openS3 = async (config: S3Config, context: ConnectorContext): Promise<Connector> => {
  const sdk = await import("@aws-sdk/client-s3");
  const client = await createS3Client(config);
  const { bucket: Bucket, prefix } = config;
  const { signal } = context;
  const host = { client, sdk, config, context };

  const listKeys = (under: string, most: number): Promise<readonly ListedObject[]> =>
    listObjects({ client, sdk, bucket: Bucket, context }, under, most);

  const store: ObjectStore = {
    nameOf: (stream) => `s3://${Bucket}/${prefix}${stream}`,

    async list(pattern) {
      const full = `${prefix}${pattern}`;
      const literal = full.slice(0, full.search(/[*?[{]|$/));
      const matched = (await listKeys(literal, Number.POSITIVE_INFINITY)).filter(
        ({ key }) => key === full || (path.posix.matchesGlob(key, full) && !isBookkeeping(key)),
      );
      return matched.toSorted((left, right) => (left.key < right.key ? -1 : 1));
    },

    async fetch(object, wanted) {
      const file = path.join(
        context.tempDir,
        `${Buffer.from(object.key).toString("base64url").slice(-80)}${Math.random().toString(36).slice(2)}`,
      );
      await s3Call(`get ${Bucket}/${object.key}`, "source", context, async () => {
        const answer = await client.send(new sdk.GetObjectCommand({ Bucket, Key: object.key, IfMatch: `"${object.tag}"` }), {
          abortSignal: wanted,
        });
        const body = answer.Body as Readable;
        body.on("data", context.progress);
        await pipeline(body, createWriteStream(file), { signal: wanted });
      }).catch((error: unknown) => {
        if (error instanceof DownbeatError && error.code === "SOURCE_STREAM_NOT_FOUND") {
          throw new DownbeatError("SOURCE_CHANGED", `${object.key} was deleted while it was being read`, { cause: error });
        }
        throw error;
      });
      return { path: file, [Symbol.asyncDispose]: () => rm(file, { force: true }) };
    },

    async patterns() {
      const byPattern = new Map<string, ListedObject>();
      for (const object of await listKeys(prefix, DISCOVERY_KEYS)) {
        if (isBookkeeping(object.key)) continue;
        const pattern = object.key.slice(prefix.length).replace(/[^/]*?((\.[A-Za-z]+\d?)+)$/, "*$1");
        if (!byPattern.has(pattern) && byPattern.size < MAX_PATTERNS) byPattern.set(pattern, object);
      }
      return [...byPattern].map(([pattern, example]) => ({ pattern, example }));
    },
  };

  return {
    async check() {
      await s3Call(`bucket ${Bucket}`, "source", context, () =>
        client.send(new sdk.ListObjectsV2Command({ Bucket, MaxKeys: 1 }), { abortSignal: signal }),
      );
    },
    source: createObjectSource(store, context),
    destination: {
      describeTarget: (target) => describeS3Target(new S3Objects(host), prefix, target),
      openLoad: (target) => openS3Load(new S3Objects(host), prefix, target),
    },
    files: new S3Files(host),
    async [Symbol.asyncDispose]() {
      client.destroy();
    },
  };
};

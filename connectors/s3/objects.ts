// Objects under one bucket as a destination needs them: read, write, write on condition, list, remove.

import type * as Sdk from "@aws-sdk/client-s3";
import type { ConnectorContext } from "../connector.ts";
import { isMissing, s3Call, type S3Host } from "./client.ts";
import { type Encryption, encryptionOf } from "./encryption.ts";

export interface TaggedText {
  readonly text: string;
  readonly tag: string | undefined;
}

export class S3Objects {
  readonly #client: Sdk.S3Client;
  readonly #sdk: typeof Sdk;
  readonly #bucket: string;
  readonly #encryption: Encryption;
  readonly #context: ConnectorContext;

  constructor({ client, sdk, config, context }: S3Host) {
    this.#client = client;
    this.#sdk = sdk;
    this.#bucket = config.bucket;
    this.#encryption = encryptionOf(config);
    this.#context = context;
  }

  /** Undefined: there is no such object. */
  read(key: string): Promise<TaggedText | undefined> {
    return this.#call(`get ${key}`, async (abortSignal) => {
      try {
        const answer = await this.#client.send(new this.#sdk.GetObjectCommand({ Bucket: this.#bucket, Key: key }), { abortSignal });
        return { text: (await answer.Body?.transformToString()) ?? "", tag: answer.ETag };
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    });
  }

  async put(key: string, body: Uint8Array): Promise<void> {
    await this.#call(`put ${key}`, (abortSignal) =>
      this.#client.send(new this.#sdk.PutObjectCommand({ Bucket: this.#bucket, Key: key, Body: body, ...this.#encryption }), {
        abortSignal,
      }),
    );
  }

  /** Throws LOAD_FENCED unless the object still has this tag; undefined: unless there is none. Gives the new tag. */
  async replace(key: string, text: string, tag: string | undefined): Promise<string | undefined> {
    const answer = await this.#call(`put ${key}`, (abortSignal) =>
      this.#client.send(
        new this.#sdk.PutObjectCommand({
          Bucket: this.#bucket,
          Key: key,
          Body: text,
          ContentType: "application/json",
          ...this.#encryption,
          ...(tag === undefined ? { IfNoneMatch: "*" } : { IfMatch: tag }),
        }),
        { abortSignal },
      ),
    );
    return answer.ETag;
  }

  async list(prefix: string): Promise<readonly string[]> {
    const keys: string[] = [];
    let token: string | undefined;
    do {
      const page = await this.#call(`list ${prefix}`, (abortSignal) =>
        this.#client.send(
          new this.#sdk.ListObjectsV2Command({
            Bucket: this.#bucket,
            Prefix: prefix,
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
          { abortSignal },
        ),
      );
      keys.push(...(page.Contents ?? []).flatMap(({ Key }) => Key ?? []));
      token = page.NextContinuationToken;
    } while (token !== undefined);
    return keys;
  }

  async remove(key: string): Promise<void> {
    await this.#call(`delete ${key}`, (abortSignal) =>
      this.#client.send(new this.#sdk.DeleteObjectCommand({ Bucket: this.#bucket, Key: key }), { abortSignal }),
    );
  }

  async #call<Value>(what: string, call: (signal: AbortSignal) => Promise<Value>): Promise<Value> {
    const value = await s3Call(what, "destination", this.#context, () => call(this.#context.signal));
    this.#context.progress();
    return value;
  }
}

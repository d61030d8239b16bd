// Objects of a bucket as files: found, read, written in parts, removed, and copied by the server where it can.

import path from "node:path";
import type { Readable } from "node:stream";
import type * as Sdk from "@aws-sdk/client-s3";
import { DownbeatError } from "../../core/errors.ts";
import type { FileFacts, FileStore, WriteOptions } from "../file-store.ts";
import { byPath, checkFilePath, literalOfGlob } from "../lib/file-paths.ts";
import { isMissing, s3Call, s3Failure, type S3Host, type S3Side } from "./client.ts";
import { encryptionOf } from "./encryption.ts";
import { isBookkeeping, listObjects } from "./list.ts";
import { S3Upload } from "./upload.ts";

/** Where the key of a writing stands in an object's metadata. */
const KEY_NAME = "downbeat-key";

export class S3Files implements FileStore {
  readonly #host: S3Host;

  constructor(host: S3Host) {
    this.#host = host;
  }

  async find(name: string): Promise<FileFacts | undefined> {
    checkFilePath(name);
    const head = await this.#head(this.#keyOf(name));
    if (head === undefined) return undefined;
    const { ContentLength: size = 0, ETag: tag = "", Metadata = {} } = head;
    return this.#facts(name, { size, tag: tag.replaceAll('"', ""), key: Metadata[KEY_NAME] ?? "" });
  }

  /** Names no bookkeeping of loads: without its manifest a table would be lost. */
  async list(glob: string): Promise<readonly FileFacts[]> {
    checkFilePath(glob);
    const { client, sdk, config, context } = this.#host;
    const under = this.#keyOf(literalOfGlob(glob));
    const listed = await listObjects({ client, sdk, bucket: config.bucket, context }, under, Number.POSITIVE_INFINITY);
    return listed
      .filter(({ key }) => path.posix.matchesGlob(key.slice(config.prefix.length), glob) && !isBookkeeping(key))
      .map(({ key, size, tag }) => this.#facts(key.slice(config.prefix.length), { size, tag, key: "" }))
      .toSorted(byPath);
  }

  async *read(file: FileFacts): AsyncGenerator<Uint8Array> {
    const { client, sdk, config, context } = this.#host;
    const what = `get ${file.path}`;
    try {
      const command = new sdk.GetObjectCommand({ Bucket: config.bucket, Key: this.#keyOf(file.path), IfMatch: `"${file.tag}"` });
      const { Body } = await client.send(command, { abortSignal: context.signal });
      for await (const chunk of Body as Readable as AsyncIterable<Uint8Array>) {
        context.progress();
        yield chunk;
      }
    } catch (error) {
      if (isMissing(error)) throw changed(file, error);
      throw s3Failure(what, "source", context, error);
    }
  }

  async write(
    name: string,
    content: AsyncIterable<Uint8Array>,
    { replace, key, size }: WriteOptions & { readonly size: number },
  ): Promise<void> {
    checkFilePath(name);
    const upload = this.#upload(name, replace, { Metadata: { [KEY_NAME]: key } });
    await this.#refusingOthers(name, replace, () => upload.fromContent(content, size));
  }

  async remove(file: FileFacts): Promise<void> {
    // Not every server knows deletes on condition.
    const found = await this.find(file.path);
    if (found === undefined) return;
    if (found.tag !== file.tag) throw changed(file);
    await this.#call(`delete ${file.path}`, "destination", ({ client, sdk, config, context }) =>
      client.send(new sdk.DeleteObjectCommand({ Bucket: config.bucket, Key: this.#keyOf(file.path) }), { abortSignal: context.signal }),
    );
  }

  /** Within one service and with the same credentials the server copies. */
  async takeOver(from: FileStore, file: FileFacts, name: string, { replace, key }: WriteOptions): Promise<"copied" | undefined> {
    if (!(from instanceof S3Files) || from.#service !== this.#service) return undefined;
    checkFilePath(name);
    const { ContentType, CacheControl, ContentDisposition, ContentEncoding, ContentLanguage, Metadata } = await from.#unchanged(file);
    const kept = { ContentType, CacheControl, ContentDisposition, ContentEncoding, ContentLanguage };
    const properties = Object.fromEntries(Object.entries(kept).filter(([, value]) => value !== undefined));
    const upload = this.#upload(name, replace, { ...properties, Metadata: { ...Metadata, [KEY_NAME]: key } });
    const source = { bucket: from.#host.config.bucket, key: from.#keyOf(file.path), tag: file.tag, size: file.size };
    await this.#refusingOthers(name, replace, () =>
      upload.fromObject(source).catch(async (error: unknown) => {
        await from.#unchanged(file);
        throw error;
      }),
    );
    return "copied";
  }

  async #unchanged(file: FileFacts): Promise<Sdk.HeadObjectCommandOutput> {
    const head = await this.#head(this.#keyOf(file.path));
    if (head === undefined || head.ETag?.replaceAll('"', "") !== file.tag) throw changed(file);
    return head;
  }

  #keyOf(name: string): string {
    return `${this.#host.config.prefix}${name}`;
  }

  /** The same text: the same server, asked by the same user. */
  get #service(): string {
    const { endpoint = "", region, access_key_id: user = "" } = this.#host.config;
    return JSON.stringify([endpoint, region, user]);
  }

  #facts(name: string, facts: Pick<FileFacts, "size" | "tag" | "key">): FileFacts {
    const { endpoint = "", bucket } = this.#host.config;
    return { ...facts, path: name, uri: `s3://${endpoint.replace(/\/+$/, "")}/${bucket}/${this.#keyOf(name)}` };
  }

  #upload(name: string, replace: boolean, properties: ConstructorParameters<typeof S3Upload>[1]): S3Upload {
    const { client, sdk, config, context } = this.#host;
    const target = { Bucket: config.bucket, Key: this.#keyOf(name) };
    return new S3Upload({ client, sdk, context, target, onlyNew: !replace }, { ...properties, ...encryptionOf(config) });
  }

  #head(key: string): Promise<Sdk.HeadObjectCommandOutput | undefined> {
    return this.#call(`head ${key}`, "source", async ({ client, sdk, config, context }) => {
      try {
        return await client.send(new sdk.HeadObjectCommand({ Bucket: config.bucket, Key: key }), { abortSignal: context.signal });
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    });
  }

  /** Looks first: not every server knows every write on condition. */
  async #refusingOthers(name: string, replace: boolean, write: () => Promise<void>): Promise<void> {
    const refused = (cause?: unknown): DownbeatError => new DownbeatError("FILE_EXISTS", `"${name}" is there already`, { cause });
    if (!replace && (await this.find(name)) !== undefined) throw refused();
    try {
      await write();
    } catch (error) {
      if (!replace && error instanceof DownbeatError && error.code === "LOAD_FENCED") throw refused(error);
      throw error;
    }
  }

  async #call<Value>(what: string, side: S3Side, call: (host: S3Host) => Promise<Value>): Promise<Value> {
    const value = await s3Call(what, side, this.#host.context, () => call(this.#host));
    this.#host.context.progress();
    return value;
  }
}

const changed = ({ path: name }: FileFacts, cause?: unknown): DownbeatError =>
  new DownbeatError("SOURCE_CHANGED", `${name} has changed since it was found`, { cause });

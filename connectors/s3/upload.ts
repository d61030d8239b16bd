// Writes one object of any size: at once when it is small, in parts when it is not, out of bytes or out of another object.

import type * as Sdk from "@aws-sdk/client-s3";
import type { ConnectorContext } from "../connector.ts";
import { s3Call } from "./client.ts";
import type { Encryption } from "./encryption.ts";

interface UploadHost {
  readonly client: Sdk.S3Client;
  readonly sdk: typeof Sdk;
  readonly context: ConnectorContext;
  readonly target: { readonly Bucket: string; readonly Key: string };
  /** Fails when there is such an object: LOAD_FENCED. */
  readonly onlyNew: boolean;
}

interface SourceObject {
  readonly bucket: string;
  readonly key: string;
  readonly tag: string;
  readonly size: number;
}

type Properties = Encryption &
  Pick<
    Sdk.PutObjectCommandInput,
    "ContentType" | "CacheControl" | "ContentDisposition" | "ContentEncoding" | "ContentLanguage" | "Metadata"
  >;

interface UploadLimits {
  /** Of this a few are in memory at a time: one is filled while another is on its way. */
  readonly partBytes: number;
  /** Up to this the server copies at once. */
  readonly copyBytes: number;
  readonly copyPartBytes: number;
}

/** S3 takes 10,000 parts. */
const MOST_PARTS = 9_000;
const LIMITS: UploadLimits = { partBytes: 8 * 1024 * 1024, copyBytes: 5 * 1024 ** 3, copyPartBytes: 1024 ** 3 };

type Parts = Sdk.CompletedPart[];

export class S3Upload {
  readonly #host: UploadHost;
  readonly #properties: Properties;
  readonly #limits: UploadLimits;

  constructor(host: UploadHost, properties: Properties, limits = LIMITS) {
    this.#host = host;
    this.#properties = properties;
    this.#limits = limits;
  }

  /** The parts' size follows from the size; the content is taken as it comes. */
  async fromContent(content: AsyncIterable<Uint8Array>, size: number): Promise<void> {
    const bytes = Math.max(this.#limits.partBytes, Math.ceil(size / MOST_PARTS));
    const pieces = inPieces(content, bytes)[Symbol.asyncIterator]();
    const first = await pieces.next();
    const second = first.done === true ? first : await pieces.next();
    if (second.done === true) return this.#put(first.value ?? Buffer.alloc(0));
    await this.#inParts(async (uploadId, parts) => {
      let piece: IteratorResult<Buffer> = first;
      for (let number = 1; piece.done !== true; number += 1) {
        const reading = number === 1 ? Promise.resolve(second) : pieces.next();
        // Both end before a failure does: an upload is not aborted while a part of it is on its way.
        const [sent, read] = await Promise.allSettled([this.#part(uploadId, number, piece.value, parts), reading]);
        if (sent.status === "rejected") throw sent.reason;
        if (read.status === "rejected") throw read.reason;
        piece = read.value;
      }
    });
  }

  /** The server copies, the object as it was when it was found. */
  async fromObject({ bucket, key, tag, size }: SourceObject): Promise<void> {
    const CopySource = `${bucket}/${key.split("/").map(encodeURIComponent).join("/")}`;
    const source = { CopySource, CopySourceIfMatch: `"${tag}"` };
    const { sdk } = this.#host;
    const { copyBytes, copyPartBytes } = this.#limits;
    if (size <= copyBytes) {
      const input = { ...this.#host.target, ...source, ...this.#properties, MetadataDirective: "REPLACE", ...this.#condition } as const;
      await this.#send("copy to", (client, options) => client.send(new sdk.CopyObjectCommand(input), options));
      return;
    }
    await this.#inParts(async (UploadId, parts) => {
      for (let from = 0; from < size; from += copyPartBytes) {
        const PartNumber = parts.length + 1;
        const CopySourceRange = `bytes=${from}-${Math.min(from + copyPartBytes, size) - 1}`;
        const input = { ...this.#host.target, ...source, UploadId, PartNumber, CopySourceRange };
        const { CopyPartResult } = await this.#send("copy a part to", (client, options) =>
          client.send(new sdk.UploadPartCopyCommand(input), options),
        );
        parts.push({ PartNumber, ETag: CopyPartResult?.ETag });
      }
    });
  }

  get #condition(): { readonly IfNoneMatch?: string } {
    return this.#host.onlyNew ? { IfNoneMatch: "*" } : {};
  }

  async #put(Body: Uint8Array): Promise<void> {
    const input = { ...this.#host.target, ...this.#properties, ...this.#condition, Body };
    await this.#send("put", (client, options) => client.send(new this.#host.sdk.PutObjectCommand(input), options));
  }

  async #part(UploadId: string, PartNumber: number, Body: Uint8Array, parts: Parts): Promise<void> {
    const input = { ...this.#host.target, UploadId, PartNumber, Body };
    const { ETag } = await this.#send("put a part of", (client, options) =>
      client.send(new this.#host.sdk.UploadPartCommand(input), options),
    );
    parts.push({ PartNumber, ETag });
  }

  async #inParts(fill: (uploadId: string, parts: Parts) => Promise<void>): Promise<void> {
    const { client, sdk, target } = this.#host;
    const create = new sdk.CreateMultipartUploadCommand({ ...target, ...this.#properties });
    const { UploadId = "" } = await this.#send("begin", (_, options) => client.send(create, options));
    try {
      const Parts: Parts = [];
      await fill(UploadId, Parts);
      const complete = new sdk.CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts }, ...this.#condition });
      await this.#send("complete", (_, options) => client.send(complete, options));
    } catch (error) {
      // What cannot be aborted any more the bucket's own rules clean up.
      await client
        .send(new sdk.AbortMultipartUploadCommand({ ...target, UploadId }), { abortSignal: AbortSignal.timeout(5_000) })
        .catch(() => undefined);
      throw error;
    }
  }

  async #send<Value>(
    verb: string,
    call: (client: Sdk.S3Client, options: { readonly abortSignal: AbortSignal }) => Promise<Value>,
  ): Promise<Value> {
    const { client, context, target } = this.#host;
    const value = await s3Call(`${verb} ${target.Bucket}/${target.Key}`, "destination", context, () =>
      call(client, { abortSignal: context.signal }),
    );
    context.progress();
    return value;
  }
}

/** The content in pieces of one size, the last one smaller. */
async function* inPieces(content: AsyncIterable<Uint8Array>, bytes: number): AsyncGenerator<Buffer, undefined> {
  let waiting: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of content) {
    waiting.push(chunk);
    length += chunk.length;
    if (length < bytes) continue;
    let whole = Buffer.concat(waiting);
    for (; whole.length >= bytes; whole = whole.subarray(bytes)) yield whole.subarray(0, bytes);
    waiting = [whole];
    length = whole.length;
  }
  if (length > 0) yield Buffer.concat(waiting);
  return undefined;
}

// A load into S3: files with names that never change between attempts, and a manifest, written last and on condition, that says which of them count.

import { createHash } from "node:crypto";
import type * as Sdk from "@aws-sdk/client-s3";
import { DownbeatError } from "../../core/errors.ts";
import type { Json } from "../../core/json.ts";
import type { Batch } from "../batch.ts";
import type { ConnectorContext, Load, LoadTarget, ResumePoint } from "../connector.ts";
import { encodeFile } from "../lib/formats/write-file.ts";
import { isMissing, s3Call } from "./client.ts";
import { s3TargetOptions, type S3Config } from "./spec.ts";

/** What readers go by: only these files count. */
interface Manifest {
  readonly key: string;
  readonly origin: string;
  readonly seq: number;
  readonly position: Json;
  readonly bounds: Json;
  readonly begun: boolean;
  readonly chunks: number;
  readonly rows: number;
  readonly bytes: number;
  readonly dead_letters: number;
  readonly done: boolean;
  readonly files: readonly string[];
  /** Replace: files of the load that is under way; they become `files` at its end. */
  readonly staged: readonly string[];
  readonly items: readonly string[];
}

const digest = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 16);

export const openS3Load = async (
  client: Sdk.S3Client,
  sdk: typeof Sdk,
  config: S3Config,
  context: ConnectorContext,
  target: LoadTarget,
): Promise<Load> => {
  const load = new S3Load(client, sdk, config, context, target);
  await load.open();
  return load;
};

class S3Load implements Load {
  readonly #client: Sdk.S3Client;
  readonly #sdk: typeof Sdk;
  readonly #config: S3Config;
  readonly #context: ConnectorContext;
  readonly #target: LoadTarget;
  readonly #folder: string;
  readonly #manifestKey: string;
  #manifest: Manifest | undefined;
  #etag: string | undefined;
  #pending: Batch[] = [];
  #resume: ResumePoint | undefined;

  constructor(client: Sdk.S3Client, sdk: typeof Sdk, config: S3Config, context: ConnectorContext, target: LoadTarget) {
    this.#client = client;
    this.#sdk = sdk;
    this.#config = config;
    this.#context = context;
    this.#target = target;
    this.#folder = `${config.prefix}${target.table.replace(/\/+$/, "")}/`;
    this.#manifestKey = `${this.#folder}_downbeat/${digest(target.key)}.json`;
  }

  get resume(): ResumePoint {
    if (this.#resume === undefined) throw new Error("the load is not open yet");
    return this.#resume;
  }

  async open(): Promise<void> {
    await s3Call(`get ${this.#manifestKey}`, "destination", this.#context, async () => {
      try {
        const answer = await this.#client.send(new this.#sdk.GetObjectCommand({ Bucket: this.#config.bucket, Key: this.#manifestKey }), {
          abortSignal: this.#context.signal,
        });
        this.#manifest = JSON.parse((await answer.Body?.transformToString()) ?? "null") as Manifest;
        this.#etag = answer.ETag;
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    });
    const own = this.#manifest?.origin === this.#target.origin ? this.#manifest : undefined;
    this.#resume = {
      done: own?.done ?? false,
      newRun: (own?.chunks ?? 0) === 0,
      position: own !== undefined || this.#target.incremental ? (this.#manifest?.position ?? null) : null,
      bounds: own?.begun === true ? own.bounds : undefined,
      rows: own?.rows ?? 0,
      bytes: own?.bytes ?? 0,
      deadLetters: own?.dead_letters ?? 0,
    };
  }

  async begin(bounds: Json): Promise<void> {
    const before = this.#manifest;
    await this.#save({
      key: this.#target.key,
      origin: this.#target.origin,
      seq: (before?.seq ?? 0) + 1,
      position: this.resume.position,
      bounds,
      begun: true,
      chunks: 0,
      rows: 0,
      bytes: 0,
      dead_letters: 0,
      done: false,
      files: before?.files ?? [],
      staged: [],
      items: before?.items ?? [],
    });
  }

  write(batch: Batch): Promise<void> {
    this.#pending.push(batch);
    return Promise.resolve();
  }

  async commit(position: Json): Promise<void> {
    const manifest = this.#opened();
    const { failpoint, mode, origin } = this.#target;
    const batches = this.#pending;
    this.#pending = [];
    await failpoint("before-commit");
    // The name depends on where the chunk began, not on the attempt: a repetition writes the same object again.
    const name = `${origin}-${digest(JSON.stringify([manifest.seq, manifest.position]))}`;
    const added: string[] = [];
    let rows = 0;
    let bytes = 0;
    const { format } = s3TargetOptions.parse(this.#target.options);
    for (const [index, batch] of batches.filter(({ rows: count }) => count > 0).entries()) {
      const key = `${this.#folder}${name}-${index}.${format}`;
      await this.#put(key, await encodeFile(format, batch));
      added.push(key);
      rows += batch.rows;
      bytes += batch.bytes;
    }
    const rejects = batches.flatMap((batch) => batch.rejects ?? []);
    if (rejects.length > 0) {
      await this.#put(
        `${this.#folder}_downbeat/dead-letters/${name}.jsonl`,
        Buffer.from(rejects.map((reject) => `${JSON.stringify(reject)}\n`).join("")),
      );
    }
    await failpoint("between-rows-and-cursor");
    await failpoint("within-commit");
    await this.#save({
      ...manifest,
      seq: manifest.seq + 1,
      position,
      chunks: manifest.chunks + 1,
      rows: manifest.rows + rows,
      bytes: manifest.bytes + bytes,
      dead_letters: manifest.dead_letters + rejects.length,
      items: [...manifest.items, ...batches.flatMap((batch) => batch.items ?? [])],
      ...(mode === "replace" ? { staged: [...manifest.staged, ...added] } : { files: [...manifest.files, ...added] }),
    });
    await failpoint("after-commit");
  }

  async finish(): Promise<void> {
    const manifest = this.#opened();
    const isReplace = this.#target.mode === "replace";
    if (isReplace) await this.#target.failpoint("between-staging-and-swap");
    const next: Manifest = { ...manifest, seq: manifest.seq + 1, done: true, ...(isReplace ? { files: manifest.staged, staged: [] } : {}) };
    await this.#save(next);
    if (isReplace) await this.#remove(manifest.files.filter((file) => !next.files.includes(file)));
  }

  seen(items: readonly string[]): Promise<ReadonlySet<string>> {
    const known = new Set(this.#manifest?.items);
    return Promise.resolve(new Set(items.filter((item) => known.has(item))));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#pending = [];
    return Promise.resolve();
  }

  #opened(): Manifest {
    if (this.#manifest === undefined) throw new Error("the load has not begun");
    return this.#manifest;
  }

  async #put(Key: string, Body: Uint8Array): Promise<void> {
    await s3Call(`put ${Key}`, "destination", this.#context, () =>
      this.#client.send(new this.#sdk.PutObjectCommand({ Bucket: this.#config.bucket, Key, Body }), { abortSignal: this.#context.signal }),
    );
    this.#context.progress();
  }

  /** On condition that nobody wrote it since: a zombie loses here. */
  async #save(manifest: Manifest): Promise<void> {
    const condition = this.#etag === undefined ? { IfNoneMatch: "*" } : { IfMatch: this.#etag };
    try {
      const answer = await s3Call(`put ${this.#manifestKey}`, "destination", this.#context, () =>
        this.#client.send(
          new this.#sdk.PutObjectCommand({
            Bucket: this.#config.bucket,
            Key: this.#manifestKey,
            Body: JSON.stringify(manifest),
            ContentType: "application/json",
            ...condition,
          }),
          { abortSignal: this.#context.signal },
        ),
      );
      this.#manifest = manifest;
      this.#etag = answer.ETag;
    } catch (error) {
      if (!(error instanceof DownbeatError) || error.code !== "LOAD_FENCED") throw error;
      throw new DownbeatError("LOAD_FENCED", `another attempt of the load "${this.#target.key}" has moved it on; this one stops`, {
        cause: error,
      });
    }
  }

  async #remove(keys: readonly string[]): Promise<void> {
    for (const Key of keys) {
      await s3Call(`delete ${Key}`, "destination", this.#context, () =>
        this.#client.send(new this.#sdk.DeleteObjectCommand({ Bucket: this.#config.bucket, Key }), { abortSignal: this.#context.signal }),
      );
    }
  }
}

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

/** One run's load as far as it has come. */
interface LoadState {
  readonly position: Json;
  readonly bounds: Json;
  readonly chunks: number;
  readonly rows: number;
  readonly bytes: number;
  readonly dead_letters: number;
  /** A chunk without a position was committed: the stream has been read to its end. */
  readonly whole: boolean;
  readonly done: boolean;
  /** Replace: files of the load that is under way; they become the manifest's `files` at its end. */
  readonly staged: readonly string[];
}

/** What readers go by: only these files count. */
interface Manifest {
  readonly key: string;
  readonly files: readonly string[];
  /** Where an incremental load goes on in the next run. */
  readonly cursor: Json;
  readonly items: readonly string[];
  /** By origin, oldest first: an earlier run that is tried again must find what it did. */
  readonly loads: Readonly<Record<string, LoadState>>;
}

/** Runs whose loads are remembered. */
const REMEMBERED_LOADS = 50;

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
  #state: LoadState | undefined;
  #etag: string | undefined;
  #pending: Batch[] = [];
  #resume: ResumePoint | undefined;

  constructor(client: Sdk.S3Client, sdk: typeof Sdk, config: S3Config, context: ConnectorContext, target: LoadTarget) {
    this.#client = client;
    this.#sdk = sdk;
    this.#config = config;
    this.#context = context;
    this.#target = target;
    if (/^\.{0,2}$|^\/|\0/.test(target.table)) {
      throw new DownbeatError(
        "DESTINATION_TABLE_INVALID",
        `"${target.table}" is no folder under the bucket; write a path such as "published/revenue"`,
      );
    }
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
    const own = this.#manifest?.loads[this.#target.origin];
    if (own?.whole === true && !own.done) {
      this.#state = own;
      await this.finish();
    } else this.#state = own;
    const cursor = this.#target.incremental ? (this.#manifest?.cursor ?? null) : null;
    this.#resume = {
      done: this.#state?.done ?? false,
      newRun: (own?.chunks ?? 0) === 0,
      position: own === undefined ? cursor : own.position,
      bounds: own?.bounds,
      rows: own?.rows ?? 0,
      bytes: own?.bytes ?? 0,
      deadLetters: own?.dead_letters ?? 0,
    };
  }

  async begin(bounds: Json): Promise<void> {
    await this.#save(
      { position: this.resume.position, bounds, chunks: 0, rows: 0, bytes: 0, dead_letters: 0, whole: false, done: false, staged: [] },
      {},
    );
  }

  write(batch: Batch): Promise<void> {
    this.#pending.push(batch);
    return Promise.resolve();
  }

  async commit(position: Json): Promise<void> {
    const state = this.#begun();
    const { failpoint, mode, origin, incremental } = this.#target;
    const batches = this.#pending;
    this.#pending = [];
    await failpoint("before-commit");
    // The name depends on where the chunk began, not on the attempt: a repetition writes the same object again.
    const name = `${digest(this.#target.key)}-${origin}-${digest(JSON.stringify([state.chunks, state.position]))}`;
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
    const isReplace = mode === "replace";
    const whole = position === null;
    await this.#save(
      {
        ...state,
        position,
        chunks: state.chunks + 1,
        rows: state.rows + rows,
        bytes: state.bytes + bytes,
        dead_letters: state.dead_letters + rejects.length,
        whole,
        // A stream without positions has been read to its end; appended, nothing is left to do.
        done: whole && !isReplace,
        staged: isReplace ? [...state.staged, ...added] : [],
      },
      {
        items: [...(this.#manifest?.items ?? []), ...batches.flatMap((batch) => batch.items ?? [])],
        ...(isReplace ? {} : { files: [...(this.#manifest?.files ?? []), ...added] }),
        ...(incremental && !whole ? { cursor: position } : {}),
      },
    );
    await failpoint("after-commit");
  }

  async finish(): Promise<void> {
    const state = this.#begun();
    if (state.done) return;
    const isReplace = this.#target.mode === "replace";
    if (isReplace) await this.#target.failpoint("between-staging-and-swap");
    const before = this.#manifest?.files ?? [];
    await this.#save({ ...state, done: true, staged: [] }, isReplace ? { files: state.staged } : {});
    if (isReplace) await this.#remove(before.filter((file) => !state.staged.includes(file)));
  }

  seen(items: readonly string[]): Promise<ReadonlySet<string>> {
    const known = new Set(this.#manifest?.items);
    return Promise.resolve(new Set(items.filter((item) => known.has(item))));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#pending = [];
    return Promise.resolve();
  }

  #begun(): LoadState {
    if (this.#state === undefined) throw new Error("the load has not begun");
    return this.#state;
  }

  async #put(Key: string, Body: Uint8Array): Promise<void> {
    await s3Call(`put ${Key}`, "destination", this.#context, () =>
      this.#client.send(new this.#sdk.PutObjectCommand({ Bucket: this.#config.bucket, Key, Body }), { abortSignal: this.#context.signal }),
    );
    this.#context.progress();
  }

  /** On condition that nobody wrote it since: a zombie loses here. */
  async #save(state: LoadState, change: Partial<Omit<Manifest, "key" | "loads">>): Promise<void> {
    const { key, origin } = this.#target;
    const { [origin]: _, ...others } = this.#manifest?.loads ?? {};
    const loads = Object.fromEntries([...Object.entries(others), [origin, state] as const].slice(-REMEMBERED_LOADS));
    const manifest: Manifest = { key, files: [], cursor: null, items: [], ...this.#manifest, ...change, loads };
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
      this.#state = state;
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

// A load into S3: files that nobody knows yet, and a manifest, written last and on condition, that says which of them count.

import { randomUUID } from "node:crypto";
import { DownbeatError } from "../../core/errors.ts";
import type { Json } from "../../core/json.ts";
import type { Batch, Reject } from "../batch.ts";
import type { Load, LoadTarget, ResumePoint } from "../connector.ts";
import { encodeFile, endingOf } from "../lib/formats/write-file.ts";
import { advanced, begunState, resumePoint, withState } from "../lib/load/load-states.ts";
import { isBookkeeping } from "./list.ts";
import { digest, fileNameOf, type FilesState, filesOf, folderOf, type Manifest, manifestKeyOf } from "./manifest.ts";
import type { S3Objects } from "./objects.ts";
import { type Partition, partitionsOf } from "./partitions.ts";
import { type S3TargetOptions, s3TargetOptions } from "./spec.ts";

/** What was written since the last commit; nobody's data until the manifest names it. */
interface OpenChunk {
  readonly files: readonly string[];
  readonly rows: number;
  readonly bytes: number;
  readonly rejects: readonly Reject[];
  readonly items: readonly string[];
  readonly partitions: ReadonlySet<string>;
}

const EMPTY_CHUNK: OpenChunk = { partitions: new Set(), files: [], rows: 0, bytes: 0, rejects: [], items: [] };

/** Each is a file of every batch: more of them would be a bucket of small ones. */
const MOST_PARTITIONS = 1_000;
const PUTS_AT_A_TIME = 8;

export const openS3Load = async (objects: S3Objects, prefix: string, target: LoadTarget): Promise<Load> => {
  const load = new S3Load(objects, prefix, target);
  await load.open();
  return load;
};

class S3Load implements Load {
  readonly #objects: S3Objects;
  readonly #target: LoadTarget;
  readonly #options: S3TargetOptions;
  readonly #folder: string;
  readonly #manifestKey: string;
  #manifest: Manifest | undefined;
  #state: FilesState | undefined;
  #tag: string | undefined;
  readonly #writer = randomUUID();
  #chunk: OpenChunk = EMPTY_CHUNK;
  #resume: ResumePoint | undefined;

  constructor(objects: S3Objects, prefix: string, target: LoadTarget) {
    this.#objects = objects;
    this.#target = target;
    this.#options = s3TargetOptions.parse(target.options);
    this.#folder = folderOf(prefix, target.table);
    this.#manifestKey = manifestKeyOf(this.#folder, target.key);
  }

  get resume(): ResumePoint {
    if (this.#resume === undefined) throw new Error("the load is not open yet");
    return this.#resume;
  }

  async open(): Promise<void> {
    await this.#read();
    const own = this.#manifest?.loads[this.#target.origin];
    if (own?.whole === true && !own.done) {
      this.#state = own;
      await this.finish();
    } else this.#state = own;
    const cursor = this.#target.incremental ? (this.#manifest?.cursor ?? null) : null;
    this.#resume = resumePoint(this.#state, cursor);
  }

  async begin(bounds: Json): Promise<void> {
    await this.#save({ ...begunState(this.resume.position, bounds), staged: [] }, {});
  }

  async write(batch: Batch): Promise<void> {
    const { files, rows, bytes, rejects, items } = this.#chunk;
    const parts = batch.rows === 0 ? [] : partitionsOf(batch, this.#options.partition_by);
    const partitions = new Set([...this.#chunk.partitions, ...parts.map(({ folder }) => folder)]);
    if (partitions.size > MOST_PARTITIONS)
      throw new DownbeatError(
        "DESTINATION_DATA_REFUSED",
        `"${this.#target.table}": a chunk has rows of more than ${MOST_PARTITIONS} partitions by ${this.#options.partition_by.join(", ")}; name columns of fewer values, or read the stream in their order`,
      );
    const added = await this.#putAll(parts, files.length);
    this.#chunk = {
      partitions,
      files: [...files, ...added],
      rows: rows + batch.rows,
      bytes: bytes + (batch.rows > 0 ? batch.bytes : 0),
      rejects: [...rejects, ...(batch.rejects ?? [])],
      items: [...items, ...(batch.items ?? [])],
    };
  }

  /** Gives the keys. A failure is told when nothing is on its way any more. */
  async #putAll(parts: readonly Partition[], number: number): Promise<readonly string[]> {
    const { format, compression } = this.#options;
    const put = async ({ folder, batch }: Partition, place: number): Promise<string> => {
      // No two attempts write the same object: one that lives on after it was given up must not change what its successor committed.
      const name = `${this.#chunkName()}-${this.#writer.slice(0, 8)}-${number + place}`;
      const key = `${this.#folder}${folder}${name}.${endingOf(format, compression)}`;
      await this.#objects.put(key, await encodeFile(format, batch, compression));
      return key;
    };
    const keys: string[] = [];
    for (let from = 0; from < parts.length; from += PUTS_AT_A_TIME) {
      const sent = await Promise.allSettled(parts.slice(from, from + PUTS_AT_A_TIME).map((part, place) => put(part, from + place)));
      for (const one of sent) {
        if (one.status === "rejected") throw one.reason;
        keys.push(one.value);
      }
    }
    return keys;
  }

  /** What the names of all files of this run's load begin with. */
  get #prefix(): string {
    return `${filesOf(this.#target.key)}${this.#target.origin}-`;
  }

  /** Depends on where the chunk began, not on the attempt. */
  #chunkName(): string {
    const { chunks, position } = this.#begun();
    return `${this.#prefix}${digest(JSON.stringify([chunks, position]))}`;
  }

  async commit(position: Json): Promise<void> {
    const state = this.#begun();
    const { failpoint, mode, incremental } = this.#target;
    const { files, rows, bytes, rejects, items } = this.#chunk;
    await failpoint("before-commit");
    if (rejects.length > 0) {
      await this.#objects.put(
        `${this.#folder}_downbeat/dead-letters/${this.#chunkName()}.jsonl`,
        Buffer.from(rejects.map((reject) => `${JSON.stringify(reject)}\n`).join("")),
      );
    }
    await failpoint("between-rows-and-cursor");
    await failpoint("within-commit");
    const isReplace = mode === "replace";
    const whole = position === null;
    await this.#save(
      {
        ...advanced(state, { rows, bytes, deadLetters: rejects.length }, position),
        // A stream without positions has been read to its end; appended, nothing is left to do.
        done: whole && !isReplace,
        staged: isReplace ? [...state.staged, ...files] : [],
      },
      {
        items: [...(this.#manifest?.items ?? []), ...items],
        ...(isReplace ? {} : { files: [...(this.#manifest?.files ?? []), ...files] }),
        ...(incremental && !whole ? { cursor: position } : {}),
      },
    );
    this.#chunk = EMPTY_CHUNK;
    await failpoint("after-commit");
  }

  async finish(): Promise<void> {
    const state = this.#begun();
    if (state.done) return;
    const isReplace = this.#target.mode === "replace";
    if (isReplace) await this.#target.failpoint("between-staging-and-swap");
    const before = this.#manifest?.files ?? [];
    await this.#save({ ...state, done: true, staged: [] }, isReplace ? { files: state.staged } : {});
    const counting = new Set(this.#manifest?.files);
    const replaced = isReplace ? before : [];
    const leftBehind = await this.#ownFiles();
    for (const file of new Set([...replaced, ...leftBehind])) if (!counting.has(file)) await this.#objects.remove(file);
  }

  /** Of this run's load, whether they count or not. */
  async #ownFiles(): Promise<readonly string[]> {
    if (this.#options.partition_by.length === 0) return this.#objects.list(`${this.#folder}${this.#prefix}`);
    const all = await this.#objects.list(this.#folder);
    return all.filter((key) => !isBookkeeping(key) && fileNameOf(key).startsWith(this.#prefix));
  }

  seen(items: readonly string[]): Promise<ReadonlySet<string>> {
    const known = new Set(this.#manifest?.items);
    return Promise.resolve(new Set(items.filter((item) => known.has(item))));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#chunk = EMPTY_CHUNK;
    return Promise.resolve();
  }

  #begun(): FilesState {
    if (this.#state === undefined) throw new Error("the load has not begun");
    return this.#state;
  }

  async #read(): Promise<void> {
    const found = await this.#objects.read(this.#manifestKey);
    if (found === undefined) return;
    this.#manifest = JSON.parse(found.text) as Manifest;
    this.#tag = found.tag;
  }

  /** On condition that nobody wrote it since: a zombie loses here. */
  async #save(state: FilesState, change: Partial<Pick<Manifest, "files" | "items" | "cursor">>): Promise<void> {
    const { key, origin } = this.#target;
    const loads = withState(this.#manifest?.loads ?? {}, origin, state);
    const seq = (this.#manifest?.seq ?? 0) + 1;
    const manifest: Manifest = { files: [], cursor: null, items: [], ...this.#manifest, ...change, key, writer: this.#writer, seq, loads };
    try {
      this.#tag = await this.#objects.replace(this.#manifestKey, JSON.stringify(manifest), this.#tag);
      this.#manifest = manifest;
      this.#state = state;
    } catch (error) {
      if (!(error instanceof DownbeatError) || error.code !== "LOAD_FENCED") throw error;
      await this.#read();
      if (this.#manifest?.writer === this.#writer && this.#manifest.seq === seq) {
        // It was this attempt's own write, answered too late and made again.
        this.#state = state;
        return;
      }
      throw new DownbeatError("LOAD_FENCED", `another attempt of the load "${this.#target.key}" has moved it on; this one stops`, {
        cause: error,
      });
    }
  }
}

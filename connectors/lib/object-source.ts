// Streams of files or objects: lists them, reads each once, goes on in the middle of one. Shared by file and S3.

import { DownbeatError } from "../../core/errors.ts";
import type { Batch, Column } from "../batch.ts";
import type { Source, StreamInfo, StreamRequest } from "../connector.ts";
import { BatchBuilder } from "./batch-builder.ts";
import { readFile, type Compression, type Format } from "./formats/read-file.ts";

export interface ListedObject {
  readonly key: string;
  /** Changes whenever the content does. */
  readonly tag: string;
}

export interface FetchedFile extends AsyncDisposable {
  readonly path: string;
}

export interface ObjectStore {
  /** Every object that the stream's pattern names, in key order. */
  list(pattern: string): Promise<readonly ListedObject[]>;
  /** A local copy of exactly the listed content; throws SOURCE_CHANGED when there is another by now. */
  fetch(object: ListedObject): Promise<FetchedFile>;
  /** Patterns worth offering in discovery, each with one object as an example. */
  patterns(): Promise<readonly { readonly pattern: string; readonly example: ListedObject }[]>;
}

export interface ObjectOptions {
  readonly new_only: boolean;
  readonly format?: Format;
  readonly compression?: Compression;
  readonly columns?: readonly Column[];
  readonly delimiter: string;
  readonly header: boolean;
}

interface ObjectPosition {
  readonly key: string;
  readonly tag: string;
  /** Rows of this object that are committed; null: all of it. */
  readonly row: number | null;
}

const itemOf = ({ key, tag }: ListedObject): string => `${key}@${tag}`;

const STANDARD: Omit<ObjectOptions, "format" | "compression" | "columns"> = { new_only: false, delimiter: ",", header: true };

/** A small sample tells the columns of a stream in discovery. */
const sampleColumns = async (store: ObjectStore, example: ListedObject, host: SourceHost): Promise<readonly Column[]> => {
  await using file = await store.fetch(example);
  for await (const { batch } of readFile({ ...STANDARD, file: file.path, name: example.key, known: [], skipRows: 0, ...host }))
    return batch.schema.columns;
  return [];
};

export interface SourceHost {
  readonly signal: AbortSignal;
  readonly tempDir: string;
}

export const createObjectSource = (store: ObjectStore, host: SourceHost): Source => ({
  async discover(): Promise<readonly StreamInfo[]> {
    const streams: StreamInfo[] = [];
    for (const { pattern, example } of await store.patterns()) {
      streams.push({ name: pattern, columns: await sampleColumns(store, example, host).catch(() => []) });
    }
    return streams;
  },

  read: (request) => readObjects(store, request, host),
});

async function* readObjects(store: ObjectStore, request: StreamRequest, host: SourceHost): AsyncGenerator<Batch> {
  const options = request.options as unknown as ObjectOptions;
  if (request.query !== undefined) throw new DownbeatError("SOURCE_OPTIONS_INVALID", "files are read by stream, not by query");
  if (request.cursor !== undefined) throw new DownbeatError("CURSOR_INVALID", "files have no cursor column; new_only takes each file once");
  const listed = await store.list(request.stream);
  if (listed.length === 0 && !options.new_only) {
    throw new DownbeatError("SOURCE_STREAM_NOT_FOUND", `nothing matches "${request.stream}"; check the prefix and the pattern`);
  }
  const seen = options.new_only ? await request.seen(listed.map(itemOf)) : new Set<string>();
  // A full read that was interrupted goes on behind its position; a new run of one starts again.
  const position = request.position as ObjectPosition | null;
  const resumed = position !== null && (options.new_only || !request.newRun) ? position : null;
  let known: readonly Column[] = options.columns ?? [];
  let isEmpty = true;
  for (const object of listed) {
    host.signal.throwIfAborted();
    if (seen.has(itemOf(object)) || isBehind(object, resumed, options.new_only)) continue;
    const skipRows = resumed?.key === object.key && resumed.tag === object.tag ? (resumed.row ?? 0) : 0;
    await using file = await store.fetch(object);
    let last: Batch | undefined;
    for await (const { batch, rows } of readFile({ ...options, file: file.path, name: object.key, known, skipRows, ...host })) {
      if (last !== undefined) yield last;
      known = batch.schema.columns;
      last = { ...batch, position: { key: object.key, tag: object.tag, row: rows } };
    }
    if (last !== undefined) {
      isEmpty = false;
      yield {
        ...last,
        position: { key: object.key, tag: object.tag, row: null },
        ...(options.new_only ? { items: [itemOf(object)] } : {}),
      };
    }
  }
  if (isEmpty) yield new BatchBuilder({ columns: known }).take(request.position);
}

/** In key order, everything up to the position is committed. New objects may sort before it, so `new_only` asks the ledger instead. */
const isBehind = (object: ListedObject, position: ObjectPosition | null, newOnly: boolean): boolean => {
  if (position === null || newOnly) return false;
  return object.key < position.key || (object.key === position.key && position.row === null);
};

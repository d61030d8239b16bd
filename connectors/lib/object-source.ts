// Streams of files or objects: lists them, reads each once, goes on in the middle of one. Shared by file and S3.

import { DownbeatError } from "../../core/errors.ts";
import type { Batch, Column, Position } from "../batch.ts";
import type { ConnectorContext, Source, StreamInfo, StreamRequest } from "../connector.ts";
import { BatchBuilder } from "./batch-builder.ts";
import { parseColumnType } from "./column-types.ts";
import type { Compression } from "./formats/compression.ts";
import { readFile, type Format } from "./formats/read-file.ts";
import { rereadFile } from "./formats/reread-file.ts";
import { unpack } from "./formats/unpack.ts";
import { fetchAhead } from "./fetch-ahead.ts";
import { typeName } from "./rows.ts";

export interface ListedObject {
  readonly key: string;
  /** Changes whenever the content does. */
  readonly tag: string;
}

export interface FetchedFile extends AsyncDisposable {
  readonly path: string;
  /** Throws SOURCE_CHANGED when the file is not a copy and has changed while it was read. */
  readonly confirm?: () => Promise<void>;
}

export interface ObjectStore {
  /** A stream with all that stands in front of it, for people. */
  nameOf(stream: string): string;
  /** Every object that the stream's pattern names, in key order. */
  list(pattern: string): Promise<readonly ListedObject[]>;
  /** A local copy of exactly the listed content; throws SOURCE_CHANGED when there is another by now. `signal`: the host's, or nobody wants it any more. */
  fetch(object: ListedObject, signal: AbortSignal): Promise<FetchedFile>;
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
  /** Inferred types so far: what follows may only widen them, also in the next run. */
  readonly columns?: Readonly<Record<string, string>>;
}

const itemOf = ({ key, tag }: ListedObject): string => `${key}@${tag}`;

const STANDARD: Omit<ObjectOptions, "format" | "compression" | "columns"> = { new_only: false, delimiter: ",", header: true };

interface ReadableFile extends AsyncDisposable {
  readonly file: string;
  /** Whether nobody else changes it. */
  readonly isCopy: boolean;
  readonly confirm: FetchedFile["confirm"];
}

/** An object's content, unpacked. */
const fetchPlain = async (
  store: ObjectStore,
  object: ListedObject,
  { compression }: Pick<ObjectOptions, "compression">,
  host: SourceHost,
): Promise<ReadableFile> => {
  await using packed = new AsyncDisposableStack();
  const { path: file, confirm } = packed.use(await store.fetch(object, host.signal));
  const plain = await unpack({ file, name: object.key, compression }, host);
  if (plain !== undefined) return { file: plain.path, isCopy: true, confirm, [Symbol.asyncDispose]: () => plain[Symbol.asyncDispose]() };
  const kept = packed.move();
  return { file, isCopy: confirm === undefined, confirm, [Symbol.asyncDispose]: () => kept.disposeAsync() };
};

/** A small sample tells the columns of a stream in discovery. */
const sampleColumns = async (store: ObjectStore, example: ListedObject, host: SourceHost): Promise<readonly Column[]> => {
  await using fetched = await fetchPlain(store, example, {}, host);
  for await (const { batch } of readFile({ ...STANDARD, file: fetched.file, name: example.key, known: [], skipRows: 0, ...host }))
    return batch.schema.columns;
  return [];
};

export type SourceHost = Pick<ConnectorContext, "signal" | "tempDir" | "batchRows">;

export const createObjectSource = (store: ObjectStore, host: SourceHost): Source => ({
  async discover(): Promise<readonly StreamInfo[]> {
    const streams: StreamInfo[] = [];
    for (const { pattern, example } of await store.patterns()) {
      streams.push({ name: pattern, columns: await sampleColumns(store, example, host).catch(() => []) });
    }
    return streams;
  },

  read: (request) => readObjects(store, request, host),

  reread(letters, { stream, options, known }) {
    const { format, columns } = options as unknown as ObjectOptions;
    return rereadFile(letters, { name: stream, format, declared: columns, known });
  },
});

async function* readObjects(store: ObjectStore, request: StreamRequest, host: SourceHost): AsyncGenerator<Batch> {
  const options = request.options as unknown as ObjectOptions;
  if (request.query !== undefined) throw new DownbeatError("SOURCE_OPTIONS_INVALID", "files are read by stream, not by query");
  if (request.cursor !== undefined) throw new DownbeatError("CURSOR_INVALID", "files have no cursor column; new_only takes each file once");
  const listed = await store.list(request.stream);
  if (listed.length === 0 && !options.new_only) {
    throw new DownbeatError("SOURCE_STREAM_NOT_FOUND", `nothing matches "${store.nameOf(request.stream)}"; check the path and the pattern`);
  }
  const seen = options.new_only ? await request.seen(listed.map(itemOf)) : new Set<string>();
  const position = request.position as ObjectPosition | null;
  // A full read begins anew in every run; what was interrupted goes on behind its position.
  const resumed = position !== null && (options.new_only || !request.newRun) ? position : null;
  const unread = listed.filter((object) => !seen.has(itemOf(object)) && !isBehind(object, resumed, options.new_only));
  const begun = begunObject(unread, resumed, options.new_only);
  let known = options.columns ?? columnsOf(position);
  let isEmpty = true;
  // What is begun comes first: a position further on would forget how far it was read.
  const wanted = begun === undefined ? unread : [begun, ...unread.filter((other) => other !== begun)];
  for await (const [object, fetched] of fetchAhead(wanted, (next, unasked) =>
    fetchPlain(store, next, options, { ...host, signal: AbortSignal.any([host.signal, unasked]) }),
  )) {
    await using file = fetched;
    host.signal.throwIfAborted();
    const at = (row: number | null): Position => {
      const { key, tag } = object;
      return { key, tag, row, ...(options.columns === undefined ? { columns: typesOf(known) } : {}) };
    };
    const skipRows = object === begun ? (resumed?.row ?? 0) : 0;
    let last: Batch | undefined;
    for await (const { batch, rows } of readFile({
      ...options,
      file: file.file,
      name: object.key,
      known,
      skipRows,
      takesParquet: request.takesParquet,
      takesCsv: request.takesCsv,
      isCopy: file.isCopy,
      ...host,
    })) {
      if (last !== undefined) yield last;
      known = batch.schema.columns;
      last = { ...batch, position: at(rows) };
    }
    await file.confirm?.();
    if (last === undefined) continue;
    isEmpty = false;
    yield { ...last, position: at(null), ...(options.new_only ? { items: [itemOf(object)] } : {}) };
  }
  if (isEmpty) yield new BatchBuilder({ columns: known }).take(request.position);
}

/** In key order, everything up to the position is committed. New objects may sort before it, so `new_only` asks the ledger instead. */
const isBehind = (object: ListedObject, position: ObjectPosition | null, newOnly: boolean): boolean => {
  if (position === null || newOnly) return false;
  return object.key < position.key || (object.key === position.key && position.row === null);
};

/** The object of which a part is committed. */
const begunObject = (unread: readonly ListedObject[], position: ObjectPosition | null, newOnly: boolean): ListedObject | undefined => {
  if (position === null || position.row === null) return undefined;
  const begun = unread.find(({ key, tag }) => key === position.key && tag === position.tag);
  // With `new_only` another content is another object.
  if (begun !== undefined || newOnly) return begun;
  throw new DownbeatError(
    "SOURCE_CHANGED",
    `${position.key} changed after a part of it was committed: the load cannot go on; start a new run`,
  );
};

const typesOf = (columns: readonly Column[]): Readonly<Record<string, string>> =>
  Object.fromEntries(columns.map(({ name, type }) => [name, typeName(type)]));

const columnsOf = (position: ObjectPosition | null): readonly Column[] =>
  Object.entries(position?.columns ?? {}).flatMap(([name, text]) => {
    const type = parseColumnType(text);
    return type === undefined ? [] : [{ name, type, nullable: true }];
  });

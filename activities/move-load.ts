// Moves one load from a source to a destination: resume point → fixed bounds → batches → chunks → end, or on to what has come since.

import { setTimeout as pause } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { Batch } from "../connectors/batch.ts";
import type { Load, Source, StreamRequest } from "../connectors/connector.ts";
import { DownbeatError } from "../core/errors.ts";
import type { Json } from "../core/json.ts";
import { DeadLetterGuard, type DeadLetterLimits } from "./dead-letter-limits.ts";

/**
 * A chunk ends at the first resumable place after this many rows (refused ones too), bytes or milliseconds: a natural unit of receipt and of work lost by a crash,
 * which are a few seconds of a quick source. With 200,000 rows copies from MySQL took longer (docs/performance.md).
 */
const CHUNK_ROWS = 500_000;
const CHUNK_BYTES = 128 * 1024 * 1024;
/** For sources that take their time: an API may give a few rows a second for hours. */
const CHUNK_MS = 60_000;

export interface LoadFigures {
  readonly rows: number;
  readonly bytes: number;
  readonly deadLetters: number;
  /** Chunks that this attempt committed. */
  readonly chunks: number;
  /** Where the last committed chunk ends; null for streams without positions. */
  readonly position: Batch["position"];
  /** All that the source had before this moment is in the destination: milliseconds since 1970, where the stream tells it. */
  readonly asOf?: number;
}

/** Of a load that does not end where its source does now: it reads what has come since, again and again. */
export interface Following {
  readonly everyMs: number;
  /** How long this attempt may go on; it leaves the load open at the next resumable place then, and another one goes on. */
  readonly leftMs: () => number;
  /** Whether the load itself ends there. */
  readonly isOver: () => boolean;
  /** Aborts when this attempt is to leave the load to another one, as soon as it can be gone on with. */
  readonly leaves?: AbortSignal | undefined;
}

/** Where a chunk ends. */
type Place = Pick<Batch, "position" | "asOf">;

export interface MoveOptions {
  readonly source: Source;
  readonly load: Load;
  readonly request: Omit<StreamRequest, "newRun" | "position" | "bounds" | "takesParquet" | "takesCsv" | "seen">;
  readonly limits: DeadLetterLimits;
  /** Rows after which a chunk ends at the next resumable place. */
  readonly chunkRows?: number;
  readonly signal: AbortSignal;
  readonly follow?: Following;
  /** Called after each batch, and each commit. */
  readonly progress: (figures: LoadFigures) => void;
}

/** `isOpen`: it goes on in another attempt. */
export type MovedLoad = LoadFigures & { readonly isOpen?: true };

export const moveLoad = async (options: MoveOptions): Promise<MovedLoad> => {
  const { source, load, signal, follow, chunkRows = CHUNK_ROWS } = options;
  const chunkMs = Math.min(CHUNK_MS, follow?.everyMs ?? CHUNK_MS);
  const { resume } = load;
  let figures: LoadFigures = {
    rows: resume.rows,
    bytes: resume.bytes,
    deadLetters: resume.deadLetters,
    chunks: 0,
    position: resume.position,
  };
  if (resume.done) return figures;

  const requestFor = (newRun: boolean) => ({
    ...options.request,
    newRun,
    position: figures.position,
    takesParquet: load.takesParquet === true,
    takesCsv: load.takesCsv === true,
    seen: (items: readonly string[]) => load.seen(items),
  });
  const boundsNow = async (newRun: boolean): Promise<Json> => (await source.bounds?.(requestFor(newRun))) ?? null;

  const emptyChunk = () => ({ rows: 0, bytes: 0, open: false, since: performance.now() });
  let chunk = emptyChunk();
  let last: Place = { position: null };
  const guard = new DeadLetterGuard(options.request.stream, options.limits);
  const commit = async ({ position, asOf }: Place): Promise<void> => {
    guard.refuseShare(figures);
    await load.commit(position);
    chunk = emptyChunk();
    figures = { ...figures, chunks: figures.chunks + 1, position, ...asOfThe(asOf) };
    options.progress(figures);
  };
  /** What came since may be nothing: that is no chunk. */
  const bringsSomething = (): boolean => chunk.rows > 0 || !isDeepStrictEqual(last.position, figures.position);
  const leaves = (): boolean => follow?.leaves?.aborted === true;
  const isRoundOver = (): boolean => leaves() || (follow !== undefined && follow.leftMs() <= 0);

  /** To the bounds; of a load that follows, also only to where the round is over. */
  const readTo = async (bounds: Json, newRun: boolean): Promise<void> => {
    for await (const batch of readAhead(source.read({ ...requestFor(newRun), bounds }))) {
      signal.throwIfAborted();
      const rejects = batch.rejects ?? [];
      const deadLetters = figures.deadLetters + rejects.length;
      guard.refuseNumber(rejects, deadLetters);
      await load.write(batch);
      figures = { ...figures, rows: figures.rows + batch.rows, bytes: figures.bytes + batch.bytes, deadLetters };
      chunk = { ...chunk, rows: chunk.rows + batch.rows + rejects.length, bytes: chunk.bytes + batch.bytes, open: true };
      last = batch;
      const isLarge = chunk.rows >= chunkRows || chunk.bytes >= CHUNK_BYTES || performance.now() - chunk.since >= chunkMs || leaves();
      if (last.position !== null && isLarge && bringsSomething()) {
        await commit(last);
        if (isRoundOver()) return;
      }
      options.progress(figures);
    }
    signal.throwIfAborted();
  };

  const commitPass = async (): Promise<void> => {
    if (!chunk.open) return;
    if (last.position === null && chunk.rows > 0) throw notFollowed(options.request.stream);
    if (last.position !== null && bringsSomething()) return commit(last);
    chunk = emptyChunk();
    figures = { ...figures, ...asOfThe(last.asOf) };
    options.progress(figures);
  };

  const stirs = follow?.leaves === undefined ? signal : AbortSignal.any([signal, follow.leaves]);
  const rest = async (milliseconds: number): Promise<void> => {
    await pause(milliseconds, undefined, { signal: stirs }).catch(() => undefined);
    signal.throwIfAborted();
  };

  let bounds = resume.bounds;
  if (bounds === undefined) {
    bounds = await boundsNow(resume.newRun);
    await load.begin(bounds);
  } else if (follow !== undefined && resume.position !== null) bounds = await boundsNow(false);
  await readTo(bounds, resume.newRun);
  while (follow !== undefined) {
    await commitPass();
    if (follow.isOver()) break;
    const leftMs = follow.leftMs();
    if (leftMs > 0) await rest(Math.min(follow.everyMs, leftMs));
    if (leftMs <= 0 || leaves()) return { ...figures, isOpen: true };
    chunk = emptyChunk();
    await readTo(await boundsNow(true), true);
  }
  guard.refuseShare(figures, "whole");
  if (chunk.open) await commit(last);
  await load.finish();
  return figures;
};

/** What tells nothing of it leaves what was told before it. */
const asOfThe = (asOf: number | undefined): Pick<LoadFigures, "asOf"> => (asOf === undefined ? {} : { asOf });

const notFollowed = (stream: string): DownbeatError =>
  new DownbeatError(
    "SOURCE_OPTIONS_INVALID",
    `stream ${stream} does not tell where reading would go on, so it cannot be followed; leave "follow" out and give the pipeline a schedule`,
  );

/** Asks for the next batch while the current one is being written: source and destination work side by side, at most one batch apart. */
async function* readAhead(batches: AsyncIterable<Batch>): AsyncGenerator<Batch> {
  const iterator = batches[Symbol.asyncIterator]();
  const next = (): Promise<IteratorResult<Batch>> => {
    const promise = iterator.next();
    // A failure is thrown when its turn comes; until then it must not count as unhandled.
    promise.catch(() => undefined);
    return promise;
  };
  let pending = next();
  try {
    for (;;) {
      const result = await pending;
      if (result.done === true) return;
      pending = next();
      yield result.value;
    }
  } finally {
    await pending.catch(() => undefined);
    await iterator.return?.();
  }
}

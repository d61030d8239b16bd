// Moves one load from a source to a destination: resume point → fixed bounds → batches → chunks → end.

import type { Batch } from "../connectors/batch.ts";
import type { Load, Source, StreamRequest } from "../connectors/connector.ts";
import { DeadLetterGuard, type DeadLetterLimits } from "./dead-letter-limits.ts";

/** A chunk ends at the first resumable place after this many rows (refused ones too), bytes or milliseconds: a natural unit of receipt and of work lost by a crash. */
const CHUNK_ROWS = 200_000;
const CHUNK_BYTES = 64 * 1024 * 1024;
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
  /** Streams of changes: how old what the source had and the destination lacks could be when that chunk was committed. */
  readonly lagMs?: number;
}

/** Where a chunk ends. */
type Place = Pick<Batch, "position" | "asOf">;

export interface MoveOptions {
  readonly source: Source;
  readonly load: Load;
  readonly request: Omit<StreamRequest, "newRun" | "position" | "bounds" | "takesParquet" | "seen">;
  readonly limits: DeadLetterLimits;
  /** Rows after which a chunk ends at the next resumable place. */
  readonly chunkRows?: number;
  readonly signal: AbortSignal;
  readonly progress: (figures: LoadFigures) => void;
}

export const moveLoad = async (options: MoveOptions): Promise<LoadFigures> => {
  const { source, load, signal, chunkRows = CHUNK_ROWS } = options;
  const { resume } = load;
  let figures: LoadFigures = {
    rows: resume.rows,
    bytes: resume.bytes,
    deadLetters: resume.deadLetters,
    chunks: 0,
    position: resume.position,
  };
  if (resume.done) return figures;

  const request = {
    ...options.request,
    newRun: resume.newRun,
    position: resume.position,
    takesParquet: load.takesParquet === true,
    seen: (items: readonly string[]) => load.seen(items),
  };
  let bounds = resume.bounds;
  if (bounds === undefined) {
    bounds = (await source.bounds?.(request)) ?? null;
    await load.begin(bounds);
  }

  const emptyChunk = () => ({ rows: 0, bytes: 0, open: false, since: performance.now() });
  let chunk = emptyChunk();
  const guard = new DeadLetterGuard(options.request.stream, options.limits);
  const commit = async ({ position, asOf }: Place): Promise<void> => {
    guard.refuseShare(figures);
    await load.commit(position);
    chunk = emptyChunk();
    const lag = asOf === undefined ? {} : { lagMs: Math.max(0, Date.now() - asOf) };
    figures = { ...figures, chunks: figures.chunks + 1, position, ...lag };
  };
  let last: Place = { position: null };
  for await (const batch of readAhead(source.read({ ...request, bounds }))) {
    signal.throwIfAborted();
    const rejects = batch.rejects ?? [];
    const deadLetters = figures.deadLetters + rejects.length;
    guard.refuseNumber(rejects, deadLetters);
    await load.write(batch);
    figures = { ...figures, rows: figures.rows + batch.rows, bytes: figures.bytes + batch.bytes, deadLetters };
    chunk = { ...chunk, rows: chunk.rows + batch.rows + rejects.length, bytes: chunk.bytes + batch.bytes, open: true };
    last = batch;
    const isLarge = chunk.rows >= chunkRows || chunk.bytes >= CHUNK_BYTES || performance.now() - chunk.since >= CHUNK_MS;
    if (last.position !== null && isLarge) await commit(last);
    options.progress(figures);
  }
  signal.throwIfAborted();
  guard.refuseShare(figures, "whole");
  if (chunk.open) await commit(last);
  await load.finish();
  return figures;
};

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

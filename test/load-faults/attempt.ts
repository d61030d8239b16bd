// A process of its own that makes one attempt of a load after the other, as it is told, until it kills itself at the place that it is told.

import { randomUUID } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { flushCompileCache } from "node:module";
import path from "node:path";
import { moveLoad } from "../../activities/move-load.ts";
import type { Batch } from "../../connectors/batch.ts";
import type { Connector, ConnectorContext, ConnectorSpec, Load, LoadTarget, Source } from "../../connectors/connector.ts";
import { builtinConnectors } from "../../connectors/registry.ts";
import { DownbeatError } from "../../core/errors.ts";
import type { Place } from "./cases.ts";
import type { SourceRequest } from "./sources.ts";

export interface Attempt {
  readonly folder: string;
  readonly from: { readonly kind: string; readonly config: Readonly<Record<string, unknown>>; readonly request: SourceRequest };
  readonly to: {
    readonly kind: string;
    readonly config: Readonly<Record<string, unknown>>;
    readonly target: Omit<LoadTarget, "failpoint" | "options" | "schema">;
  };
  readonly stop?: { readonly at: Place; readonly time: number; readonly how: "kill" | "suspend" };
}

export type Report =
  | { readonly is: "ready" }
  | { readonly is: "suspending" }
  /** `hits`: how often it came by each place. */
  | { readonly is: "ended"; readonly hits: Partial<Record<Place, number>> }
  | { readonly is: "failed"; readonly code: string; readonly message: string };

/** Small, so that a few thousand rows have several of both. */
const BATCH_ROWS = 300;
const CHUNK_ROWS = 600;
const MOST_DEAD_LETTERS = 100;

const report = (what: Report): Promise<void> =>
  new Promise((resolve, reject) => process.send?.(what, (error: Error | null) => (error === null ? resolve() : reject(error))));

const comesBy =
  (stop: Attempt["stop"], hits: Partial<Record<Place, number>>) =>
  async (place: Place): Promise<void> => {
    const time = (hits[place] ?? 0) + 1;
    hits[place] = time;
    if (stop?.at !== place || stop.time !== time) return;
    if (stop.how === "kill") process.kill(process.pid, "SIGKILL");
    else {
      await report({ is: "suspending" });
      process.kill(process.pid, "SIGSTOP");
      return;
    }
    // The signal may take a moment; nothing may happen behind the boundary.
    await new Promise(() => undefined);
  };

type ComesBy = (place: Place) => Promise<void>;

const watchedSource = (source: Source, { bounds }: SourceRequest, by: ComesBy): Source => ({
  discover: () => source.discover(),
  bounds: async (request) => bounds ?? (await source.bounds?.(request)) ?? null,
  async *read(request): AsyncGenerator<Batch> {
    for await (const batch of source.read(request)) {
      await by("reading");
      yield batch;
    }
  },
});

const watchedLoad = (load: Load, by: ComesBy): Load => ({
  resume: load.resume,
  takesParquet: load.takesParquet === true,
  takesCsv: load.takesCsv === true,
  begin: (bounds) => load.begin(bounds),
  async write(batch) {
    // The batch is on its way: encoded in part, or in the server's hands.
    const writing = load.write(batch);
    await Promise.race([writing, new Promise((resolve) => setImmediate(resolve))]);
    await by("writing");
    await writing;
  },
  commit: (position) => load.commit(position),
  finish: () => load.finish(),
  seen: (items) => load.seen(items),
  [Symbol.asyncDispose]: () => load[Symbol.asyncDispose](),
});

const silent = (): void => undefined;

const specOf = (kind: string): ConnectorSpec => {
  const spec = builtinConnectors.find((one) => one.kind === kind);
  if (spec === undefined) throw new Error(`there is no connector ${kind}`);
  return spec;
};

const open = (kind: string, config: Readonly<Record<string, unknown>>, context: ConnectorContext): Promise<Connector> => {
  const spec = specOf(kind);
  return spec.open(spec.config.parse(config), context);
};

const run = async ({ folder, from, to, stop }: Attempt): Promise<Report> => {
  const hits: Partial<Record<Place, number>> = {};
  const by = comesBy(stop, hits);
  const tempDir = path.join(folder, `temp-${randomUUID()}`);
  await mkdir(tempDir, { recursive: true });
  const { signal } = new AbortController();
  const log = { debug: silent, info: silent, warn: silent };
  const context: ConnectorContext = { signal, log, progress: silent, tempDir, baseDir: folder, batchRows: BATCH_ROWS };
  try {
    await using source = await open(from.kind, from.config, context);
    await using destination = await open(to.kind, to.config, context);
    if (source.source === undefined || destination.destination === undefined) throw new Error(`${from.kind} → ${to.kind} cannot be loaded`);
    const options = (specOf(to.kind).targetOptions?.parse({}) ?? {}) as Readonly<Record<string, unknown>>;
    await using load = await destination.destination.openLoad({ ...to.target, schema: "evolve", options, failpoint: by });
    const { stream, cursor } = from.request;
    await moveLoad({
      source: watchedSource(source.source, from.request, by),
      load: watchedLoad(load, by),
      request: {
        stream,
        options: (specOf(from.kind).sourceOptions?.parse(from.request.options ?? {}) ?? {}) as Readonly<Record<string, unknown>>,
        nullCursor: "fail",
        ...(cursor === undefined ? {} : { cursor }),
      },
      limits: { maxRows: MOST_DEAD_LETTERS },
      chunkRows: CHUNK_ROWS,
      signal,
      progress: silent,
    });
    return { is: "ended", hits };
  } catch (error) {
    if (error instanceof DownbeatError) return { is: "failed", code: error.code, message: error.message };
    return { is: "failed", code: "UNKNOWN", message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  } finally {
    await rm(tempDir, { recursive: true, force: true });
  }
};

process.on("message", (attempt: Attempt) => {
  void (async () => {
    const result = await run(attempt);
    // Those that come after it load the same modules.
    flushCompileCache();
    await report(result);
  })();
});
process.once("disconnect", () => process.exit());
await report({ is: "ready" });

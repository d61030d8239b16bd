// One DuckDB instance for each file in this process, shared and counted: a file has one owner, and two instances of it would corrupt each other.

import { realpath } from "node:fs/promises";
import path from "node:path";
import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";

export interface DuckdbOptions {
  readonly memoryLimit: string;
  /** 0 = as many as the machine has cores. */
  readonly threads: number;
}

/** A share in an instance; the last one that is given back closes it. */
export interface SharedDuckdb extends AsyncDisposable {
  connect(): Promise<DuckDBConnection>;
  /** One after the other within this process: for statements that define tables, which conflict instead of waiting. */
  exclusive<T>(run: () => Promise<T>): Promise<T>;
}

interface Entry {
  shares: number;
  readonly instance: Promise<DuckDBInstance>;
  queue: Promise<unknown>;
  /** Settles when the file is free again. */
  readonly closed: PromiseWithResolvers<void>;
}

const open = new Map<string, Entry>();

/** The first opening's options hold for as long as the instance lives. */
export const shareDuckdb = async (file: string, options: DuckdbOptions): Promise<SharedDuckdb> => {
  const key = await fileKey(file);
  for (let entry = open.get(key); entry !== undefined; entry = open.get(key)) {
    const shared = entry.shares === 0 ? undefined : await share(key, entry).catch(() => undefined);
    if (shared !== undefined) return shared;
    // One that is being closed, or that DuckDB has given up after a fatal error, must be gone before the file is opened anew.
    await entry.closed.promise;
  }
  const entry: Entry = { shares: 0, instance: create(key, options), queue: Promise.resolve(), closed: Promise.withResolvers<void>() };
  open.set(key, entry);
  return share(key, entry);
};

/** Takes a share, and gives it back at once when the instance is not sound; the last one that is given back closes the instance. */
const share = async (key: string, entry: Entry): Promise<SharedDuckdb> => {
  entry.shares += 1;
  const giveBack = async (): Promise<void> => {
    entry.shares -= 1;
    if (entry.shares > 0) return;
    await close(entry);
    open.delete(key);
    entry.closed.resolve();
  };
  try {
    const instance = await entry.instance;
    await probe(instance);
    return {
      connect: () => instance.connect(),
      exclusive: (run) => {
        const result = entry.queue.then(run);
        entry.queue = result.catch(() => undefined);
        return result;
      },
      [Symbol.asyncDispose]: once(giveBack),
    };
  } catch (error) {
    await giveBack();
    throw error;
  }
};

const probe = async (instance: DuckDBInstance): Promise<void> => {
  const connection = await instance.connect();
  try {
    await connection.run("select 1");
  } finally {
    connection.closeSync();
  }
};

const once = (run: () => Promise<void>): (() => Promise<void>) => {
  let result: Promise<void> | undefined;
  return () => (result ??= run());
};

/** The same for every way of writing the path, also before the file exists. */
const fileKey = async (file: string): Promise<string> => {
  const folder = await realpath(path.dirname(file)).catch(() => path.resolve(path.dirname(file)));
  return path.join(folder, path.basename(file));
};

const create = async (file: string, { memoryLimit, threads }: DuckdbOptions): Promise<DuckDBInstance> => {
  const { DuckDBInstance: Driver } = await import("@duckdb/node-api");
  return Driver.create(file, {
    memory_limit: memoryLimit,
    ...(threads === 0 ? {} : { threads: String(threads) }),
    // Nothing is fetched from anywhere behind the user's back.
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
    // Files are read once and then removed.
    enable_external_file_cache: "false",
    // Chunks are smaller than the default of 16 MB lets pass: each would rewrite the row group that it ends in.
    checkpoint_threshold: "256MB",
  });
};

/** What is in the log goes into the file first, off the event loop; closing would do it on it. */
const close = async (entry: Entry): Promise<void> => {
  const instance = await entry.instance.catch(() => undefined);
  if (instance === undefined) return;
  try {
    const connection = await instance.connect();
    try {
      await connection.run("checkpoint");
    } finally {
      connection.closeSync();
    }
  } catch {
    // The log stays beside the file and is read by the next opening.
  } finally {
    instance.closeSync();
  }
};

// Files of the worker's own file system, under one root. A file appears whole, by a rename.

import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { glob, link, lstat, mkdir, open, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { DownbeatError, type ErrorCode } from "../../core/errors.ts";
import type { ConnectorContext } from "../connector.ts";
import type { FileFacts, FileStore, WriteOptions } from "../file-store.ts";
import { byPath, checkFilePath } from "./file-paths.ts";
import { LocalRoot } from "./local-root.ts";

type Side = "source" | "destination";
export type LocalContext = Pick<ConnectorContext, "baseDir" | "reserved" | "signal" | "progress">;

/** Files that are being written; a killed worker leaves them behind, and no glob names them. */
const PART = /^\.downbeat-[\w-]+\.part$/;

export class LocalFiles implements FileStore {
  readonly #root: LocalRoot;
  readonly #context: LocalContext;

  constructor(root: string, context: LocalContext) {
    this.#root = new LocalRoot(root, context, "FILE_REFUSED");
    this.#context = context;
  }

  find(name: string): Promise<FileFacts | undefined> {
    checkFilePath(name);
    return localCall(name, "source", async () => {
      const found = await ifAny(async () => {
        const full = await this.#root.inside(name);
        return { full, facts: await stat(full) };
      });
      if (found === undefined) return undefined;
      if (found.facts.isFile()) return factsOf(name, found.full, found.facts);
      throw new DownbeatError(
        "FILE_REFUSED",
        `"${name}" is no file but ${found.facts.isDirectory() ? "a folder; write a glob" : "a device or socket"}`,
      );
    });
  }

  list(pattern: string): Promise<readonly FileFacts[]> {
    checkFilePath(pattern);
    return localCall(pattern, "source", async () => {
      const found: FileFacts[] = [];
      for await (const name of glob(pattern, { cwd: this.#root.base })) {
        this.#context.signal.throwIfAborted();
        this.#context.progress();
        if (PART.test(path.basename(name))) continue;
        const full = await ifAny(() => this.#root.inside(name));
        const facts = full === undefined ? undefined : await ifAny(() => stat(full));
        if (full !== undefined && facts?.isFile() === true) found.push(factsOf(name.replaceAll(path.sep, "/"), full, facts));
      }
      return found.toSorted(byPath);
    });
  }

  async *read(file: FileFacts): AsyncGenerator<Uint8Array> {
    const handle = await localCall(file.path, "source", async () => open(await this.#root.inside(file.path)));
    const refuseChanged = async (): Promise<void> => {
      if (tagOf(await handle.stat()) !== file.tag) throw changed(file);
    };
    try {
      await refuseChanged();
      for await (const chunk of handle.createReadStream({ autoClose: false, highWaterMark: 1 << 20 }) as AsyncIterable<Uint8Array>) {
        this.#context.signal.throwIfAborted();
        this.#context.progress();
        yield chunk;
      }
      await refuseChanged();
    } finally {
      await handle.close();
    }
  }

  write(name: string, content: AsyncIterable<Uint8Array>, { replace }: WriteOptions): Promise<void> {
    checkFilePath(name);
    return localCall(name, "destination", async () => {
      const target = await this.#target(name);
      const part = path.join(path.dirname(target), `.downbeat-${randomUUID()}.part`);
      const handle = await open(part, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o666);
      try {
        await pipeline(Readable.from(content, { objectMode: false }), handle.createWriteStream({ flush: true }), {
          signal: this.#context.signal,
        });
        await settle(part, target, replace);
      } finally {
        await rm(part, { force: true });
      }
    });
  }

  async #target(name: string): Promise<string> {
    const target = await this.#root.place(name);
    await mkdir(path.dirname(target), { recursive: true });
    return target;
  }

  remove(file: FileFacts): Promise<void> {
    return localCall(file.path, "destination", async () => {
      const place = await this.#root.place(file.path);
      const facts = await ifAny(() => stat(place));
      if (facts !== undefined && tagOf(facts) !== file.tag) throw changed(file);
      await rm(place, { force: true });
    });
  }

  /** Within one file system a move is a rename. */
  takeOver(
    from: FileStore,
    file: FileFacts,
    name: string,
    { move, replace }: WriteOptions & { readonly move: boolean },
  ): Promise<"moved" | undefined> {
    if (!(from instanceof LocalFiles) || !move) return Promise.resolve(undefined);
    checkFilePath(name);
    return localCall(name, "destination", async () => {
      const source = await from.#root.place(file.path);
      const facts = await lstat(source);
      // A link would lead elsewhere from its new place: its content is moved.
      if (facts.isSymbolicLink()) return undefined;
      if (tagOf(facts) !== file.tag) throw changed(file);
      const target = await this.#target(name);
      try {
        await settle(source, target, replace);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "EXDEV") return undefined;
        throw error;
      }
      if (!replace) await rm(source, { force: true });
      return "moved";
    });
  }
}

const LINKLESS = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "EMLINK"]);

/** Puts a file in its place in one step. Where a file system has no hard links, two steps must do for a place that has to be empty. */
const settle = async (from: string, target: string, replace: boolean): Promise<void> => {
  if (replace) return rename(from, target);
  try {
    await link(from, target);
  } catch (error) {
    if (!LINKLESS.has((error as NodeJS.ErrnoException).code ?? "") || (await ifAny(() => lstat(target))) !== undefined) throw error;
    await rename(from, target);
  }
};

interface Stat {
  readonly ino: number;
  readonly size: number;
  readonly mtimeMs: number;
}

const tagOf = ({ ino, size, mtimeMs }: Stat): string => `${ino}-${size}-${mtimeMs}`;

const factsOf = (name: string, full: string, facts: Stat): FileFacts => ({
  path: name,
  size: facts.size,
  tag: tagOf(facts),
  uri: `file://${full}`,
  key: undefined,
});

const changed = ({ path: name }: FileFacts): DownbeatError => new DownbeatError("SOURCE_CHANGED", `${name} has changed since it was found`);

const ifAny = async <Value>(look: () => Promise<Value>): Promise<Value | undefined> => {
  try {
    return await look();
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
};

const CODES: Readonly<Record<string, Readonly<Record<Side, ErrorCode>>>> = {
  EEXIST: { source: "FILE_EXISTS", destination: "FILE_EXISTS" },
  ENOENT: { source: "SOURCE_CHANGED", destination: "SOURCE_CHANGED" },
  EACCES: { source: "SOURCE_AUTH", destination: "DESTINATION_AUTH" },
  EPERM: { source: "SOURCE_AUTH", destination: "DESTINATION_AUTH" },
  EROFS: { source: "SOURCE_AUTH", destination: "DESTINATION_AUTH" },
  ENOSPC: { source: "DESTINATION_FULL", destination: "DESTINATION_FULL" },
  EDQUOT: { source: "DESTINATION_FULL", destination: "DESTINATION_FULL" },
  EISDIR: { source: "FILE_REFUSED", destination: "FILE_REFUSED" },
  ENOTDIR: { source: "FILE_REFUSED", destination: "FILE_REFUSED" },
  ENOTEMPTY: { source: "FILE_REFUSED", destination: "FILE_REFUSED" },
  ENAMETOOLONG: { source: "FILE_REFUSED", destination: "FILE_REFUSED" },
  ELOOP: { source: "FILE_REFUSED", destination: "FILE_REFUSED" },
};

/** The system's errors as codes of the table. */
const localCall = async <Value>(name: string, side: Side, call: () => Promise<Value>): Promise<Value> => {
  try {
    return await call();
  } catch (error) {
    const { code: system = "" } = error as NodeJS.ErrnoException;
    const code = CODES[system]?.[side];
    if (error instanceof DownbeatError || code === undefined) throw error;
    const what = code === "FILE_EXISTS" ? `"${name}" is there already` : `"${name}": ${(error as Error).message}`;
    throw new DownbeatError(code, what, { cause: error });
  }
};

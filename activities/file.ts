// The file verb: copies, moves, deletes and looks for files. Done again it finds what it did and changes nothing.

import { createHash } from "node:crypto";
import path from "node:path";
import type { FileFacts, FileStore } from "../connectors/file-store.ts";
import { folderOfGlob } from "../connectors/lib/file-paths.ts";
import { DownbeatError } from "../core/errors.ts";
import { deliveryKey, workKey } from "../core/ids.ts";
import type { TaskCall } from "../workflows/ports.ts";
import { exactly, sameContent } from "./file-content.ts";
import type { VerbContext } from "./run-verb.ts";
import { findFiles, openFiles, type FileDeps, type FileSelection } from "./open-files.ts";
import { renderedConfig, type Verb } from "./verb.ts";

interface FileConfig {
  readonly action: "copy" | "move" | "delete" | "exists";
  readonly from: FileSelection;
  readonly to?: { readonly connection?: string; readonly path: string };
  readonly overwrite?: "fail" | "replace" | "skip";
}

/** Files that are worked on at the same time. */
const LANES = 4;

export const createFile = (deps: FileDeps): Verb => {
  return async (call, context) => {
    const config = await renderedConfig<FileConfig>(deps, call);
    const started = performance.now();
    await using from = await openFiles(deps, config.from.connection, context);
    const found = await findFiles(from.files, config.from);
    if (config.action === "exists") {
      const paths = found.map((file) => file.path);
      return { output: { exists: found.length > 0, files: found.length, bytes: bytesOf(found), paths } };
    }
    const done = new Tally();
    if (config.action === "delete") {
      await inLanes(found, context, async (file) => {
        await from.files.remove(file);
        done.add(file);
      });
    } else {
      await using to = await openFiles(deps, config.to?.connection, context);
      const transfer = new Transfer(from.files, to.files, config, call, context);
      if (found.length === 0 && config.from.path !== undefined) done.add(await transfer.gone(config.from.path));
      await inLanes(found, context, async (file) => done.add(file, await transfer.carryOut(file)));
    }
    const { files, bytes, skipped } = done;
    context.log.info({ action: config.action, files, bytes, skipped }, "files done");
    return { output: { files, bytes, skipped }, metrics: { bytes, seconds: Math.round(performance.now() - started) / 1000 } };
  };
};

const bytesOf = (files: readonly FileFacts[]): number => files.reduce((sum, { size }) => sum + size, 0);

class Tally {
  files = 0;
  bytes = 0;
  skipped = 0;

  add({ size }: Pick<FileFacts, "size">, how: "done" | "skipped" = "done"): void {
    if (how === "skipped") this.skipped += 1;
    else {
      this.files += 1;
      this.bytes += size;
    }
  }
}

/** After a failure nothing further begins; what is under way ends. */
const inLanes = async (files: readonly FileFacts[], { signal }: VerbContext, work: (file: FileFacts) => Promise<void>): Promise<void> => {
  const open = [...files];
  const lane = async (): Promise<void> => {
    for (let next = open.shift(); next !== undefined; next = open.shift()) {
      try {
        signal.throwIfAborted();
        await work(next);
      } catch (error) {
        open.length = 0;
        throw error;
      }
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(LANES, files.length) }, lane));
  const broken = lanes.find((ended) => ended.status === "rejected");
  if (broken !== undefined) throw broken.reason;
};

class Transfer {
  readonly #from: FileStore;
  readonly #to: FileStore;
  readonly #config: FileConfig;
  readonly #call: TaskCall;
  readonly #context: VerbContext;

  constructor(from: FileStore, to: FileStore, config: FileConfig, call: TaskCall, context: VerbContext) {
    this.#from = from;
    this.#to = to;
    this.#config = config;
    this.#call = call;
    this.#context = context;
  }

  async carryOut(file: FileFacts): Promise<"done" | "skipped"> {
    const target = this.#targetOf(file.path);
    const there = await this.#to.find(target);
    // Two connections may lead to one file: moved onto itself it would be lost.
    if (there?.uri === file.uri) return "skipped";
    const replace = this.#config.overwrite === "replace";
    if (there !== undefined && !replace) return this.#beside(file, there);
    try {
      await this.#write(file, target, replace);
    } catch (error) {
      if (!(error instanceof DownbeatError) || error.code !== "FILE_EXISTS") throw error;
      // Somebody was faster, or it was this very write, whose answer was lost.
      const now = await this.#to.find(target);
      if (now === undefined) throw error;
      return this.#beside(file, now);
    }
    return "done";
  }

  /** A single file that is not there: on a repetition it may have been moved already. */
  async gone(name: string): Promise<Pick<FileFacts, "size">> {
    const { action, from } = this.#config;
    if (action === "move") {
      const target = this.#targetOf(name);
      const there = await this.#to.find(target);
      // Where the system keeps no keys, only an earlier try can have been the one that moved it.
      if (there !== undefined && (there.key === undefined ? this.#isRepetition() : there.key === this.#keyOf(name))) return there;
    }
    const where = from.connection === undefined ? "the data folder" : `connection "${from.connection}"`;
    throw new DownbeatError("FILE_NOT_FOUND", `there is no file "${name}" in ${where}`);
  }

  async #write(file: FileFacts, target: string, replace: boolean): Promise<void> {
    const move = this.#config.action === "move";
    const options = { replace, key: this.#keyOf(file.path) };
    const taken = await this.#to.takeOver?.(this.#from, file, target, { ...options, move });
    if (taken === undefined) await this.#to.write(target, exactly(file, this.#from.read(file)), { ...options, size: file.size });
    if (move && taken !== "moved") await this.#from.remove(file);
  }

  /** The target is there: the same content means that it is done. */
  async #beside(file: FileFacts, there: FileFacts): Promise<"done" | "skipped"> {
    const { action, overwrite } = this.#config;
    if (await sameContent({ store: this.#from, file }, { store: this.#to, file: there })) {
      if (action === "move") await this.#from.remove(file);
      return "done";
    }
    if (overwrite === "skip") return "skipped";
    throw new DownbeatError("FILE_EXISTS", `"${there.path}" is there already, with another content than "${file.path}"; it stays`);
  }

  #targetOf(name: string): string {
    const { from, to } = this.#config;
    const target = to?.path ?? "";
    if (!target.endsWith("/")) {
      if (from.glob === undefined) return target;
      throw new DownbeatError("FILE_REFUSED", `"${target}" is no folder: the files of a glob go into one, written with "/" at its end`);
    }
    const inside = from.glob === undefined ? path.posix.basename(name) : name.slice(folderOfGlob(from.glob).length);
    return target === "./" ? inside : `${target}${inside}`;
  }

  /** Names this writing for ever, in characters that any system takes. */
  #keyOf(name: string): string {
    const { run, taskId, itemKey } = this.#call;
    return createHash("sha256")
      .update(`${deliveryKey(run.origin, workKey(taskId, itemKey))} ${name}`)
      .digest("hex")
      .slice(0, 32);
  }

  #isRepetition(): boolean {
    const { attempt, run } = this.#call;
    return attempt > 1 || this.#context.lostAttempts > 0 || run.id !== run.origin;
  }
}

// A folder of the worker that nothing leads out of, symbolic links included.

import { realpath } from "node:fs/promises";
import path from "node:path";
import { DownbeatError, type ErrorCode } from "../../core/errors.ts";
import type { ConnectorContext } from "../connector.ts";

export class LocalRoot {
  readonly #base: string;
  readonly #context: Pick<ConnectorContext, "baseDir" | "reserved">;
  readonly #code: ErrorCode;

  /** `code`: what a path that leads out is refused with. */
  constructor(root: string, context: Pick<ConnectorContext, "baseDir" | "reserved">, code: ErrorCode) {
    this.#base = path.resolve(context.baseDir, root);
    this.#context = context;
    this.#code = code;
  }

  get base(): string {
    return this.#base;
  }

  /** The real path of what is there; the system's ENOENT when nothing is. */
  async inside(name: string): Promise<string> {
    const full = await realpath(path.resolve(this.#base, name));
    await this.#confirm(full, name);
    return full;
  }

  /** The place of an entry itself, be it a link; the entry and its folders may be missing. */
  async place(name: string): Promise<string> {
    const target = path.resolve(this.#base, name);
    const missing: string[] = [path.basename(target)];
    let folder = path.dirname(target);
    let real = await realpathIfAny(folder);
    while (real === undefined && folder !== this.#base && folder !== path.dirname(folder)) {
      missing.unshift(path.basename(folder));
      folder = path.dirname(folder);
      real = await realpathIfAny(folder);
    }
    if (real === undefined) throw new DownbeatError("CONNECTION_INVALID", `root ${this.#base} is not a folder on the worker`);
    const full = path.join(real, ...missing);
    await this.#confirm(full, name);
    return full;
  }

  async #confirm(full: string, name: string): Promise<void> {
    const base = await realpath(this.#base);
    if (full !== base && !full.startsWith(base.endsWith(path.sep) ? base : `${base}${path.sep}`))
      throw new DownbeatError(this.#code, `"${name}" lies outside of the connection's root`);
    const { baseDir, reserved = [] } = this.#context;
    if (reserved.length === 0) return;
    const own = path.relative(await realpath(baseDir), full);
    if (reserved.some((glob) => path.matchesGlob(own, glob)))
      throw new DownbeatError(this.#code, `"${name}" is Downbeat's own and is not given to tasks`);
  }
}

const realpathIfAny = async (name: string): Promise<string | undefined> => {
  try {
    return await realpath(name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
};

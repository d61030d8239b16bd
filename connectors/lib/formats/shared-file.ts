// A temporary file that several hold at a time: the last one who lets go of it removes it.

import { randomUUID } from "node:crypto";
import { link, rm } from "node:fs/promises";
import path from "node:path";

export class SharedFile implements AsyncDisposable {
  readonly path: string;
  #holders = 1;

  /** Its maker holds it, until it is disposed of. */
  constructor(path: string) {
    this.path = path;
  }

  /** Gives what lets go again, once. */
  hold(): () => Promise<void> {
    let isHeld = true;
    this.#holders += 1;
    return async () => {
      if (isHeld) await this.#letGo();
      isHeld = false;
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#letGo();
  }

  async #letGo(): Promise<void> {
    this.#holders -= 1;
    if (this.#holders === 0) await rm(this.path, { force: true });
  }
}

/** A file under a name of its own, which outlives the one that it was given by. Undefined: the file system has no second names. */
export const linkedFile = async (
  { file, tempDir }: { readonly file: string; readonly tempDir: string },
  ending: string,
): Promise<SharedFile | undefined> => {
  const own = path.join(tempDir, `${randomUUID()}.${ending}`);
  return link(file, own).then(
    () => new SharedFile(own),
    () => undefined,
  );
};

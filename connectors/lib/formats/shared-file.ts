// A temporary file that several hold at a time: the last one who lets go of it removes it.

import { rm } from "node:fs/promises";

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

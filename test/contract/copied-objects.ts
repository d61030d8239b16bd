// Objects as S3 gives them: copies of a folder's files that are the reader's alone.

import { copyFile, rm } from "node:fs/promises";
import path from "node:path";
import type { ObjectStore } from "../../connectors/lib/object-source.ts";

/** `tempDir`: where the copies lie. */
export const copiedObjects = (folder: string, tempDir: string, names: readonly string[]): ObjectStore => ({
  list: () => Promise.resolve(names.map((key) => ({ key, tag: "1" }))),
  async fetch({ key }) {
    const copy = path.join(tempDir, `copy-${key}`);
    await copyFile(path.join(folder, key), copy);
    return { path: copy, [Symbol.asyncDispose]: () => rm(copy, { force: true }) };
  },
  patterns: () => Promise.resolve([]),
  nameOf: (stream) => stream,
});

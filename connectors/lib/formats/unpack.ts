// Unpacks files into the temporary folder: the readers want to seek, and a truncated file shows before a row of it is read.

import { randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { DownbeatError } from "../../../core/errors.ts";
import { type Compression, compressionOf, unpacking } from "./compression.ts";

export interface PackedFile {
  readonly file: string;
  /** Tells the compression, and stands in errors. */
  readonly name: string;
  /** Default: by the name's ending. */
  readonly compression?: Compression | undefined;
}

export interface PlainFile extends AsyncDisposable {
  readonly path: string;
}

/** Undefined: it is not packed. */
export const unpack = async (
  { file, name, compression = compressionOf(name) }: PackedFile,
  { tempDir, signal }: { readonly tempDir: string; readonly signal: AbortSignal },
): Promise<PlainFile | undefined> => {
  if (compression === "none") return undefined;
  const target = path.join(tempDir, `${randomUUID()}.plain`);
  const remove = (): Promise<void> => rm(target, { force: true });
  try {
    await pipeline([...(await unpacking(file, compression)), createWriteStream(target)], { signal });
    return { path: target, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    signal.throwIfAborted();
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOSPC")
      throw new DownbeatError("DESTINATION_FULL", `the disk of the temporary folder is full (while unpacking ${name})`, { cause: error });
    throw new DownbeatError("SOURCE_FILE_BROKEN", `${name} is not a whole ${compression} file: ${message}`, { cause: error });
  }
};

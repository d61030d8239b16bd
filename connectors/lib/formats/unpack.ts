// Unpacks files into the temporary folder: the readers want to seek, and a truncated file shows before a row of it is read.

import { randomUUID } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { DownbeatError } from "../../../core/errors.ts";

export type Compression = "none" | "gzip" | "zstd";

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

/** Small pieces of a large file cost twice the time. */
const PIECE_BYTES = 256 * 1024;

const compressionOf = (name: string): Compression => (/\.gz$/i.test(name) ? "gzip" : /\.zst$/i.test(name) ? "zstd" : "none");

/** Undefined: it is not packed. */
export const unpack = async (
  { file, name, compression = compressionOf(name) }: PackedFile,
  { tempDir, signal }: { readonly tempDir: string; readonly signal: AbortSignal },
): Promise<PlainFile | undefined> => {
  if (compression === "none") return undefined;
  const target = path.join(tempDir, `${randomUUID()}.plain`);
  const remove = (): Promise<void> => rm(target, { force: true });
  const options = { chunkSize: PIECE_BYTES };
  try {
    await pipeline(
      createReadStream(file, { highWaterMark: PIECE_BYTES }),
      compression === "gzip" ? createGunzip(options) : createZstdDecompress(options),
      createWriteStream(target),
      { signal },
    );
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

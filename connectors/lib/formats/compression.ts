// How files may be packed: the names of it, the endings that tell, and the streams that unpack each.

import { createReadStream } from "node:fs";
import { Duplex, Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { bunzip2, bytesOfFile } from "./bzip2.ts";
import { unsnappy } from "./snappy.ts";

export const COMPRESSIONS = ["none", "gzip", "zstd", "bzip2", "snappy"] as const;
export type Compression = (typeof COMPRESSIONS)[number];

const ENDINGS: readonly (readonly [RegExp, Compression])[] = [
  [/\.gz$/i, "gzip"],
  [/\.zst$/i, "zstd"],
  [/\.bz2$/i, "bzip2"],
  [/\.(sz|snappy)$/i, "snappy"],
];

const endingOf = (name: string): (typeof ENDINGS)[number] | undefined => ENDINGS.find(([ending]) => ending.test(name));

export const compressionOf = (name: string): Compression => endingOf(name)?.[1] ?? "none";

/** The name without the ending that says how the file is packed. */
export const unpackedName = (name: string): string => name.replace(endingOf(name)?.[0] ?? "", "");

/** Small pieces of a large file cost twice the time. */
const PIECE_BYTES = 256 * 1024;

/** The first stages of a pipeline: what comes out of them is the file's content. */
export const unpacking = async (
  file: string,
  compression: Exclude<Compression, "none">,
): Promise<readonly (NodeJS.ReadableStream | NodeJS.ReadWriteStream)[]> => {
  const packed = (): Readable => createReadStream(file, { highWaterMark: PIECE_BYTES });
  const options = { chunkSize: PIECE_BYTES };
  switch (compression) {
    case "gzip":
      return [packed(), createGunzip(options)];
    case "zstd":
      return [packed(), createZstdDecompress(options)];
    case "bzip2":
      return [Readable.from(await bunzip2(() => bytesOfFile(file)))];
    case "snappy":
      return [packed(), Duplex.from(await unsnappy())];
  }
};

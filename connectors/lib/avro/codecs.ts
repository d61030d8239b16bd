// How the blocks of Avro's container files are packed.

import { promisify } from "node:util";
import { crc32, inflateRaw, zstdDecompress } from "node:zlib";
import { bunzip2, bytesInMemory } from "../formats/bzip2.ts";
import { snappyUncompress } from "../formats/snappy.ts";
import { MOST_BLOCK_BYTES } from "./container.ts";

/** Throws what is wrong with a block. */
type Unpack = (packed: Buffer) => Promise<Buffer> | Buffer;

const MOST = { maxOutputLength: MOST_BLOCK_BYTES };
const CHECKSUM_BYTES = 4;

const refuseLonger = (): never => {
  throw new Error(`has more than ${MOST_BLOCK_BYTES} bytes once it is unpacked, which is the most that is read`);
};

const byZlib = (name: string, unpack: (packed: Buffer, options: typeof MOST) => Promise<Buffer>): Unpack => {
  return (packed) =>
    unpack(packed, MOST).catch((error: unknown) => {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === "ERR_BUFFER_TOO_LARGE") return refuseLonger();
      throw new Error(`is not whole ${name}: ${message}`, { cause: error });
    });
};

const bySnappy = async (): Promise<Unpack> => {
  const uncompress = await snappyUncompress();
  return (packed) => {
    if (packed.length < CHECKSUM_BYTES) throw new Error("is too short for Snappy and its checksum");
    const end = packed.length - CHECKSUM_BYTES;
    const plain = uncompress(packed.subarray(0, end), MOST_BLOCK_BYTES);
    if (crc32(plain) !== packed.readUInt32BE(end)) throw new Error("has another checksum than its content");
    return Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength);
  };
};

const byBzip2: Unpack = async (packed) => {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of await bunzip2(() => bytesInMemory(packed))) {
    length += piece.length;
    if (length > MOST_BLOCK_BYTES) refuseLonger();
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
};

const CODECS: Readonly<Record<string, () => Unpack | Promise<Unpack>>> = {
  null: () => (packed) => packed,
  // Python's avro leaves some of zlib's checksum behind the stream, which is not looked at.
  deflate: () => byZlib("deflate", promisify<Buffer, typeof MOST, Buffer>(inflateRaw)),
  snappy: bySnappy,
  zstandard: () => byZlib("zstandard", promisify<Buffer, typeof MOST, Buffer>(zstdDecompress)),
  bzip2: () => byBzip2,
};

export const blockUnpacker = async (codec: string): Promise<Unpack> => {
  const make = Object.hasOwn(CODECS, codec) ? CODECS[codec] : undefined;
  if (make !== undefined) return make();
  throw new Error(`its blocks are packed by "${codec}"; what is read is ${Object.keys(CODECS).join(", ")}: write it anew with one of them`);
};

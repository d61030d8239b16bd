// Avro's object container files (specification 1.12): the header, and where the blocks of rows lie.

import type { FileHandle } from "node:fs/promises";
import { AvroCursor } from "./cursor.ts";

export interface ContainerHeader {
  /** The writer's, as JSON. */
  readonly schema: string;
  readonly codec: string;
  /** Stands behind the header and each block. */
  readonly sync: Buffer;
  /** Where the first block begins. */
  readonly end: number;
}

export interface BlockPlace {
  /** From 1. */
  readonly number: number;
  /** Where in the file it begins. */
  readonly at: number;
  readonly rows: number;
  /** Where its content begins, and how long that is as it is packed. */
  readonly from: number;
  readonly length: number;
}

/** A block is in memory as a whole, packed and unpacked. Writers begin a new one after 64 KB, unless a row is larger. */
export const MOST_BLOCK_BYTES = 128 * 1024 * 1024;

export const MAGIC = Buffer.from("Obj\u0001", "latin1");
export const SYNC_BYTES = 16;
/** Two numbers: rows and bytes. */
const MOST_BLOCK_HEADER = 20;
/** Headers are tried in pieces that grow: most take a few KB, few have schemas of megabytes. */
const FIRST_PIECE = 64 * 1024;
const MOST_HEADER = 64 * 1024 * 1024;

/** Fewer where the file ends. */
const readAt = async (file: FileHandle, from: number, length: number): Promise<Buffer> => {
  const bytes = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, from + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
};

export const readHeader = async (file: FileHandle): Promise<ContainerHeader> => {
  for (let length = FIRST_PIECE; ; length *= 4) {
    const bytes = await readAt(file, 0, length);
    if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw new Error('it does not begin with "Obj" and a byte 1');
    try {
      return headerIn(bytes);
    } catch (error) {
      if (bytes.length === length && length < MOST_HEADER) continue;
      throw new Error(`its header ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  }
};

const headerIn = (bytes: Buffer): ContainerHeader => {
  const cursor = new AvroCursor(bytes, MAGIC.length);
  const facts = new Map<string, Buffer>();
  cursor.readItems(() => {
    const key = cursor.readString();
    facts.set(key, cursor.readBytes());
  });
  // A copy: the piece of the file is not to be kept for it.
  const sync = Buffer.from(cursor.readBytes(SYNC_BYTES));
  const schema = facts.get("avro.schema");
  if (schema === undefined) throw new Error("has no avro.schema");
  return {
    schema: schema.toString("utf8"),
    codec: facts.get("avro.codec")?.toString("utf8") ?? "null",
    sync,
    end: bytes.length - cursor.left,
  };
};

/** Says in which block of the file an error has come up. */
export const inBlock = ({ number, at }: Pick<BlockPlace, "number" | "at">, error: unknown): Error =>
  new Error(`block ${number}, at byte ${at}, ${error instanceof Error ? error.message : String(error)}`, { cause: error });

/** Looks at no content. Throws where the file is cut, or goes on as something else. */
export async function* blocksOf(file: FileHandle, { sync, end }: ContainerHeader, signal: AbortSignal): AsyncGenerator<BlockPlace> {
  const { size } = await file.stat();
  let at = end;
  let head = await readAt(file, at, MOST_BLOCK_HEADER);
  for (let number = 1; at < size; number += 1) {
    signal.throwIfAborted();
    let block: BlockPlace;
    let behind: Buffer;
    try {
      block = { number, at, ...blockIn(head, at) };
      const { from, length } = block;
      // What follows it, and the next one's beginning.
      behind = await readAt(file, from + length, SYNC_BYTES + MOST_BLOCK_HEADER);
      if (behind.length < SYNC_BYTES)
        throw new Error(`has ${length} bytes of content and a sync marker: the file ends before, at byte ${size}`);
      if (!behind.subarray(0, SYNC_BYTES).equals(sync)) throw new Error(`has no sync marker behind its ${length} bytes of content`);
    } catch (error) {
      throw inBlock({ number, at }, error);
    }
    yield block;
    at = block.from + block.length + SYNC_BYTES;
    head = behind.subarray(SYNC_BYTES);
  }
}

const blockIn = (head: Buffer, at: number): Pick<BlockPlace, "rows" | "from" | "length"> => {
  const cursor = new AvroCursor(head, 0);
  const rows = Number(cursor.readLong());
  const length = Number(cursor.readLong());
  if (rows < 0 || length < 0) throw new Error(`says that it has ${rows} rows in ${length} bytes`);
  if (length > MOST_BLOCK_BYTES) throw new Error(`says that it has ${length} bytes; ${MOST_BLOCK_BYTES} are read at most`);
  return { rows, length, from: at + head.length - cursor.left };
};

export const readContent = async (file: FileHandle, { from, length }: BlockPlace): Promise<Buffer> => {
  const bytes = await readAt(file, from, length);
  if (bytes.length < length) throw new Error(`ends at byte ${from + bytes.length} by now: the file has changed`);
  return bytes;
};

// A batch's encoded parts as a temporary file.

import { open, rm } from "node:fs/promises";
import { DownbeatError } from "../../../core/errors.ts";

/** Full, over a quota, over the process's file size limit. */
const FULL = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);
/** One call takes at most IOV_MAX (1,024) buffers. */
const MOST_PARTS = 1_000;

/** Leaves nothing behind where it fails: DESTINATION_FULL when the disk is full. */
export const writeParts = async (file: string, parts: readonly Uint8Array[], what: string): Promise<void> => {
  try {
    await using handle = await open(file, "w");
    for (let from = 0; from < parts.length; from += MOST_PARTS) await writeAll(handle, parts.slice(from, from + MOST_PARTS));
  } catch (error) {
    await rm(file, { force: true });
    if (!FULL.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
    throw new DownbeatError("DESTINATION_FULL", `${what}: the disk of the working folder is full; make room there`, { cause: error });
  }
};

const writeAll = async (
  handle: { writev(parts: readonly Uint8Array[]): Promise<{ bytesWritten: number }> },
  parts: readonly Uint8Array[],
): Promise<void> => {
  let rest = parts;
  while (rest.length > 0) {
    let { bytesWritten } = await handle.writev(rest);
    const unwritten: Uint8Array[] = [];
    for (const part of rest) {
      if (bytesWritten >= part.length) bytesWritten -= part.length;
      else {
        unwritten.push(part.subarray(bytesWritten));
        bytesWritten = 0;
      }
    }
    rest = unwritten;
  }
};

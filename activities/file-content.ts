// The content of files on its way: whole, and compared.

import type { FileFacts, FileStore } from "../connectors/file-store.ts";
import { DownbeatError } from "../core/errors.ts";

/** The content, or SOURCE_CHANGED at its end when it is not as long as the file was found to be. */
export async function* exactly({ path, size }: FileFacts, content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let length = 0;
  for await (const chunk of content) {
    length += chunk.length;
    yield chunk;
  }
  if (length !== size) throw new DownbeatError("SOURCE_CHANGED", `${path} had ${size} bytes when it was found, and ${length} were read`);
}

interface Placed {
  readonly store: FileStore;
  readonly file: FileFacts;
}

/** Byte by byte, both read beside each other; files of different sizes are not read. */
export const sameContent = async (left: Placed, right: Placed): Promise<boolean> => {
  if (left.file.size !== right.file.size) return false;
  const others = right.store.read(right.file)[Symbol.asyncIterator]();
  try {
    let rest: Uint8Array = new Uint8Array();
    for await (const chunk of exactly(left.file, left.store.read(left.file))) {
      for (let position = 0; position < chunk.length; ) {
        if (rest.length === 0) {
          const next = await others.next();
          if (next.done === true) return false;
          rest = next.value;
        }
        const length = Math.min(rest.length, chunk.length - position);
        if (Buffer.compare(chunk.subarray(position, position + length), rest.subarray(0, length)) !== 0) return false;
        rest = rest.subarray(length);
        position += length;
      }
    }
    return true;
  } finally {
    await others.return?.();
  }
};

// The content of a bzip2 file, block by block: one stream, or several behind each other as pbzip2 writes them.

import { closeSync, openSync, readSync } from "node:fs";
import { setImmediate } from "node:timers/promises";

/** Read at once: a block, 900 kB of content, takes a few of them. */
const PIECE_BYTES = 64 * 1024;

/** What the decoder works with is synchronous, so it is given a block's time at most: others have their turn between two. */
export const bunzip2 = async (file: string): Promise<AsyncGenerator<Uint8Array>> => {
  const { default: Bunzip } = await import("seek-bzip");

  class PackedFile extends Bunzip.Stream implements Disposable {
    readonly #handle = openSync(file, "r");
    readonly #piece = Buffer.allocUnsafe(PIECE_BYTES);
    #length = 0;
    #place = 0;

    readByte(): number {
      if (this.isAtEnd()) throw new Error("it ends within a block");
      const byte = this.#piece[this.#place]!;
      this.#place += 1;
      return byte;
    }

    isAtEnd(): boolean {
      if (this.#place === this.#length) {
        this.#length = readSync(this.#handle, this.#piece, 0, PIECE_BYTES, null);
        this.#place = 0;
      }
      return this.#length === 0;
    }

    [Symbol.dispose](): void {
      closeSync(this.#handle);
    }
  }

  return (async function* () {
    using packed = new PackedFile();
    const plain = new PlainBytes();
    const decoder = new Bunzip(packed, plain);
    for (;;) {
      if (decoder._init_block()) {
        decoder._read_bunzip();
        yield plain.take();
        await setImmediate();
        continue;
      }
      // As a number without sign.
      if (decoder.reader.read(32) >>> 0 !== decoder.streamCRC) throw new Error("its checksum is not that of its content");
      if (packed.isAtEnd()) return;
      decoder._start_bunzip(packed, plain);
    }
  })();
};

class PlainBytes {
  #bytes = Buffer.allocUnsafe(1024 * 1024);
  #length = 0;

  writeByte(byte: number): void {
    if (this.#length === this.#bytes.length) this.#bytes = Buffer.concat([this.#bytes], this.#length * 2);
    this.#bytes[this.#length] = byte;
    this.#length += 1;
  }

  take(): Uint8Array {
    const taken = Buffer.from(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
    return taken;
  }
}

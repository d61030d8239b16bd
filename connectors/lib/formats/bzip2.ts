// The content of bzip2 files and bytes, block by block: one stream, or several behind each other as pbzip2 writes them.

import { closeSync, openSync, readSync } from "node:fs";
import { setImmediate } from "node:timers/promises";

/** Read at once: a block, 900 kB of content, takes a few of them. */
const PIECE_BYTES = 64 * 1024;

export interface PackedBytes extends Disposable {
  /** Fills the piece as far as it can; 0 at the end. */
  take(piece: Buffer): number;
}

export const bytesOfFile = (file: string): PackedBytes => {
  const handle = openSync(file, "r");
  return {
    take: (piece) => readSync(handle, piece, 0, piece.length, null),
    [Symbol.dispose]: () => closeSync(handle),
  };
};

export const bytesInMemory = (bytes: Buffer): PackedBytes => {
  let place = 0;
  return {
    take(piece) {
      const taken = bytes.copy(piece, 0, place);
      place += taken;
      return taken;
    },
    [Symbol.dispose]: () => undefined,
  };
};

/** What the decoder works with is synchronous, so it is given a block's time at most: others have their turn between two. */
export const bunzip2 = async (open: () => PackedBytes): Promise<AsyncGenerator<Uint8Array>> => {
  const { default: Bunzip } = await import("seek-bzip");

  class PackedStream extends Bunzip.Stream implements Disposable {
    readonly #packed = open();
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
        this.#length = this.#packed.take(this.#piece);
        this.#place = 0;
      }
      return this.#length === 0;
    }

    [Symbol.dispose](): void {
      this.#packed[Symbol.dispose]();
    }
  }

  return (async function* () {
    using packed = new PackedStream();
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

// The content of Snappy files: the framing format, known by its first bytes, or else the blocks that Hadoop's codec writes.

import { crc32c } from "./crc32c.ts";

/** The framing format's identifier as a chunk: type, length, "sNaPpY". https://github.com/google/snappy/blob/main/framing_format.txt */
const IDENTIFIER = Buffer.from("ff060000734e61507059", "hex");
const COMPRESSED = 0x00;
const UNCOMPRESSED = 0x01;
const CHECKSUM_BYTES = 4;
const MOST_FRAMED = 65_536;
/** What Hadoop's codec compresses at once is 256 KB by default; more than this is no length. */
const MOST_CHUNK = 64 * 1024 * 1024;

type Uncompress = (packed: Buffer, most: number) => Uint8Array;

/** Of one bare piece, which must not become longer than it may be. */
export const snappyUncompress = async (): Promise<Uncompress> => {
  const { snappyUncompressor } = await import("hysnappy");
  const uncompress = snappyUncompressor();
  return (packed, most) => {
    const length = plainLength(packed);
    if (length > most) throw new Error(`a chunk of it is ${length} bytes long, and may be ${most}`);
    return length === 0 ? Buffer.alloc(0) : uncompress(packed, length);
  };
};

export const unsnappy = async (): Promise<(packed: AsyncIterable<Uint8Array>) => AsyncGenerator<Uint8Array>> => {
  const uncompress = await snappyUncompress();
  return async function* (packed) {
    const bytes = new ExactBytes(packed);
    const first = await bytes.peek(IDENTIFIER.length);
    if (first.length === 0) throw new Error("it is empty");
    yield* first.equals(IDENTIFIER) ? framed(bytes, uncompress) : blocks(bytes, uncompress);
  };
};

async function* framed(bytes: ExactBytes, uncompress: Uncompress): AsyncGenerator<Uint8Array> {
  while (!(await bytes.isAtEnd())) {
    const header = await bytes.take(4);
    const type = header.readUInt8(0);
    const body = await bytes.take(header.readUIntLE(1, 3));
    if (type === COMPRESSED || type === UNCOMPRESSED) {
      const content = body.subarray(CHECKSUM_BYTES);
      if (body.length < CHECKSUM_BYTES) throw new Error("a chunk of it is too short");
      const plain = type === COMPRESSED ? uncompress(content, MOST_FRAMED) : content;
      if (masked(crc32c(plain)) !== body.readUInt32LE(0)) throw new Error("a checksum is not that of its content");
      yield plain;
    } else if (type < 0x80) throw new Error(`it has a chunk of the unknown type ${type}`);
    else if (type === 0xff && !body.equals(IDENTIFIER.subarray(4))) throw new Error("a stream in it is of another format");
  }
}

const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;

/** Each block: its plain length, then chunks with their packed length until it is full; lengths are big-endian. */
async function* blocks(bytes: ExactBytes, uncompress: Uncompress): AsyncGenerator<Uint8Array> {
  while (!(await bytes.isAtEnd())) {
    let missing = (await bytes.take(4)).readUInt32BE(0);
    while (missing > 0) {
      const length = (await bytes.take(4)).readUInt32BE(0);
      if (length > MOST_CHUNK) throw new Error("neither the framing format nor blocks of Hadoop's codec");
      const plain = uncompress(await bytes.take(length), Math.min(missing, MOST_CHUNK));
      missing -= plain.length;
      yield plain;
    }
  }
}

/** What stands before the content, seven bits a byte. */
const plainLength = (packed: Buffer): number => {
  let length = 0;
  for (let place = 0; place < 5; place += 1) {
    const byte = packed[place];
    if (byte === undefined) break;
    length += (byte & 0x7f) * 2 ** (7 * place);
    if (byte < 0x80) return length;
  }
  throw new Error("a chunk of it has no length");
};

/** Bytes of a stream by their number, whatever the pieces are that they come in. */
class ExactBytes {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #waiting: Buffer = Buffer.alloc(0);

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  async isAtEnd(): Promise<boolean> {
    return (await this.peek(1)).length === 0;
  }

  /** Fewer where the stream ends. */
  async peek(length: number): Promise<Buffer> {
    const pieces = [this.#waiting];
    let have = this.#waiting.length;
    while (have < length) {
      const { value, done } = await this.#pieces.next();
      if (done === true) break;
      pieces.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
      have += value.byteLength;
    }
    if (pieces.length > 1) this.#waiting = Buffer.concat(pieces);
    return this.#waiting.subarray(0, length);
  }

  async take(length: number): Promise<Buffer> {
    const taken = await this.peek(length);
    if (taken.length < length) throw new Error("it ends within a chunk");
    this.#waiting = this.#waiting.subarray(length);
    return taken;
  }
}

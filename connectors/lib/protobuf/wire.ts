// Protobuf's wire format read front to back; what is cut off or impossible throws. https://protobuf.dev/programming-guides/encoding/

export const VARINT = 0;
export const FIXED64 = 1;
export const LENGTH = 2;
export const GROUP = 3;
const GROUP_END = 4;
export const FIXED32 = 5;

const SAFE_BYTES = 7;
const LONG_BYTES = 10;
/** Deeper than any message that is meant. */
const MOST_GROUPS = 100;

export class ProtoCursor {
  readonly #bytes: Buffer;
  #at: number;
  readonly #end: number;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = bytes.length;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#end;
  }

  #take(length: number): number {
    const left = this.#end - this.#at;
    if (length > left) throw new Error(`ends within a value: ${length} bytes are needed, ${left} are left`);
    const from = this.#at;
    this.#at += length;
    return from;
  }

  /** Without sign; a bigint where a double might not hold it. */
  readVarint(): number | bigint {
    let total = 0;
    let weight = 1;
    let byte = 0x80;
    let count = 0;
    for (; byte >= 0x80 && count < SAFE_BYTES; count += 1) {
      byte = this.#bytes[this.#take(1)]!;
      total += (byte & 0x7f) * weight;
      weight *= 128;
    }
    if (byte < 0x80) return total;
    let large = BigInt(total);
    for (; byte >= 0x80; count += 1) {
      if (count === LONG_BYTES) throw new Error("has a number of more than 64 bits");
      byte = this.#bytes[this.#take(1)]!;
      large |= BigInt(byte & 0x7f) << BigInt(count * 7);
    }
    if (large >= 2n ** 64n) throw new Error("has a number of more than 64 bits");
    return large;
  }

  /** A number of up to 32 bits, with its sign. */
  readZigzag(): number {
    return Number(BigInt.asIntN(32, zigzag(this.readVarint())));
  }

  /** A field's number, and how its value is written. */
  readTag(): { readonly id: number; readonly wire: number } {
    const tag = this.readVarint();
    const id = Math.floor(Number(tag) / 8);
    if (id === 0 || id > 536_870_911) throw new Error(`has a field of the number ${id}`);
    return { id, wire: Number(tag) % 8 };
  }

  readFloat(): number {
    return this.#bytes.readFloatLE(this.#take(4));
  }

  readDouble(): number {
    return this.#bytes.readDoubleLE(this.#take(8));
  }

  readFixed32(): number {
    return this.#bytes.readUInt32LE(this.#take(4));
  }

  readFixed64(): bigint {
    return this.#bytes.readBigUInt64LE(this.#take(8));
  }

  /** A view: valid as long as the message is. */
  readBytes(): Buffer {
    const length = Number(this.readVarint());
    const from = this.#take(length);
    return this.#bytes.subarray(from, from + length);
  }

  /** What lies between a group's tag, which has been read, and its end. */
  readGroup(id: number): Buffer {
    const from = this.#at;
    return this.#bytes.subarray(from, this.#skipGroup(id, 0));
  }

  /** Answers where its end tag begins. */
  #skipGroup(id: number, depth: number): number {
    if (depth > MOST_GROUPS) throw new Error(`has more than ${MOST_GROUPS} groups in each other`);
    for (;;) {
      const end = this.#at;
      const tag = this.readTag();
      if (tag.wire !== GROUP_END) this.skip(tag, depth + 1);
      else if (tag.id === id) return end;
      else throw new Error(`has a group ${id} that ends as ${tag.id}`);
    }
  }

  skip({ id, wire }: { readonly id: number; readonly wire: number }, depth = 0): void {
    if (wire === VARINT) this.readVarint();
    else if (wire === FIXED64) this.#take(8);
    else if (wire === LENGTH) this.readBytes();
    else if (wire === FIXED32) this.#take(4);
    else if (wire === GROUP) this.#skipGroup(id, depth);
    else throw new Error(`has a field ${id} of the unknown wire type ${wire}`);
  }
}

/** Signs are in the lowest bit. */
export const zigzag = (written: number | bigint): bigint => {
  const value = BigInt(written);
  return (value >> 1n) ^ -(value & 1n);
};

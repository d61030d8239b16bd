// Avro's binary encoding of single values, read front to back; what is cut off or impossible throws.

import { isUtf8 } from "node:buffer";

const LOW_BITS = 28;
const LONG_BYTES = 10;
/** Up to seven bytes, 49 bits, are exact as a double. */
const SAFE_BYTES = 7;
const INT_LEAST = -(2 ** 31);
const INT_MOST = 2 ** 31 - 1;

/** Of a row or message in all, however they lie in each other; of a block's rows as well. */
export const MOST_EMPTY_ITEMS = 100_000;

export class AvroCursor {
  readonly #bytes: Buffer;
  #at: number;
  /** How many items without bytes (null) are still taken: a few bytes can tell of any number. */
  #emptyLeft = MOST_EMPTY_ITEMS;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  #take(length: number): number {
    if (length < 0 || length > this.left) throw new Error(`ends within a value: ${length} bytes are needed, ${this.left} are left`);
    const from = this.#at;
    this.#at += length;
    return from;
  }

  readByte(): number {
    return this.#bytes[this.#take(1)] ?? 0;
  }

  /** Zigzag; a bigint where a double might not hold it. */
  readLong(): number | bigint {
    let low = 0;
    let byte = 0x80;
    let shift = 0;
    while (byte >= 0x80 && shift < LOW_BITS) {
      byte = this.readByte();
      low |= (byte & 0x7f) << shift;
      shift += 7;
    }
    if (byte < 0x80) return (low >>> 1) ^ -(low & 1);
    let total = low;
    let weight = 2 ** LOW_BITS;
    let count = LOW_BITS / 7;
    for (; byte >= 0x80 && count < SAFE_BYTES; count += 1) {
      byte = this.readByte();
      total += (byte & 0x7f) * weight;
      weight *= 128;
    }
    if (byte < 0x80) return total % 2 === 1 ? -(total + 1) / 2 : total / 2;
    let large = BigInt(total);
    for (; byte >= 0x80; count += 1) {
      if (count === LONG_BYTES) throw new Error("has a number of more than 64 bits");
      byte = this.readByte();
      large |= BigInt(byte & 0x7f) << BigInt(count * 7);
    }
    if (large >= 2n ** 64n) throw new Error("has a number of more than 64 bits");
    return (large >> 1n) ^ -(large & 1n);
  }

  readInt(): number {
    const value = this.readLong();
    if (typeof value === "bigint" || value < INT_LEAST || value > INT_MOST) throw new Error(`has an int of more than 32 bits: ${value}`);
    return value;
  }

  readBoolean(): boolean {
    const byte = this.readByte();
    if (byte > 1) throw new Error(`has a boolean that is neither 0 nor 1: ${byte}`);
    return byte === 1;
  }

  readFloat(): number {
    return this.#bytes.readFloatLE(this.#take(4));
  }

  readDouble(): number {
    return this.#bytes.readDoubleLE(this.#take(8));
  }

  /** As many bytes as the schema says, or as stand before them. A view: valid as long as the message is. */
  readBytes(length = Number(this.readLong())): Buffer {
    const from = this.#take(length);
    return this.#bytes.subarray(from, from + length);
  }

  readString(): string {
    const bytes = this.readBytes();
    if (!isUtf8(bytes)) throw new Error("has a string that is not UTF-8");
    return bytes.toString("utf8");
  }

  /** One of so many: an enum's symbol, a union's branch. */
  readIndex(count: number): number {
    const index = Number(this.readLong());
    if (index < 0 || index >= count) throw new Error(`names number ${index} of ${count}`);
    return index;
  }

  /** Calls `item` for every item of an array or map: blocks until an empty one; a negative count is followed by the block's size. */
  readItems(item: () => void): void {
    for (;;) {
      let count = Number(this.readLong());
      if (count === 0) return;
      if (count < 0) {
        count = -count;
        this.readLong();
      }
      if (count > this.left + this.#emptyLeft) throw new Error(`says that it has ${count} items, and has ${this.left} bytes`);
      for (; count > 0; count -= 1) {
        const before = this.#at;
        item();
        if (this.#at === before) this.#takeEmpty();
      }
    }
  }

  #takeEmpty(): void {
    this.#emptyLeft -= 1;
    if (this.#emptyLeft < 0) throw new Error(`has more than ${MOST_EMPTY_ITEMS} items without bytes`);
  }
}

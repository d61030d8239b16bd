// Avro's binary encoding of single values, written behind each other.

const FIRST_BYTES = 64 * 1024;
/** A number's bytes at most. */
const LONG_BYTES = 10;
/** Zigzag doubles it: beyond, a double might not hold that. */
const MOST_AS_DOUBLE = 2n ** 51n;

export class AvroWriter {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Room for so many bytes more. */
  #reserve(length: number): void {
    if (this.#length + length <= this.#bytes.length) return;
    this.#bytes = Buffer.concat([this.#bytes.subarray(0, this.#length)], Math.max(this.#bytes.length * 2, this.#length + length));
  }

  #byte(value: number): void {
    this.#bytes[this.#length] = value;
    this.#length += 1;
  }

  long(value: number | bigint): void {
    this.#reserve(LONG_BYTES);
    if (typeof value === "bigint" && (value >= MOST_AS_DOUBLE || value <= -MOST_AS_DOUBLE)) {
      let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
      for (; rest >= 0x80n; rest >>= 7n) this.#byte(Number(rest & 0x7fn) | 0x80);
      this.#byte(Number(rest));
      return;
    }
    const number = Number(value);
    let rest = number < 0 ? -number * 2 - 1 : number * 2;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#byte((rest % 0x80) | 0x80);
    this.#byte(rest);
  }

  boolean(value: boolean): void {
    this.#reserve(1);
    this.#byte(value ? 1 : 0);
  }

  float(value: number): void {
    this.#reserve(4);
    this.#length = this.#bytes.writeFloatLE(value, this.#length);
  }

  double(value: number): void {
    this.#reserve(8);
    this.#length = this.#bytes.writeDoubleLE(value, this.#length);
  }

  bytes(value: Uint8Array): void {
    this.long(value.length);
    this.raw(value);
  }

  text(value: string): void {
    this.bytes(Buffer.from(value));
  }

  /** As they are, without their length. */
  raw(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** What was written since the last time. */
  take(): Buffer {
    const taken = Buffer.from(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
    return taken;
  }
}

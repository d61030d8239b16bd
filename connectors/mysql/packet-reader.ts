// Cuts MySQL's byte stream into packets without copying what lies in one piece. https://mariadb.com/kb/en/0-packet/

/** Gets a payload as a range of a buffer that is only its own during the call. */
export type PacketHandler = (bytes: Buffer, start: number, end: number) => void;

const HEADER = 4;
/** A payload of this length goes on in the next packet. */
const CONTINUED = 0xff_ff_ff;
/** A carry buffer that a large value has blown up is given back. */
const KEPT = 1024 * 1024;

export class PacketReader {
  /** A packet that began in an earlier chunk: payload so far, without headers. */
  #carry = Buffer.allocUnsafeSlow(KEPT);
  #carried = 0;
  #header = Buffer.alloc(HEADER);
  #headerFilled = 0;
  /** Bytes of the current packet's payload that are still to come. */
  #missing = 0;
  #isCarrying = false;

  push(chunk: Buffer, handle: PacketHandler): void {
    let at = 0;
    while (at < chunk.length) {
      if (!this.#isCarrying && chunk.length - at >= HEADER) {
        const length = chunk[at]! | (chunk[at + 1]! << 8) | (chunk[at + 2]! << 16);
        const end = at + HEADER + length;
        if (length < CONTINUED && end <= chunk.length) {
          handle(chunk, at + HEADER, end);
          at = end;
          continue;
        }
      }
      at = this.#pushInPieces(chunk, at, handle);
    }
  }

  #pushInPieces(chunk: Buffer, start: number, handle: PacketHandler): number {
    this.#isCarrying = true;
    let at = start;
    if (this.#headerFilled < HEADER) {
      const taken = Math.min(HEADER - this.#headerFilled, chunk.length - at);
      chunk.copy(this.#header, this.#headerFilled, at, at + taken);
      this.#headerFilled += taken;
      at += taken;
      if (this.#headerFilled < HEADER) return at;
      this.#missing = this.#header.readUIntLE(0, 3);
      this.#reserve(this.#missing);
    }
    const taken = Math.min(this.#missing, chunk.length - at);
    chunk.copy(this.#carry, this.#carried, at, at + taken);
    this.#carried += taken;
    this.#missing -= taken;
    at += taken;
    if (this.#missing > 0) return at;
    this.#headerFilled = 0;
    if (this.#header.readUIntLE(0, 3) === CONTINUED) return at;
    const length = this.#carried;
    this.#carried = 0;
    this.#isCarrying = false;
    const payload = this.#carry;
    if (payload.length > KEPT) this.#carry = Buffer.allocUnsafeSlow(KEPT);
    handle(payload, 0, length);
    return at;
  }

  #reserve(more: number): void {
    const needed = this.#carried + more;
    if (needed <= this.#carry.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#carry.length * 2));
    this.#carry.copy(grown, 0, 0, this.#carried);
    this.#carry = grown;
  }
}

// What of seek-bzip we use: the package has no types of its own.

declare module "seek-bzip" {
  class Input {
    /** Reads through `readByte`. */
    read(buffer: Uint8Array, offset: number, length: number): number;
  }

  export interface BitReader {
    read(bits: number): number;
  }

  class Bunzip {
    static readonly Stream: typeof Input;
    readonly reader: BitReader;
    /** Of the stream so far. */
    readonly streamCRC: number;
    /** Reads the stream's header. */
    constructor(input: InstanceType<typeof Input>, output: { writeByte(byte: number): void });
    /** Reads the header of the next stream. */
    _start_bunzip(input: InstanceType<typeof Input>, output: { writeByte(byte: number): void }): void;
    /** Takes the next block in; false: the stream has none. */
    _init_block(): boolean;
    /** Writes the block, and checks it. */
    _read_bunzip(): number;
  }

  export default Bunzip;
}

// MySQL's packets, however the stream is cut.

import { describe, expect, it } from "vitest";
import { parseColumnDefinition } from "../../connectors/mysql/column-definition.ts";
import { PacketReader } from "../../connectors/mysql/packet-reader.ts";

const MOST = 0xff_ff_ff;

const packet = (payload: Buffer): Buffer => {
  const header = Buffer.alloc(4);
  header.writeUIntLE(payload.length, 0, 3);
  return Buffer.concat([header, payload]);
};

const read = (stream: Buffer, size: number): readonly Buffer[] => {
  const reader = new PacketReader();
  const payloads: Buffer[] = [];
  for (let from = 0; from < stream.length; from += size) {
    // A buffer of its own, as sockets give them.
    reader.push(Buffer.from(stream.subarray(from, from + size)), (bytes, start, end) =>
      payloads.push(Buffer.from(bytes.subarray(start, end))),
    );
  }
  return payloads;
};

describe("packets of MySQL", () => {
  it("come whole, wherever the stream is cut", () => {
    const payloads = [Buffer.from("a"), Buffer.alloc(0), Buffer.from("hello world"), Buffer.alloc(300, 7), Buffer.from([0xff])];
    const stream = Buffer.concat(payloads.map(packet));
    for (let size = 1; size <= stream.length; size += 1) expect(read(stream, size)).toEqual(payloads);
  });

  it("of the greatest length go on in the next one, also in an empty one", () => {
    const exact = Buffer.alloc(MOST, 1);
    const longer = Buffer.alloc(MOST + 5, 2);
    const stream = Buffer.concat([
      packet(exact),
      packet(Buffer.alloc(0)),
      packet(longer.subarray(0, MOST)),
      packet(longer.subarray(MOST)),
      packet(Buffer.from("end")),
    ]);
    for (const size of [65_536, 1_000_003, stream.length]) {
      const payloads = read(stream, size);
      expect(payloads.map(({ length }) => length)).toEqual([MOST, MOST + 5, 3]);
      expect(payloads[1]?.equals(longer)).toBe(true);
    }
  });
});

const text = (value: string): Buffer => Buffer.concat([Buffer.from([Buffer.byteLength(value)]), Buffer.from(value)]);
const fixed = (type: number, flags: number): Buffer => Buffer.from([12, 63, 0, 20, 0, 0, 0, type, flags & 255, flags >> 8, 2, 0, 0]);

describe("column definitions of MySQL", () => {
  it("with and without MariaDB's extended metadata", () => {
    const names = ["def", "shop", "t", "t", "größe", "größe"].map(text);
    const plain = Buffer.concat([...names, fixed(246, 33)]);
    expect(parseColumnDefinition(plain, 0, plain.length)).toEqual({
      name: "größe",
      wire: 246,
      length: 20,
      decimals: 2,
      isBinary: true,
      isNotNull: true,
      isUnsigned: true,
      isEnumOrSet: false,
      extended: undefined,
    });
    // A block of 12 bytes begins with the same byte as the part of fixed length.
    const block = Buffer.concat([Buffer.from([0]), text("multipoint")]);
    const extended = Buffer.concat([...names, Buffer.from([block.length]), block, fixed(252, 256)]);
    expect(block.length).toBe(12);
    expect(parseColumnDefinition(extended, 0, extended.length)).toMatchObject({ extended: "multipoint", wire: 252, isEnumOrSet: true });
  });
});

// Files that others packed: unpacked whole, in every way they come; refused when they are cut, damaged or something else.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { formatOf } from "../../connectors/lib/formats/read-file.ts";
import { type PackedFile, unpack } from "../../connectors/lib/formats/unpack.ts";

const PACKED = path.join(import.meta.dirname, "../fixtures/packed");
const folder = await mkdtemp(path.join(tmpdir(), "downbeat-packed-"));
const tempDir = path.join(folder, "temp");
await mkdir(tempDir);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What make.py packed. */
const CONTENT = `id,name\n${Array.from({ length: 20_000 }, (_, id) => `${id},name ${id % 7}\n`).join("")}`;
const names = readdirSync(PACKED).filter((name) => name !== "make.py");
const packed = (name: string): Buffer => readFileSync(path.join(PACKED, name));

let files = 0;
const unpacked = async (
  name: string,
  bytes: Uint8Array,
  { compression, signal = new AbortController().signal }: Pick<PackedFile, "compression"> & { readonly signal?: AbortSignal } = {},
): Promise<string | undefined> => {
  const file = path.join(folder, `${(files += 1)}`);
  writeFileSync(file, bytes);
  await using plain = await unpack({ file, name, compression }, { tempDir, signal });
  return plain === undefined ? undefined : readFile(plain.path, "utf8");
};

const broken = (name: string) => ({ code: "SOURCE_FILE_BROKEN", message: expect.stringContaining(name) as unknown });

describe.each(names)("%s", (name) => {
  const bytes = packed(name);
  /** Places all over it, and each of its last bytes. */
  const places = [
    ...Array.from({ length: 10 }, (_, part) => Math.floor((bytes.length * part) / 10) + 3),
    ...Array.from({ length: 12 }, (_, back) => bytes.length - 1 - back),
  ];

  it("is unpacked whole, and leaves nothing behind", async () => {
    expect(await unpacked(name, bytes)).toBe(CONTENT);
    expect(formatOf(name)).toBe("csv");
    expect(await readdir(tempDir)).toEqual([]);
  });

  it("is refused wherever it is cut", async () => {
    for (const place of places)
      await expect(unpacked(name, bytes.subarray(0, place)), `cut at ${place}`).rejects.toMatchObject(broken(name));
    await expect(unpacked(name, Buffer.alloc(0))).rejects.toMatchObject(broken(name));
    expect(await readdir(tempDir)).toEqual([]);
  });

  it("is refused when it is something else, or something else follows", async () => {
    await expect(unpacked(name, Buffer.from(CONTENT))).rejects.toMatchObject(broken(name));
    await expect(unpacked(name, Buffer.concat([bytes, Buffer.from("and more")]))).rejects.toMatchObject(broken(name));
  });

  // Hadoop's blocks have no checksums.
  it.skipIf(name.endsWith(".snappy"))("never gives other content than was packed", async () => {
    for (const place of places) {
      const damaged = Buffer.from(bytes);
      damaged[place]! ^= 1;
      const found = await unpacked(name, damaged).catch((error: unknown) => error);
      if (found !== CONTENT) expect(found, `damaged at ${place}`).toMatchObject(broken(name));
    }
  });

  it("ends when it is told to", async () => {
    const reason = new Error("enough");
    await expect(unpacked(name, bytes, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(await readdir(tempDir)).toEqual([]);
  });
});

describe("Snappy", () => {
  it("blocks of several chunks, as Hadoop's codec cuts what is written at once, and empty ones", async () => {
    const bytes = packed("hadoop.csv.snappy");
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const length = bytes.readUInt32BE(at + 4);
      chunks.push(bytes.subarray(at + 4, at + 8 + length));
      at += 8 + length;
    }
    const total = Buffer.alloc(4);
    total.writeUInt32BE(CONTENT.length);
    expect(chunks.length).toBeGreaterThan(1);
    expect(await unpacked("x.snappy", Buffer.concat([total, ...chunks, Buffer.alloc(4)]))).toBe(CONTENT);
  });

  it("chunks that may be passed over are, others are not", async () => {
    const bytes = packed("framed.csv.sz");
    const padded = (type: number): Buffer => Buffer.concat([bytes.subarray(0, 10), Buffer.from([type, 2, 0, 0, 7, 7]), bytes.subarray(10)]);
    expect(await unpacked("x.sz", padded(0xfe))).toBe(CONTENT);
    expect(await unpacked("x.sz", padded(0x80))).toBe(CONTENT);
    await expect(unpacked("x.sz", padded(0x02))).rejects.toMatchObject(broken("x.sz"));
  });
});

it("the option goes before the ending", async () => {
  expect(await unpacked("x.bz2", packed("framed.csv.sz"), { compression: "snappy" })).toBe(CONTENT);
  expect(await unpacked("x.bz2", Buffer.from("x"), { compression: "none" })).toBeUndefined();
});

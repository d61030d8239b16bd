// A batch as the bytes of one file.

import { promisify } from "node:util";
import { gzip, zstdCompress } from "node:zlib";
import type { Batch } from "../../batch.ts";
import { encodeAvro, WRITTEN_CODECS } from "../avro/encoder.ts";
import { encodeParquet } from "../parquet-encoder.ts";
import { readerOf, toRows } from "../rows.ts";

export const WRITTEN_FORMATS = ["parquet", "csv", "jsonl", "avro"] as const;
export type WrittenFormat = (typeof WRITTEN_FORMATS)[number];

export const WRITTEN_COMPRESSIONS = ["none", "gzip", "zstd", "deflate"] as const;
export type WrittenCompression = (typeof WRITTEN_COMPRESSIONS)[number];

/** What files of each format may be packed by. */
export const PACKED_BY: Readonly<Record<WrittenFormat, readonly WrittenCompression[]>> = {
  parquet: ["none"],
  csv: ["none", "gzip", "zstd"],
  jsonl: ["none", "gzip", "zstd"],
  avro: ["none", "deflate", "zstd"],
};

interface Packing {
  readonly ending: string;
  readonly pack: (plain: Uint8Array) => Promise<Uint8Array>;
}

/** Of whole files. */
const PACKING: Readonly<Partial<Record<WrittenCompression, Packing>>> = {
  none: { ending: "", pack: (plain) => Promise.resolve(plain) },
  gzip: { ending: ".gz", pack: promisify<Uint8Array, Uint8Array>(gzip) },
  zstd: { ending: ".zst", pack: promisify<Uint8Array, Uint8Array>(zstdCompress) },
};

/** Options have been checked by then: `PACKED_BY`. */
const chosen = <Way>(ways: Readonly<Partial<Record<WrittenCompression, Way>>>, compression: WrittenCompression): Way => {
  const way = ways[compression];
  if (way === undefined) throw new Error(`no file is packed by ${compression} in this format`);
  return way;
};

/** Avro's blocks are packed within the file. */
export const endingOf = (format: WrittenFormat, compression: WrittenCompression): string =>
  format === "avro" ? "avro" : `${format}${chosen(PACKING, compression).ending}`;

export const encodeFile = (format: WrittenFormat, batch: Batch, compression: WrittenCompression = "none"): Promise<Uint8Array> =>
  format === "avro"
    ? encodeAvro(batch, chosen(WRITTEN_CODECS, compression))
    : chosen(PACKING, compression).pack(encodePlain(format, batch));

const encodePlain = (format: Exclude<WrittenFormat, "avro">, batch: Batch): Uint8Array => {
  switch (format) {
    case "parquet":
      return Buffer.concat(
        encodeParquet(
          batch,
          batch.schema.columns.map(({ name }, index) => ({ index, name })),
        ),
      );
    case "jsonl":
      return Buffer.from(
        toRows(batch)
          .map((row) => `${JSON.stringify(row)}\n`)
          .join(""),
      );
    case "csv":
      return Buffer.from(csvText(batch));
  }
};

/** NULL is an empty field, the empty string a quoted one: what we write we read back. */
const csvField = (value: unknown): string => {
  if (value === null) return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return text === "" || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

const csvText = (batch: Batch): string => {
  const readers = batch.schema.columns.map((column, place) => readerOf(column.type, batch.columns[place]));
  const lines = [batch.schema.columns.map(({ name }) => csvField(name)).join(",")];
  for (let row = 0; row < batch.rows; row += 1) lines.push(readers.map((read) => csvField(read(row))).join(","));
  return `${lines.join("\n")}\n`;
};

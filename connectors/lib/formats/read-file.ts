// Reads one local file as batches: format and compression by its name or by option; a truncated or foreign file is a clear error.

import { randomUUID } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { z } from "zod";
import { DownbeatError } from "../../../core/errors.ts";
import type { Column } from "../../batch.ts";
import { declaredColumns } from "../column-types.ts";
import { readCsv } from "./csv.ts";
import type { FileBatch } from "./engine.ts";
import { readJsonLines } from "./json-lines.ts";
import { readParquet } from "./parquet.ts";

export const FORMATS = ["csv", "jsonl", "parquet"] as const;
export type Format = (typeof FORMATS)[number];
export type Compression = "none" | "gzip" | "zstd";

/** Keys of `from` for everything that reads files. */
export const fileOptions = {
  format: z.enum(FORMATS).optional().describe("Default: by the file's ending"),
  compression: z.enum(["none", "gzip", "zstd"]).optional().describe("Default: by the file's ending (.gz, .zst)"),
  columns: declaredColumns("int64, decimal(12,2), timestamp")
    .optional()
    .describe("Names and types, such as {id: int64, price: decimal(12,2)}; default: inferred"),
  delimiter: z.string().length(1).default(",").describe("CSV"),
  header: z.boolean().default(true).describe("CSV"),
} as const;

export interface ReadFileOptions {
  readonly file: string;
  /** The object's or file's own name: tells the format, and stands in errors. */
  readonly name: string;
  readonly format?: Format | undefined;
  readonly compression?: Compression | undefined;
  readonly columns?: readonly Column[] | undefined;
  readonly delimiter: string;
  readonly header: boolean;
  readonly known: readonly Column[];
  readonly skipRows: number;
  readonly tempDir: string;
  readonly signal: AbortSignal;
  readonly batchRows?: number | undefined;
  /** Batches may name rows of Parquet files instead of carrying them. */
  readonly takesParquet?: boolean | undefined;
  /** Whether the file is the reader's alone: nobody changes it. */
  readonly isCopy?: boolean;
}

const ENDINGS: readonly (readonly [RegExp, Format])[] = [
  [/\.(csv|tsv|txt)$/i, "csv"],
  [/\.(jsonl|ndjson|json)$/i, "jsonl"],
  [/\.(parquet|pq)$/i, "parquet"],
];

const compressionOf = (name: string): Compression => (/\.gz$/i.test(name) ? "gzip" : /\.zst$/i.test(name) ? "zstd" : "none");

export const formatOf = (name: string): Format => {
  const plain = name.replace(/\.(gz|zst)$/i, "");
  const format = ENDINGS.find(([ending]) => ending.test(plain))?.[1];
  if (format !== undefined) return format;
  throw new DownbeatError("SOURCE_OPTIONS_INVALID", `${name}: its ending tells no format; set from.format to one of ${FORMATS.join(", ")}`);
};

interface PlainFile extends AsyncDisposable {
  readonly path: string;
}

/** Unpacks into the temporary folder: the readers want to seek, and a truncated file shows before a row of it is read. */
const unpack = async ({ file, name, tempDir, signal }: ReadFileOptions, compression: Exclude<Compression, "none">): Promise<PlainFile> => {
  const target = path.join(tempDir, `${randomUUID()}.plain`);
  const remove = (): Promise<void> => rm(target, { force: true });
  try {
    await pipeline(createReadStream(file), compression === "gzip" ? createGunzip() : createZstdDecompress(), createWriteStream(target), {
      signal,
    });
    return { path: target, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    signal.throwIfAborted();
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOSPC")
      throw new DownbeatError("DESTINATION_FULL", `the disk of the temporary folder is full (while unpacking ${name})`, { cause: error });
    throw new DownbeatError("SOURCE_FILE_BROKEN", `${name} is not a whole ${compression} file: ${message}`, { cause: error });
  }
};

export async function* readFile(options: ReadFileOptions): AsyncGenerator<FileBatch> {
  const { name, columns: declared, known, skipRows, signal, batchRows, tempDir, delimiter, header, takesParquet = false } = options;
  const format = options.format ?? formatOf(name);
  const compression = options.compression ?? compressionOf(name);
  await using plain = compression === "none" ? undefined : await unpack(options, compression);
  const isCopy = options.isCopy === true || plain !== undefined;
  const read = { file: plain?.path ?? options.file, name, declared, known, skipRows, signal, batchRows, tempDir, takesParquet, isCopy };
  switch (format) {
    case "csv":
      yield* readCsv(read, { delimiter: /\.tsv(\.|$)/i.test(name) && delimiter === "," ? "\t" : delimiter, header });
      return;
    case "jsonl":
      yield* readJsonLines(read);
      return;
    case "parquet":
      yield* readParquet(read);
  }
}

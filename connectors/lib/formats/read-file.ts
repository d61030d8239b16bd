// Reads one local file as batches: the format by its name or by option; a truncated or foreign file is a clear error.

import { z } from "zod";
import { DownbeatError } from "../../../core/errors.ts";
import type { Column } from "../../batch.ts";
import { declaredColumns } from "../column-types.ts";
import { readAvro } from "./avro.ts";
import { COMPRESSIONS, unpackedName } from "./compression.ts";
import { readCsv } from "./csv.ts";
import type { FileBatch } from "./engine.ts";
import { readJsonLines } from "./json-lines.ts";
import { readParquet } from "./parquet.ts";

export const FORMATS = ["csv", "jsonl", "parquet", "avro"] as const;
export type Format = (typeof FORMATS)[number];

/** Keys of `from` for everything that reads files. */
export const fileOptions = {
  format: z.enum(FORMATS).optional().describe("Default: by the file's ending"),
  compression: z.enum(COMPRESSIONS).optional().describe("Default: by the file's ending (.gz, .zst, .bz2, .sz, .snappy)"),
  columns: declaredColumns("int64, decimal(12,2), timestamp")
    .optional()
    .describe("Names and types, such as {id: int64, price: decimal(12,2)}; default: inferred, or the schema of an Avro file"),
  delimiter: z.string().length(1).default(",").describe("CSV"),
  header: z.boolean().default(true).describe("CSV"),
} as const;

export interface ReadFileOptions {
  /** Unpacked. */
  readonly file: string;
  /** The object's or file's own name: tells the format, and stands in errors. */
  readonly name: string;
  readonly format?: Format | undefined;
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
  /** Batches may name CSV files instead of carrying their rows. */
  readonly takesCsv?: boolean | undefined;
  /** Whether the file is the reader's alone: nobody changes it. */
  readonly isCopy?: boolean;
}

const ENDINGS: readonly (readonly [RegExp, Format])[] = [
  [/\.(csv|tsv|txt)$/i, "csv"],
  [/\.(jsonl|ndjson|json)$/i, "jsonl"],
  [/\.(parquet|pq)$/i, "parquet"],
  [/\.avro$/i, "avro"],
];

export const formatOf = (name: string): Format => {
  const plain = unpackedName(name);
  const format = ENDINGS.find(([ending]) => ending.test(plain))?.[1];
  if (format !== undefined) return format;
  throw new DownbeatError("SOURCE_OPTIONS_INVALID", `${name}: its ending tells no format; set from.format to one of ${FORMATS.join(", ")}`);
};

export async function* readFile(options: ReadFileOptions): AsyncGenerator<FileBatch> {
  const {
    name,
    columns: declared,
    known,
    skipRows,
    signal,
    batchRows,
    tempDir,
    delimiter,
    header,
    takesParquet = false,
    takesCsv = false,
  } = options;
  const format = options.format ?? formatOf(name);
  const { file, isCopy = false } = options;
  const read = { file, name, declared, known, skipRows, signal, batchRows, tempDir, takesParquet, takesCsv, isCopy };
  switch (format) {
    case "csv":
      yield* readCsv(read, { delimiter: /\.tsv(\.|$)/i.test(name) && delimiter === "," ? "\t" : delimiter, header });
      return;
    case "jsonl":
      yield* readJsonLines(read);
      return;
    case "parquet":
      yield* readParquet(read);
      return;
    case "avro":
      yield* readAvro(read);
  }
}

// S3 and everything that speaks its protocol: objects as streams, and as a destination of files.

import { z } from "zod";
import { secret } from "../lib/config.ts";
import { defineConnector } from "../lib/define.ts";
import { fileOptions } from "../lib/formats/read-file.ts";
import { PACKED_BY, WRITTEN_COMPRESSIONS, WRITTEN_FORMATS } from "../lib/formats/write-file.ts";
import { afterScheme, decoded, tableOfPath } from "../lib/urls.ts";

const ENCRYPTIONS = ["AES256", "aws:kms"] as const;

export const s3Config = z
  .strictObject({
    bucket: z.string().min(3).max(63),
    region: z.string().default("us-east-1"),
    endpoint: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe("Of servers other than AWS"),
    path_style: z.boolean().default(false).describe("Bucket in the path instead of the host name: most servers other than AWS"),
    access_key_id: z.string().optional().describe("Without it the standard AWS credential chain of the worker is used"),
    secret_access_key: secret("Secret access key").optional(),
    session_token: secret("Session token").optional(),
    prefix: z.string().default("").describe("Put before every stream and table"),
    server_side_encryption: z.enum(ENCRYPTIONS).optional().describe("Of all that is written; default: as the bucket is set up"),
    kms_key_id: z.string().min(1).optional().describe("With aws:kms; default: the account's own key for S3"),
  })
  .refine(({ server_side_encryption: encryption, kms_key_id: key }) => key === undefined || encryption === "aws:kms", {
    error: "is for server_side_encryption: aws:kms",
    path: ["kms_key_id"],
  });

export type S3Config = z.output<typeof s3Config>;

export const s3TargetOptions = z
  .strictObject({
    format: z.enum(WRITTEN_FORMATS).default("parquet"),
    compression: z
      .enum(WRITTEN_COMPRESSIONS)
      .default("none")
      .describe("CSV and JSON Lines: gzip or zstd, of whole files; Avro: deflate or zstd, of its blocks"),
    partition_by: z
      .array(z.string().min(1))
      .max(10)
      .refine((names) => new Set(names).size === names.length, "names a column twice")
      .default([])
      .describe("Columns whose values are folders, as Hive lays them out: country=DE/day=2026-11-28/"),
  })
  .refine(({ format, compression }) => PACKED_BY[format].includes(compression), {
    error: "is not for this format: gzip is for csv and jsonl, deflate for avro, zstd for these three",
    path: ["compression"],
  });

export type S3TargetOptions = z.output<typeof s3TargetOptions>;

export const s3 = defineConnector({
  kind: "s3",
  title: "S3",
  description: "Amazon S3 and compatible servers: CSV, JSON Lines, Parquet and Avro objects",
  roles: ["source", "destination", "files"],
  config: s3Config,
  sourceOptions: z.strictObject({
    ...fileOptions,
    new_only: z.boolean().default(false).describe("Take each object once; one whose content changed counts as new"),
  }),
  targetOptions: s3TargetOptions,
  capabilities: { incremental: "never", incrementalWhen: "new_only", resumable: true, modes: ["append", "replace"], transactional: true },
  url: {
    schemes: ["s3"],
    example: "s3://bucket/orders/*.csv.gz",
    environment: {
      region: ["AWS_REGION", "AWS_DEFAULT_REGION"],
      endpoint: ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"],
    },
    read: (text, { role }) => {
      const [, bucket = "", rest = ""] = /^([^/]*)\/?(.*)$/s.exec(afterScheme(text)) ?? [];
      const key = decoded(rest);
      if (key === undefined) return "it has a % that begins no encoded character; write % as %25";
      const place = `s3://${bucket}`;
      if (role === "source" && key !== "" && !key.endsWith("/")) return { config: { bucket }, stream: key, place };
      return { config: { bucket, prefix: key === "" || key.endsWith("/") ? key : `${key}/` }, place: `${place}/${key}` };
    },
    tableOf: tableOfPath,
  },
  notes: `
A stream is a key or a glob: \`prices/2026/*.csv.gz\`; the part before the first \`*\` is what is listed. Objects are read in key order, each in the version that was listed: one that changes
meanwhile ends the attempt with SOURCE_CHANGED. With \`new_only\` the destination remembers each object by key and ETag, and an object that was begun is read on, also
in the next run. They are read from copies in the worker's temporary folder, unpacked there, the next one beside the work on each: it needs room for two of them, and for CSV a third more.

Packed objects are gzip (\`.gz\`), zstd (\`.zst\`), bzip2 (\`.bz2\`) and Snappy (\`.sz\`, \`.snappy\`), also several streams behind each other, as pbzip2 writes them. Snappy is the framing format, known by its first bytes,
or else the blocks of Hadoop's codec, as Spark writes CSV and JSON; bare Snappy without either is refused. A file that is cut or damaged is SOURCE_FILE_BROKEN before a row of it counts; only one that is cut exactly between two streams, or two of Snappy's chunks,
looks like a whole one, and Hadoop's blocks have no checksums. bzip2 is unpacked in JavaScript: under 10 MB of content a second.

CSV and JSON Lines are taken exactly: values that are not of their column's type and lines that do not fit become rejects with file and line. Types are inferred over a whole CSV file, over batches of
a JSON Lines file, and only widen from file to file; "007" and numbers with more digits than a double has are text. Declare \`columns\` where a type must not depend on the data, such as prices.

Avro is the object container file (\`.avro\`, specification 1.12), with the codecs null, deflate, snappy, zstandard and bzip2; xz is refused. Columns are those of the schema in each file's header, by [the table of Kafka's Avro](#kafka). Where schemas differ between files, columns only widen and are added; one that a file lacks is NULL in it.
With \`columns\` only those are read, in the types that are declared. A row with a value that is not for its column (nanoseconds that are not whole microseconds, a text that is not UTF-8) is a reject with file and row, its text the row as JSON. A file is walked block by block first, so one that was cut is SOURCE_FILE_BROKEN before a row of it counts, with the block's
number and byte (in the unpacked file where it was packed as a whole); only one that was cut exactly between two blocks looks like a whole one. Damage within a block ends the load there; deflate, null and mostly zstandard have no checksums, so that damage may read as other values. A block may have 128 MiB, packed and unpacked.
Written as Avro, columns have the types of that table (the other way round; local-timestamp-micros, timestamp-micros, time-micros), a uint64 is a decimal(20,0) and JSON a string. Blocks of about 64 KB are packed by deflate or zstandard. A column whose name is not of letters, digits and _ is refused: rename it ([why](../decisions/0030-avro-files-by-our-own-code.md)).

As a destination \`table\` is a folder. The manifest \`_downbeat/….json\` in it, written last and on condition, says which of its files count: readers take the files that it names.
Replace writes new files, then a manifest that names only them, then deletes the old ones. Rejected rows go to \`_downbeat/dead-letters/\`.

\`partition_by\` lays files into folders as Hive does: \`country=DE/day=2026-11-28/….parquet\`, by columns of the types string, int32, int64, uint64, bool and date. Values are encoded as Hive encodes them (\`/\` is \`%2F\`), NULL and the empty text are \`__HIVE_DEFAULT_PARTITION__\`. The columns stay in the files,
so reading them back needs no option; DuckDB reads them with \`hive_partitioning\` ([why](../decisions/0028-partition-columns-stay-in-files.md)). Every batch makes a file in each partition that it has rows of; a chunk with more than 1,000 partitions is refused with DESTINATION_DATA_REFUSED. Replace takes away the partitions that the new rows do not have.

\`server_side_encryption\` goes with everything that is written: rows, manifests, dead letters, files and copies. Whether a server encrypts is its own affair: without a key service servers other than AWS may take the word and do nothing.

As \`files\` objects over 8 MB go up in parts, and within one service the server copies; the metadata \`downbeat-key\` says which task wrote an object. See [moving files](../guides/moving-files.md).
`.trim(),
  open: async (config, context) => (await import("./connector.ts")).openS3(config, context),
});

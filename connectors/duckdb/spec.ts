// DuckDB, the embedded warehouse: what can be known of it without opening a file.

import path from "node:path";
import { z } from "zod";
import { defineConnector } from "../lib/define.ts";
import { tableOptions } from "../lib/table-options.ts";
import { afterScheme, decoded } from "../lib/urls.ts";

const config = z.strictObject({
  path: z
    .string()
    .min(1)
    .refine((path) => path !== ":memory:", "a database in memory is gone with each task; name a file")
    .meta({ description: "Database file, made when it is missing; relative to the worker's base folder", examples: ["warehouse.duckdb"] }),
  memory_limit: z
    .string()
    .regex(/^\d+(\.\d+)?\s?(KB|MB|GB|TB|KiB|MiB|GiB|TiB)$/)
    .default("1GB")
    .meta({ description: "Memory that DuckDB may use before it writes temporary files beside the database" }),
  threads: z.int().min(0).max(256).default(0).meta({ description: "Threads of DuckDB; 0 = as many as there are cores" }),
});

const sourceOptions = z.strictObject({
  ...tableOptions,
});

const notes = `
| logical type | DuckDB |
|---|---|
| bool, int32, int64, uint64, float32, float64 | BOOLEAN, INTEGER, BIGINT, UBIGINT, FLOAT, DOUBLE |
| decimal(p, s) | DECIMAL(p, s), up to 38 digits; more are refused |
| string, binary, uuid, json | VARCHAR, BLOB, UUID, JSON |
| date, timestamp, timestamptz | DATE, TIMESTAMP, TIMESTAMP WITH TIME ZONE |
| time | TIME; values below zero or over a day are refused |

Read as text: ENUM, INTERVAL, BIT, TIME WITH TIME ZONE, TIME_NS, TIMESTAMP_NS. Read as JSON: LIST, ARRAY, STRUCT, MAP, UNION. HUGEINT is read as decimal(38, 0).

A file has one owner: all tasks of a worker share one instance, a second process is refused with DESTINATION_UNAVAILABLE. Names are not case-sensitive:
a stream with columns \`id\` and \`ID\` is refused. Extensions are never downloaded. Replace renames staging where nothing hangs on the table, and otherwise
deletes and inserts in one transaction. Downbeat's own tables are in the schema \`_downbeat\`.
`.trim();

export const duckdb = defineConnector({
  kind: "duckdb",
  title: "DuckDB",
  description: "The embedded warehouse: one file, no server",
  roles: ["source", "destination", "sql"],
  config,
  sourceOptions,
  capabilities: { incremental: "cursor", resumable: true, modes: ["append", "merge", "replace"], transactional: true },
  url: {
    schemes: ["duckdb"],
    endings: [".duckdb", ".ddb"],
    example: "duckdb://file.duckdb",
    read: (text, { baseDir }) => {
      const file = decoded(afterScheme(text));
      if (file === undefined) return "it has a % that begins no encoded character; write % as %25";
      return { config: { path: file }, place: `duckdb://${path.resolve(baseDir, file)}` };
    },
    tableOf: (stream) => stream.replace(/^main\./, ""),
  },
  notes,
  open: async (parsed, context) => (await import("./connector.ts")).openDuckdb(parsed, context),
});

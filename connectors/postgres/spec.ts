// PostgreSQL: what can be known of it without connecting.

import { z } from "zod";
import { secret } from "../lib/config.ts";
import { defineConnector } from "../lib/define.ts";
import { tableOptions } from "../lib/table-options.ts";
import { serverUrl } from "../lib/urls.ts";

const config = z.strictObject({
  host: z
    .string()
    .min(1)
    .meta({ description: "Host name or address", examples: ["db.example.com"] }),
  port: z.int().min(1).max(65_535).default(5432),
  user: z.string().min(1),
  password: secret("The user's password").optional(),
  database: z.string().min(1),
  tls: z
    .enum(["disable", "require", "verify"])
    .default("disable")
    .meta({ description: "require encrypts; verify also checks the server's certificate and name" }),
  tls_ca: z.string().optional().meta({ description: "Certificate authority to trust, as PEM text" }),
  connect_timeout: z.number().min(1).max(300).default(10).meta({ description: "Seconds until a server that does not answer is given up" }),
});

const sourceOptions = z.strictObject({
  ...tableOptions,
});

const notes = `
| logical type | PostgreSQL |
|---|---|
| bool, int32, int64, float32, float64 | boolean, integer, bigint, real, double precision |
| uint64, decimal(p, s) | numeric(20,0), numeric(p, s), up to 1,000 digits |
| string, binary, uuid | text, bytea, uuid |
| json | json, which keeps the text; an existing jsonb column is written to as well |
| date, timestamp, timestamptz | date, timestamp, timestamp with time zone; from 4714 BC on |
| time | time; values below zero or over a day are refused |

Texts with NUL characters are refused. Names longer than 63 bytes are refused instead of cut. Replace truncates and inserts in one transaction, so views,
grants and indexes stay; a table that foreign keys point to is emptied by DELETE in that transaction. Downbeat's own tables are in the schema \`_downbeat\`;
the user needs the right to create it, or finds it made and owned by it.

Read as text: enums, interval (ISO 8601), numeric without precision, network and range types and all others that have a text form. Read as JSON: arrays and
composite types. Refused: money (its text depends on the locale). Rows with infinite dates or NaN in a numeric are rejected.
`.trim();

export const postgres = defineConnector({
  kind: "postgres",
  title: "PostgreSQL",
  description: "PostgreSQL and servers that speak its protocol",
  roles: ["source", "destination", "sql"],
  config,
  sourceOptions,
  capabilities: { incremental: "cursor", resumable: true, modes: ["append", "merge", "replace"], transactional: true },
  url: {
    schemes: ["postgres", "postgresql"],
    example: "postgres://user@host:5432/database",
    environment: { user: ["PGUSER"], password: ["PGPASSWORD"] },
    read: (text) => serverUrl(text, "postgres"),
    tableOf: (stream) => stream.replace(/^public\./, ""),
  },
  notes,
  open: async (parsed, context) => (await import("./connector.ts")).openPostgres(parsed, context),
});

// Snowflake: what can be known of it without connecting.

import { z } from "zod";
import { secret } from "../lib/config.ts";
import type { NamedEnd } from "../connector-url.ts";
import { defineConnector } from "../lib/define.ts";
import { schemaUrl } from "../lib/urls.ts";

const config = z
  .strictObject({
    account: z
      .string()
      .min(1)
      .meta({ description: "Account identifier, organisation and account", examples: ["acme-analytics"] }),
    user: z.string().min(1),
    password: secret("The user's password, or a programmatic access token").optional(),
    private_key: secret("Key-pair authentication: the user's private key, PKCS#8 as PEM text").optional(),
    private_key_passphrase: secret("Passphrase of an encrypted private key").optional(),
    oauth_token: secret("OAuth access token").optional(),
    role: z.string().min(1).optional(),
    warehouse: z.string().min(1).optional().meta({ description: "Runs the statements; default: the user's own" }),
    database: z.string().min(1),
    schema: z.string().min(1).default("PUBLIC").meta({ description: "Schema of tables that name none" }),
    endpoint: z
      .url({ protocol: /^https?$/ })
      .optional()
      .meta({ description: "Of private links, proxies and emulators; default: https://ACCOUNT.snowflakecomputing.com" }),
    connect_timeout: z
      .number()
      .min(1)
      .max(300)
      .default(30)
      .meta({ description: "Seconds until an account that does not answer is given up" }),
  })
  .superRefine(({ password, private_key: key, oauth_token: token, private_key_passphrase: passphrase }, context) => {
    const given = [password, key, token].filter((secretValue) => secretValue !== undefined).length;
    if (given !== 1) {
      context.addIssue({ code: "custom", message: "give one of password, private_key and oauth_token", path: ["password"] });
    }
    if (passphrase !== undefined && key === undefined) {
      context.addIssue({ code: "custom", message: "belongs to private_key", path: ["private_key_passphrase"] });
    }
  });

export type SnowflakeConfig = z.output<typeof config>;

const notes = `
| logical type | Snowflake |
|---|---|
| bool; int32, int64, uint64 | BOOLEAN; NUMBER(10,0), NUMBER(19,0), NUMBER(20,0) |
| float32, float64 | FLOAT |
| decimal(p, s) | NUMBER(p, s), up to 38 digits |
| string; uuid | VARCHAR; VARCHAR(36) |
| binary | BINARY |
| json | VARIANT, parsed: numbers and the order of keys become Snowflake's |
| date; timestamp; timestamptz | DATE; TIMESTAMP_NTZ; TIMESTAMP_TZ in UTC |
| time | TIME; values below zero or over a day are refused |

Batches are uploaded as Parquet files to a temporary stage (PUT, encrypted by the driver) and go in by COPY INTO in the chunk's transaction, with receipt and position; merges go
through a temporary table. Columns of other types (ARRAY, OBJECT, GEOGRAPHY, fewer than 6 digits of a second) are refused.

Names: a session of Downbeat takes quoted names for upper case as well, so \`orders\` is ORDERS whoever asks; tables and columns whose names hold lower-case letters cannot be
reached. Names have up to 255 characters.

Snowflake commits when a table is defined. So a chunk ends where a stream's columns change and the table has to follow, and a replace deletes and inserts in one transaction: views,
grants and clones stay. NUMBER columns get more digits and VARCHAR columns more characters; every other change of a type is refused by Snowflake.
Uniqueness is not enforced there: Downbeat's own tables in schema \`_DOWNBEAT\` are kept by merges, which Snowflake does one after the other (at most 20 wait). The role
needs USAGE on the warehouse and the database, CREATE SCHEMA on the database or a schema \`_DOWNBEAT\` that it owns, and CREATE TABLE on the target's schema.

How it is verified: the project has no account. The driver is Snowflake's own; logging in (password, key pair, OAuth) and refusals are tested against recorded answers; the contract of destinations, the SQL
role and every kill of the fault matrix against [fakesnow](https://github.com/tekumara/fakesnow), an emulator on DuckDB, extended by what Snowflake documents of transactions and names. Not proven
by it: waiting for locks, COPY INTO's own reading of Parquet, cloud stages, clustering and speed.

An attempt that dies leaves its transaction open; the next attempt of the same load ends it (\`SYSTEM$ABORT_TRANSACTION\`), and Snowflake itself does after five minutes of standing in another's way.
`.trim();

/** `snowflake://user:password@account/database/schema`. */
const readUrl = (text: string): NamedEnd | string => {
  const named = schemaUrl(text, "snowflake");
  if (typeof named === "string") return named;
  const { host, port, ...rest } = named.config;
  if (port !== undefined) return "it has a port; an address of its own goes into ?endpoint=https://host:port";
  return { ...named, config: { ...rest, ...(host === undefined ? {} : { account: host }) } };
};

export const snowflake = defineConnector({
  kind: "snowflake",
  title: "Snowflake",
  description: "Snowflake's data warehouse",
  roles: ["destination", "sql"],
  config,
  capabilities: { modes: ["append", "merge", "replace"], transactional: true },
  url: {
    schemes: ["snowflake"],
    example: "snowflake://user@acme-analytics/database/schema?warehouse=loading",
    environment: { password: ["SNOWFLAKE_PASSWORD"], warehouse: ["SNOWFLAKE_WAREHOUSE"], role: ["SNOWFLAKE_ROLE"] },
    read: readUrl,
  },
  notes,
  open: async (parsed, context) => (await import("./connector.ts")).openSnowflake(parsed, context),
});

// Amazon Redshift: what can be known of it without connecting.

import { z } from "zod";
import { secret } from "../lib/config.ts";
import { defineConnector } from "../lib/define.ts";
import { schemaUrl } from "../lib/urls.ts";
import { s3Config } from "../s3/spec.ts";

const { region, endpoint, path_style, access_key_id, secret_access_key, session_token } = s3Config.shape;

/** Both stand in SQL text: no character that would end a literal there. */
const STAGING = /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:\/[\w.=/-]*)?$/;
const ROLE = /^(?:default|arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=.@/-]+(?:,arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=.@/-]+)*)$/;

const config = z
  .strictObject({
    host: z
      .string()
      .min(1)
      .meta({
        description: "Endpoint of a cluster or of a serverless workgroup",
        examples: ["shop.abc123.eu-central-1.redshift.amazonaws.com"],
      }),
    port: z.int().min(1).max(65_535).default(5439),
    user: z.string().min(1),
    password: secret("The user's password").optional(),
    database: z.string().min(1),
    schema: z.string().min(1).default("public").meta({ description: "Schema of tables that name none" }),
    tls: z.enum(["disable", "require", "verify"]).optional().meta({
      description: "require encrypts; verify also checks the server's certificate and name. Default: verify, and on loopback disable",
    }),
    tls_ca: z.string().optional().meta({ description: "Certificate authority to trust, as PEM text" }),
    connect_timeout: z
      .number()
      .min(1)
      .max(300)
      .default(30)
      .meta({ description: "Seconds until a server that does not answer is given up" }),
    staging: z
      .string()
      .regex(STAGING, "write s3://bucket/prefix, of letters, digits and . _ = - /")
      .optional()
      .meta({ description: "Where files of rows wait for COPY; loads need it", examples: ["s3://acme-loads/downbeat"] }),
    iam_role: z
      .string()
      .regex(ROLE, "write default, or the role's ARN: arn:aws:iam::123456789012:role/name")
      .optional()
      .meta({ description: "The role by which COPY reads from there: default, or an ARN", examples: ["default"] }),
    region: region.describe("Of the staging bucket"),
    endpoint: endpoint.describe("Of the staging bucket's S3, where it is not AWS's own"),
    path_style,
    access_key_id,
    secret_access_key,
    session_token,
  })
  .superRefine(({ staging, iam_role: role }, context) => {
    if (staging !== undefined && role === undefined)
      context.addIssue({ code: "custom", message: "COPY needs it to read from staging", path: ["iam_role"] });
    if (staging === undefined && role !== undefined)
      context.addIssue({ code: "custom", message: "says where the files are that iam_role lets COPY read", path: ["staging"] });
  });

export type RedshiftConfig = z.output<typeof config>;

const notes = `
| logical type | Redshift |
|---|---|
| bool; int32, int64, uint64 | BOOLEAN; INTEGER, BIGINT, NUMERIC(20,0) |
| float32, float64 | REAL, DOUBLE PRECISION |
| decimal(p, s) | NUMERIC(p, s), up to 38 digits; of 19 digits NUMERIC(20, s), since Redshift keeps 19 in 64 bits, which are fewer |
| string; uuid | VARCHAR(65535); VARCHAR(36) |
| binary | VARBYTE(1024000) |
| json | SUPER, parsed: numbers and the order of keys become Redshift's; texts in it up to 65,535 bytes |
| date; timestamp; timestamptz | DATE; TIMESTAMP; TIMESTAMPTZ; years 1 to 9999 |
| time | TIME; values below zero or over a day are refused |

Refused, with the column: texts over 65,535 bytes or with NUL characters, binary values over 1,024,000 bytes, other years. A text longer than a column of yours takes is refused by Redshift, and so is whatever COPY cannot
read: the message is that of \`sys_load_error_detail\`. Nothing is cut or replaced (no TRUNCATECOLUMNS, no ACCEPTINVCHARS, MAXERROR 0).

Rows go as gzipped CSV files to \`staging\`, which the worker writes with its own credentials (\`access_key_id\` or the AWS chain) beside the reading of what follows, and in by one COPY for a chunk, which reads by \`iam_role\`: no
secret stands in SQL. Files are removed after the COPY; give the prefix a lifecycle rule of a day for those of attempts that died. The role and the worker need to reach one bucket, in \`region\`. A connection without \`staging\` and \`iam_role\` runs SQL and takes no loads.

Names: Redshift takes quoted names for lower case as well, so \`Orders\` is orders whoever asks; they have up to 127 bytes.

Rows, receipt and position of a chunk are committed in one transaction, which begins when all files are uploaded. Redshift's writes lock whole tables, and in serializable databases two writers of one table end in error 1023; so commits of loads
into one database come one after the other, by a lock on the table \`_downbeat.write_lock\` that they wait for up to ten minutes. Error 1023 can still come from other writers of the target: the attempt is tried again.

Tables are made, and get further columns and wider types, in transactions. Redshift alters no type (it lengthens VARCHAR columns, which Downbeat's have no need of), so a column whose stream's type grows is replaced: a column of the wider type is added, filled from the old one, and takes its name when that is dropped. It then is the table's last column; every
row is written again while other commits wait (VACUUM gives the space back), and the user must own the table. DESTINATION_SCHEMA_MISMATCH says what is in the way where the old column cannot go or would take something with it: a distribution or sort key, NOT NULL, a default or an identity, a primary, unique or foreign key, a grant on the column, a view that is not late-binding (\`WITH NO SCHEMA BINDING\`), a policy of row
security. A comment and an encoding of the column go unasked. Policies of dynamic data masking are seen by security administrators alone, and whether Redshift drops a column that has one was not found in its documentation: set \`freeze\` for such a column. Floating-point numbers become text only where each text is the same number again. \`uuid\` columns are VARCHAR(36) and stay so: a stream that brings longer texts for one is refused by COPY.

A replace deletes and inserts in one transaction, so
views and grants stay; a table that was not there is renamed into place. Keys are said and not enforced. The user needs CREATE on the database (or a schema \`_downbeat\` that it owns) and on the target's schema.

How it is verified: the project has no account. The driver is \`pg\`; loads, the SQL role and every kill of the fault matrix run against PostgreSQL behind a double of our own that fetches what COPY names from a real S3 server, folds names as Redshift does, and refuses what Redshift does not know. Not proven by it: COPY's own
reading of CSV (NaN and infinity among its numbers), roles, SUPER and VARBYTE, cursors of queries with parameters, the length of your own VARCHAR columns in bytes, Redshift's locks and isolation levels, what it says when a column cannot be dropped, sizes and speed. Check a connection before you rely on it: with \`staging\` the check loads a row into a temporary table.
`.trim();

export const redshift = defineConnector({
  kind: "redshift",
  title: "Amazon Redshift",
  description: "Amazon Redshift, provisioned and serverless",
  roles: ["destination", "sql"],
  config,
  capabilities: { modes: ["append", "merge", "replace"], transactional: true },
  url: {
    schemes: ["redshift"],
    example: "redshift://user@host:5439/database/schema?staging=s3://bucket/prefix&iam_role=default",
    environment: {
      user: ["PGUSER"],
      password: ["REDSHIFT_PASSWORD", "PGPASSWORD"],
      staging: ["REDSHIFT_STAGING"],
      iam_role: ["REDSHIFT_IAM_ROLE"],
      region: ["AWS_REGION", "AWS_DEFAULT_REGION"],
      endpoint: ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"],
    },
    read: (text) => schemaUrl(text, "redshift"),
  },
  notes,
  open: async (parsed, context) => (await import("./connector.ts")).openRedshift(parsed, context),
});

// BigQuery: what can be known of it without connecting.

import { z } from "zod";
import type { NamedEnd } from "../connector-url.ts";
import { secret } from "../lib/config.ts";
import { defineConnector } from "../lib/define.ts";
import { afterScheme, decoded } from "../lib/urls.ts";

const isJsonObject = (text: string): boolean => {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && "type" in value;
  } catch {
    return false;
  }
};

const config = z
  .strictObject({
    project: z
      .string()
      .min(1)
      .meta({ description: "Project id: it holds the datasets and pays for the jobs", examples: ["acme-analytics"] }),
    dataset: z
      .string()
      .regex(/^\w{1,1024}$/, "datasets have letters, digits and underscores")
      .meta({ description: "Dataset of tables that name none" }),
    location: z
      .string()
      .min(1)
      .optional()
      .meta({ description: "Where jobs run and datasets are made, such as EU; default: where the dataset is, or US" }),
    credentials: secret(
      "Key of a service account, or another credentials file of Google's, as JSON text; default: the worker's Application Default Credentials",
    )
      .refine(isJsonObject, 'must be the JSON text of a credentials file, with a "type"')
      .optional(),
    endpoint: z
      .url({ protocol: /^https?$/ })
      .optional()
      .meta({ description: "Of private endpoints and emulators; default: https://bigquery.googleapis.com" }),
    request_timeout: z
      .number()
      .min(20)
      .max(3_600)
      .default(300)
      .meta({ description: "Seconds until a call that is not answered, an upload included, is given up" }),
  })
  .superRefine(({ endpoint, credentials }, context) => {
    if (endpoint === undefined || isLoopback(new URL(endpoint))) return;
    if (credentials === undefined) {
      context.addIssue({
        code: "custom",
        message: "of another machine wants credentials; only on this one, where emulators are, there may be none",
        path: ["endpoint"],
      });
    } else if (!endpoint.startsWith("https:")) {
      context.addIssue({ code: "custom", message: "must be https: tokens are sent to it", path: ["endpoint"] });
    }
  });

const isLoopback = ({ hostname }: URL): boolean => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);

export type BigqueryConfig = z.output<typeof config>;

const notes = `
| logical type | BigQuery |
|---|---|
| bool; int32, int64; uint64 | BOOL; INT64; NUMERIC(20, 0) |
| float32, float64 | FLOAT64 |
| decimal(p, s) | NUMERIC(p, s) up to 29 digits before and 9 behind the point, else BIGNUMERIC(p, s) up to 38 and 38 |
| string, uuid; binary | STRING; BYTES |
| json | JSON, parsed: a number that it cannot hold exactly is refused |
| date; timestamp; timestamptz | DATE; DATETIME; TIMESTAMP, of the years 1 to 9999 |
| time | TIME; values below zero or over a day are refused |

Batches are uploaded as Parquet files by load jobs, up to four at a time, into upload tables of the attempt's own, which expire after a day if nobody removes them. At the chunk's end a
multi-statement transaction in a session takes them in, with receipt and position; merges go through a temporary table. Each statement is a job of about a second, so a chunk
takes some ten seconds to commit however small it is: let chunks be large. Columns of other types (ARRAY, STRUCT, GEOGRAPHY, INTERVAL, RANGE) are refused.

Names have up to 300 characters: letters, digits, spaces and \`_ - & % = + : ' < > # |\`; tables have letters, digits, spaces, \`_\` and \`-\`. Columns that differ only by capitals are one; tables are not.

BigQuery defines no tables within a transaction. So a chunk ends where a stream's columns change and the table has to follow, and a replace deletes and inserts in one transaction: views, grants,
partitions and clustering stay. A table that is to be partitioned or clustered is made beforehand. INT64, NUMERIC and BIGNUMERIC columns get more digits; every other change of a type is refused.
A table takes five definitions in ten seconds; Downbeat waits.

A transaction that changes or deletes rows is undone when another one has changed rows of the same table meanwhile: merges and replaces into one table belong to one task at a time, while appends conflict with nothing.
Hence Downbeat's own tables lie in a hidden dataset for each location, \`_downbeat_us\`, \`_downbeat_eu\`, and each key has its own: \`\`select * from \`_downbeat_us.loads_*\` \`\` shows all loads (and \`receipts_*\`, \`cursors_*\`,
\`items_*\`, \`schema_changes_*\`); \`dead_letters\` is one table. The target's dataset must be in the connection's location.

An attempt that dies leaves its session open. Each attempt notes its session in the description of the key's table \`attempts_*\`; the next one of the same load ends it (\`BQ.ABORT_SESSION\`), and BigQuery itself does after a day.

Rights: roles/bigquery.jobUser on the project; roles/bigquery.dataEditor on the target's dataset, and on the project or on a dataset \`_downbeat_LOCATION\` that is made beforehand.

SQL: several statements run as one script in one transaction, in which BigQuery lets nobody define permanent tables: a definition is a task of its own. A parameter \`:name\` has the type of its value (STRING, INT64, FLOAT64, BOOL).
Values within ARRAY and STRUCT columns of a query's result are text.

How it is verified: the project has no Google Cloud account. Signing tokens, refusals, lost answers and cancelling are tested at a proxy of the tests' own; the contract of destinations, the SQL role and the kills of the
fault matrix against an emulator that is part of the project: the published REST API with SQL translated by [sqlglot](https://github.com/tobymao/sqlglot) for DuckDB, sessions, snapshots, conflicts by table and what transactions refuse, as Google
documents them. Not proven by it: GoogleSQL's own reading of the statements, load jobs' own reading of Parquet, quotas, IAM, speed, and what BigQuery says of a session that has ended.
`.trim();

/** `bigquery://project/dataset`. */
const readUrl = (text: string): NamedEnd | string => {
  const [project, dataset, ...more] = afterScheme(text).replace(/\?.*/s, "").split("/").map(decoded);
  if (project === undefined || dataset === undefined) return "it has a project and a dataset: bigquery://project/dataset";
  if (more.some((part) => part !== "")) return `"${more.join("/")}" is too much; tables are named by --table`;
  return { config: { project, dataset }, place: `bigquery://${project}/${dataset}` };
};

export const bigquery = defineConnector({
  kind: "bigquery",
  title: "BigQuery",
  description: "Google BigQuery, a data warehouse",
  roles: ["destination", "sql"],
  config,
  capabilities: { modes: ["append", "merge", "replace"], transactional: true },
  url: {
    schemes: ["bigquery"],
    example: "bigquery://acme-analytics/shop?location=EU",
    environment: { location: ["BIGQUERY_LOCATION"] },
    read: readUrl,
  },
  notes,
  open: async (parsed, context) => (await import("./connector.ts")).openBigquery(parsed, context),
});

// MySQL and MariaDB: what can be known of them without connecting.

import { z } from "zod";
import { secret } from "../lib/config.ts";
import { defineConnector } from "../lib/define.ts";
import { serverUrl } from "../lib/urls.ts";

const config = z.strictObject({
  host: z
    .string()
    .min(1)
    .meta({ description: "Host name or address", examples: ["db.example.com"] }),
  port: z.int().min(1).max(65_535).default(3306),
  user: z.string().min(1),
  password: secret("The user's password").optional(),
  database: z.string().min(1).meta({ description: "Database of streams that name none of their own" }),
  tls: z
    .enum(["disable", "require", "verify"])
    .default("disable")
    .meta({ description: "require encrypts; verify also checks the server's certificate and name" }),
  tls_ca: z.string().optional().meta({ description: "Certificate authority to trust, as PEM text" }),
  connect_timeout: z.number().min(1).max(300).default(10).meta({ description: "Seconds until a server that does not answer is given up" }),
});

const sourceOptions = z.strictObject({
  columns: z.array(z.string()).min(1).optional().meta({ description: "Columns to read; default all" }),
  zero_dates: z.enum(["fail", "null", "dead_letter"]).default("fail").meta({
    description: "What to do with 0000-00-00 and other dates that are none: fail, read NULL, or divert the row to the dead letters",
  }),
  changes: z.boolean().default(false).meta({
    description:
      "Follow the table's changes in the server's binary log, deletions too: a first load reads the whole table, each later one what has changed since. Needs to.mode: merge",
  }),
  tinyint1: z.enum(["int", "bool"]).default("int").meta({
    description: "Read tinyint(1), which BOOL means, as a number or as a bool; rows with other values than 0 and 1 are then refused",
  }),
});

const notes = `
| MySQL, MariaDB | logical type |
|---|---|
| tinyint, smallint, mediumint, int, year | int32; tinyint(1) as bool with \`tinyint1: bool\` |
| int unsigned, bigint; bigint unsigned | int64; uint64 |
| float; double | float32; float64 |
| decimal(p, s) | decimal(p, s), all digits |
| date; datetime; timestamp; time | date; timestamp; timestamptz; time (also negative and over a day) |
| bit(1); bit(n) | bool; uint64 |
| char, varchar, text, enum, set | string |
| binary, varbinary, blob, vector | binary |
| json; MariaDB's uuid | json, as the server writes it; uuid |

Refused: geometry; leave it out with \`columns\` or convert it in a \`query\`. discover does not list such columns.

A stream is \`table\` or \`database.table\`, with double quotes around a part that contains a dot. Rows are read in one consistent snapshot, in the order of the
cursor and the primary key, or of the primary key alone; a broken load goes on from its last commit. A table without primary key, a view or a \`query\` can go on
only if \`key\` names columns; otherwise it is committed in one piece. With \`cursor\`, an index on (cursor, primary key) spares the server sorting.
With \`changes: true\` a stream is a table and all that happens to it, read from the binary log; see [following changes](../guides/following-changes.md).

Queries run in a read-only transaction with time zone UTC and sql_mode NO_ENGINE_SUBSTITUTION.
`.trim();

export const mysql = defineConnector({
  kind: "mysql",
  title: "MySQL",
  description: "MySQL, MariaDB and servers that speak their protocol",
  roles: ["source"],
  config,
  sourceOptions,
  capabilities: { incremental: "cursor", incrementalWhen: "changes", resumable: true },
  url: {
    schemes: ["mysql", "mariadb"],
    example: "mysql://user@host:3306/database",
    environment: { password: ["MYSQL_PWD"] },
    read: (text) => serverUrl(text, "mysql"),
  },
  notes,
  open: async (parsed, context) => (await import("./connector.ts")).openMysql(parsed, context),
});

// MySQL and MariaDB: what can be known of them without connecting.

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
  ...tableOptions,
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

const targetOptions = z.strictObject({
  load_data: z.enum(["auto", "never"]).default("auto").meta({
    description:
      "auto uses LOAD DATA LOCAL where the server has local_infile on, and INSERTs of many rows elsewhere; never is for proxies that do not pass files on",
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
With \`changes: true\` a stream is a table and all that happens to it, read from the binary log, after a failover by GTIDs from another server's; see [following changes](../guides/following-changes.md), which also says what was seen on a live MariaDB and what of MySQL follows its description alone.

Queries run in a read-only transaction with time zone UTC and sql_mode NO_ENGINE_SUBSTITUTION.

As a destination it needs MySQL 8.0.17 or MariaDB 10.5. A table that is made for a load has these types:

| logical type | MySQL, MariaDB |
|---|---|
| bool; int32, int64, uint64 | tinyint(1); int, bigint, bigint unsigned |
| float32, float64 | float, double; NaN and infinities are refused |
| decimal(p, s) | decimal(p, s), up to 65 digits, 30 of them behind the point |
| string | longtext in utf8mb4 with utf8mb4_0900_bin or MariaDB's utf8mb4_nopad_bin: case, accents and trailing spaces tell texts apart |
| binary | longblob |
| json | json; MySQL stores the value and writes its text anew, MariaDB keeps the text |
| uuid | char(36) in ASCII |
| date, timestamp | date, datetime(6); years 1 to 9999, no zero dates |
| timestamptz | datetime(6) in UTC, since timestamp ends in 2038; existing timestamp(6) columns are written to as well |
| time | time(6), up to 838 hours either way |

Rows go in with strict sql_mode: whatever the server would cut, round, replace or leave out is refused with the name of the column. So a key of your own table whose
collation takes two texts for one refuses the second. Columns that are none of these types (smallint, datetime without microseconds) are refused, but for enum, set, char and
inet6, which take text. NULL in an auto_increment column asks for the next number, as everywhere in MySQL. A merge makes an index on its key in a table that it creates, on the first 180 characters of texts. Names have up to 64 characters; column names
that differ by case alone are one.

MySQL commits when a table is defined. So a chunk ends where a stream's columns change and the table has to follow, and a replace deletes and inserts in one transaction
instead of renaming: views, grants, indexes, triggers and foreign keys stay, and readers see the old rows until the new ones are there. It takes undo space for both.
Rows that foreign keys point to cannot be deleted, unless the key says ON DELETE CASCADE: then the rows that point there go as well.
Downbeat's own tables are \`_downbeat_loads\` and others in the connection's database; the staging table of a replace lies beside its target.

SQL tasks and checks run with time zone UTC and the sql_mode of loads without ANSI_QUOTES: names are quoted by backticks. Statements that define tables commit those before them.
A semicolon ends a statement, so bodies of procedures with several statements cannot be written there.
`.trim();

export const mysql = defineConnector({
  kind: "mysql",
  title: "MySQL",
  description: "MySQL, MariaDB and servers that speak their protocol",
  roles: ["source", "destination", "sql"],
  config,
  sourceOptions,
  targetOptions,
  capabilities: {
    incremental: "cursor",
    incrementalWhen: "changes",
    resumable: true,
    modes: ["append", "merge", "replace"],
    transactional: true,
  },
  url: {
    schemes: ["mysql", "mariadb"],
    example: "mysql://user@host:3306/database",
    environment: { password: ["MYSQL_PWD"] },
    read: (text) => serverUrl(text, "mysql"),
  },
  notes,
  open: async (parsed, context) => (await import("./connector.ts")).openMysql(parsed, context),
});

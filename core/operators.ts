// The operators' configurations: one strict schema each, with the words that a definition uses.

import { z } from "zod";
import { columnChoicesSchema } from "./definition-columns.ts";
import { DURATION_HINT, parseDuration } from "./duration.ts";
import { isTemplate } from "./templates.ts";

/** What readers of a fault get to see; also tells a wrong type of a duration from others. */
export const DURATION_FAULT = `is not a duration; ${DURATION_HINT}`;

const durationText = (isRight: (text: string) => boolean) =>
  z.string({ error: DURATION_FAULT }).refine(isRight, { error: DURATION_FAULT, params: { code: "INVALID_DURATION" } });

/** Of schemas that take a duration: its bounds, for those who describe them. */
export const DURATION_BOUNDS = z.registry<{ readonly least: string; readonly most: string }>();

/** A duration within bounds, given as people write them. */
export const durationSchema = (least: string, most: string) => {
  const [from, to] = [parseDuration(least) ?? 0, parseDuration(most) ?? 0];
  return durationText((text) => parseDuration(text) !== undefined)
    .refine((text) => isBetween(parseDuration(text) ?? from, from, to), {
      error: `is out of bounds; give ${least} to ${most}`,
      params: { code: "INVALID_DURATION" },
    })
    .describe(`"30s", "5m", "2h", "1d" or ISO 8601 such as "PT5M"; from ${least} to ${most}`)
    .register(DURATION_BOUNDS, { least, most });
};

const isBetween = (value: number, least: number, most: number): boolean => value >= least && value <= most;

/** A text with `${{ … }}` in it is checked again after its expressions were evaluated. */
const templatedDuration = durationText((text) => isTemplate(text) || parseDuration(text) !== undefined);

const NAME = /^[a-z][a-z0-9_-]{0,62}$/;
export const nameSchema = z.string().regex(NAME, "must be 1 to 63 of a-z, 0-9, _ and -, beginning with a letter");

export const assetName = z.string().min(1).max(200).describe('An asset, such as "warehouse/raw.orders": connection and table');

const connection = z.string().min(1).describe("Name of a connection");
const sqlParams = z.record(z.string(), z.json()).describe("Values bound to :name in the SQL, never spliced into it");

const schemaPolicy = z.enum(["evolve", "freeze", "discard"]);

/** Keys beyond these belong to the connector and are checked against its own options. */
export const transferSchema = z.strictObject({
  from: z.looseObject({
    connection,
    stream: z.string().min(1).optional().describe("Table, topic, prefix or glob, endpoint"),
    query: z.string().min(1).optional().describe("A query instead of a stream, where the connector takes one"),
    cursor: z.string().min(1).optional().describe("Column to go on from in the next run"),
    key: z.array(z.string().min(1)).optional().describe("Columns that break ties of equal cursor values; default: the primary key"),
    lookback: templatedDuration.optional().describe("Read again this far behind the cursor (merge only)"),
    null_cursor: z.enum(["fail", "dead_letter"]).default("fail").describe("Rows whose cursor is NULL: they fail the task, or are diverted"),
    dead_letters: z
      .strictObject({
        key: z.string().min(1).describe('Whose: "pipeline/task/stream", as the table of dead letters has it'),
        newest_by: z.string().min(1).optional().describe("Merge: the column that tells which of two rows of a key is the newer one"),
      })
      .optional()
      .describe("Reads dead letters of the destination again instead of the stream"),
  }),
  to: z.looseObject({
    connection,
    table: z.string().min(1).describe('"table" or "schema.table"'),
    mode: z
      .enum(["append", "merge", "replace"])
      .default("append")
      .describe("Add the rows, replace those of the same key, or swap the whole table"),
    key: z.array(z.string().min(1)).default([]).describe("Merge: rows of the same key replace each other"),
    schema: schemaPolicy.default("evolve").describe("Columns that the table does not have: add, refuse, leave out"),
    columns: z
      .record(z.string().min(1), schemaPolicy)
      .optional()
      .describe("Columns, by their names in the table, for which another `schema` holds"),
  }),
  columns: columnChoicesSchema.optional(),
  follow: z
    .strictObject({
      every: durationSchema("100ms", "5m")
        .default("5s")
        .describe("Pause before what has come since is read, and the longest time that rows wait for a commit"),
      for: templatedDuration.optional().describe("The task ends so long after it began; default: it goes on until its run is cancelled"),
    })
    .optional()
    .describe("Does not end where the stream ends now, but reads on what comes, in commits of its own"),
  dead_letters: z
    .strictObject({
      max_rows: z.int().min(0).optional().describe("Rows that may be diverted before the task fails; with `max_share` default: any number"),
      max_share: z
        .number()
        .min(0)
        .max(1)
        .optional()
        .describe(
          "Share of the load's rows that may be diverted, such as 0.01: judged at its end, and before every commit from 1,000 rows on",
        ),
    })
    .default({ max_rows: 0 })
    .describe("Divert rows that cannot be read or mapped to the dead-letter table"),
});

export const sqlSchema = z.strictObject({
  connection,
  query: z.string().min(1).describe("One or more statements, in one transaction where the system can"),
  params: sqlParams.optional(),
  output: z.string().min(1).optional().describe("A query whose rows become tasks.ID.output (at most 8 MB; over 4 KB by reference)"),
});

const requestPath = z.string().optional().describe("Behind the connection's address");
const requestQuery = z.record(z.string(), z.string()).optional().describe("Behind the ? of the address");

export const httpSchema = z.strictObject({
  connection,
  method: z.enum(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]).default("GET"),
  path: requestPath,
  headers: z.record(z.string(), z.string()).optional().describe("Beside those of the connection"),
  query: requestQuery,
  body: z.json().optional().describe("Sent as JSON"),
});

const expectation = z.union([
  z.strictObject({
    row_count: z
      .strictObject({
        min: z.int().min(0).optional().describe("At least so many; default 0"),
        max: z.int().min(0).optional().describe("At most so many; default any number"),
      })
      .describe("How many rows there are"),
  }),
  z.strictObject({ not_null: z.array(z.string().min(1)).min(1).describe("Columns in which no NULL may be") }),
  z.strictObject({
    unique: z
      .array(z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]))
      .min(1)
      .describe("Columns, or lists of columns, of which no two rows may have the same"),
  }),
  z.strictObject({
    sql: z.string().min(1).describe("Selects the rows that break the rule"),
    name: z.string().min(1).optional().describe("Of the rule in `sql`, for people"),
  }),
]);

export const checkSchema = z.strictObject({
  connection,
  table: z.string().min(1).optional().describe("What is looked at; or `query`"),
  query: z.string().min(1).optional().describe("Its rows are looked at instead of a table's"),
  expect: z
    .array(expectation)
    .min(1)
    .describe("Each says one of row_count, not_null, unique and sql; all are looked at before the task fails"),
});

export const publishSchema = z.strictObject({
  from: z
    .strictObject({ connection, query: z.string().min(1).describe("Its rows are what goes out"), params: sqlParams.optional() })
    .describe("A warehouse"),
  to: z.looseObject({
    connection,
    table: z.string().min(1).optional().describe("Destinations: where the rows go; default: the task's id"),
    mode: z.enum(["append", "replace"]).optional().describe("Destinations: add the rows, or swap the table; default replace"),
  }),
});

/** A number is written as text. */
const word = z.union([z.string(), z.number()]);

const variableName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must be a name of letters, digits and _");

export const commandSchema = z.strictObject({
  run: z.array(word).min(1).describe("The program and its arguments; with `shell` a line for /bin/sh and what it reads as $1, $2, …"),
  shell: z.boolean().default(false).describe("Needs DOWNBEAT_COMMAND_SHELL on the worker"),
  cwd: z.string().min(1).optional().describe("Folder to run in; relative to the one that the worker was started in, which is the default"),
  env: z
    .record(variableName, z.union([word, z.strictObject({ env: variableName.describe("A variable of the worker's environment") })]))
    .default({})
    .describe("Variables for the program; { env: NAME } takes a secret from the worker's environment"),
  stdin: z.string().optional().describe("What the program reads from its standard input; default: nothing"),
  output: z
    .enum(["none", "text", "json"])
    .default("none")
    .describe("What its standard output is to later tasks: nothing (only exit_code), a text without white space around it, or JSON"),
  success_codes: z.array(z.int().min(0).max(255)).min(1).default([0]).describe("Exit codes that mean success"),
});

const fileGlob = z.string().min(1).describe("Many files: *, **, ?, {a,b}, [a-z]");

export const fileSchema = z.strictObject({
  action: z.enum(["copy", "move", "delete", "exists"]).describe("exists: only looks whether they are there"),
  from: z.strictObject({
    connection: connection.optional().describe("Name of a connection; default: the worker's data folder"),
    path: z.string().min(1).optional().describe("One file, taken as it is written"),
    glob: fileGlob.optional(),
  }),
  to: z
    .strictObject({
      connection: connection.optional().describe("Name of a connection; default: the worker's data folder"),
      path: z.string().min(1).describe("A file; with / at its end a folder"),
    })
    .optional()
    .describe("Copy and move: where to"),
  overwrite: z
    .enum(["fail", "replace", "skip"])
    .optional()
    .describe("Copy and move: when another file is there; one of the same content never stands in the way. Default fail"),
});

export const activitySchema = z.strictObject({
  name: z.string().min(1).describe("An activity declared in downbeat.config.ts"),
  input: z.json().default(null).describe("Its one argument; expressions are evaluated"),
});

const onDeadline = (more: readonly string[]) =>
  z
    .enum(["fail", "skip", ...more] as ["fail", "skip", ...string[]])
    .default("fail")
    .describe("What becomes of the task when its deadline has come");

/** Of a wait that says nothing of its looks. */
export const POLL_DEFAULTS = { every: "10s", max: "5m" } as const;

export const waitSchema = z
  .strictObject({
    until: z.string().min(1).optional().describe('A moment: "2026-12-24T18:00:00Z", or an expression that gives one'),
    for: templatedDuration.optional().describe("A duration"),
    sql: z
      .strictObject({
        connection,
        query: z.string().min(1).describe("Waits until its first row's first column is true or not 0"),
        params: sqlParams.optional(),
      })
      .optional()
      .describe("A condition in a warehouse"),
    http: z
      .strictObject({
        connection,
        method: z.enum(["GET", "HEAD", "POST"]).default("GET"),
        path: requestPath,
        query: requestQuery,
        status: z.array(z.int().min(100).max(599)).min(1).default([200]).describe("Waits until it answers with one of these"),
        until: z
          .string()
          .min(1)
          .refine((text) => !isTemplate(text), "is an expression as it stands; write it without ${{ }}")
          .optional()
          .describe(
            "And until this CEL condition holds, such as \"response.body.state == 'done'\": reads response.status, .headers, .body",
          ),
      })
      .optional()
      .describe("A request"),
    file: z
      .strictObject({
        connection: connection.optional().describe("Name of a connection; default: the worker's data folder"),
        path: z.string().min(1).optional().describe("Waits until this file is there"),
        glob: fileGlob.optional(),
      })
      .optional()
      .describe("Files; exactly one of path and glob"),
    asset: z
      .strictObject({
        name: assetName,
        newer_than: z
          .string()
          .min(1)
          .default("${{ run.triggeredAt }}")
          .describe("Waits until a task has made it after this moment; default: since the run was triggered"),
      })
      .optional()
      .describe("What some task makes"),
    poll: z
      .strictObject({
        every: durationSchema("100ms", "24d")
          .optional()
          .describe("Pause after the first look, half as long again each time")
          .meta({ default: POLL_DEFAULTS.every }),
        max: durationSchema("100ms", "24d").optional().describe("The longest pause").meta({ default: POLL_DEFAULTS.max }),
      })
      .optional()
      .describe("When to look again, where it looks"),
    deadline: durationSchema("100ms", "365d").optional().describe("How long it waits at most; default 7d, of `for` and `until` 365d"),
    on_deadline: onDeadline([]),
  })
  .describe("Waits without holding a worker");

const names = z.array(z.string().min(1).max(200)).min(1);

export const approvalSchema = z
  .strictObject({
    message: z.string().min(1).max(2_000).optional().describe("Shown to those who decide"),
    approvers: names.optional().describe("Who may decide; default: anyone who may call the API"),
    escalate: z
      .strictObject({
        after: durationSchema("100ms", "365d").describe("So long after the question; before the deadline"),
        to: names.describe("Who may decide as well from then on"),
      })
      .optional()
      .describe("Who may decide as well when nobody has for long; needs approvers"),
    deadline: durationSchema("100ms", "365d").default("7d").describe("How long it waits at most"),
    on_deadline: onDeadline(["approve"]),
  })
  .describe("Waits for somebody's decision");

export const pipelineSchema = z
  .strictObject({
    name: z.string().min(1).describe("A pipeline; its run is a run of its own, and this task succeeds with it"),
    version: z
      .int()
      .min(1)
      .optional()
      .describe("Default: the latest when the task first begins; its further tries, and reruns of the same version, keep that one"),
    params: z.record(z.string(), z.json()).default({}).describe("Its params; expressions are evaluated"),
  })
  .describe("Runs another pipeline");

export const OPERATOR_SCHEMAS = {
  transfer: transferSchema,
  sql: sqlSchema,
  http: httpSchema,
  check: checkSchema,
  publish: publishSchema,
  command: commandSchema,
  file: fileSchema,
  activity: activitySchema,
  wait: waitSchema,
  approval: approvalSchema,
  pipeline: pipelineSchema,
} as const;

export type TransferConfig = z.output<typeof transferSchema>;
export type CheckConfig = z.output<typeof checkSchema>;
export type CommandConfig = z.output<typeof commandSchema>;
export type FileConfig = z.output<typeof fileSchema>;
export type WaitConfig = z.output<typeof waitSchema>;
export type ApprovalConfig = z.output<typeof approvalSchema>;
export type PublishConfig = z.output<typeof publishSchema>;

/** Operators that are planned but not here yet: refused with that as the reason. */
export const LATER_OPERATORS = ["dbt", "spark", "refresh", "external"] as const;

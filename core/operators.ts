// The operators' configurations: one strict schema each, with the words that a definition uses.

import { z } from "zod";
import { DURATION_HINT, parseDuration } from "./duration.ts";
import { isTemplate } from "./templates.ts";

/** What readers of a fault get to see; also tells a wrong type of a duration from others. */
export const DURATION_FAULT = `is not a duration; ${DURATION_HINT}`;

const durationText = (isRight: (text: string) => boolean) =>
  z.string({ error: DURATION_FAULT }).refine(isRight, { error: DURATION_FAULT, params: { code: "INVALID_DURATION" } });

/** A duration within bounds, given as people write them. */
export const durationSchema = (least: string, most: string) => {
  const [from, to] = [parseDuration(least) ?? 0, parseDuration(most) ?? 0];
  return durationText((text) => parseDuration(text) !== undefined)
    .refine((text) => isBetween(parseDuration(text) ?? from, from, to), {
      error: `is out of bounds; give ${least} to ${most}`,
      params: { code: "INVALID_DURATION" },
    })
    .describe(`"30s", "5m", "2h", "1d" or ISO 8601 such as "PT5M"; from ${least} to ${most}`);
};

const isBetween = (value: number, least: number, most: number): boolean => value >= least && value <= most;

/** A text with `${{ … }}` in it is checked again after its expressions were evaluated. */
const templatedDuration = durationText((text) => isTemplate(text) || parseDuration(text) !== undefined);

const connection = z.string().min(1).describe("Name of a connection");
const sqlParams = z.record(z.string(), z.json()).describe("Values bound to :name in the SQL, never spliced into it");

/** Keys beyond these belong to the connector and are checked against its own options. */
export const transferSchema = z.strictObject({
  from: z.looseObject({
    connection,
    stream: z.string().min(1).optional().describe("Table, topic, prefix or glob, endpoint"),
    query: z.string().min(1).optional().describe("A query instead of a stream, where the connector takes one"),
    cursor: z.string().min(1).optional().describe("Column to go on from in the next run"),
    key: z.array(z.string().min(1)).optional().describe("Columns that break ties of equal cursor values; default: the primary key"),
    lookback: templatedDuration.optional().describe("Read again this far behind the cursor (merge only)"),
    null_cursor: z.enum(["fail", "dead_letter"]).default("fail"),
  }),
  to: z.looseObject({
    connection,
    table: z.string().min(1).describe('"table" or "schema.table"'),
    mode: z.enum(["append", "merge", "replace"]).default("append"),
    key: z.array(z.string().min(1)).default([]).describe("Merge: rows of the same key replace each other"),
    schema: z
      .enum(["evolve", "freeze", "discard"])
      .default("evolve")
      .describe("Columns that the table does not have: add, refuse, leave out"),
  }),
  dead_letters: z
    .strictObject({ max_rows: z.int().min(0).describe("Rows that may be diverted before the task fails") })
    .default({ max_rows: 0 })
    .describe("Divert rows that cannot be read or mapped to the dead-letter table"),
});

export const sqlSchema = z.strictObject({
  connection,
  query: z.string().min(1).describe("One or more statements, in one transaction where the system can"),
  params: sqlParams.optional(),
  output: z.string().min(1).optional().describe("A query whose rows become tasks.ID.output (at most 4 KB)"),
});

export const httpSchema = z.strictObject({
  connection,
  method: z.enum(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]).default("GET"),
  path: z.string().optional(),
  headers: z.record(z.string(), z.string()).optional(),
  query: z.record(z.string(), z.string()).optional(),
  body: z.json().optional(),
});

const expectation = z.union([
  z.strictObject({ row_count: z.strictObject({ min: z.int().min(0).optional(), max: z.int().min(0).optional() }) }),
  z.strictObject({ not_null: z.array(z.string().min(1)).min(1) }),
  z.strictObject({ unique: z.array(z.union([z.string().min(1), z.array(z.string().min(1)).min(1)])).min(1) }),
  z.strictObject({ sql: z.string().min(1).describe("Selects the rows that break the rule"), name: z.string().min(1).optional() }),
]);

export const checkSchema = z.strictObject({
  connection,
  table: z.string().min(1).optional(),
  query: z.string().min(1).optional(),
  expect: z.array(expectation).min(1),
});

export const publishSchema = z.strictObject({
  from: z.strictObject({ connection, query: z.string().min(1), params: sqlParams.optional() }),
  to: z.looseObject({
    connection,
    table: z.string().min(1).optional().describe("Destinations: where the rows go; default: the task's id"),
    mode: z.enum(["append", "replace"]).optional(),
  }),
});

export const activitySchema = z.strictObject({
  name: z.string().min(1).describe("An activity declared in downbeat.config.ts"),
  input: z.json().default(null).describe("Its one argument; expressions are evaluated"),
});

export const OPERATOR_SCHEMAS = {
  transfer: transferSchema,
  sql: sqlSchema,
  http: httpSchema,
  check: checkSchema,
  publish: publishSchema,
  activity: activitySchema,
} as const;

export type TransferConfig = z.output<typeof transferSchema>;
export type CheckConfig = z.output<typeof checkSchema>;
export type PublishConfig = z.output<typeof publishSchema>;

/** Operators that are planned but not here yet: refused with that as the reason. */
export const LATER_OPERATORS = ["dbt", "spark", "command", "file", "refresh", "external", "pipeline", "wait", "approval"] as const;

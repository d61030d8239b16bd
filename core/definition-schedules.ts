// The schema of a definition's schedules. What their parts mean together is checked at compile.

import { z } from "zod";
import { durationSchema, nameSchema } from "./operators.ts";
import { OVERLAPS } from "./schedule.ts";

const values = z
  .union([z.int(), z.string().min(1).max(200), z.array(z.union([z.int(), z.string().min(1).max(200)])).min(1)])
  .describe('A number, a text like cron\'s ("1-5", "*/15", "mon-fri") or a list of these');

export const calendarSchema = z.strictObject({
  second: values.optional(),
  minute: values.optional(),
  hour: values.optional(),
  day_of_month: values.optional(),
  month: values.optional(),
  day_of_week: values.optional(),
  year: values.optional(),
});

/** Read together with the schedule's zone, so a text here. */
const bound = z.string().min(1).max(40);

export const scheduleSchema = z.strictObject({
  name: nameSchema.default("default").describe("Unique in the pipeline"),
  cron: z.string().max(200).optional().describe('Five fields, such as "15 6 * * mon-fri", or @hourly, @daily, @weekly, @monthly, @yearly'),
  every: durationSchema("1s", "366d").optional().describe("Instead of cron: an interval, counted from 1970"),
  offset: durationSchema("0s", "366d").optional().describe("With every: how much later than its whole multiples"),
  calendar: z
    .union([calendarSchema, z.array(calendarSchema).min(1).max(100)])
    .optional()
    .describe("Instead of cron: one or several calendars; second, minute and hour are 0 when they are not given, the rest anything"),
  exclude: z
    .array(z.union([z.string().min(1).max(40), calendarSchema]))
    .min(1)
    .max(500)
    .optional()
    .describe('When it does not fire: dates ("2026-12-25") or calendars, whose fields are anything when they are not given'),
  timezone: z.string().max(60).default("UTC").describe("IANA name, such as Europe/Berlin: for calendars, exclusions and dates"),
  jitter: durationSchema("0s", "1d").optional().describe("Up to this much later, differently each time"),
  start: bound.optional().describe("Not before: a date in the schedule's zone, or ISO 8601 with a zone"),
  end: bound.optional().describe("Not after: a date (its last moment), or ISO 8601 with a zone"),
  overlap: z.enum(OVERLAPS).default("skip").describe("What becomes of a firing while a run of the same schedule is open"),
  catch_up: durationSchema("10s", "365d").default("10m").describe("A firing missed while Temporal was away still happens within this time"),
  paused: z.boolean().default(false).describe("Whether it begins paused"),
  params: z.record(z.string(), z.json()).default({}).describe("Of its runs"),
});

export type ScheduleDefinition = z.output<typeof scheduleSchema>;
export type CalendarDefinition = z.output<typeof calendarSchema>;

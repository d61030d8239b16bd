// `for_each`: what a task is repeated over, as a definition writes it.

import { z } from "zod";
import { isTemplate } from "./templates.ts";
import { isTimeZone } from "./time-zone.ts";

const whole = z.union([z.int(), z.string().refine(isTemplate, "is neither a whole number nor an expression")]);

const over = z.union([
  z.array(z.json()),
  z.string().refine(isTemplate, "is no expression; write a list, or ${{ … }} that gives one"),
  z.strictObject({
    range: z
      .strictObject({
        from: whole.default(0).describe("The first number"),
        to: whole.describe("The last one, included"),
        step: whole.default(1).describe("From one to the next; below 0 it counts down"),
      })
      .describe("Whole numbers, each a number or an expression"),
  }),
  z.strictObject({
    partitions: z
      .strictObject({
        from: z.string().min(1).describe("A date, at midnight in the zone, or a moment; the first interval's start"),
        to: z.string().min(1).describe("As `from`; the last interval ends with it, if need be earlier than its period does"),
        every: z.string().min(1).default("day").describe('"day", "week", "month" or "year" of the calendar, or a duration'),
        timezone: z
          .string()
          .refine((name) => isTemplate(name) || isTimeZone(name), 'is no time zone; write an IANA name such as "Europe/Berlin"')
          .optional()
          .describe("The zone of the calendar, whose offsets the intervals then have; without it UTC"),
      })
      .describe("Intervals of time, each { start, end }"),
  }),
]);

const as = z
  .string()
  .regex(/^[a-z_][a-z0-9_]{0,62}$/i, "must be a name of letters, digits and _")
  .default("item")
  .describe("Read as each.NAME");

const loop = { in: over.describe("A list, an expression that gives one, a range (both ends included), or partitions of time"), as };

export const forEachSchema = z
  .strictObject({
    ...loop,
    inner: z
      .strictObject({ ...loop, inner: z.strictObject(loop).optional().describe("A third and last loop") })
      .optional()
      .describe("A loop inside it, which can read the values of those around it"),
    window: z.int().min(1).max(1_000).default(10).describe("Items that run at the same time, at most"),
    max_failures: z
      .int()
      .min(0)
      .default(0)
      .describe(
        "Failed items beyond which the task fails. With a window of 1 none begins after that; else those beside it begin and go on until they hear of it",
      ),
  })
  .describe("Carries the task out once for each item");

export type ForEachDefinition = z.output<typeof forEachSchema>;

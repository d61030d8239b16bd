// `for_each`: what a task is repeated over, as a definition writes it.

import { z } from "zod";
import { isTemplate } from "./templates.ts";

const whole = z.union([z.int(), z.string().refine(isTemplate, "is neither a whole number nor an expression")]);

const over = z.union([
  z.array(z.json()),
  z.string().refine(isTemplate, "is no expression; write a list, or ${{ … }} that gives one"),
  z.strictObject({ range: z.strictObject({ from: whole.default(0), to: whole, step: whole.default(1) }) }),
  z.strictObject({
    partitions: z.strictObject({
      from: z.string().min(1).describe("A date or a moment; the first interval's start"),
      to: z.string().min(1).describe("Intervals begin before it"),
      every: z.string().min(1).default("1d").describe('A duration, "month" or "year"'),
    }),
  }),
]);

const as = z
  .string()
  .regex(/^[a-z_][a-z0-9_]{0,62}$/i, "must be a name of letters, digits and _")
  .default("item")
  .describe("Read as each.NAME");

const loop = { in: over.describe("A list, an expression that gives one, a range (both ends included), or partitions of time in UTC"), as };

export const forEachSchema = z
  .strictObject({
    ...loop,
    inner: z
      .strictObject({ ...loop, inner: z.strictObject(loop).optional() })
      .optional()
      .describe("A loop inside it, which can read the values of those around it"),
    window: z.int().min(1).max(1_000).default(10).describe("Items that run at the same time, at most"),
    max_failures: z.int().min(0).default(0).describe("Failed items beyond which no further ones begin and the task fails"),
  })
  .describe("Carries the task out once for each item");

export type ForEachDefinition = z.output<typeof forEachSchema>;

// The schema of a definition's event triggers. What their parts mean together is checked at compile.

import { z } from "zod";
import { LIMITS } from "./limits.ts";
import { assetName, durationSchema, nameSchema } from "./operators.ts";
import { secretReference } from "./definition-secrets.ts";
import { RUN_ENDS, SIGNATURES } from "./trigger.ts";

const webhookSchema = z
  .strictObject({
    secret: secretReference("API"),
    signature: z
      .enum(SIGNATURES)
      .default("downbeat")
      .describe("How senders sign: downbeat as Standard Webhooks does, or github (X-Hub-Signature-256)"),
  })
  .describe("Signed requests to POST /v1/hooks/PIPELINE/TRIGGER");

const pipelineSchema = z
  .strictObject({
    name: nameSchema.describe("The other pipeline"),
    on: z.enum(RUN_ENDS).default("succeeded").describe("ended: whatever became of it, cancelled runs included"),
  })
  .describe("Ends of another pipeline's runs");

const assetsSchema = z
  .strictObject({
    any_of: z.array(assetName).min(1).max(100).optional().describe("An update of any of them"),
    all_of: z.array(assetName).min(1).max(100).optional().describe("One run once each was updated since the last one"),
  })
  .describe("Updates of assets");

const everySchema = durationSchema("1s", "1d")
  .default("10s")
  .describe("How long from one look to the next; looks hold no worker in between");

const streamSchema = z
  .looseObject({
    connection: nameSchema.describe("Name of a connection"),
    stream: z.string().min(1).describe("The topic"),
    every: everySchema,
  })
  .describe("Messages of a topic, each once; further keys are the connector's");

const filesSchema = z
  .strictObject({
    connection: nameSchema.optional().describe("Without it: the workers' data folder"),
    glob: z.string().min(1).describe("Which files: *, **, ?, {a,b}, [a-z]"),
    existing: z.boolean().default(false).describe("Whether those count that are there when it first looks"),
    every: everySchema,
  })
  .describe("New files, and files with new content, each once");

/** Keys of `stream` that are not the connector's. */
export const STREAM_KEYS = Object.keys(streamSchema.shape);

export const triggerSchema = z.strictObject({
  name: nameSchema.describe("Unique in the pipeline"),
  webhook: webhookSchema.optional(),
  pipeline: pipelineSchema.optional(),
  assets: assetsSchema.optional(),
  stream: streamSchema.optional(),
  files: filesSchema.optional(),
  when: z.string().min(1).optional().describe("CEL condition over event; other events count for nothing"),
  params: z.record(z.string(), z.json()).default({}).describe("Of its runs; expressions read event (the newest) and events"),
  batch: z
    .strictObject({
      max: z.int().min(2).max(LIMITS.eventsPerRun).describe("A run begins at the latest with so many"),
      within: durationSchema("1s", "7d").describe("or so long after the first of them"),
    })
    .optional()
    .describe("One run for several events"),
  debounce: durationSchema("1s", "1d").optional().describe("One run, once no event has come for so long"),
  longest_wait: durationSchema("1s", "7d")
    .optional()
    .describe("With debounce: never later than this after the first event; default ten times as long"),
  paused: z.boolean().default(false).describe("Whether it begins paused"),
});

export type TriggerDefinition = z.output<typeof triggerSchema>;

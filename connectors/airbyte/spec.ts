// Airbyte sources: any connector that speaks the Airbyte protocol, as a program or as a container image.

import { z } from "zod";
import { defineConnector } from "../lib/define.ts";
import { command, configFields, sourceFields, TAP_NOTES } from "../lib/taps/fields.ts";

export const airbyteConfig = z
  .strictObject({
    command: command.optional(),
    image: z
      .string()
      .regex(/^[\w][\w./:@-]*$/, "is no name of an image")
      .optional()
      .describe(
        "Container image that is run with docker instead, such as airbyte/source-faker:7.2.1; DOWNBEAT_IMAGES of the workers must allow it",
      ),
    ...configFields,
  })
  .refine(({ command: program, image }) => (program === undefined) !== (image === undefined), "takes either command or image");

export type AirbyteConfig = z.output<typeof airbyteConfig>;

export const airbyte = defineConnector({
  kind: "airbyte",
  title: "Airbyte source",
  description: "Any Airbyte source, run as a program or as a container: its streams with their schemas, its state kept with the rows",
  roles: ["source"],
  config: airbyteConfig,
  sourceOptions: z.strictObject(sourceFields),
  capabilities: { incremental: "cursor", incrementalWhen: "incremental", repeatsUnless: "accept_repeats", resumable: true },
  notes: `
A stream is named as the source's catalog has it, with its namespace before it and a dot between where it has one. The source is run with \`check\`, \`discover\` and \`read\`. \`cursor\` is the cursor field;
with \`incremental: true\` it is the one that the source defines. States of the kinds STREAM, GLOBAL and LEGACY are understood. What a source says of its configuration (CONTROL) is not kept.
Of an error that the source explains, \`config_error\` is CONNECTION_INVALID, \`transient_error\` SOURCE_UNAVAILABLE, and \`system_error\` COMMAND_FAILED.

${TAP_NOTES}
`.trim(),
  open: async (config, context) => (await import("./connector.ts")).openAirbyte(config, context),
});

// Singer taps as sources: any program that speaks the Singer protocol.

import { z } from "zod";
import { defineConnector } from "../lib/define.ts";
import { command, configFields, sourceFields, TAP_NOTES } from "../lib/taps/fields.ts";

export const singerConfig = z.strictObject({
  command,
  ...configFields,
  catalog_option: z
    .enum(["--catalog", "--properties"])
    .default("--catalog")
    .describe("How the tap is given its catalog; some old ones call it properties"),
});

export type SingerConfig = z.output<typeof singerConfig>;

export const singer = defineConnector({
  kind: "singer",
  title: "Singer tap",
  description: "Any Singer tap, run as a program: its streams with their schemas, its state kept with the rows",
  roles: ["source"],
  config: singerConfig,
  sourceOptions: z.strictObject(sourceFields),
  capabilities: { incremental: "cursor", incrementalWhen: "incremental", repeatsUnless: "accept_repeats", resumable: true },
  notes: `
A stream is a tap's \`tap_stream_id\` or stream name. The tap must know \`--discover\`; it is run with \`--config\`, \`--catalog\` and, in incremental loads, \`--state\`. \`cursor\` is its replication key;
with \`incremental: true\` it is the key that the tap itself names. ACTIVATE_VERSION is passed over: no rows are deleted for it. BATCH messages are refused.

${TAP_NOTES}
`.trim(),
  open: async (config, context) => (await import("./connector.ts")).openSinger(config, context),
});

// Configuration that connectors which run taps have in common.

import { z } from "zod";
import { declaredColumns } from "../column-types.ts";
import { secrets } from "../config.ts";

export const configFields = {
  config: z
    .record(z.string(), z.json())
    .default({})
    .describe("What the tap is configured with, as its own documentation says; values that are secret belong in secrets"),
  secrets: secrets('Secret values by their place in config, such as {"credentials.password": { env: NAME }}').default({}),
  environment: z
    .record(z.string().regex(/^[A-Za-z_]\w*$/, "is no name of a variable"), z.string())
    .refine((variables) => !Object.keys(variables).some(isReservedVariable), "sets a variable that decides which program is run")
    .default({})
    .describe("Further environment variables, such as HTTPS_PROXY; no secrets"),
};

const isReservedVariable = (name: string): boolean => /^(PATH|ENV|BASH_ENV|(LD|DYLD|DOWNBEAT|DOCKER)_.*)$/.test(name);

export const command = z
  .array(z.string().min(1))
  .min(1)
  .describe('Program and first arguments, such as ["/opt/taps/bin/tap-github"]; DOWNBEAT_COMMANDS of the workers must allow it');

export const sourceFields = {
  incremental: z
    .boolean()
    .default(false)
    .describe("Go on from the state of the last run by the stream's own cursor; needless where `cursor` names a column"),
  accept_repeats: z.boolean().default(false).describe("Let an incremental load write without merge, although rows may come twice"),
  columns: declaredColumns("int64, decimal(12,2), timestamptz")
    .optional()
    .describe("Types of single columns instead of those that the tap's schema tells"),
};

export const TAP_NOTES = `
A full load is committed in one piece, at its end. An incremental one (\`cursor\`, or \`incremental: true\`) keeps the tap's state as its position, with the rows in the destination, and the next run, or a broken one's next
attempt, begins with it. Taps repeat rows at their states (most ask for what is the same or newer), so mode merge is needed, or \`accept_repeats: true\`. How far a load goes is the tap's matter: no upper end is fixed.

| JSON Schema | logical type |
|---|---|
| boolean | bool |
| integer; with bounds beyond 64 bits signed | int64; uint64 or decimal(38,0) |
| number; with \`multipleOf\` 0.1, 0.01, … | float64; decimal(p, s), p from \`maximum\`, else 38 |
| string; \`format\` date-time, date, time, uuid | string; timestamptz, date, time, uuid |
| string with \`contentEncoding\` base64; \`format\` singer.decimal with precision and scale | binary; decimal |
| \`airbyte_type\` timestamp_without_timezone; big_integer | timestamp; decimal(38,0) |
| object, array, no type, mixtures with them | json |
| other mixtures | string |

Columns may be NULL but for keys. A number is the double next to it: name its column in \`columns\` where more digits count. Keys of records that the schema does not have become columns with inferred types.
A record that does not fit its schema is a reject; \`columns\` gives a column another type. Lines that are no message go to the log.
`.trim();

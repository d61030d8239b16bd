// The schema of what a transfer takes of its source's columns. What its parts mean together is in column-choices.ts.

import { z } from "zod";
import { isColumnType, NO_COLUMN_TYPE } from "./column-type-names.ts";
import { secretReference } from "./definition-secrets.ts";

const names = z.array(z.string().min(1)).min(1);

export const columnChoicesSchema = z
  .strictObject({
    select: names.optional().describe("These alone, in this order; default: all"),
    omit: names.optional().describe("All but these"),
    rename: z.record(z.string().min(1), z.string().min(1)).optional().describe("Their names in the table, by those in the source"),
    cast: z
      .record(z.string().min(1), z.string().refine(isColumnType, NO_COLUMN_TYPE))
      .optional()
      .describe(
        "Their types in the table, such as {total: decimal(12,2)}; a row with a value that is not exactly one of these cannot be read",
      ),
    hash: names.optional().describe("Replaced by the SHA-256 of each value, as hexadecimal text: equal values stay equal, NULL stays NULL"),
    hash_key: secretReference("worker")
      .optional()
      .describe("Makes the hashes HMACs with this secret: without it, who has a list of likely values can tell which are there"),
    redact: names.optional().describe("NULL in each row"),
  })
  .describe("What of the source's columns goes into the table; all but the values of `rename` are names in the source");

export type ColumnChoices = z.output<typeof columnChoicesSchema>;

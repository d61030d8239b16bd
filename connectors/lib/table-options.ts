// What of a table or view is read: columns, and the rows that meet a condition, which the system that has them applies itself.

import { z } from "zod";
import { DownbeatError } from "../../core/errors.ts";
import type { StreamRequest } from "../connector.ts";

/** Keys of `from` for SQL systems. */
export const tableOptions = {
  columns: z.array(z.string()).min(1).optional().meta({ description: "Columns to read; default all" }),
  where: z.string().min(1).optional().meta({
    description: "A condition in the system's SQL on the stream's rows: others are not read. Columns that are not read may stand in it",
  }),
} as const;

/** What to select a stream's rows from: the relation itself, or a query in parentheses. Throws SOURCE_OPTIONS_INVALID for a condition beside a query. */
export const filtered = (relation: string, { query, stream, options }: Pick<StreamRequest, "query" | "stream" | "options">): string => {
  const condition = options["where"] as string | undefined;
  if (condition === undefined) return relation;
  if (query !== undefined)
    throw new DownbeatError("SOURCE_OPTIONS_INVALID", `${stream}: from.where is for streams; write the condition into the query`);
  // The line break ends a comment that the condition may end with.
  return `(select * from ${relation} where (${condition}\n))`;
};

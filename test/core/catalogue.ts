// A catalogue as compile sees one: a database, object storage, an HTTP endpoint, two activities of a user's own.
import { z } from "zod";
import type { Catalogue } from "../../core/compile-plan.ts";

export const catalogue: Catalogue = {
  connections: { shop: "table", warehouse: "table", lake: "objects", hook: "endpoint", orphan: "tables", broker: "topics", crm: "tap" },
  connectors: {
    table: {
      roles: ["source", "destination", "sql"],
      modes: ["append", "merge", "replace"],
      incremental: "cursor",
      sourceOptions: z.strictObject({ page: z.int().min(1).optional() }),
      targetOptions: z.strictObject({ partitions: z.int().min(1).optional() }),
    },
    objects: {
      roles: ["source", "destination", "files"],
      modes: ["append", "replace"],
      incremental: "never",
      incrementalWhen: "new_only",
      sourceOptions: z.strictObject({ format: z.enum(["csv", "json"]).optional(), new_only: z.boolean().optional() }),
      targetOptions: z.strictObject({ format: z.enum(["csv", "json"]).optional() }),
    },
    tap: {
      roles: ["source"],
      incremental: "cursor",
      incrementalWhen: "incremental",
      repeatsUnless: "accept_repeats",
      sourceOptions: z.strictObject({ incremental: z.boolean(), accept_repeats: z.boolean() }).partial(),
    },
    topics: {
      roles: ["events"],
      eventOptions: z.strictObject({ from: z.string(), format: z.string(), on_lost_offsets: z.string() }).partial(),
    },
    endpoint: { roles: ["http", "publish"], publishOptions: z.strictObject({ path: z.string() }) },
  },
  activities: { score: {}, remote: { queue: "elsewhere" } },
  pools: ["slow"],
};

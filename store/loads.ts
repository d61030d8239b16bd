// Copies of the destinations' own bookkeeping: where each load stands, while it goes on too. For lists; the destination is the truth.

import { asc, eq, gt, and, sql } from "drizzle-orm";
import type { Json } from "../core/json.ts";
import type { Database } from "./database.ts";
import { storeCall } from "./failure.ts";
import { loads } from "./schema.ts";

export interface LoadRecord {
  /** As `loadKey` of core/ids.ts makes it: pipeline, task and stream. */
  readonly key: string;
  /** The run, or first run of a chain of reruns, that moved it last. */
  readonly runId: string;
  readonly position: Json;
  /** What that run has committed in all: of a replace that goes on, into staging. */
  readonly rows: number;
  readonly bytes: number;
  readonly deadLetters: number;
}

export interface Loads {
  /** Replaces what was known of the load; safe to repeat. */
  record(load: LoadRecord): Promise<void>;
  find(key: string): Promise<(LoadRecord & { readonly updatedAt: string }) | undefined>;
  /** Loads of a pipeline by key. */
  list(
    pipeline: string,
    page: { readonly limit: number; readonly after?: string },
  ): Promise<readonly (LoadRecord & { readonly updatedAt: string })[]>;
}

export const createLoads = (db: Database): Loads => ({
  record: ({ key, ...rest }) =>
    storeCall(async () => {
      await db
        .insert(loads)
        .values({ key, ...rest })
        .onConflictDoUpdate({ target: loads.key, set: { ...rest, updatedAt: sql`now()` } });
    }),
  find: (key) => storeCall(async () => (await db.select().from(loads).where(eq(loads.key, key)))[0]),
  list: (pipeline, { limit, after }) =>
    storeCall(() =>
      db
        .select()
        .from(loads)
        .where(and(sql`starts_with(${loads.key}, ${`${pipeline}/`})`, after === undefined ? undefined : gt(loads.key, after)))
        .orderBy(asc(loads.key))
        .limit(limit),
    ),
});

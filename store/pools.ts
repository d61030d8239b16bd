// Pools and their number of slots.

import { asc, eq, gt, sql } from "drizzle-orm";
import type { Database } from "./database.ts";
import { storeCall } from "./failure.ts";
import { pools } from "./schema.ts";

export type PoolRecord = typeof pools.$inferSelect;

export interface Pools {
  /** Creates or changes. */
  save(pool: Pick<PoolRecord, "name" | "slots" | "description">): Promise<{ readonly created: boolean }>;
  find(name: string): Promise<PoolRecord | undefined>;
  list(page: { readonly limit: number; readonly after?: string }): Promise<readonly PoolRecord[]>;
  names(): Promise<readonly string[]>;
  remove(name: string): Promise<void>;
}

export const createPools = (db: Database): Pools => ({
  save: (pool) =>
    storeCall(async () => {
      const [saved] = await db
        .insert(pools)
        .values(pool)
        .onConflictDoUpdate({ target: pools.name, set: { slots: pool.slots, description: pool.description, updatedAt: sql`now()` } })
        // PostgreSQL's own sign of a row that was inserted.
        .returning({ created: sql<boolean>`xmax = 0` });
      return { created: saved?.created ?? false };
    }),
  find: (name) => storeCall(async () => (await db.select().from(pools).where(eq(pools.name, name)))[0]),
  list: ({ limit, after }) =>
    storeCall(() =>
      db
        .select()
        .from(pools)
        .where(after === undefined ? undefined : gt(pools.name, after))
        .orderBy(asc(pools.name))
        .limit(limit),
    ),
  names: () => storeCall(async () => (await db.select({ name: pools.name }).from(pools).orderBy(asc(pools.name))).map(({ name }) => name)),
  remove: (name) =>
    storeCall(async () => {
      await db.delete(pools).where(eq(pools.name, name));
    }),
});

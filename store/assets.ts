// Assets: what tasks have made and when. Written with the reports of runs (store/runs.ts), read here.

import { and, asc, desc, eq, gt, sql } from "drizzle-orm";
import type { Database } from "./database.ts";
import { storeCall } from "./failure.ts";
import { assets, assetUpdates } from "./schema.ts";

export type AssetRecord = typeof assets.$inferSelect;
export type AssetUpdateRecord = typeof assetUpdates.$inferSelect;

export interface AssetUpdateCursor {
  readonly at: string;
  readonly runId: string;
  readonly taskId: string;
}

export interface Assets {
  find(name: string): Promise<AssetRecord | undefined>;
  /** By name; those that begin with the prefix. */
  list(filter: { readonly prefix?: string }, page: { readonly limit: number; readonly after?: string }): Promise<readonly AssetRecord[]>;
  /** Newest first. */
  updatesOf(name: string, page: { readonly limit: number; readonly after?: AssetUpdateCursor }): Promise<readonly AssetUpdateRecord[]>;
}

export const createAssets = (db: Database): Assets => ({
  find: (name) => storeCall(async () => (await db.select().from(assets).where(eq(assets.name, name)))[0]),
  list: ({ prefix }, { limit, after }) =>
    storeCall(() =>
      db
        .select()
        .from(assets)
        .where(
          and(
            prefix === undefined ? undefined : sql`starts_with(${assets.name}, ${prefix})`,
            after === undefined ? undefined : gt(assets.name, after),
          ),
        )
        .orderBy(asc(assets.name))
        .limit(limit),
    ),
  updatesOf: (name, { limit, after }) =>
    storeCall(() =>
      db
        .select()
        .from(assetUpdates)
        .where(
          and(
            eq(assetUpdates.asset, name),
            after === undefined
              ? undefined
              : sql`(${assetUpdates.at}, ${assetUpdates.runId}, ${assetUpdates.taskId}) < (${after.at}::timestamptz, ${after.runId}, ${after.taskId})`,
          ),
        )
        .orderBy(desc(assetUpdates.at), desc(assetUpdates.runId), desc(assetUpdates.taskId))
        .limit(limit),
    ),
});

// What each live process knows of connectors and activities: API and workers must agree.

import { gt, sql } from "drizzle-orm";
import type { Database } from "./database.ts";
import { storeCall } from "./failure.ts";
import { catalogues } from "./schema.ts";

export interface CatalogueRecord {
  readonly process: string;
  readonly role: string;
  readonly hash: string;
}

export interface Catalogues {
  /** Says that the process lives and what it knows; call every `HEARTBEAT_MS`. */
  publish(record: CatalogueRecord): Promise<void>;
  /** Those that said so within the last three heartbeats. */
  live(): Promise<readonly CatalogueRecord[]>;
}

export const HEARTBEAT_MS = 20_000;

export const createCatalogues = (db: Database): Catalogues => ({
  publish: (record) =>
    storeCall(async () => {
      await db
        .insert(catalogues)
        .values(record)
        .onConflictDoUpdate({ target: catalogues.process, set: { role: record.role, hash: record.hash, seenAt: sql`now()` } });
      await db.delete(catalogues).where(sql`${catalogues.seenAt} < now() - interval '1 day'`);
    }),
  live: () =>
    storeCall(() =>
      db
        .select({ process: catalogues.process, role: catalogues.role, hash: catalogues.hash })
        .from(catalogues)
        .where(gt(catalogues.seenAt, sql`now() - interval '60 seconds'`)),
    ),
});

// Backfills: written down when they are asked for, then a read model fed by their workflows' reports.

import { and, asc, desc, eq, inArray, sql } from "drizzle-orm";
import { type BackfillReport, type BackfillStatus, isBackfillEnded } from "../core/backfill.ts";
import { DownbeatError } from "../core/errors.ts";
import type { Database } from "./database.ts";
import { storeCall } from "./failure.ts";
import type { RunCursor, RunRecord } from "./runs.ts";
import { backfillActions, backfills, runs } from "./schema.ts";

export type BackfillRecord = typeof backfills.$inferSelect;
export type BackfillActionRecord = typeof backfillActions.$inferSelect;

export type CreateBackfill = Omit<BackfillRecord, "status" | "seq" | "createdAt" | "finishedAt">;

export interface Backfills {
  /** The row comes first, the workflow second. The same key gives the same backfill; another request under it throws IDEMPOTENCY_KEY_REUSED. */
  create(
    input: CreateBackfill,
    action: { readonly by: string; readonly why?: string },
  ): Promise<{ readonly backfill: BackfillRecord; readonly created: boolean }>;
  find(id: string): Promise<BackfillRecord | undefined>;
  /** Newest first. */
  list(
    filter: { readonly pipeline?: string; readonly status?: readonly BackfillStatus[] },
    page: { readonly limit: number; readonly after?: RunCursor },
  ): Promise<readonly BackfillRecord[]>;
  actionsOf(id: string): Promise<readonly BackfillActionRecord[]>;
  /** A report that is not newer changes nothing; answers whether it was. */
  record(report: BackfillReport): Promise<boolean>;
  /** The newest run of each of these partitions. */
  runsOf(id: string, partitions: readonly number[]): Promise<readonly RunRecord[]>;
  /** How these runs stand. */
  runsById(ids: readonly string[]): Promise<readonly Pick<RunRecord, "id" | "status">[]>;
  /** Starts of intervals, in milliseconds since 1970, for which runs of no such backfill have succeeded. */
  succeededIntervals(
    pipeline: string,
    range: { readonly from: number; readonly to: number; readonly but?: string },
  ): Promise<readonly { readonly start: number; readonly end: number }[]>;
  /** The mean length of the pipeline's latest successes, in seconds. */
  meanSeconds(pipeline: string): Promise<number | undefined>;
}

const DAY_MS = 86_400_000;
/** Successes that an estimate is made of. */
const MEASURED = 20;

export const createBackfills = (db: Database): Backfills => ({
  create: (input, action) =>
    storeCall(async () => {
      const inserted = await db.transaction(async (tx) => {
        const [row] = await tx
          .insert(backfills)
          .values({ ...input, status: input.state.status })
          .onConflictDoNothing()
          .returning();
        if (row !== undefined)
          await tx
            .insert(backfillActions)
            .values({ backfill: row.id, number: input.state.actions, action: "create", at: row.createdAt, ...action });
        return row;
      });
      if (inserted !== undefined) return { backfill: inserted, created: true };
      const [existing] = await db.select().from(backfills).where(eq(backfills.id, input.id));
      if (existing === undefined) throw new DownbeatError("CONFLICT", `a backfill with the id ${input.id} exists already`);
      if (existing.requestHash !== input.requestHash)
        throw new DownbeatError(
          "IDEMPOTENCY_KEY_REUSED",
          `the idempotency key "${input.idempotencyKey}" belongs to backfill ${existing.id}, which was asked for otherwise`,
        );
      return { backfill: existing, created: false };
    }),

  find: (id) => storeCall(async () => (await db.select().from(backfills).where(eq(backfills.id, id)))[0]),

  list: ({ pipeline, status }, { limit, after }) =>
    storeCall(() =>
      db
        .select()
        .from(backfills)
        .where(
          and(
            pipeline === undefined ? undefined : eq(backfills.pipeline, pipeline),
            status === undefined ? undefined : inArray(backfills.status, [...status]),
            after === undefined
              ? undefined
              : sql`(${backfills.createdAt}, ${backfills.id}) < (${after.createdAt}::timestamptz, ${after.id})`,
          ),
        )
        .orderBy(desc(backfills.createdAt), desc(backfills.id))
        .limit(limit),
    ),

  actionsOf: (id) =>
    storeCall(() => db.select().from(backfillActions).where(eq(backfillActions.backfill, id)).orderBy(asc(backfillActions.number))),

  record: ({ id, seq, state, actions }) =>
    storeCall(() =>
      db.transaction(async (tx) => {
        const [row] = await tx
          .update(backfills)
          .set({ seq, state, status: state.status, finishedAt: isBackfillEnded(state.status) ? sql`now()` : null })
          .where(and(eq(backfills.id, id), sql`${backfills.seq} < ${seq}`))
          .returning({ id: backfills.id });
        if (row !== undefined && actions.length > 0)
          await tx
            .insert(backfillActions)
            .values(actions.map((action) => ({ ...action, backfill: id })))
            // The newest report is right: one before it may have told of an action that then came to nothing, and got another number.
            .onConflictDoUpdate({
              target: [backfillActions.backfill, backfillActions.number],
              set: {
                action: sql`excluded.action`,
                by: sql`excluded."by"`,
                why: sql`excluded.why`,
                details: sql`excluded.details`,
                at: sql`excluded.at`,
              },
            });
        return row !== undefined;
      }),
    ),

  runsOf: (id, partitions) =>
    partitions.length === 0
      ? Promise.resolve([])
      : storeCall(() =>
          db
            .selectDistinctOn([runs.partition])
            .from(runs)
            .where(and(eq(runs.backfill, id), inArray(runs.partition, [...partitions])))
            .orderBy(runs.partition, desc(runs.createdAt)),
        ),

  runsById: (ids) =>
    ids.length === 0
      ? Promise.resolve([])
      : storeCall(() =>
          db
            .select({ id: runs.id, status: runs.status })
            .from(runs)
            .where(inArray(runs.id, [...ids])),
        ),

  succeededIntervals: (pipeline, { from, to, but }) =>
    storeCall(async () => {
      // The texts are in the order of time but for their zones' offsets, less than a day: so the index narrows and the moments decide.
      const [low, high] = [from - DAY_MS, to + DAY_MS].map((moment) => new Date(moment).toISOString()) as [string, string];
      const found = await db
        .selectDistinct({ start: runs.intervalStart, end: runs.intervalEnd })
        .from(runs)
        .where(
          and(
            eq(runs.pipeline, pipeline),
            eq(runs.status, "succeeded"),
            sql`${runs.intervalStart} collate "C" between ${low} and ${high}`,
            but === undefined ? undefined : sql`${runs.backfill} is distinct from ${but}`,
          ),
        );
      return found.map(({ start, end }) => ({ start: Date.parse(start ?? ""), end: Date.parse(end ?? "") }));
    }),

  meanSeconds: (pipeline) =>
    storeCall(async () => {
      const latest = await db
        .select({ seconds: sql<number>`extract(epoch from ${runs.finishedAt} - coalesce(${runs.startedAt}, ${runs.createdAt}))::float8` })
        .from(runs)
        .where(and(eq(runs.pipeline, pipeline), eq(runs.status, "succeeded")))
        .orderBy(desc(runs.createdAt))
        .limit(MEASURED);
      return latest.length === 0 ? undefined : latest.reduce((sum, { seconds }) => sum + seconds, 0) / latest.length;
    }),
});

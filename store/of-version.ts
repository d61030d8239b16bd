// What a version of a pipeline brings by name and people can pause by hand: schedules and event triggers, each in a table of its own.

import { and, asc, eq, getTableColumns, notInArray, type SQL, sql } from "drizzle-orm";
import type { Database } from "./database.ts";
import { storeCall } from "./failure.ts";
import { lockPipeline, recordPipelineAction } from "./pipeline-actions.ts";
import { pipelines, type PausedByHand, type PipelinePause, type schedules, type triggers } from "./schema.ts";

type Table = typeof schedules | typeof triggers;
export type Transaction = Parameters<Parameters<Database["transaction"]>[0]>[0];

interface Ref {
  readonly pipeline: string;
  readonly name: string;
}

export type OfVersion<Of extends Table> = Of["$inferSelect"] & {
  /** Of its whole pipeline. */
  readonly pipelinePause: PipelinePause | null;
};

export interface NamedOfVersions<Of extends Table> {
  find(ref: Ref): Promise<OfVersion<Of> | undefined>;
  /** By pipeline and name. */
  list(filter: { readonly pipeline?: string; readonly limit: number; readonly after?: Ref }): Promise<readonly OfVersion<Of>[]>;
  /** Keeps that somebody paused or resumed it, and records it; undefined: there is none. Where it is so already, nothing changes. */
  setByHand(ref: Ref, byHand: PausedByHand): Promise<{ readonly record: OfVersion<Of>; readonly isChanged: boolean } | undefined>;
}

/** The columns that both tables have: what is done here asks for no others. */
const commonOf = (table: Table): typeof schedules => table as typeof schedules;

/** Makes the pipeline's rows those of the version. `more`: what else becomes of a row that stays. */
export const replaceOfVersion = async <Of extends Table>(
  tx: Transaction,
  of: Of,
  version: Pick<Of["$inferSelect"], "pipeline" | "version" | "planHash">,
  plans: readonly (Of["$inferSelect"]["plan"] & { readonly name: string })[],
  more: Readonly<Record<string, SQL>> = {},
): Promise<void> => {
  const table = commonOf(of);
  const names = plans.map(({ name }) => name);
  const ofPipeline = eq(table.pipeline, version.pipeline);
  await tx.delete(table).where(names.length === 0 ? ofPipeline : and(ofPipeline, notInArray(table.name, names)));
  if (plans.length === 0) return;
  await tx
    .insert(table)
    .values(plans.map((plan) => ({ ...version, name: plan.name, plan })) as (typeof table.$inferInsert)[])
    .onConflictDoUpdate({
      target: [table.pipeline, table.name],
      set: {
        version: version.version,
        planHash: version.planHash,
        plan: sql`excluded.plan`,
        byHand: sql`case when ${table.plan} -> 'paused' = excluded.plan -> 'paused' then ${table.byHand} end`,
        updatedAt: sql`now()`,
        ...more,
      },
    });
};

/** `kind`: what the record of an action calls it. */
export const createNamedOfVersions = <Of extends Table>(db: Database, of: Of, kind: "schedule" | "trigger"): NamedOfVersions<Of> => {
  const table = commonOf(of);
  const at = ({ pipeline, name }: Ref) => and(eq(table.pipeline, pipeline), eq(table.name, name));
  const rows = async (where: SQL | undefined, limit: number): Promise<readonly OfVersion<Of>[]> =>
    (await db
      .select({ ...getTableColumns(table), pipelinePause: pipelines.paused })
      .from(table)
      .innerJoin(pipelines, eq(pipelines.name, table.pipeline))
      .where(where)
      .orderBy(asc(table.pipeline), asc(table.name))
      .limit(limit)) as readonly OfVersion<Of>[];
  const find = async (ref: Ref): Promise<OfVersion<Of> | undefined> => (await rows(at(ref), 1))[0];
  return {
    find: (ref) => storeCall(() => find(ref)),

    list: ({ pipeline, limit, after }) =>
      storeCall(() =>
        rows(
          and(
            pipeline === undefined ? undefined : eq(table.pipeline, pipeline),
            after === undefined ? undefined : sql`(${table.pipeline}, ${table.name}) > (${after.pipeline}, ${after.name})`,
          ),
          limit,
        ),
      ),

    setByHand: (ref, byHand) =>
      storeCall(async () => {
        const isChanged = await db.transaction(async (tx) => {
          await lockPipeline(tx, ref.pipeline);
          const isPaused = sql`coalesce((${table.byHand} ->> 'paused')::boolean, (${table.plan} ->> 'paused')::boolean, false)`;
          const changed = await tx
            .update(table)
            .set({ byHand })
            .where(and(at(ref), sql`${isPaused} <> ${byHand.paused}`))
            .returning({ name: table.name });
          if (changed.length === 0) return false;
          const { paused, ...acted } = byHand;
          await recordPipelineAction(tx, { ...acted, pipeline: ref.pipeline, [kind]: ref.name, action: paused ? "pause" : "resume" });
          return true;
        });
        const record = await find(ref);
        return record && { record, isChanged };
      }),
  };
};

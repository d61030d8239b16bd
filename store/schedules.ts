// Schedules as they should be: written with a version of their pipeline, paused and resumed by hand.

import { and, asc, eq, getTableColumns, notInArray, sql } from "drizzle-orm";
import type { ScheduleRef } from "../core/ids.ts";
import type { SchedulePlan } from "../core/schedule.ts";
import type { Database } from "./database.ts";
import { storeCall } from "./failure.ts";
import { pipelines, schedules, type PausedByHand, type PipelinePause } from "./schema.ts";

export type ScheduleRecord = typeof schedules.$inferSelect & {
  /** Of its whole pipeline. */
  readonly pipelinePause: PipelinePause | null;
};

export interface Schedules {
  find(ref: ScheduleRef): Promise<ScheduleRecord | undefined>;
  /** By pipeline and name. */
  list(filter: { readonly pipeline?: string; readonly limit: number; readonly after?: ScheduleRef }): Promise<readonly ScheduleRecord[]>;
  /** Keeps that somebody paused or resumed it; undefined: there is no such schedule. */
  setByHand(ref: ScheduleRef, byHand: PausedByHand): Promise<ScheduleRecord | undefined>;
}

/** What its user wants last: by hand, or by the definition. */
export const isPaused = ({ byHand, plan, pipelinePause }: Pick<ScheduleRecord, "byHand" | "plan" | "pipelinePause">): boolean =>
  pipelinePause !== null || (byHand?.paused ?? plan.paused);

type Transaction = Parameters<Parameters<Database["transaction"]>[0]>[0];

/** Makes the pipeline's schedules those of the version. */
export const replaceSchedules = async (
  tx: Transaction,
  version: Pick<ScheduleRecord, "pipeline" | "version" | "planHash">,
  plans: readonly SchedulePlan[],
): Promise<void> => {
  const names = plans.map(({ name }) => name);
  const ofPipeline = eq(schedules.pipeline, version.pipeline);
  await tx.delete(schedules).where(names.length === 0 ? ofPipeline : and(ofPipeline, notInArray(schedules.name, names)));
  if (plans.length === 0) return;
  await tx
    .insert(schedules)
    .values(plans.map((plan) => ({ ...version, name: plan.name, plan })))
    .onConflictDoUpdate({
      target: [schedules.pipeline, schedules.name],
      set: {
        version: version.version,
        planHash: version.planHash,
        plan: sql`excluded.plan`,
        byHand: sql`case when ${schedules.plan} -> 'paused' = excluded.plan -> 'paused' then ${schedules.byHand} end`,
        updatedAt: sql`now()`,
      },
    });
};

export const createSchedules = (db: Database): Schedules => {
  const at = ({ pipeline, name }: ScheduleRef) => and(eq(schedules.pipeline, pipeline), eq(schedules.name, name));
  const withPause = () =>
    db
      .select({ ...getTableColumns(schedules), pipelinePause: pipelines.paused })
      .from(schedules)
      .innerJoin(pipelines, eq(pipelines.name, schedules.pipeline));
  const find = async (ref: ScheduleRef): Promise<ScheduleRecord | undefined> => (await withPause().where(at(ref)))[0];
  return {
    find: (ref) => storeCall(() => find(ref)),

    list: ({ pipeline, limit, after }) =>
      storeCall(() =>
        withPause()
          .where(
            and(
              pipeline === undefined ? undefined : eq(schedules.pipeline, pipeline),
              after === undefined ? undefined : sql`(${schedules.pipeline}, ${schedules.name}) > (${after.pipeline}, ${after.name})`,
            ),
          )
          .orderBy(asc(schedules.pipeline), asc(schedules.name))
          .limit(limit),
      ),

    setByHand: (ref, byHand) =>
      storeCall(async () => {
        await db.update(schedules).set({ byHand }).where(at(ref));
        return find(ref);
      }),
  };
};

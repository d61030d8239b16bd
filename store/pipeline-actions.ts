// What people did to pipelines, their schedules and triggers, kept with what they changed.

import { and, desc, eq, lt, sql } from "drizzle-orm";
import type { Actor } from "../core/run-control.ts";
import type { Database } from "./database.ts";
import { storeCall } from "./failure.ts";
import { pipelineActions, pipelines } from "./schema.ts";

export type PipelineActionRecord = typeof pipelineActions.$inferSelect;

/** Who, why, and when: ISO 8601 UTC. */
export interface ActedAt extends Actor {
  readonly at: string;
}

export interface PipelineActions {
  /** Newest first. `schedule`, `trigger`: only what was done to it. */
  list(
    pipeline: string,
    filter: { readonly schedule?: string; readonly trigger?: string },
    page: { readonly limit: number; readonly before?: number },
  ): Promise<readonly PipelineActionRecord[]>;
}

/** Until the transaction's end: those who act on one pipeline take turns. Before its schedules and triggers, as where a version of it is saved. */
export const lockPipeline = async (tx: Pick<Database, "execute">, pipeline: string): Promise<void> => {
  await tx.execute(sql`select 1 from ${pipelines} where ${pipelines.name} = ${pipeline} for update`);
};

/** In the transaction of what it changes, so that both are there or neither; that has locked the pipeline. */
export const recordPipelineAction = async (
  tx: Pick<Database, "insert">,
  action: Omit<typeof pipelineActions.$inferInsert, "number">,
): Promise<void> => {
  const next = sql<number>`(select coalesce(max(number), 0) + 1 from ${pipelineActions} where pipeline = ${action.pipeline})`;
  await tx.insert(pipelineActions).values({ ...action, number: next as unknown as number });
};

export const createPipelineActions = (db: Database): PipelineActions => ({
  list: (pipeline, { schedule, trigger }, { limit, before }) =>
    storeCall(() =>
      db
        .select()
        .from(pipelineActions)
        .where(
          and(
            eq(pipelineActions.pipeline, pipeline),
            schedule === undefined ? undefined : eq(pipelineActions.schedule, schedule),
            trigger === undefined ? undefined : eq(pipelineActions.trigger, trigger),
            before === undefined ? undefined : lt(pipelineActions.number, before),
          ),
        )
        .orderBy(desc(pipelineActions.number))
        .limit(limit),
    ),
});

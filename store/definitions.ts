// Pipelines and their immutable versions.

import { and, asc, desc, eq, getTableColumns, gt, isNotNull, isNull, lt, sql, type SQL } from "drizzle-orm";
import type { JsonObject } from "../core/json.ts";
import type { CompiledPlan } from "../core/plan.ts";
import type { Database } from "./database.ts";
import { storeCall } from "./failure.ts";
import { replaceOfVersion } from "./of-version.ts";
import { type ActedAt, recordPipelineAction } from "./pipeline-actions.ts";
import { replaceTriggers } from "./triggers.ts";
import { overrides, pipelines, type PipelinePause, schedules, versions, type SourceFormat } from "./schema.ts";

export interface VersionRecord {
  readonly pipeline: string;
  readonly version: number;
  readonly hash: string;
  readonly definition: JsonObject;
  readonly source: string;
  readonly format: SourceFormat;
  readonly plan: CompiledPlan;
  readonly createdAt: string;
  /** Who paused the pipeline, whatever its version. */
  readonly paused: PipelinePause | null;
}

export type VersionSummary = Pick<VersionRecord, "version" | "hash" | "createdAt">;

export interface PipelineSummary {
  readonly name: string;
  readonly version: number;
  readonly hash: string;
  readonly description: string | null;
  readonly owner: string | null;
  readonly paused: PipelinePause | null;
  readonly updatedAt: string;
}

export interface SaveResult {
  readonly version: number;
  /** False: the content was the latest version already. */
  readonly created: boolean;
  readonly previous: JsonObject | undefined;
}

export interface Definitions {
  /** Makes a new version unless the latest one has the same hash. The pipeline's schedules and triggers are from then on those of the new version. */
  save(input: Omit<VersionRecord, "version" | "createdAt" | "paused">): Promise<SaveResult>;
  find(pipeline: string, version?: number): Promise<VersionRecord | undefined>;
  /** Plans never change: the answer may be cached for ever. */
  findPlan(hash: string): Promise<CompiledPlan | undefined>;
  /** Keeps a plan that a run goes on with since somebody changed a task of it. */
  saveOverride(input: Pick<VersionRecord, "hash" | "definition" | "plan">): Promise<void>;
  /** Who paused the pipeline; null: nobody; undefined: there is none of that name. */
  findPause(pipeline: string): Promise<PipelinePause | null | undefined>;
  /** Pauses a pipeline, and records it. False: it is paused already. */
  pause(pipeline: string, pause: ActedAt): Promise<boolean>;
  /** Keeps that these runs were paused with it, and by whom. False: it has been resumed meanwhile. */
  pauseRuns(pipeline: string, by: ActedAt, runs: readonly string[]): Promise<boolean>;
  /** Lets a pipeline go on, and records it. `runs`: those that were resumed with it. False: it is not paused. */
  resume(pipeline: string, by: ActedAt, runs: readonly string[]): Promise<boolean>;
  list(page: { readonly limit: number; readonly after?: string }): Promise<readonly PipelineSummary[]>;
  listVersions(pipeline: string, page: { readonly limit: number; readonly before?: number }): Promise<readonly VersionSummary[]>;
  /** Pipelines whose latest version uses the connection. */
  usersOf(connection: string): Promise<readonly string[]>;
  /** Pipelines whose latest version has a task that uses the pool. */
  usersOfPool(pool: string): Promise<readonly string[]>;
}

/** In one line: who paused it, and why. */
export const pauseText = (pipeline: string, { by, why }: PipelinePause): string =>
  `pipeline "${pipeline}" is paused by ${by}${why === undefined ? "" : `: ${why}`}`;

/** Latest versions that are kept at hand: what they say never changes, only which one it is. */
const MOST_KEPT = 100;

export const createDefinitions = (db: Database): Definitions => {
  const latestOf = db
    .select({ hash: versions.hash, version: versions.version, paused: pipelines.paused })
    .from(pipelines)
    .innerJoin(versions, and(eq(versions.pipeline, pipelines.name), eq(versions.version, pipelines.latestVersion)))
    .where(eq(pipelines.name, sql.placeholder("pipeline")))
    .prepare("version_latest");
  const kept = new Map<string, VersionRecord>();

  const read = async (pipeline: string, version: number): Promise<VersionRecord | undefined> => {
    const [found] = await db
      .select({ ...getTableColumns(versions), paused: pipelines.paused })
      .from(versions)
      .innerJoin(pipelines, eq(pipelines.name, versions.pipeline))
      .where(and(eq(versions.pipeline, pipeline), eq(versions.version, version)));
    return found;
  };

  const findLatest = async (pipeline: string): Promise<VersionRecord | undefined> => {
    const [latest] = await latestOf.execute({ pipeline });
    if (latest === undefined) return undefined;
    const known = kept.get(pipeline);
    if (known?.hash === latest.hash && known.version === latest.version) return { ...known, paused: latest.paused };
    const found = await read(pipeline, latest.version);
    kept.delete(pipeline);
    if (found !== undefined) kept.set(pipeline, found);
    const [oldest = ""] = kept.keys();
    if (kept.size > MOST_KEPT) kept.delete(oldest);
    return found;
  };

  /** Of a pipeline that is as `where` says: a new pause, and the record of who did it. */
  const change = (
    pipeline: string,
    where: SQL,
    paused: PipelinePause | SQL | null,
    action: Omit<Parameters<typeof recordPipelineAction>[1], "pipeline">,
  ): Promise<boolean> =>
    storeCall(() =>
      db.transaction(async (tx) => {
        const changed = await tx
          .update(pipelines)
          .set({ paused })
          .where(and(eq(pipelines.name, pipeline), where))
          .returning({ name: pipelines.name });
        if (changed.length > 0) await recordPipelineAction(tx, { ...action, pipeline });
        return changed.length > 0;
      }),
    );
  return {
    save: (input) =>
      storeCall(() =>
        db.transaction(async (tx) => {
          // The row lock makes concurrent saves of one pipeline take turns.
          await tx.insert(pipelines).values({ name: input.pipeline, latestVersion: 0 }).onConflictDoNothing();
          const [pipeline] = await tx.select().from(pipelines).where(eq(pipelines.name, input.pipeline)).for("update");
          const latest = pipeline?.latestVersion ?? 0;
          const [previous] = await tx
            .select({ hash: versions.hash, definition: versions.definition })
            .from(versions)
            .where(and(eq(versions.pipeline, input.pipeline), eq(versions.version, latest)));
          if (previous?.hash === input.hash) return { version: latest, created: false, previous: previous.definition };
          const version = latest + 1;
          await tx.insert(versions).values({ ...input, version });
          await tx.update(pipelines).set({ latestVersion: version, updatedAt: sql`now()` }).where(eq(pipelines.name, input.pipeline));
          const made = { pipeline: input.pipeline, version, planHash: input.hash };
          await replaceOfVersion(tx, schedules, made, input.plan.schedules ?? []);
          await replaceTriggers(tx, made, input.plan.triggers ?? []);
          return { version, created: true, previous: previous?.definition };
        }),
      ),

    find: (pipeline, version) => storeCall(() => (version === undefined ? findLatest(pipeline) : read(pipeline, version))),

    findPlan: (hash) =>
      storeCall(async () => {
        const [version] = await db.select({ plan: versions.plan }).from(versions).where(eq(versions.hash, hash)).limit(1);
        if (version !== undefined) return version.plan;
        return (await db.select({ plan: overrides.plan }).from(overrides).where(eq(overrides.hash, hash)))[0]?.plan;
      }),

    saveOverride: (input) =>
      storeCall(async () => {
        await db.insert(overrides).values(input).onConflictDoNothing();
      }),

    findPause: (pipeline) =>
      storeCall(async () => {
        const [found] = await db.select({ paused: pipelines.paused }).from(pipelines).where(eq(pipelines.name, pipeline));
        return found?.paused;
      }),

    pause: (pipeline, pause) => change(pipeline, isNull(pipelines.paused), { ...pause, runs: [] }, { ...pause, action: "pause" }),

    pauseRuns: (pipeline, by, runs) =>
      change(
        pipeline,
        isNotNull(pipelines.paused),
        sql`jsonb_set(${pipelines.paused}, '{runs}', (${pipelines.paused} -> 'runs') || ${JSON.stringify(runs)}::jsonb)`,
        { ...by, action: "pause runs", runs },
      ),

    resume: (pipeline, by, runs) => change(pipeline, isNotNull(pipelines.paused), null, { ...by, action: "resume", runs }),

    list: ({ limit, after }) =>
      storeCall(() =>
        db
          .select({
            name: pipelines.name,
            version: versions.version,
            hash: versions.hash,
            description: sql<string | null>`${versions.definition} ->> 'description'`,
            owner: sql<string | null>`${versions.definition} ->> 'owner'`,
            paused: pipelines.paused,
            updatedAt: pipelines.updatedAt,
          })
          .from(pipelines)
          .innerJoin(versions, and(eq(versions.pipeline, pipelines.name), eq(versions.version, pipelines.latestVersion)))
          .where(after === undefined ? undefined : gt(pipelines.name, after))
          .orderBy(asc(pipelines.name))
          .limit(limit),
      ),

    listVersions: (pipeline, { limit, before }) =>
      storeCall(() =>
        db
          .select({ version: versions.version, hash: versions.hash, createdAt: versions.createdAt })
          .from(versions)
          .where(
            before === undefined ? eq(versions.pipeline, pipeline) : and(eq(versions.pipeline, pipeline), lt(versions.version, before)),
          )
          .orderBy(desc(versions.version))
          .limit(limit),
      ),

    usersOf: (connection) => usersWhere(db, sql`(${versions.plan} -> 'connections')::jsonb ? ${connection}`),

    usersOfPool: (pool) => usersWhere(db, sql`(${versions.plan} -> 'plan' -> 'tasks')::jsonb @> ${JSON.stringify([{ pool }])}::jsonb`),
  };
};

/** Names of the pipelines whose latest version is such. */
const usersWhere = (db: Database, condition: SQL): Promise<readonly string[]> =>
  storeCall(async () => {
    const rows = await db
      .select({ name: pipelines.name })
      .from(pipelines)
      .innerJoin(versions, and(eq(versions.pipeline, pipelines.name), eq(versions.version, pipelines.latestVersion)))
      .where(condition)
      .orderBy(asc(pipelines.name));
    return rows.map((row) => row.name);
  });

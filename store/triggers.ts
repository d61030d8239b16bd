// Event triggers as they should be in Temporal, and the events that they have taken: each event is kept once, and becomes part of one run.

import { createHash } from "node:crypto";
import { and, asc, desc, eq, getTableColumns, inArray, isNotNull, isNull, not, or, sql } from "drizzle-orm";
import type { TriggerRef } from "../core/ids.ts";
import type { Json } from "../core/json.ts";
import type { TaskError } from "../core/run-changes.ts";
import type { TriggerPlan } from "../core/trigger.ts";
import type { Database } from "./database.ts";
import { storeCall } from "./failure.ts";
import { createNamedOfVersions, type NamedOfVersions, type OfVersion, replaceOfVersion, type Transaction } from "./of-version.ts";
import { events, pipelines, runs, triggers, versions, type Watched } from "./schema.ts";

/** While its whole pipeline is paused, events wait. */
export type TriggerRecord = OfVersion<typeof triggers>;

export type EventRecord = typeof events.$inferSelect;

export interface NewEvent {
  readonly id: string;
  readonly subject?: string;
  readonly data: Json;
}

/** An event that a look has found. */
export interface FoundEvent extends NewEvent {
  /** Why no run can be started for it. */
  readonly error?: TaskError;
  /** False: it is only to be known. */
  readonly counts: boolean;
}

/** waiting: no run was begun for it yet; refused: none can be; ignored: none is to be. */
export const EVENT_STATUSES = ["waiting", "started", "refused", "ignored"] as const;
export type EventStatus = (typeof EVENT_STATUSES)[number];

export const eventStatus = ({ counts, error, runId }: Pick<EventRecord, "counts" | "error" | "runId">): EventStatus => {
  if (!counts) return "ignored";
  if (error !== null) return "refused";
  return runId === null ? "waiting" : "started";
};

export interface EventFilter {
  readonly status?: EventStatus;
  readonly limit: number;
  readonly after?: { readonly at: string; readonly id: string };
}

export interface EventFigure extends TriggerRef {
  readonly status: EventStatus;
  readonly count: number;
  /** The oldest. */
  readonly since: string;
}

export interface Look extends Watched {
  readonly events: readonly FoundEvent[];
}

export interface Triggers extends NamedOfVersions<typeof triggers> {
  /** Those that wait for updates of one of these assets or, where the run has ended, for ends of its pipeline's runs. */
  listeners(to: { readonly runId: string; readonly ended: boolean; readonly assets: readonly string[] }): Promise<readonly TriggerRecord[]>;
  /** Safe to repeat: an event that is there stays as it is, and is answered. */
  addEvent(ref: TriggerRef, event: NewEvent): Promise<EventRecord>;
  /**
   * Makes those of the events that are part of no run one's own, named after the first of them, in the order in which they came. No events: all are part of runs
   * already; the run is that of the first, or null where nothing is known of them.
   */
  claim(ref: TriggerRef, ids: readonly string[]): Promise<{ readonly runId: string | null; readonly events: readonly EventRecord[] }>;
  /** Newest first. */
  events(ref: TriggerRef, filter: EventFilter): Promise<readonly EventRecord[]>;
  /** Why there is no run for the events that were to be part of it. */
  refuse(ref: TriggerRef, runId: string, error: TaskError): Promise<void>;
  /**
   * Keeps what a look has found, and how far it has come, in one step; `mark` is what it began with. Answers the mark that is to be known from then on:
   * one more where any of the events counts. Undefined: another look has come before it, and nothing was kept.
   */
  recordLook(ref: TriggerRef, look: Look): Promise<number | undefined>;
  /** Which of these events are there. */
  known(ref: TriggerRef, ids: readonly string[]): Promise<ReadonlySet<string>>;
  /** How many events each trigger has of each status, and when the oldest that waits has come. */
  figures(): Promise<readonly EventFigure[]>;
  /**
   * Deletes events that came before the moment and that no run is to come of any more, at most so many; answers how many it were. Those of triggers that look for
   * files stay, also where only an older version had the trigger: a look knows the files that it has taken by them.
   */
  forget(before: string, most: number): Promise<number>;
  /** The oldest events that no run was started for. */
  waiting(ref: TriggerRef, limit: number): Promise<readonly Pick<EventRecord, "id" | "subject" | "receivedAt">[]>;
}

/** The same for the same event, however often it comes; of the form of a run's id, since a run is named after its first event. */
export const eventId = ({ pipeline, name }: TriggerRef, key: string): string => {
  const digest = createHash("sha256").update(`${pipeline}\0${name}\0${key}`).digest("hex");
  return `${digest.slice(0, 8)}-${digest.slice(8, 12)}-8${digest.slice(13, 16)}-a${digest.slice(17, 20)}-${digest.slice(20, 32)}`;
};

/** What its user wants last: by hand, or by the definition. */
export const isTriggerPaused = ({ byHand, plan }: Pick<TriggerRecord, "byHand" | "plan">): boolean => byHand?.paused ?? plan.paused;

/** Makes the pipeline's triggers those of the version. */
export const replaceTriggers = (
  tx: Transaction,
  version: Pick<TriggerRecord, "pipeline" | "version" | "planHash">,
  plans: readonly TriggerPlan[],
): Promise<void> =>
  replaceOfVersion(tx, triggers, version, plans, {
    // Another topic or other files begin anew. The mark stays: the trigger's workflow knows it.
    watched: sql`case when (${triggers.plan} -> 'source') - 'options' - 'existing' = (excluded.plan -> 'source') - 'options' - 'existing'
      or ${triggers.watched} is null then ${triggers.watched} else ${triggers.watched} || '{"position": null}' end`,
  });

export const createTriggers = (db: Database): Triggers => {
  const at = ({ pipeline, name }: TriggerRef) => and(eq(triggers.pipeline, pipeline), eq(triggers.name, name));
  const eventsOf = ({ pipeline, name }: TriggerRef) => and(eq(events.pipeline, pipeline), eq(events.trigger, name));
  const withPause = () =>
    db
      .select({ ...getTableColumns(triggers), pipelinePause: pipelines.paused })
      .from(triggers)
      .innerJoin(pipelines, eq(pipelines.name, triggers.pipeline));
  /** Also one whose run was to be started when its trigger's workflow was ended: there is no row of it. */
  const isFree = and(
    or(isNull(events.runId), sql`not exists (select 1 from ${runs} where ${runs.id} = ${events.runId})`),
    isNull(events.error),
    events.counts,
  );
  return {
    ...createNamedOfVersions(db, triggers, "trigger"),

    listeners: ({ runId, ended, assets }) =>
      storeCall(() => {
        const source = sql`${triggers.plan} -> 'source'`;
        const ofRun = sql`(select ${runs.pipeline} from ${runs} where ${runs.id} = ${runId})`;
        const toEnds = ended ? sql`(${source} ->> 'kind' = 'pipeline' and ${source} ->> 'name' = ${ofRun})` : undefined;
        const anyName = sql`exists (select 1 from jsonb_array_elements_text(${source} -> 'names') listed (asset)
          where listed.asset in (select jsonb_array_elements_text(${JSON.stringify(assets)}::jsonb)))`;
        const toAssets = assets.length === 0 ? undefined : sql`(${source} ->> 'kind' = 'assets' and ${anyName})`;
        return withPause().where(or(toEnds, toAssets));
      }),

    addEvent: (ref, { id, subject, data }) =>
      storeCall(async () => {
        await db
          .insert(events)
          .values({ pipeline: ref.pipeline, trigger: ref.name, id, data, ...(subject === undefined ? {} : { subject }) })
          .onConflictDoNothing();
        const [found] = await db
          .select()
          .from(events)
          .where(and(eventsOf(ref), eq(events.id, id)));
        if (found === undefined) throw new Error(`event ${id} is not there although it was just written`);
        return found;
      }),

    claim: (ref, ids) =>
      storeCall(() =>
        db.transaction(async (tx) => {
          const these = and(eventsOf(ref), inArray(events.id, [...ids]));
          const order = [asc(events.receivedAt), asc(events.id)];
          const free = await tx
            .select()
            .from(events)
            .where(and(these, isFree))
            .orderBy(...order)
            .for("update");
          const [first] = free;
          if (first === undefined) {
            const [known] = await tx
              .select()
              .from(events)
              .where(these)
              .orderBy(...order)
              .limit(1);
            return { runId: known?.runId ?? null, events: [] };
          }
          const found = free.map(({ id }) => id);
          await tx
            .update(events)
            .set({ runId: first.id })
            .where(and(eventsOf(ref), inArray(events.id, found)));
          return { runId: first.id, events: free };
        }),
      ),

    refuse: (ref, runId, error) =>
      storeCall(async () => {
        await db
          .update(events)
          .set({ error })
          .where(and(eventsOf(ref), eq(events.runId, runId)));
      }),

    events: (ref, { status, limit, after }) =>
      storeCall(() => {
        const ofStatus = {
          waiting: and(events.counts, isNull(events.error), isNull(events.runId)),
          started: and(events.counts, isNull(events.error), isNotNull(events.runId)),
          refused: and(events.counts, isNotNull(events.error)),
          ignored: not(events.counts),
        };
        return db
          .select()
          .from(events)
          .where(
            and(
              eventsOf(ref),
              status === undefined ? undefined : ofStatus[status],
              after === undefined ? undefined : sql`(${events.receivedAt}, ${events.id}) < (${after.at}::timestamptz, ${after.id})`,
            ),
          )
          .orderBy(desc(events.receivedAt), desc(events.id))
          .limit(limit);
      }),

    recordLook: (ref, { mark, position, events: found }) =>
      storeCall(() =>
        db.transaction(async (tx) => {
          const next = found.some(({ counts, error }) => counts && error === undefined) ? mark + 1 : mark;
          const isNext = sql`coalesce((${triggers.watched} ->> 'mark')::int, 0) = ${mark}`;
          const watched: Watched = { mark: next, position };
          const kept = await tx
            .update(triggers)
            .set({ watched })
            .where(and(at(ref), isNext))
            .returning({ name: triggers.name });
          if (kept.length === 0) return undefined;
          // One after the other, so that they are read in the order in which they came.
          if (found.length > 0)
            await tx.execute(sql`
              insert into ${events} (pipeline, trigger, id, data, error, counts, received_at)
              select ${ref.pipeline}, ${ref.name}, e ->> 'id', e -> 'data', e -> 'error', (e ->> 'counts')::boolean, clock_timestamp() + n * interval '1 microsecond'
              from jsonb_array_elements(${JSON.stringify(found)}::jsonb) with ordinality as x(e, n)
              on conflict do nothing`);
          return next;
        }),
      ),

    known: (ref, ids) =>
      storeCall(async () => {
        const rows = await db
          .select({ id: events.id })
          .from(events)
          .where(and(eventsOf(ref), inArray(events.id, [...ids])));
        return new Set(rows.map(({ id }) => id));
      }),

    figures: () =>
      storeCall(async () => {
        const status = sql<EventStatus>`case when not ${events.counts} then 'ignored' when ${events.error} is not null then 'refused'
          when ${events.runId} is null then 'waiting' else 'started' end`;
        return db
          .select({
            pipeline: events.pipeline,
            name: events.trigger,
            status: status.as("status"),
            count: sql<number>`count(*)::int`,
            since: sql<string>`min(${events.receivedAt})`,
          })
          .from(events)
          .groupBy(events.pipeline, events.trigger, sql`3`);
      }),

    forget: (before, most) =>
      storeCall(async () => {
        const { rows } = await db.execute<{ count: number }>(sql`
          with looked as (
            select distinct v.pipeline, t ->> 'name' as trigger from ${versions} v, json_array_elements(coalesce(v.plan -> 'triggers', '[]')) t
            where t -> 'source' ->> 'kind' = 'files'
          ), old as (
            select e.pipeline, e.trigger, e.id from ${events} e
            where e.received_at < ${before}::timestamptz
              and (not e.counts or e.error is not null or exists (select 1 from ${runs} r where r.id = e.run_id))
              and (e.pipeline, e.trigger) not in (select pipeline, trigger from looked)
            limit ${most} for update skip locked
          ), gone as (
            delete from ${events} e using old where e.pipeline = old.pipeline and e.trigger = old.trigger and e.id = old.id returning 1
          ) select count(*)::int as count from gone`);
        return rows[0]?.count ?? 0;
      }),

    waiting: (ref, limit) =>
      storeCall(() =>
        db
          .select({ id: events.id, subject: events.subject, receivedAt: events.receivedAt })
          .from(events)
          .where(and(eventsOf(ref), isFree))
          .orderBy(asc(events.receivedAt), asc(events.id))
          .limit(limit),
      ),
  };
};

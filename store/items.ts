// Items of tasks with `for_each`, and outputs that are too large to travel: written and read by workers, listed for people.

import { and, asc, eq, gt, inArray, sql } from "drizzle-orm";
import type { Json, JsonObject } from "../core/json.ts";
import type { ItemStatus, TaskError } from "../core/run-changes.ts";
import type { Database } from "./database.ts";
import { storeCall } from "./failure.ts";
import { items, outputs } from "./schema.ts";

export type ItemRecord = typeof items.$inferSelect;

export interface TaskPlace {
  readonly runId: string;
  readonly taskId: string;
}

export interface Carry {
  /** The run that is repeated. */
  readonly from: string;
  /** Items that are done again although they succeeded there. */
  readonly fresh?: readonly number[];
}

export interface PlannedItem {
  readonly key: string;
  readonly values: JsonObject;
}

export interface ItemResult {
  readonly item: number;
  readonly status: ItemStatus;
  readonly attempts: number;
  readonly output?: Json;
  readonly error?: TaskError;
  /** ISO 8601 UTC. */
  readonly startedAt: string;
  readonly finishedAt: string;
}

export interface Items {
  /**
   * Writes down what there is to do; safe to repeat. An item that has succeeded stays so while its values are the same, in this run or in the one that it repeats.
   * Answers how many have succeeded already.
   */
  plan(place: TaskPlace, planned: readonly PlannedItem[], carry?: Carry): Promise<number>;
  /** 0: nobody has written any down. */
  count(place: TaskPlace): Promise<number>;
  find(place: TaskPlace, numbers: readonly number[]): Promise<readonly Pick<ItemRecord, "item" | "key" | "values" | "status">[]>;
  /** A result of an attempt that is not newer than the recorded one changes nothing. */
  record(place: TaskPlace, results: readonly ItemResult[]): Promise<void>;
  list(
    place: TaskPlace,
    filter: { readonly status?: ItemStatus },
    page: { readonly limit: number; readonly after?: number },
  ): Promise<readonly ItemRecord[]>;
  /** In order; null where an item has none. */
  outputs(place: TaskPlace): Promise<readonly Json[]>;
  saveOutput(place: TaskPlace, value: Json): Promise<void>;
  findOutput(place: TaskPlace): Promise<Json | undefined>;
}

/** Rows that travel in one statement. */
const SLICE = 5_000;

const slices = function* <Value>(values: readonly Value[]): Generator<readonly Value[]> {
  for (let from = 0; from < values.length; from += SLICE) yield values.slice(from, from + SLICE);
};

const at = ({ runId, taskId }: TaskPlace) => and(eq(items.runId, runId), eq(items.taskId, taskId));

export const createItems = (db: Database): Items => ({
  plan: (place, planned, carry) =>
    storeCall(() =>
      db.transaction(async (tx) => {
        const { runId, taskId } = place;
        let first = 0;
        for (const slice of slices(planned)) {
          await tx.execute(sql`
            insert into ${items} (run_id, task_id, item, key, "values", status, attempts, output, started_at, finished_at)
            select ${runId}, ${taskId}, ${first}::int + n - 1, p ->> 'key', p -> 'values', coalesce(old.status, 'pending'), coalesce(old.attempts, 0), old.output, old.started_at, old.finished_at
            from jsonb_array_elements(${JSON.stringify(slice)}::jsonb) with ordinality as given(p, n)
            left join ${items} old on old.run_id = ${carry?.from ?? null} and old.task_id = ${taskId} and old.item = ${first}::int + n - 1
              and old."values" = p -> 'values' and old.status = 'succeeded'
              and old.item not in (select jsonb_array_elements_text(${JSON.stringify(carry?.fresh ?? [])}::jsonb)::int)
            on conflict (run_id, task_id, item) do update set key = excluded.key, "values" = excluded."values", error = null,
              attempts = case when items.status = 'succeeded' and items."values" = excluded."values" then items.attempts else 0 end,
              status = case when items.status = 'succeeded' and items."values" = excluded."values" then 'succeeded' else 'pending' end`);
          first += slice.length;
        }
        await tx.delete(items).where(and(at(place), gt(items.item, planned.length - 1)));
        const [row] = await tx
          .select({ done: sql<number>`count(*)::int` })
          .from(items)
          .where(and(at(place), eq(items.status, "succeeded")));
        return row?.done ?? 0;
      }),
    ),

  count: (place) => storeCall(() => db.$count(items, at(place))),

  find: (place, numbers) =>
    storeCall(() =>
      db
        .select({ item: items.item, key: items.key, values: items.values, status: items.status })
        .from(items)
        .where(and(at(place), inArray(items.item, [...numbers])))
        .orderBy(asc(items.item)),
    ),

  record: ({ runId, taskId }, results) =>
    storeCall(async () => {
      for (const slice of slices(results)) {
        await db.execute(sql`
          update ${items} set status = r ->> 'status', attempts = (r ->> 'attempts')::int, output = r -> 'output', error = r -> 'error',
            started_at = (r ->> 'startedAt')::timestamptz, finished_at = (r ->> 'finishedAt')::timestamptz
          from jsonb_array_elements(${JSON.stringify(slice)}::jsonb) r
          where run_id = ${runId} and task_id = ${taskId} and item = (r ->> 'item')::int and items.status <> 'succeeded'
            and items.attempts <= (r ->> 'attempts')::int`);
      }
    }),

  list: (place, { status }, { limit, after }) =>
    storeCall(() =>
      db
        .select()
        .from(items)
        .where(
          and(
            at(place),
            status === undefined ? undefined : eq(items.status, status),
            after === undefined ? undefined : gt(items.item, after),
          ),
        )
        .orderBy(asc(items.item))
        .limit(limit),
    ),

  outputs: (place) =>
    storeCall(async () =>
      (await db.select({ output: items.output }).from(items).where(at(place)).orderBy(asc(items.item))).map(({ output }) => output),
    ),

  saveOutput: (place, value) =>
    storeCall(async () => {
      await db
        .insert(outputs)
        .values({ ...place, value })
        .onConflictDoUpdate({ target: [outputs.runId, outputs.taskId], set: { value } });
    }),

  findOutput: ({ runId, taskId }) =>
    storeCall(async () => {
      const [found] = await db
        .select({ value: outputs.value })
        .from(outputs)
        .where(and(eq(outputs.runId, runId), eq(outputs.taskId, taskId)));
      return found?.value;
    }),
});

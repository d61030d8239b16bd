// What a request for a backfill asks for: its pipeline's version, its partitions, its state at the beginning.

import type { z } from "zod";
import { beginBackfill, type BackfillState } from "../core/backfill.ts";
import { DownbeatError } from "../core/errors.ts";
import type { JsonObject } from "../core/json.ts";
import type { NumberRanges } from "../core/number-ranges.ts";
import { uniteRanges } from "../core/number-ranges.ts";
import { countOf, type Cut, type Partitions, partitionsCache, partitionsWithin, readBound } from "../core/partitions.ts";
import { isTimeZone } from "../core/time-zone.ts";
import type { VersionRecord } from "../store/definitions.ts";
import type { Store } from "../store/open-store.ts";
import { contentHash } from "./hash.ts";
import { checkParams } from "./params.ts";
import { notFound } from "./request.ts";
import type { backfillBody, backfillRetryBody } from "./schemas-backfills.ts";

type Body = z.output<typeof backfillBody>;

const planned = partitionsCache();

/** A dry run, the backfill that follows it, and its pages are cut once. */
export const planOf = (cut: Cut): Partitions => planned(contentHash(cut), cut);

export interface AskedBackfill {
  readonly version: VersionRecord;
  readonly cut: Cut;
  readonly plan: Partitions;
  readonly params: JsonObject;
  readonly state: BackfillState;
}

const boundOf = (name: string, text: string, timezone: string): number => {
  const bound = readBound(text, timezone);
  if (bound === undefined)
    throw new DownbeatError(
      "REQUEST_INVALID",
      `${name} is "${text}": write a date, or ISO 8601 with a zone such as "2026-01-31T06:00:00Z"`,
    );
  return bound;
};

/** Throws REQUEST_INVALID, PARAMS_INVALID and NOT_FOUND. */
export const askedBackfill = async ({ definitions }: Store, pipeline: string, body: Body, now: number): Promise<AskedBackfill> => {
  const version = await definitions.find(pipeline, body.version);
  if (version === undefined) throw notFound("pipeline", body.version === undefined ? pipeline : `${pipeline} version ${body.version}`);
  const schedule = version.plan.schedules?.find(({ name }) => name === body.schedule);
  if (body.schedule !== undefined && schedule === undefined) throw notFound("schedule", `${pipeline}/${body.schedule}`);
  const timezone = schedule?.times.timezone ?? body.timezone ?? "UTC";
  if (!isTimeZone(timezone)) throw new DownbeatError("REQUEST_INVALID", `timezone "${timezone}" is none of the time zone database`);
  const cut: Cut = {
    from: boundOf("from", body.from, timezone),
    to: boundOf("to", body.to, timezone),
    timezone,
    ...(schedule === undefined ? {} : { times: schedule.times }),
    ...(body.every === undefined ? {} : { every: body.every }),
  };
  if (cut.to > now) throw new DownbeatError("REQUEST_INVALID", `to is "${body.to}", which lies in the future: its data is not there yet`);
  const plan = planOf(cut);
  const count = countOf(plan);
  if (count === 0) throw new DownbeatError("REQUEST_INVALID", `no data interval of schedule "${body.schedule}" lies wholly in the range`);
  const params = checkParams(version.definition["params"] as JsonObject | undefined, version.hash, {
    ...schedule?.params,
    ...(body.params as JsonObject),
  });
  const { order, concurrency, priority, stop_after_failures: stopAfterFailures } = body;
  const state = { ...beginBackfill({ count, order, concurrency, priority, stopAfterFailures }), actions: 1 };
  return { version, cut, plan, params, state };
};

/** Undefined: all. Throws REQUEST_INVALID for what the backfill does not have. */
export const chosenPartitions = (
  { partitions, from, to }: z.output<typeof backfillRetryBody>,
  plan: Partitions,
): NumberRanges | undefined => {
  const count = countOf(plan);
  if (partitions !== undefined) {
    const outside = partitions.find((partition) => partition >= count);
    if (outside !== undefined)
      throw new DownbeatError("REQUEST_INVALID", `there is no partition ${outside}: the backfill has ${count}, from 0 on`);
    return uniteRanges(
      partitions.map((partition) => [partition, partition] as const),
      [],
    );
  }
  if (from === undefined || to === undefined) return undefined;
  const found = partitionsWithin(plan, boundOf("from", from, plan.timezone), boundOf("to", to, plan.timezone));
  if (found === undefined) throw new DownbeatError("REQUEST_INVALID", `no partition of the backfill begins between ${from} and ${to}`);
  return [found];
};

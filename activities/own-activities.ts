// Activities of the user's own as the worker registers them: it heartbeats for those that do not, and what they return or throw is kept to what Temporal's
// messages bear: large outputs go by reference.

import { Context } from "@temporalio/activity";
import { DownbeatError } from "../core/errors.ts";
import type { Json } from "../core/json.ts";
import { attemptPlace } from "../core/ids.ts";
import { LIMITS } from "../core/limits.ts";
import { toFailure } from "./failure.ts";
import { outlastingStore } from "./outlasting-store.ts";
import { keepOutput, type VerbHost } from "./run-verb.ts";

export type OwnActivity = (input: Json) => unknown;

type OwnHost = Pick<VerbHost, "saveOutput">;

const cut = (text: string): string => text.slice(0, LIMITS.errorBytes);

const BEAT_EVERY_MS = 10_000;

/** While it runs: a worker that dies is noticed long before the attempt's time is over. */
const beatFor = (): NodeJS.Timeout | undefined => {
  const context = Context.current();
  if (context.info.heartbeatTimeoutMs !== LIMITS.silentActivityMs) return undefined;
  return setInterval(() => context.heartbeat(), BEAT_EVERY_MS);
};

/** Its work is done: a store that is away is waited for, for as long as the attempt may last. */
const saved = async (output: Json, host: OwnHost): Promise<Json> => {
  const { info, cancellationSignal } = Context.current();
  const place = attemptPlace(info.workflowExecution?.workflowId ?? "", info.activityId);
  try {
    const kept = await outlastingStore(cancellationSignal, () => keepOutput({ output }, place, host));
    return kept.output;
  } catch (error) {
    throw error instanceof DownbeatError ? toFailure(error, {}) : error;
  }
};

const carriedOut =
  (work: OwnActivity, host: OwnHost): OwnActivity =>
  async (input) => {
    const beat = beatFor();
    try {
      return await saved(((await work(input)) ?? null) as Json, host);
    } catch (error) {
      // A message over Temporal's limit never arrives: the attempt would last until its timeout.
      if (error instanceof Error && error.message.length > LIMITS.errorBytes) {
        error.message = cut(error.message);
        error.stack = cut(error.stack ?? "");
      }
      throw error;
    } finally {
      clearInterval(beat);
    }
  };

export const ownActivitiesOf = (
  activities: Readonly<Record<string, OwnActivity>>,
  host: OwnHost = {},
): Readonly<Record<string, OwnActivity>> =>
  Object.fromEntries(Object.entries(activities).map(([name, work]) => [name, carriedOut(work, host)]));

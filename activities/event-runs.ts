// Opens and starts the runs of event triggers: one for each batch of events, however often it is asked.

import { DownbeatError, isSystemFault } from "../core/errors.ts";
import type { JsonObject } from "../core/json.ts";
import { type Definitions, pauseText, type VersionRecord } from "../store/definitions.ts";
import type { RunRecord, Runs } from "../store/runs.ts";
import { paramsFor } from "../store/take-event.ts";
import type { TriggerRecord, Triggers } from "../store/triggers.ts";
import type { DagActivities } from "../workflows/ports.ts";
import type { BackfillDeps } from "./backfills.ts";
import { outlastingOutages } from "./failure.ts";

export interface EventRunDeps {
  readonly triggers: Pick<Triggers, "find" | "claim" | "refuse" | "waiting">;
  readonly findVersion: Definitions["find"];
  readonly findRun: Runs["find"];
  readonly createRun: Runs["create"];
  /** Fills in defaults; throws PARAMS_INVALID. */
  readonly checkParams: (schema: JsonObject | undefined, hash: string, given: JsonObject) => JsonObject;
  /** Starts a run that has been written down; safe to repeat. */
  readonly startRun: BackfillDeps["startRun"];
}

type EventActivities = Pick<DagActivities, "startEventRuns" | "waitingEvents">;

export const createEventRuns = (deps: EventRunDeps): EventActivities => ({
  startEventRuns: ({ pipeline, name, batches }) =>
    outlastingOutages(async () => {
      const trigger = await deps.triggers.find({ pipeline, name });
      // It was removed while its last events were on their way.
      if (trigger === undefined) return { runs: batches.map(() => null) };
      if (trigger.pipelinePause !== null) return { runs: [], heldFor: pauseText(pipeline, trigger.pipelinePause) };
      const made = await deps.findVersion(pipeline, trigger.version);
      if (made === undefined) throw new DownbeatError("INTERNAL", `the store has no version ${trigger.version} of "${pipeline}"`);
      const runs: (string | null)[] = [];
      for (const ids of batches) runs.push(await startRunOf(deps, trigger, made, ids));
      return { runs };
    }),

  waitingEvents: ({ limit, ...ref }) =>
    outlastingOutages(async () =>
      (await deps.triggers.waiting(ref, limit)).map(({ id, subject, receivedAt }) => ({
        id,
        ...(subject === null ? {} : { subject }),
        at: Date.parse(receivedAt),
      })),
    ),
});

/** Null where no run comes of them. */
const startRunOf = async (
  deps: EventRunDeps,
  trigger: TriggerRecord,
  { definition, plan: compiled }: VersionRecord,
  ids: readonly string[],
): Promise<string | null> => {
  const { pipeline, version, planHash } = trigger;
  const { runId, events } = await deps.triggers.claim(trigger, ids);
  if (runId === null) return null;
  if (events.length === 0) {
    // All are part of runs: a call that is repeated, or an event that came twice.
    const known = await deps.findRun(runId);
    if (known?.status === "queued") await deps.startRun(known, compiled);
    return runId;
  }
  let run: RunRecord;
  try {
    const schema = (definition as JsonObject)["params"] as JsonObject | undefined;
    const params = deps.checkParams(schema, planHash, paramsFor(trigger, events));
    ({ run } = await deps.createRun({ id: runId, pipeline, version, planHash, origin: runId, trigger: "event", params }));
  } catch (error) {
    if (!(error instanceof DownbeatError) || isSystemFault(error)) throw error;
    await deps.triggers.refuse(trigger, runId, { code: error.code, message: error.message });
    return null;
  }
  await deps.startRun(run, compiled);
  return runId;
};

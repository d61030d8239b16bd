// Tells the triggers that wait for it that a run has ended or that an asset was updated: each once, however often it is told.

import { DownbeatError, isSystemFault } from "../core/errors.ts";
import type { Json } from "../core/json.ts";
import { isRunEnded, type RunChanges } from "../core/run-changes.ts";
import type { TriggerSettings, TriggerSource, WaitingEvent } from "../core/trigger.ts";
import type { RunRecord, Runs } from "./runs.ts";
import { type IncomingEvent, settingsOf, takeEvent } from "./take-event.ts";
import { isTriggerPaused, type TriggerRecord, type Triggers } from "./triggers.ts";

export interface TellListenersDeps {
  readonly triggers: Pick<Triggers, "listeners" | "addEvent">;
  readonly findRun: Runs["find"];
  /** Hands an event to the trigger's durable owner, which is started where it does not run. */
  readonly tellTrigger: (settings: TriggerSettings, event: Omit<WaitingEvent, "at">) => Promise<void>;
  readonly log: { warn(fields: object, message: string): void };
}

/** Of a run; `status` is what it is by then, whether or not the store has it. */
type Told = Pick<RunChanges, "runId" | "status" | "tasks">;

/** Safe to repeat, and repeated while a service is away: a report counts as taken only then. What cannot be mended so is logged: no run waits for it. */
export const createTellListeners =
  (deps: TellListenersDeps) =>
  async (changes: Told): Promise<void> => {
    try {
      await tellAll(deps, changes);
    } catch (error) {
      if (isSystemFault(error)) throw error;
      deps.log.warn({ err: error, run: changes.runId }, "triggers could not be told of what a run did");
    }
  };

const tellAll = async (deps: TellListenersDeps, { runId, status, tasks }: Told): Promise<void> => {
  const made = tasks.flatMap(({ taskId, assets = [] }) => assets.map((asset) => ({ asset, taskId })));
  const ended = isRunEnded(status);
  if (!ended && made.length === 0) return;
  const listeners = await deps.triggers.listeners({ runId, ended, assets: [...new Set(made.map(({ asset }) => asset))] });
  if (listeners.length === 0) return;
  const found = await deps.findRun(runId);
  if (found === undefined) return;
  const run = { ...found, status };
  for (const trigger of listeners)
    if (!isTriggerPaused(trigger)) for (const event of eventsFor(trigger.plan.source, run, made)) await tell(deps, trigger, event);
};

const eventsFor = (
  source: TriggerSource,
  run: RunRecord,
  made: readonly { readonly asset: string; readonly taskId: string }[],
): readonly IncomingEvent[] => {
  if (source.kind === "assets")
    return made
      .filter(({ asset }) => source.names.includes(asset))
      .map(({ asset, taskId }) => ({
        key: `${asset}\0${run.id}\0${taskId}`,
        subject: asset,
        data: { asset, pipeline: run.pipeline, run: run.id, task: taskId },
      }));
  if (source.kind !== "pipeline" || (source.on !== "ended" && source.on !== run.status)) return [];
  const data: Json = {
    pipeline: run.pipeline,
    run: run.id,
    version: run.version,
    status: run.status,
    params: run.params,
    output: run.output,
  };
  return [{ key: run.id, data }];
};

const tell = async (deps: TellListenersDeps, trigger: TriggerRecord, event: IncomingEvent): Promise<void> => {
  try {
    const { id, counts, runId } = await takeEvent(deps.triggers, trigger, event);
    if (!counts || runId !== null) return;
    await deps.tellTrigger(settingsOf(trigger), { id, ...(event.subject === undefined ? {} : { subject: event.subject }) });
  } catch (error) {
    // A condition that cannot be evaluated must not keep the run's own report waiting.
    if (!(error instanceof DownbeatError) || isSystemFault(error)) throw error;
    deps.log.warn({ err: error, pipeline: trigger.pipeline, trigger: trigger.name }, "an event was left out by a faulty condition");
  }
};

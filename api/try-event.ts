// What would become of a sample event: whether a trigger counts it, and the params of the run that it would start.

import { DownbeatError, isSystemFault } from "../core/errors.ts";
import type { JsonObject } from "../core/json.ts";
import { countsFor, paramsFor } from "../store/take-event.ts";
import { type EventRecord, eventId, type TriggerRecord } from "../store/triggers.ts";
import type { ApiDeps } from "./deps.ts";
import { checkParams } from "./params.ts";

export interface TriedEvent {
  /** Null: `when` fails. */
  readonly counts: boolean | null;
  readonly params: JsonObject | null;
  readonly error: { readonly at: "when" | "params"; readonly code: string; readonly message: string } | null;
}

/** Nothing is kept, nobody is told. */
export const tryEvent = async (
  { store }: Pick<ApiDeps, "store">,
  trigger: TriggerRecord,
  sample: Pick<EventRecord, "data" | "subject">,
): Promise<TriedEvent> => {
  const event = { ...sample, id: eventId(trigger, "a sample"), receivedAt: new Date().toISOString() };
  const made = await store.definitions.find(trigger.pipeline, trigger.version);
  if (made === undefined) throw new DownbeatError("INTERNAL", `the store has no version ${trigger.version} of "${trigger.pipeline}"`);
  let at: "when" | "params" = "when";
  try {
    if (!countsFor(trigger, event)) return { counts: false, params: null, error: null };
    at = "params";
    const schema = made.definition["params"] as JsonObject | undefined;
    return { counts: true, params: checkParams(schema, trigger.planHash, paramsFor(trigger, [event])), error: null };
  } catch (error) {
    if (!(error instanceof DownbeatError) || isSystemFault(error)) throw error;
    return { counts: at === "when" ? null : true, params: null, error: { at, code: error.code, message: error.message } };
  }
};

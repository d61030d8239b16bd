// Takes an event for a trigger: looks whether it is one that counts, and keeps it once.

import { evaluateCondition, renderTemplates } from "../core/expression.ts";
import type { Json, JsonObject } from "../core/json.ts";
import type { TriggerSettings } from "../core/trigger.ts";
import { eventId, isTriggerPaused, type EventRecord, type TriggerRecord, type Triggers } from "./triggers.ts";

export interface IncomingEvent {
  /** What its sender calls it: the same for the same event. */
  readonly key: string;
  readonly subject?: string;
  readonly data: Json;
}

export interface TakenEvent {
  readonly id: string;
  /** False: the trigger's `when` leaves it out, and nothing of it was kept. */
  readonly counts: boolean;
  /** The run that it is part of already. */
  readonly runId: string | null;
}

/** As expressions read it. */
const expressionEvent = ({ id, subject, data, receivedAt }: Pick<EventRecord, "id" | "subject" | "data" | "receivedAt">): JsonObject => ({
  id,
  at: new Date(receivedAt).toISOString(),
  data,
  ...(subject === null ? {} : { subject }),
});

/** Whether the trigger's `when` lets an event that comes now through. Throws EXPRESSION_FAILED. */
export const countsFor = (
  { plan: { when } }: Pick<TriggerRecord, "plan">,
  arrived: Pick<EventRecord, "id" | "subject" | "data">,
): boolean => {
  if (when === undefined) return true;
  const event = expressionEvent({ ...arrived, receivedAt: new Date().toISOString() });
  return evaluateCondition(when, { event, events: [event] });
};

/** What the trigger gives a run of these events as its params; defaults are not filled in. Throws EXPRESSION_FAILED. */
export const paramsFor = (
  { plan: { params } }: Pick<TriggerRecord, "plan">,
  events: readonly Pick<EventRecord, "id" | "subject" | "data" | "receivedAt">[],
): JsonObject => {
  const scope = events.map(expressionEvent);
  return renderTemplates(params, { events: scope, event: scope.at(-1) ?? {} }) as JsonObject;
};

/** Safe to repeat. Throws EXPRESSION_FAILED. */
export const takeEvent = async (
  triggers: Pick<Triggers, "addEvent">,
  trigger: TriggerRecord,
  { key, subject, data }: IncomingEvent,
): Promise<TakenEvent> => {
  const id = eventId(trigger, key);
  if (!countsFor(trigger, { id, subject: subject ?? null, data })) return { id, counts: false, runId: null };
  const { runId } = await triggers.addEvent(trigger, { id, data, ...(subject === undefined ? {} : { subject }) });
  return { id, counts: true, runId };
};

/** What the trigger's durable owner is to know of it. */
export const settingsOf = (trigger: TriggerRecord): TriggerSettings => ({
  pipeline: trigger.pipeline,
  name: trigger.name,
  timing: trigger.plan.timing,
  ...(trigger.plan.everyMs === undefined ? {} : { everyMs: trigger.plan.everyMs }),
  paused: isTriggerPaused(trigger),
});

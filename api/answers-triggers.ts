// What answers about schedules, triggers and events carry.

import { z } from "zod";
import { OVERLAPS } from "../core/schedule.ts";
import { EVENT_STATUSES } from "../store/triggers.ts";
import { error, json, jsonObject, localMoment, moment, pageOf } from "./answer-parts.ts";

const firing = localMoment.describe("As the clocks of the schedule's zone show it");

const eventTrigger = z.object({
  pipeline: z.string(),
  name: z.string(),
  version: z.int(),
  kind: z.enum(["webhook", "pipeline", "assets", "stream", "files"]),
  summary: z.string(),
  paused: z.boolean(),
  by_hand: z.object({ by: z.string(), why: z.string().nullable(), at: moment }).nullable(),
  state: z
    .object({
      waiting: z.int().describe("Events that no run was started for"),
      last_event_at: moment.nullable(),
      last_run: z.string().nullable(),
      held_for: z.string().nullable().describe("Why no run is started although one is due"),
      looks: z
        .object({
          without_news: z.int().describe("Looks in a row that found nothing"),
          trouble: z.string().nullable().describe("What was wrong with the last one"),
        })
        .nullable()
        .describe("Of a trigger that looks for its events"),
    })
    .nullable()
    .describe("null: no worker answers"),
  updated_at: moment,
  links: z.object({ hook: z.string().optional() }),
});

const event = z.object({
  id: z.string(),
  status: z.enum(EVENT_STATUSES).describe("refused: no run can be started for it; ignored: none is to be"),
  at: moment.describe("When it was taken"),
  subject: z.string().nullable(),
  data: json,
  run: z.string().nullable(),
  error: error.nullable(),
  links: z.object({ run: z.string().optional() }),
});

const schedule = z.object({
  pipeline: z.string(),
  name: z.string(),
  version: z.int().describe("Of the pipeline, which its runs have"),
  summary: z.string(),
  timezone: z.string(),
  overlap: z.enum(OVERLAPS),
  catch_up_seconds: z.number(),
  jitter_seconds: z.number(),
  start: moment.nullable(),
  end: moment.nullable(),
  params: jsonObject,
  paused: z.boolean(),
  pipeline_paused: z.boolean().describe("Its whole pipeline is paused"),
  by_hand: z
    .object({ paused: z.boolean(), by: z.string(), why: z.string().nullable(), at: moment })
    .nullable()
    .describe("Who paused or resumed it last; null: it is as the definition says"),
  next: firing.nullable().describe("When it fires next; null: paused or over"),
  updated_at: moment,
  links: z.object({ self: z.string(), pipeline: z.string() }),
});

export const TRIGGER_ANSWERS = {
  Schedule: schedule,
  Schedules: pageOf(schedule),
  EventTrigger: eventTrigger,
  Triggers: pageOf(eventTrigger),
  Events: pageOf(event),
  TriedEvent: z.object({
    counts: z.boolean().nullable().describe("false: the trigger's `when` leaves it out; null: `when` fails"),
    params: jsonObject.nullable().describe("Of the run that it alone would start, defaults filled in"),
    error: z
      .object({ at: z.enum(["when", "params"]), code: z.string(), message: z.string() })
      .nullable()
      .describe("Why no run could be started"),
  }),
  TakenEvent: z.object({
    event: z.string().describe("The same whenever the same event is sent"),
    counts: z.boolean().describe("false: the trigger's `when` leaves it out"),
    run: z.string().nullable().describe("The run that it starts; null while it waits for others"),
  }),
  Firings: z.object({
    items: z.array(
      z.object({
        at: firing,
        interval: z.object({ start: firing, end: firing }).nullable().describe("The run's data interval; null: nothing fires before"),
      }),
    ),
  }),
} as const satisfies Readonly<Record<string, z.ZodType>>;

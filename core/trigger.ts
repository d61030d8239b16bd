// A compiled event trigger: which events start runs of a pipeline, and how many events make one. Plain JSON, kept with the version's plan.

import type { JsonObject } from "./json.ts";
import { LIMITS } from "./limits.ts";

export const SIGNATURES = ["downbeat", "github"] as const;
export const RUN_ENDS = ["succeeded", "failed", "ended"] as const;

export type TriggerSource =
  /** `secret`: a reference, `{ env }` or `{ file }`; what it leads to is nowhere in the plan. */
  | { readonly kind: "webhook"; readonly secret: JsonObject; readonly signature: (typeof SIGNATURES)[number] }
  | { readonly kind: "pipeline"; readonly name: string; readonly on: (typeof RUN_ENDS)[number] }
  | { readonly kind: "assets"; readonly names: readonly string[]; readonly mode: "any_of" | "all_of" }
  /** A topic; `options` are the connector's. */
  | { readonly kind: "stream"; readonly connection: string; readonly stream: string; readonly options: JsonObject }
  /** Without a connection: files of the workers' data folder. `existing`: whether those count that are there when it first looks. */
  | { readonly kind: "files"; readonly connection?: string; readonly glob: string; readonly existing: boolean };

/** When the events that wait become a run; nothing of it: each at once, by itself. */
export interface TriggerTiming {
  readonly batch?: { readonly max: number; readonly withinMs: number };
  /** Once it has been quiet for so long; never later than `longestMs` after the first. */
  readonly debounce?: { readonly quietMs: number; readonly longestMs: number };
  /** One run once there is an event of each of these subjects. */
  readonly allOf?: readonly string[];
}

export interface TriggerPlan {
  readonly name: string;
  /** One line for people: "end of orders (succeeded)". */
  readonly summary: string;
  readonly source: TriggerSource;
  /** CEL source over `event`, checked at compile: events for which it is false count for nothing. */
  readonly when?: string;
  readonly timing: TriggerTiming;
  /** Milliseconds from one look for events to the next; absent: they come by themselves. */
  readonly everyMs?: number;
  readonly paused: boolean;
  /** Of its runs, with expressions over `event` and `events` inside. */
  readonly params: JsonObject;
}

/** What a trigger's durable owner knows of it. */
export interface TriggerSettings {
  readonly pipeline: string;
  readonly name: string;
  readonly timing: TriggerTiming;
  readonly everyMs?: number;
  readonly paused: boolean;
}

/** The type of the failure by which a look for events says that there are none yet. */
export const NOT_YET = "NOT_YET";

/** An event that has become part of no run yet; what it says is in the store. */
export interface WaitingEvent {
  readonly id: string;
  /** What it is of, where a run needs one of several: an asset's name. */
  readonly subject?: string;
  /** Milliseconds: when it came. */
  readonly at: number;
}

/** When the first run of the events that wait is due; undefined: not before another comes. */
export const dueAt = (waiting: readonly WaitingEvent[], timing: TriggerTiming): number | undefined => {
  const [first] = waiting;
  const last = waiting.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const { batch, debounce, allOf } = timing;
  if (allOf !== undefined) {
    const seen = new Set(waiting.map(({ subject }) => subject));
    if (!allOf.every((subject) => seen.has(subject))) return undefined;
  }
  if (batch !== undefined && waiting.length >= batch.max) return first.at;
  const quiet = debounce === undefined ? undefined : Math.min(last.at + debounce.quietMs, first.at + debounce.longestMs);
  const full = batch === undefined ? undefined : first.at + batch.withinMs;
  if (quiet === undefined) return full ?? first.at;
  return full === undefined ? quiet : Math.min(quiet, full);
};

/** How many of the events that wait, from the first on, the run that is due takes. A run for all of several subjects takes whatever there is of them. */
export const sizeOfNext = (waiting: readonly WaitingEvent[], { batch, debounce, allOf }: TriggerTiming): number => {
  if (batch === undefined && debounce === undefined && allOf === undefined) return Math.min(waiting.length, 1);
  return allOf === undefined ? Math.min(waiting.length, batch?.max ?? LIMITS.eventsPerRun) : waiting.length;
};

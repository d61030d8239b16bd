// What the operations of the OpenAPI document are made of.

import { z } from "zod";
import type { ANSWERS } from "./answers.ts";
import {
  cancelBody,
  connectionBody,
  connectionPatch,
  continueBody,
  decisionBody,
  markBody,
  newConnectionBody,
  pageQuery,
  pauseBody,
  pipelinePauseBody,
  poolBody,
  rerunBody,
  schedulePreviewBody,
  triggerBody,
  triggerTestBody,
} from "./schemas.ts";
import { BACKFILL_BODIES } from "./schemas-backfills.ts";

export type Json = Record<string, unknown>;

/** Words, and the body: by name, or as text of another content type. */
export type Answer = readonly [string, keyof typeof ANSWERS | "text/plain"];

export interface Operation {
  readonly summary: string;
  readonly tag: string;
  readonly parameters?: readonly Json[];
  readonly body?: Json;
  /** By status: what it means, and what a success carries. */
  readonly answers: Readonly<Record<number, string | Answer>>;
}

export const path = (name: string): Json => ({ name, in: "path", required: true, schema: { type: "string" } });
export const header = (name: string, description: string): Json => ({ name, in: "header", description, schema: { type: "string" } });

export const schemaOf = (schema: z.ZodType): Json => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return rest;
};

export const component = (name: string): string => `#/components/schemas/${name}`;

export const BODIES = {
  NewConnection: newConnectionBody,
  Connection: connectionBody,
  ConnectionChanges: connectionPatch,
  Trigger: triggerBody,
  Cancellation: cancelBody,
  SampleEvent: triggerTestBody,
  Pause: pauseBody,
  PipelinePause: pipelinePauseBody,
  Continuation: continueBody,
  Mark: markBody,
  Decision: decisionBody,
  Rerun: rerunBody,
  Pool: poolBody,
  SchedulePreview: schedulePreviewBody,
  ...BACKFILL_BODIES,
} as const;

export const queryOf = (schema: z.ZodObject): readonly Json[] => {
  const { properties = {} } = schemaOf(schema) as { readonly properties?: Readonly<Record<string, Json>> };
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({ name, in: "query", description, schema: rest }));
};

export const PAGE = queryOf(pageQuery);
export const ACTION_KEY = header("idempotency-key", "The same key acts once; with another action or body it is refused");

export const body = (name: keyof typeof BODIES, required = true): Json => ({
  required,
  content: { "application/json": { schema: { $ref: component(name) } } },
});

// Pauses and resumes what a version brings by name: a schedule or an event trigger.

import type { Request } from "express";
import { DownbeatError } from "../core/errors.ts";
import type { NamedOfVersions, OfVersion } from "../store/of-version.ts";
import type { schedules, triggers } from "../store/schema.ts";
import { jsonBody, notFound, parseInput } from "./request.ts";
import { pauseBody } from "./schemas.ts";

/** Throws ACTION_REFUSED where it is so already: then nothing is recorded, and who did it first is still shown. */
export const pauseByHand = async <Of extends typeof schedules | typeof triggers>(
  kind: "schedule" | "trigger",
  inStore: NamedOfVersions<Of>,
  { pipeline, name }: { readonly pipeline: string; readonly name: string },
  action: "pause" | "resume",
  request: Request,
): Promise<OfVersion<Of>> => {
  const { by, why } = parseInput(pauseBody, jsonBody(request));
  const byHand = { paused: action === "pause", by, ...(why === undefined ? {} : { why }), at: new Date().toISOString() };
  const what = `${kind} "${pipeline}/${name}"`;
  const set = await inStore.setByHand({ pipeline, name }, byHand);
  if (set === undefined) throw notFound(kind, `${pipeline}/${name}`);
  if (set.isChanged) return set.record;
  if (action === "pause") throw new DownbeatError("ACTION_REFUSED", `${what} is paused already; resume it to let it go on`);
  const above = set.record.pipelinePause === null ? "there is nothing to resume" : "its pipeline is: resume that";
  throw new DownbeatError("ACTION_REFUSED", `${what} is not paused; ${above}`);
};

// Who pauses or resumes something, and why, as it is kept.

import type { Request } from "express";
import type { PausedByHand } from "../store/schema.ts";
import { jsonBody, parseInput } from "./request.ts";
import { pauseBody } from "./schemas.ts";

export const pausedByHand = (request: Request, action: "pause" | "resume"): PausedByHand => {
  const { by, why } = parseInput(pauseBody, jsonBody(request));
  return { paused: action === "pause", by, ...(why === undefined ? {} : { why }), at: new Date().toISOString() };
};

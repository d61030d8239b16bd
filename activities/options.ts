// Checks a task's connector-specific options after their expressions were evaluated.

import { parseDuration } from "../core/duration.ts";
import { DownbeatError } from "../core/errors.ts";
import type { OpenedConnection } from "./connections.ts";

export const parseOptions = (
  opened: OpenedConnection,
  schema: "sourceOptions" | "targetOptions" | "publishOptions" | "eventOptions",
  options: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> => {
  const parser = opened.spec[schema];
  const names = Object.keys(options);
  if (parser === undefined) {
    if (names.length === 0) return {};
    throw new DownbeatError(
      "SOURCE_OPTIONS_INVALID",
      `connection "${opened.name}" (${opened.spec.kind}) takes no further options, but got: ${names.join(", ")}`,
    );
  }
  const parsed = parser.safeParse(options);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => `${issue.path.join(".") || "options"}: ${issue.message}`).join("; ");
  throw new DownbeatError("SOURCE_OPTIONS_INVALID", `options for connection "${opened.name}" (${opened.spec.kind}): ${faults}`);
};

/** Milliseconds of what a template may have made. */
export const durationOf = (given: string | number, key: string): number => {
  const milliseconds = typeof given === "number" ? given : parseDuration(given);
  if (milliseconds !== undefined) return milliseconds;
  throw new DownbeatError("SOURCE_OPTIONS_INVALID", `${key} is "${given}", which is not a duration; write "PT1H" or "1h"`);
};

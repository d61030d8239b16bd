// Activities of the user's own as the worker registers them: what they return or throw is kept to what Temporal's messages bear.

import { DownbeatError } from "../core/errors.ts";
import type { Json } from "../core/json.ts";
import { LIMITS } from "../core/limits.ts";
import { toFailure } from "./failure.ts";

export type OwnActivity = (input: Json) => unknown;

const cut = (text: string): string => text.slice(0, LIMITS.errorBytes);

const bounded =
  (work: OwnActivity): OwnActivity =>
  async (input) => {
    try {
      const output = await work(input);
      const bytes = Buffer.byteLength(JSON.stringify(output) ?? "");
      if (bytes <= LIMITS.outputBytes) return output;
      const message = `the output is ${bytes} bytes of JSON, the limit is ${LIMITS.outputBytes}; return less, or write it to a table`;
      throw toFailure(new DownbeatError("OUTPUT_TOO_LARGE", message, { details: { bytes, limit: LIMITS.outputBytes } }), {});
    } catch (error) {
      // A message over Temporal's limit never arrives: the attempt would last until its timeout.
      if (error instanceof Error && error.message.length > LIMITS.errorBytes) {
        error.message = cut(error.message);
        error.stack = cut(error.stack ?? "");
      }
      throw error;
    }
  };

export const boundedActivities = (activities: Readonly<Record<string, OwnActivity>>): Readonly<Record<string, OwnActivity>> =>
  Object.fromEntries(Object.entries(activities).map(([name, work]) => [name, bounded(work)]));

// The only place that builds ApplicationFailures: every error leaves as a code of the table, never retryable to Temporal (the reducer retries).

import { ApplicationFailure, ApplicationFailureCategory, CancelledFailure } from "@temporalio/common";
import { DownbeatError, isSystemFault } from "../core/errors.ts";
import { storable, storableText, type Json } from "../core/json.ts";
import { LIMITS } from "../core/limits.ts";
import { scrub } from "../core/scrub.ts";
import { NOT_YET } from "../core/trigger.ts";
import type { FailureFacts } from "../workflows/ports.ts";

const cut = (text: string): string => storableText(text.length <= LIMITS.errorBytes ? text : `${text.slice(0, LIMITS.errorBytes)}… (cut)`);

const smallDetails = (details: unknown): Json | undefined => {
  if (details === undefined) return undefined;
  const text = JSON.stringify(details, (_key, value: unknown) => (typeof value === "bigint" ? value.toString() : value));
  return text.length <= LIMITS.errorBytes ? storable(JSON.parse(text) as Json, text) : undefined;
};

/** A cancellation goes through as it is; everything else becomes a failure with our code as its type. */
export const toFailure = (error: unknown, facts: Pick<FailureFacts, "worker" | "lostAttempts">): Error => {
  if (error instanceof CancelledFailure || error instanceof ApplicationFailure) return error;
  const known =
    error instanceof DownbeatError
      ? error
      : new DownbeatError("INTERNAL", `unforeseen: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  const details = smallDetails(known.details);
  const sent: FailureFacts = {
    ...facts,
    ...(details === undefined ? {} : { details }),
    ...(known.retryAfterMs === undefined ? {} : { retryAfterMs: known.retryAfterMs }),
  };
  return ApplicationFailure.create({ message: cut(scrub(known.message)), type: known.code, nonRetryable: true, details: [sent] });
};

/** Makes Temporal try again so much later, which costs no history. The code and message are seen there meanwhile. */
export const tryAgain = (error: DownbeatError, afterMs: number): ApplicationFailure =>
  ApplicationFailure.create({ message: cut(scrub(error.message)), type: error.code, nextRetryDelay: afterMs });

/** The same where nothing is wrong. */
export const notYet = (message: string, afterMs: number): ApplicationFailure =>
  ApplicationFailure.create({ message, type: NOT_YET, nextRetryDelay: afterMs, category: ApplicationFailureCategory.BENIGN });

export const isStoreAway = ({ code }: DownbeatError): boolean => code === "STORE_UNAVAILABLE";

interface Failing extends Pick<FailureFacts, "worker" | "lostAttempts"> {
  /** What Temporal is to try again, for as long as it takes. */
  readonly passes?: (error: DownbeatError) => boolean;
}

/** An activity's work: what it throws leaves as a failure, unless Temporal is to try again. */
export const failing = async <Value>(work: () => Promise<Value>, { passes = () => false, ...facts }: Failing = {}): Promise<Value> => {
  try {
    return await work();
  } catch (error) {
    if (error instanceof DownbeatError && passes(error)) throw error;
    throw toFailure(error, facts);
  }
};

/** The same, but Temporal tries again for as long as a service is away. */
export const outlastingOutages = <Value>(work: () => Promise<Value>): Promise<Value> => failing(work, { passes: isSystemFault });

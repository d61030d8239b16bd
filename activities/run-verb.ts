// Runs one verb for one attempt: heartbeats, timeout, cancellation, log context, size of the output, failures by the table.

import { CancelledFailure, Context } from "@temporalio/activity";
import type { Log } from "../connectors/connector.ts";
import { DownbeatError } from "../core/errors.ts";
import { LIMITS } from "../core/limits.ts";
import type { TaskResult } from "../core/run-changes.ts";
import type { TaskCall } from "../workflows/ports.ts";
import { toFailure } from "./failure.ts";

export interface VerbContext {
  /** Aborts on cancellation and when the attempt's time is over. */
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly heartbeat: () => void;
}

const HEARTBEAT_EVERY_MS = 1_000;
/** Heartbeats within the time after which silence counts as death. */
const HEARTBEATS_A_TIMEOUT = 3;

export interface VerbHost {
  readonly log: Log;
  /** Identity of this worker in attempts' records. */
  readonly worker: string;
  /** Called once an attempt, for figures. */
  readonly onAttempt?: (attempt: {
    readonly operator: string;
    readonly seconds: number;
    readonly result?: TaskResult;
    readonly code?: string;
  }) => void;
}

export const runVerb = async (
  operator: string,
  verb: (call: TaskCall, context: VerbContext) => Promise<TaskResult>,
  call: TaskCall,
  host: VerbHost,
): Promise<TaskResult> => {
  const context = Context.current();
  const facts = { worker: host.worker, lostAttempts: context.info.attempt - 1 };
  const timeout = new AbortController();
  const signal = AbortSignal.any([context.cancellationSignal, timeout.signal]);
  const timer = setTimeout(() => {
    const seconds = Math.round(call.timeoutMs / 1_000);
    timeout.abort(new DownbeatError("ATTEMPT_TIMEOUT", `the attempt took longer than timeout.attempt (${seconds} s)`));
  }, call.timeoutMs);
  const silenceMs = context.info.heartbeatTimeoutMs ?? Infinity;
  const beat = setInterval(() => context.heartbeat(), Math.min(HEARTBEAT_EVERY_MS, silenceMs / HEARTBEATS_A_TIMEOUT));
  const fields = { runId: call.run.id, pipeline: call.run.pipeline, taskId: call.taskId, attempt: call.attempt };
  const log: Log = {
    debug: (more, message) => host.log.debug({ ...fields, ...more }, message),
    info: (more, message) => host.log.info({ ...fields, ...more }, message),
    warn: (more, message) => host.log.warn({ ...fields, ...more }, message),
  };
  const started = performance.now();
  const seconds = (): number => (performance.now() - started) / 1_000;
  try {
    const result = await Promise.race([verb(call, { signal, log, heartbeat: () => context.heartbeat() }), aborted(signal)]);
    refuseLargeOutput(result);
    host.onAttempt?.({ operator, seconds: seconds(), result });
    return { ...result, ...facts };
  } catch (error) {
    const reason = reasonOf(error, context.cancellationSignal, timeout.signal);
    host.onAttempt?.({
      operator,
      seconds: seconds(),
      code: reason instanceof DownbeatError ? reason.code : reason instanceof CancelledFailure ? "CANCELLED" : "INTERNAL",
    });
    log.warn({ err: reason instanceof Error ? reason.message : String(reason) }, "attempt failed");
    throw toFailure(reason, facts);
  } finally {
    clearTimeout(timer);
    clearInterval(beat);
  }
};

/** Rejects a little after the abort: a verb that stops by itself is given the time to say so and to clean up. */
const GRACE_MS = 10_000;

const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    const fail = (): void => {
      setTimeout(() => reject(signal.reason as Error), GRACE_MS).unref();
    };
    if (signal.aborted) fail();
    else signal.addEventListener("abort", fail, { once: true });
  });

/** What a driver throws when it is interrupted says little: the interruption itself is the reason. */
const reasonOf = (error: unknown, cancelled: AbortSignal, timedOut: AbortSignal): unknown => {
  if (cancelled.aborted) return cancelled.reason instanceof CancelledFailure ? cancelled.reason : new CancelledFailure("cancelled");
  if (timedOut.aborted) return timedOut.reason;
  return error;
};

const refuseLargeOutput = ({ output }: TaskResult): void => {
  const bytes = Buffer.byteLength(JSON.stringify(output));
  if (bytes <= LIMITS.outputBytes) return;
  throw new DownbeatError(
    "OUTPUT_TOO_LARGE",
    `the output is ${bytes} bytes of JSON, the limit is ${LIMITS.outputBytes}; return less, or write it to a table`,
    {
      details: { bytes, limit: LIMITS.outputBytes },
    },
  );
};

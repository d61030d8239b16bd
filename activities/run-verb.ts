// Runs one verb for one attempt: heartbeats, timeout, cancellation, log context, size of the output, failures by the table.

import { CancelledFailure, Context } from "@temporalio/activity";
import type { Log } from "../connectors/connector.ts";
import { DownbeatError } from "../core/errors.ts";
import { LIMITS } from "../core/limits.ts";
import { storable, type Json } from "../core/json.ts";
import type { OutputReference, TaskMetrics, TaskResult } from "../core/run-changes.ts";
import type { TaskCall } from "../workflows/ports.ts";
import { toFailure } from "./failure.ts";

export interface VerbContext {
  /** Aborts on cancellation and when the attempt's time is over. */
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly heartbeat: () => void;
  /** For figures: what was done since it was last told. A verb that never tells has its result's metrics counted. */
  readonly tell: (metrics: TaskMetrics) => void;
  /** Tries of this attempt that died with their worker. */
  readonly lostAttempts: number;
}

const HEARTBEAT_EVERY_MS = 1_000;
/** Heartbeats within the time after which silence counts as death. */
const HEARTBEATS_A_TIMEOUT = 3;

export interface VerbHost {
  readonly log: Log;
  /** Identity of this worker in attempts' records. */
  readonly worker: string;
  /** Keeps an output that is too large to travel. */
  readonly saveOutput?: (place: OutputReference["$output"], output: Json) => Promise<void>;
  /** Called once an attempt, for figures. `code`: of one that failed. */
  readonly onAttempt?: (attempt: WhatWorks & { readonly seconds: number; readonly code?: string }) => void;
  /** Called as rows are moved, for figures. */
  readonly onMoved?: (moved: WhatWorks & { readonly metrics: TaskMetrics }) => void;
}

/** What figures are told by. */
export interface WhatWorks {
  readonly operator: string;
  readonly pipeline: string;
  readonly task: string;
}

/** What an attempt gets of the activity that it is made in. */
export interface AttemptScope {
  readonly cancelled: AbortSignal;
  readonly heartbeat: () => void;
  readonly lostAttempts: number;
}

/** One attempt of a verb: log context, timeout, cancellation, the output's size. Throws a DownbeatError, a CancelledFailure, or what is unforeseen. */
export const attemptVerb = async (
  operator: string,
  verb: (call: TaskCall, context: VerbContext) => Promise<TaskResult>,
  call: TaskCall,
  host: VerbHost,
  { cancelled, heartbeat, lostAttempts }: AttemptScope,
): Promise<TaskResult> => {
  const timeout = new AbortController();
  const signal = AbortSignal.any([cancelled, timeout.signal]);
  const timer = setTimeout(() => {
    const had = `${Math.ceil(call.timeoutMs / 100) / 10} s`;
    const limits = "timeout.attempt, or what was left of timeout.total, of a wait's deadline where that is less";
    timeout.abort(new DownbeatError("ATTEMPT_TIMEOUT", `the attempt took longer than the ${had} that it had (${limits})`));
  }, call.timeoutMs);
  const item = call.itemKey === undefined ? {} : { item: call.itemKey };
  const fields = { runId: call.run.id, pipeline: call.run.pipeline, taskId: call.taskId, attempt: call.attempt, ...item };
  const log: Log = {
    debug: (more, message) => host.log.debug({ ...fields, ...more }, message),
    info: (more, message) => host.log.info({ ...fields, ...more }, message),
    warn: (more, message) => host.log.warn({ ...fields, ...more }, message),
  };
  const what = { operator, pipeline: call.run.pipeline, task: call.taskId };
  let hasTold = false;
  const tell = (metrics: TaskMetrics): void => {
    hasTold = true;
    host.onMoved?.({ ...what, metrics });
  };
  const started = performance.now();
  const seconds = (): number => (performance.now() - started) / 1_000;
  try {
    const result = await Promise.race([verb(call, { signal, log, heartbeat, tell, lostAttempts }), aborted(signal)]);
    const place = call.itemKey === undefined ? { runId: call.run.id, taskId: call.taskId } : undefined;
    const kept = await keepOutput(result, place, host);
    if (!hasTold && result.metrics !== undefined) tell(result.metrics);
    host.onAttempt?.({ ...what, seconds: seconds() });
    return kept;
  } catch (error) {
    const reason = reasonOf(error, cancelled, timeout.signal);
    host.onAttempt?.({
      ...what,
      seconds: seconds(),
      code: reason instanceof DownbeatError ? reason.code : reason instanceof CancelledFailure ? "CANCELLED" : "INTERNAL",
    });
    log.warn({ err: reason instanceof Error ? reason.message : String(reason) }, "attempt failed");
    throw reason;
  } finally {
    clearTimeout(timer);
  }
};

/** Heartbeats of the current activity while the work lasts, often enough for its heartbeat timeout. */
export const beating = async <Value>(work: (scope: AttemptScope) => Promise<Value>): Promise<Value> => {
  const context = Context.current();
  const heartbeat = (): void => context.heartbeat();
  const silenceMs = context.info.heartbeatTimeoutMs ?? Infinity;
  const beat = setInterval(heartbeat, Math.min(HEARTBEAT_EVERY_MS, silenceMs / HEARTBEATS_A_TIMEOUT));
  try {
    return await work({ cancelled: context.cancellationSignal, heartbeat, lostAttempts: context.info.attempt - 1 });
  } finally {
    clearInterval(beat);
  }
};

export const runVerb = (
  operator: string,
  verb: (call: TaskCall, context: VerbContext) => Promise<TaskResult>,
  call: TaskCall,
  host: VerbHost,
): Promise<TaskResult> =>
  beating(async (scope) => {
    const facts = { worker: host.worker, lostAttempts: scope.lostAttempts };
    try {
      return { ...(await attemptVerb(operator, verb, call, host, scope)), ...facts };
    } catch (error) {
      throw toFailure(error, facts);
    }
  });

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

/** A small output travels, a large one is kept in the store and goes by reference. Items have no `place` for large ones. Throws OUTPUT_TOO_LARGE. */
export const keepOutput = async (
  result: TaskResult,
  place: OutputReference["$output"] | undefined,
  host: Pick<VerbHost, "saveOutput">,
): Promise<TaskResult> => {
  const text = JSON.stringify(result.output);
  const bytes = Buffer.byteLength(text);
  const output = storable(result.output, text);
  if (bytes <= LIMITS.outputBytes) return { ...result, output };
  const limit = place !== undefined && host.saveOutput !== undefined ? LIMITS.largeOutputBytes : LIMITS.outputBytes;
  if (bytes > limit || place === undefined || host.saveOutput === undefined) {
    const message = `the output is ${bytes} bytes of JSON, the limit is ${limit}${place === undefined ? " an item" : ""}; return less, or write it to a table`;
    throw new DownbeatError("OUTPUT_TOO_LARGE", message, { details: { bytes, limit } });
  }
  await host.saveOutput(place, output);
  const reference: OutputReference = { $output: place, bytes };
  return { ...result, output: reference as unknown as Json };
};

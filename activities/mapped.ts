// Tasks with `for_each`: their items are planned, carried out in groups, and gathered. Each item's result is in the store before anybody counts it.

import { createHash } from "node:crypto";
import { Context } from "@temporalio/activity";
import type { ApplicationFailure } from "@temporalio/common";
import { msToNumber } from "@temporalio/common/lib/time.js";
import { saysUnwell } from "../core/circuit.ts";
import { DownbeatError, isErrorCode } from "../core/errors.ts";
import { expandItems } from "../core/items.ts";
import { renderTemplates } from "../core/expression.ts";
import { storableText, type Json, type JsonObject } from "../core/json.ts";
import type { TaskResult } from "../core/run-changes.ts";
import { mayRetry } from "../core/run-attempts.ts";
import type { Carry, ItemResult, Items, PlannedItem } from "../store/items.ts";
import type { DagActivities, ItemFailure, ItemsCall, ItemsResult, MappedCall, TaskCall } from "../workflows/ports.ts";
import { toFailure } from "./failure.ts";
import { outlastingStore } from "./outlasting-store.ts";
import { attemptVerb, beating, type AttemptScope, type VerbHost } from "./run-verb.ts";
import { scopeOf, type Verb, type VerbDeps } from "./verb.ts";

export interface MappedDeps extends Pick<VerbDeps, "findOutput">, VerbHost {
  readonly items: Items;
  /** The user's own activities that this worker has. */
  readonly ownActivities: Readonly<Record<string, (input: Json) => unknown>>;
}

type Verbs = Readonly<Record<string, Verb>>;

const placeOf = ({ run, taskId }: Pick<MappedCall, "run" | "taskId">) => ({ runId: run.id, taskId });

const guarded = async <Value>(host: VerbHost, work: (scope: AttemptScope) => Promise<Value>): Promise<Value> => {
  try {
    return await beating(work);
  } catch (error) {
    throw toFailure(error, { worker: host.worker, lostAttempts: Context.current().info.attempt - 1 });
  }
};

export const createMapped = (deps: MappedDeps, verbs: Verbs): Pick<DagActivities, "planItems" | "runItems" | "gatherItems"> => {
  const operators: Verbs = { ...verbs, activity: ownActivity(deps) };
  return {
    planItems: (call) =>
      guarded(deps, async () => {
        const planned = withKeys(expandItems(call.task.forEach?.loops ?? [], await scopeOf(deps, call)));
        return { count: planned.length, done: await deps.items.plan(placeOf(call), planned, carryOf(call)) };
      }),

    runItems: (call) =>
      guarded(deps, async (scope) => {
        const started = performance.now();
        const ended = await runItems(deps, operators, call, scope);
        return { ...ended, milliseconds: Math.round(performance.now() - started) };
      }),

    gatherItems: (call) =>
      guarded(deps, async (scope) => {
        const gather = async (): Promise<TaskResult> => ({ output: await deps.items.outputs(placeOf(call)) });
        return attemptVerb("for_each", gather, { ...call, attempt: 1 }, deps, scope);
      }),
  };
};

const carryOf = ({ carryFrom, fresh }: MappedCall): Carry | undefined =>
  carryFrom === undefined ? undefined : { from: carryFrom, ...(fresh === undefined ? {} : { fresh }) };

type GroupEnd = Pick<ItemsResult, "failures" | "left">;

const runItems = async (deps: MappedDeps, operators: Verbs, call: ItemsCall, scope: AttemptScope): Promise<GroupEnd> => {
  const verb = operators[call.task.operator];
  if (verb === undefined) throw new DownbeatError("INTERNAL", `operator ${call.task.operator} cannot be repeated over items`);
  const attempts = new Map(call.items);
  const recorder = new Recorder(deps, call, scope);
  const failures: ItemFailure[] = [];
  const left: number[] = [];
  let mayFail = call.mayFail ?? Infinity;
  // A group that is tried again since its worker died: what is recorded is done.
  const found = await outlastingStore(scope.cancelled, () => deps.items.find(placeOf(call), [...attempts.keys()]));
  const open = found.filter(({ status }) => status !== "succeeded");
  const lane = async (): Promise<void> => {
    for (let next = open.shift(); next !== undefined && !scope.cancelled.aborted; next = open.shift()) {
      const attempt = attempts.get(next.item) ?? 1;
      const began = { at: Date.now(), mark: performance.now() };
      const startedAt = new Date(began.at).toISOString();
      // A clock that is set meanwhile must not make it an hour long.
      const finishedAt = (): string => new Date(began.at + performance.now() - began.mark).toISOString();
      const ended = (result: Pick<ItemResult, "status" | "output" | "error">): Promise<void> =>
        recorder.add({ item: next.item, attempts: attempt, startedAt, finishedAt: finishedAt(), ...result });
      try {
        const itemCall: TaskCall = { ...call, attempt, each: next.values, itemKey: next.key };
        // A store that is away is no item's failure, and nothing to break off the items at work for.
        const { output } = await outlastingStore(scope.cancelled, () => attemptVerb(call.task.operator, verb, itemCall, deps, scope));
        await ended({ status: "succeeded", output });
      } catch (error) {
        if (scope.cancelled.aborted) throw error;
        const failure = failureOf(next.item, error);
        failures.push(failure);
        const status = mayRetry(call.retry, attempt, failure.code) ? "pending" : "failed";
        if (status === "failed") mayFail -= 1;
        // The other side would not be better for the items after it, or the task fails without them.
        if (mayFail < 0 || saysUnwell(failure.code, call.task.itemSlots?.connections)) left.push(...open.splice(0).map(({ item }) => item));
        const { item: _, retryAfterMs: __, ...shown } = failure;
        await ended({ status, error: shown });
      }
    }
  };
  try {
    const lanes = await Promise.allSettled(Array.from({ length: Math.min(call.concurrency, open.length) }, lane));
    const broken = lanes.find((ended) => ended.status === "rejected");
    if (broken !== undefined) throw broken.reason;
    scope.cancelled.throwIfAborted();
  } finally {
    await recorder.flush();
  }
  return left.length === 0 ? { failures } : { failures, left };
};

const RECORD_EVERY_MS = 500;

/** Results go to the store in groups. */
class Recorder {
  readonly #deps: MappedDeps;
  readonly #call: ItemsCall;
  readonly #scope: AttemptScope;
  #waiting: ItemResult[] = [];
  #last = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #timed: Promise<unknown> = Promise.resolve();

  constructor(deps: MappedDeps, call: ItemsCall, scope: AttemptScope) {
    this.#deps = deps;
    this.#call = call;
    this.#scope = scope;
  }

  async add(result: ItemResult): Promise<void> {
    this.#waiting.push(result);
    const sinceLast = performance.now() - this.#last;
    if (sinceLast >= RECORD_EVERY_MS) return this.#write();
    // A long item may follow: what was done before it is recorded meanwhile, and not done again when the worker dies.
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#timed = Promise.all([this.#timed, this.#write()]);
      // Heard by `flush`.
      this.#timed.catch(() => undefined);
    }, RECORD_EVERY_MS - sinceLast);
  }

  /** Everything is recorded once it resolves. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    await Promise.all([this.#timed, this.#write()]);
  }

  async #write(): Promise<void> {
    this.#last = performance.now();
    const results = this.#waiting;
    this.#waiting = [];
    if (results.length === 0) return;
    await outlastingStore(this.#scope.cancelled, () => this.#deps.items.record(placeOf(this.#call), results));
  }
}

const failureOf = (item: number, error: unknown): ItemFailure => {
  if (!(error instanceof DownbeatError))
    return { item, code: "INTERNAL", message: "something unforeseen went wrong; the worker's log has it" };
  const message = storableText(error.message.slice(0, MESSAGE_LENGTH));
  return { item, code: error.code, message, ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }) };
};

/** Many may fail at once, and all travel in one message. */
const MESSAGE_LENGTH = 500;

/** The user's function, called beside its siblings in one activity: `Context.current()` is the group's. */
const ownActivity =
  (deps: MappedDeps): Verb =>
  async (call) => {
    const { task } = call as TaskCall & Pick<MappedCall, "task">;
    const { name, input } = task.activity ?? { name: "", input: null };
    const own = deps.ownActivities[name];
    if (own === undefined)
      throw new DownbeatError("ACTIVITY_REFUSED", `this worker has no activity "${name}"; is it named in its downbeat.config.ts?`);
    const rendered = renderTemplates(input, await scopeOf(deps, call));
    try {
      return { output: ((await own(rendered)) ?? null) as Json };
    } catch (error) {
      const { type, nonRetryable, message, nextRetryDelay } = error as Partial<ApplicationFailure>;
      if (typeof type === "string" && isErrorCode(type)) throw error;
      const retryAfterMs = nextRetryDelay === undefined || nextRetryDelay === null ? undefined : msToNumber(nextRetryDelay);
      throw new DownbeatError(nonRetryable === true ? "ACTIVITY_REFUSED" : "ACTIVITY_FAILED", message ?? String(error), {
        cause: error,
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      });
    }
  };

const KEY_LENGTH = 100;

/** A key names an item by its values; those of the same values are told apart by their order. */
const withKeys = (items: readonly JsonObject[]): readonly PlannedItem[] => {
  const seen = new Map<string, number>();
  return items.map((values) => {
    const base = keyOf(values);
    const times = (seen.get(base) ?? 0) + 1;
    seen.set(base, times);
    return { key: times === 1 ? base : `${base}#${times}`, values };
  });
};

/** Readable where the values are short and plain, else a digest. */
const keyOf = (values: JsonObject): string => {
  const text = Object.entries(values)
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(",");
  if (text.length <= KEY_LENGTH && Object.values(values).every(isPlain)) return text;
  return createHash("sha256").update(JSON.stringify(values)).digest("hex").slice(0, 32);
};

const isPlain = (value: Json): boolean => typeof value === "number" || (typeof value === "string" && /^[\w.:+ -]+$/.test(value));

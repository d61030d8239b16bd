// The state of a backfill: a cursor over its partitions, the few that are open, and what is no success. Changed only here.

import { actedKey, type ActedKey, type Keyed } from "./acted-keys.ts";
import type { Json } from "./json.ts";
import { countNumbers, hasNumber, intersectRanges, type NumberRanges, subtractRanges, uniteRanges } from "./number-ranges.ts";

export const BACKFILL_STATUSES = ["running", "paused", "cancelling", "succeeded", "failed", "cancelled"] as const;
export type BackfillStatus = (typeof BACKFILL_STATUSES)[number];

export const PARTITION_STATUSES = ["pending", "running", "succeeded", "failed", "skipped", "existing", "cancelled"] as const;
/** `existing`: a run had succeeded for the same interval before; `cancelled`: the backfill ended without it. */
export type PartitionStatus = (typeof PARTITION_STATUSES)[number];

export const BACKFILL_ORDERS = ["oldest-first", "newest-first"] as const;
export type BackfillOrder = (typeof BACKFILL_ORDERS)[number];

export interface OpenPartition {
  readonly partition: number;
  readonly runId: string;
  /** False: its start is under way, or has to be repeated. */
  readonly started: boolean;
}

export interface BackfillState {
  readonly status: BackfillStatus;
  /** Why it is paused, where no person said so. */
  readonly reason?: string;
  readonly count: number;
  readonly order: BackfillOrder;
  readonly concurrency: number;
  /** 1 to 5, of runs that begin from now on. */
  readonly priority: number;
  readonly stopAfterFailures: number | null;
  /** Failures since it was begun or last resumed. */
  readonly failures: number;
  /** How many partitions of the order have been passed. */
  readonly passed: number;
  readonly open: readonly OpenPartition[];
  /** Failed ones that are to be run again, before all others. */
  readonly again: NumberRanges;
  readonly failed: NumberRanges;
  readonly skipped: NumberRanges;
  readonly existing: NumberRanges;
  /** How often somebody asked for failed ones again: part of their runs' ids. */
  readonly round: number;
  /** How many things people did to it. */
  readonly actions: number;
  /** Keys of the last of them that had one, the oldest first: the same key acts once. Absent: none had. */
  readonly keys?: readonly ActedKey[];
  /** Somebody cancelled it with its open runs. */
  readonly cancelsRuns?: true;
}

/** They go along wherever the state goes. */
const MOST_KEYS = 100;

/** What somebody did to it. */
export interface BackfillAction {
  readonly number: number;
  readonly action: string;
  readonly by: string;
  readonly why?: string;
  readonly details?: Json;
  /** ISO 8601 UTC. */
  readonly at: string;
}

/** Its state for the store; one that is not newer changes nothing. */
export interface BackfillReport {
  readonly id: string;
  readonly seq: number;
  readonly state: BackfillState;
  /** New ones. */
  readonly actions: readonly BackfillAction[];
}

export type BackfillControl =
  | { readonly action: "pause" | "resume" }
  | { readonly action: "cancel"; readonly runs: boolean }
  | { readonly action: "skip"; readonly partitions: NumberRanges }
  | { readonly action: "retry"; readonly partitions?: NumberRanges }
  | {
      readonly action: "change";
      readonly concurrency?: number;
      readonly priority?: number;
      readonly stopAfterFailures?: number | null;
    };

export type BackfillSettings = Pick<BackfillState, "count" | "order" | "concurrency" | "priority" | "stopAfterFailures">;

export const beginBackfill = (settings: BackfillSettings): BackfillState => ({
  ...settings,
  status: "running",
  failures: 0,
  passed: 0,
  open: [],
  again: [],
  failed: [],
  skipped: [],
  existing: [],
  round: 0,
  actions: 0,
});

export const isBackfillEnded = (status: BackfillStatus): boolean => status === "succeeded" || status === "failed" || status === "cancelled";

/** The same partition in the same round has the same run: a repeated start starts nothing twice. */
export const partitionRunId = (backfill: string, partition: number, round: number): string =>
  [backfill, partition, ...(round === 0 ? [] : [round])].join(".");

const placeOf = ({ order, count }: BackfillState, place: number): number => (order === "oldest-first" ? place : count - 1 - place);

/** The partitions that the cursor has passed. */
const passedRange = ({ order, count, passed }: BackfillState): NumberRanges => {
  if (passed === 0) return [];
  return order === "oldest-first" ? [[0, passed - 1]] : [[count - passed, count - 1]];
};

const isIn = (ranges: NumberRanges, partition: number): NumberRanges => uniteRanges(ranges, [[partition, partition]]);
const notIn = (ranges: NumberRanges, partition: number): NumberRanges => subtractRanges(ranges, [[partition, partition]]);

/** Opens as many partitions as may go on at the same time; they are not started yet. */
export const openPartitions = (state: BackfillState, backfill: string): BackfillState => {
  if (state.status !== "running") return state;
  let { passed, again } = state;
  const open = [...state.open];
  const take = (partition: number, round: number): void => {
    open.push({ partition, runId: partitionRunId(backfill, partition, round), started: false });
  };
  while (open.length < state.concurrency && again.length > 0) {
    const next = state.order === "oldest-first" ? again[0]?.[0] : again.at(-1)?.[1];
    if (next === undefined) break;
    again = notIn(again, next);
    take(next, state.round);
  }
  while (open.length < state.concurrency && passed < state.count) {
    const next = placeOf(state, passed);
    passed += 1;
    if (!hasNumber(state.skipped, next)) take(next, 0);
  }
  return { ...state, passed, again, open };
};

/** The run was started, or a run had succeeded for the interval already. */
export const startedPartition = (state: BackfillState, runId: string, as: "started" | "existing"): BackfillState => {
  const found = state.open.find((one) => one.runId === runId);
  if (found === undefined) return state;
  if (as === "started") return { ...state, open: state.open.map((one) => (one === found ? { ...one, started: true } : one)) };
  return { ...state, open: state.open.filter((one) => one !== found), existing: isIn(state.existing, found.partition) };
};

/** A run that is not open here, or no longer, changes nothing. */
export const endPartition = (state: BackfillState, runId: string, succeeded: boolean): BackfillState => {
  const found = state.open.find((one) => one.runId === runId);
  if (found === undefined) return state;
  const open = state.open.filter((one) => one !== found);
  if (succeeded) return { ...state, open };
  const failures = state.failures + 1;
  const failed = { ...state, open, failures, failed: isIn(state.failed, found.partition) };
  return state.status === "running" && state.stopAfterFailures !== null && failures >= state.stopAfterFailures
    ? pauseBackfill(failed, `${failures} partitions failed; it stops after ${state.stopAfterFailures}`)
    : failed;
};

export const pauseBackfill = (state: BackfillState, reason: string): BackfillState => ({ ...state, status: "paused", reason });

/** Ends it when nothing is left to do. */
export const settleBackfill = (state: BackfillState): BackfillState => {
  if (state.open.length > 0) return state;
  if (state.status === "cancelling") return { ...state, status: "cancelled" };
  if (state.status !== "running" || state.again.length > 0 || pendingRanges(state).length > 0) return state;
  return { ...state, status: state.failed.length > 0 ? "failed" : "succeeded", passed: state.count };
};

/** What has not begun, retries included. */
const pendingRanges = (state: BackfillState): NumberRanges => {
  const all: NumberRanges = state.count === 0 ? [] : [[0, state.count - 1]];
  return uniteRanges(subtractRanges(subtractRanges(all, passedRange(state)), state.skipped), state.again);
};

/** Why it cannot be done, or undefined. */
export const refuseBackfillControl = (state: BackfillState, control: BackfillControl): string | undefined => {
  const { status } = state;
  if (control.action === "retry") {
    if (status === "cancelling" || status === "cancelled") return `the backfill is ${status}: make a new one for what is left`;
    return retried(state, control.partitions).length === 0 ? "none of these partitions has failed" : undefined;
  }
  if (isBackfillEnded(status)) return `the backfill has ended: it is ${status}`;
  if (status === "cancelling") {
    if (control.action !== "cancel") return "the backfill is being cancelled";
    // Its open runs may be cancelled after all.
    if (!control.runs || state.cancelsRuns) return "the backfill is being cancelled already";
  }
  if (control.action === "pause" && status === "paused") return "the backfill is paused already";
  if (control.action === "resume" && status !== "paused") return "the backfill is not paused";
  if (control.action === "skip" && skippable(state, control.partitions).length === 0)
    return "all of these partitions have begun or ended already; only pending and failed ones can be skipped";
  return undefined;
};

const retried = ({ failed }: BackfillState, asked: NumberRanges | undefined): NumberRanges =>
  asked === undefined ? failed : intersectRanges(failed, asked);

const skippable = (state: BackfillState, asked: NumberRanges): NumberRanges =>
  intersectRanges(uniteRanges(pendingRanges(state), state.failed), asked);

/** What somebody does to it by hand; `refuseBackfillControl` and `keyUse` have been asked before. */
export const controlBackfill = (before: BackfillState, control: BackfillControl, keyed?: Keyed): BackfillState => {
  const keys = keyed === undefined ? {} : { keys: [...(before.keys ?? []), actedKey(keyed)].slice(-MOST_KEYS) };
  const state = { ...before, ...keys, actions: before.actions + 1 };
  const { reason: _, ...unexplained } = state;
  switch (control.action) {
    case "pause":
      return { ...unexplained, status: "paused" };
    case "resume":
      return { ...unexplained, status: "running", failures: 0 };
    case "cancel":
      return { ...unexplained, status: "cancelling", ...(control.runs ? { cancelsRuns: true } : {}) };
    case "change": {
      const { action: _action, ...changes } = control;
      return { ...state, ...changes };
    }
    case "skip": {
      const partitions = skippable(state, control.partitions);
      const { again, failed, skipped } = state;
      return {
        ...state,
        again: subtractRanges(again, partitions),
        failed: subtractRanges(failed, partitions),
        skipped: uniteRanges(skipped, partitions),
      };
    }
    case "retry": {
      const partitions = retried(state, control.partitions);
      const again = {
        failed: subtractRanges(state.failed, partitions),
        again: uniteRanges(state.again, partitions),
        round: state.round + 1,
      };
      return isBackfillEnded(state.status) ? { ...unexplained, ...again, status: "running", failures: 0 } : { ...state, ...again };
    }
  }
};

export const partitionStatus = (state: BackfillState, partition: number): PartitionStatus => {
  if (state.open.some((one) => one.partition === partition)) return "running";
  if (hasNumber(state.failed, partition)) return "failed";
  if (hasNumber(state.skipped, partition)) return "skipped";
  if (hasNumber(state.existing, partition)) return "existing";
  if (!hasNumber(state.again, partition) && hasNumber(passedRange(state), partition)) return "succeeded";
  return isBackfillEnded(state.status) ? "cancelled" : "pending";
};

export const countPartitions = (state: BackfillState): Readonly<Record<PartitionStatus, number>> => {
  const notBegun = countNumbers(pendingRanges(state));
  const [failed, skipped, existing] = [state.failed, state.skipped, state.existing].map(countNumbers) as [number, number, number];
  const isEnded = isBackfillEnded(state.status);
  return {
    pending: isEnded ? 0 : notBegun,
    running: state.open.length,
    succeeded: state.count - notBegun - state.open.length - failed - skipped - existing,
    failed,
    skipped,
    existing,
    cancelled: isEnded ? notBegun : 0,
  };
};

// How long one attempt of a transfer follows its source, and when the load ends.

import type { TaskCall } from "../workflows/ports.ts";
import type { Following } from "./move-load.ts";
import { durationOf } from "./options.ts";

export interface FollowConfig {
  readonly every: string;
  readonly for?: string | number;
}

/** A worker that is to end, a new build or a changed connection need not wait longer for a load that goes on. */
const ROUND_MS = 5 * 60_000;

/** An attempt's own limit of time is none for what never ends: rounds end well before it. */
export const followingOf = ({ every, for: lasts }: FollowConfig, call: TaskCall, leaves: AbortSignal | undefined): Following => {
  const roundEnd = performance.now() + Math.min(ROUND_MS, call.timeoutMs / 2);
  const end = lasts === undefined ? Infinity : (call.followedSince ?? Date.now()) + durationOf(lasts, "follow.for");
  return {
    everyMs: durationOf(every, "follow.every"),
    leftMs: () => Math.min(roundEnd - performance.now(), end - Date.now()),
    isOver: () => Date.now() >= end,
    leaves,
  };
};

// Temporal's patches: what a run does otherwise from some release on, in states too rare for a manner of its own. Each is two events where it comes to that.

/** Each name is asked for in one place alone: what is true there may have been false in another place of the same history. */
export const PATCHES = {
  /** A paused run that is cancelled is paused no longer. Before, its `finally` tasks never began. */
  cancelEndsPause: "a cancellation ends a pause",
  /** A run that failed while it was paused with its starter goes on with that. Before, it never did. */
  failedGoOn: "a failed run goes on with its starter",
} as const;

// Trigger rules: what a task does, given how the tasks that it needs have ended.

import type { TriggerRule } from "./plan.ts";

/** Upstream tasks by how they ended: all that a rule can ask. Counted per edge, so readiness costs O(edges) in a whole run. */
export interface NeedCounts {
  open: number;
  succeeded: number;
  /** failed or cancelled. */
  failed: number;
  skipped: number;
  upstreamFailed: number;
}

export type Verdict = "wait" | "start" | "skipped" | "upstream_failed";

/** Rules that let a task run although something before it failed: they survive fail-fast, cleanup must happen. */
export const RUNS_AFTER_FAILURE: ReadonlySet<TriggerRule> = new Set(["all_done", "one_failed", "all_failed", "always"]);

/** A succeeded task with one of these rules has handled the failures that it needs directly. */
export const HANDLES_FAILURE: ReadonlySet<TriggerRule> = new Set(["one_failed", "all_failed"]);

/**
 * As Airflow defines them: https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/dags.html#trigger-rules
 * A verdict never depends on which need ends first: a skip waits for the others, since a later failure outranks it.
 */
export const verdict = (rule: TriggerRule, { open, succeeded, failed, skipped, upstreamFailed }: Readonly<NeedCounts>): Verdict => {
  const broken = failed + upstreamFailed;
  const done = open === 0;
  switch (rule) {
    case "always":
      return "start";
    case "all_done":
      return done ? "start" : "wait";
    case "all_success":
      if (broken > 0) return "upstream_failed";
      if (!done) return "wait";
      return skipped > 0 ? "skipped" : "start";
    case "none_failed":
      if (broken > 0) return "upstream_failed";
      return done ? "start" : "wait";
    case "none_failed_min_one_success":
      if (broken > 0) return "upstream_failed";
      if (!done) return "wait";
      return succeeded > 0 || skipped === 0 ? "start" : "skipped";
    case "one_success":
      if (succeeded > 0) return "start";
      if (!done) return "wait";
      if (broken > 0) return "upstream_failed";
      return skipped > 0 ? "skipped" : "start";
    case "one_failed":
      if (broken > 0) return "start";
      return done ? "skipped" : "wait";
    case "all_failed":
      if (succeeded > 0 || skipped > 0) return "skipped";
      if (!done) return "wait";
      return broken > 0 ? "start" : "skipped";
  }
};

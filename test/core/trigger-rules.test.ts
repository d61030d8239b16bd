// Every trigger rule against every kind of upstream, as Airflow decides it.
import { describe, expect, it } from "vitest";
import type { TriggerRule } from "../../core/plan.ts";
import { type NeedCounts, type Verdict, verdict } from "../../core/trigger-rules.ts";

const counts = (part: Partial<NeedCounts>): NeedCounts => ({ open: 0, succeeded: 0, failed: 0, skipped: 0, upstreamFailed: 0, ...part });

const RULES: readonly TriggerRule[] = [
  "all_success",
  "all_done",
  "one_success",
  "one_failed",
  "none_failed",
  "none_failed_min_one_success",
  "all_failed",
  "always",
];

/** One column a rule, in the order above. */
const TABLE: readonly (readonly [string, Partial<NeedCounts>, readonly Verdict[]])[] = [
  ["nothing needed", {}, ["start", "start", "start", "skipped", "start", "start", "skipped", "start"]],
  ["all open", { open: 2 }, ["wait", "wait", "wait", "wait", "wait", "wait", "wait", "start"]],
  ["all succeeded", { succeeded: 2 }, ["start", "start", "start", "skipped", "start", "start", "skipped", "start"]],
  [
    "all failed",
    { failed: 2 },
    ["upstream_failed", "start", "upstream_failed", "start", "upstream_failed", "upstream_failed", "start", "start"],
  ],
  [
    "all upstream_failed",
    { upstreamFailed: 2 },
    ["upstream_failed", "start", "upstream_failed", "start", "upstream_failed", "upstream_failed", "start", "start"],
  ],
  ["all skipped", { skipped: 2 }, ["skipped", "start", "skipped", "skipped", "start", "skipped", "skipped", "start"]],
  [
    "one succeeded, one failed",
    { succeeded: 1, failed: 1 },
    ["upstream_failed", "start", "start", "start", "upstream_failed", "upstream_failed", "skipped", "start"],
  ],
  [
    "one succeeded, one skipped",
    { succeeded: 1, skipped: 1 },
    ["skipped", "start", "start", "skipped", "start", "start", "skipped", "start"],
  ],
  [
    "one failed, one skipped",
    { failed: 1, skipped: 1 },
    ["upstream_failed", "start", "upstream_failed", "start", "upstream_failed", "upstream_failed", "skipped", "start"],
  ],
  ["one succeeded, one open", { succeeded: 1, open: 1 }, ["wait", "wait", "start", "wait", "wait", "wait", "skipped", "start"]],
  [
    "one failed, one open",
    { failed: 1, open: 1 },
    ["upstream_failed", "wait", "wait", "start", "upstream_failed", "upstream_failed", "wait", "start"],
  ],
  ["one skipped, one open", { skipped: 1, open: 1 }, ["wait", "wait", "wait", "wait", "wait", "wait", "skipped", "start"]],
];

describe("trigger rules", () => {
  for (const [upstream, part, verdicts] of TABLE) {
    it.each(RULES.map((rule, column) => [rule, verdicts[column]] as const))(`${upstream}: %s → %s`, (rule, expected) => {
      expect(verdict(rule, counts(part))).toBe(expected);
    });
  }
});

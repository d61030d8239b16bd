// Every trigger rule against every kind of upstream, as Airflow decides it.
import { describe, expect, it } from "vitest";
import { compilePlan } from "../../core/compile-plan.ts";
import { checkDefinition } from "../../core/definition.ts";
import type { Plan, TriggerRule } from "../../core/plan.ts";
import { type NeedCounts, type Verdict, verdict } from "../../core/trigger-rules.ts";
import { catalogue } from "./catalogue.ts";
import { execute, type Fate } from "./runs.ts";

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

describe("a task that needs nothing", () => {
  const compiled = (tasks: readonly unknown[], defaults = {}): Plan => {
    const checked = checkDefinition({ apiVersion: "downbeat/v1", name: "p", failure_policy: "continue", defaults, tasks });
    const result = checked.ok ? compilePlan(checked.definition, catalogue) : checked;
    if (!result.ok) throw new Error(JSON.stringify(result.issues));
    return result.compiled.plan;
  };
  const task = (id: string, more = {}) => ({ id, activity: { name: "score", input: null }, ...more });
  /** How the run's last task ended. */
  const ends = (plan: Plan, fates: readonly Fate[], skips: readonly boolean[] = [], cancelAfter?: number): string | undefined => {
    const options = { choose: () => 0, snapshots: true, ...(cancelAfter === undefined ? {} : { cancelAfter }) };
    return execute({ plan, fates, skips }, options).state.tasks.at(-1)?.status;
  };
  const started = (verdictOf: Verdict | undefined): string | undefined => (verdictOf === "start" ? "succeeded" : verdictOf);

  it.each(RULES)("begins at once, whatever its rule: %s", (rule) => {
    expect(ends(compiled([task("a", { trigger_rule: rule })]), [])).toBe("succeeded");
  });

  /** Two tasks before it, as in the table's rows of the same name. */
  const BEFORE: Readonly<Record<string, { fates: readonly Fate[]; skips: readonly boolean[] }>> = {
    "all succeeded": { fates: [["succeeds"], ["succeeds"]], skips: [] },
    "all failed": { fates: [["fails"], ["fails"]], skips: [] },
    "all skipped": { fates: [], skips: [true, true] },
    "one succeeded, one failed": { fates: [["succeeds"], ["fails"]], skips: [] },
    "one succeeded, one skipped": { fates: [["succeeds"]], skips: [false, true] },
    "one failed, one skipped": { fates: [["fails"]], skips: [false, true] },
  };
  const retry = { retry: { attempts: 1 } };
  const others = [task("a", retry), task("b", retry)];

  for (const [upstream, { fates, skips }] of Object.entries(BEFORE)) {
    const verdicts = TABLE.find(([name]) => name === upstream)?.[2] ?? [];
    it.each(RULES.map((rule, column) => [rule, verdicts[column]] as const))(
      `and is finally asks all others: ${upstream}: %s → %s`,
      (rule, expected) => {
        expect(ends(compiled([...others, task("last", { finally: true, trigger_rule: rule })]), fates, skips)).toBe(started(expected));
      },
    );
    it.each(RULES)(`and is finally begins whatever the default rule: ${upstream}: %s`, (rule) => {
      const own = others.map((one) => ({ ...one, trigger_rule: "all_success" }));
      expect(ends(compiled([...own, task("last", { finally: true })], { trigger_rule: rule }), fates, skips)).toBe("succeeded");
    });
  }

  it("and is finally counts those that were cancelled as failed", () => {
    const chain = [task("a"), task("b", { needs: ["a"] })];
    expect(ends(compiled([...chain, task("last", { finally: true, trigger_rule: "one_failed" })]), [], [], 1)).toBe("succeeded");
    expect(ends(compiled([...chain, task("last", { finally: true, trigger_rule: "all_success" })]), [], [], 1)).toBe("upstream_failed");
  });

  it("and is finally decides over no tasks where there are no others", () => {
    const { tasks } = execute(
      { plan: compiled([task("last", { finally: true, trigger_rule: "one_failed" })]), fates: [], skips: [] },
      { choose: () => 0 },
    ).state;
    expect(tasks.map(({ status }) => status)).toEqual(["skipped"]);
  });
});

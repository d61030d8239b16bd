// What a rerun takes over, and what it does again.

import { describe, expect, it } from "vitest";
import { compilePlan } from "../../core/compile-plan.ts";
import { checkDefinition } from "../../core/definition.ts";
import type { CompiledPlan } from "../../core/plan.ts";
import { planRerun, type RerunFrom } from "../../core/rerun.ts";
import type { TaskStatus } from "../../core/run-changes.ts";
import { restoreSnapshot } from "../../core/run-snapshot.ts";
import { graphOf } from "../../core/run-state.ts";
import { catalogue } from "./catalogue.ts";

const task = (id: string, needs: readonly string[] = [], more: Readonly<Record<string, unknown>> = {}) => ({
  id,
  needs,
  activity: { name: "score", input: needs[0] === undefined ? null : `$\{{ tasks["${needs[0]}"].output }}` },
  ...more,
});

const compiled = (tasks: readonly unknown[]): CompiledPlan => {
  const parsed = checkDefinition({ apiVersion: "downbeat/v1", name: "p", tasks });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues));
  const result = compilePlan(parsed.definition, catalogue);
  if (!result.ok) throw new Error(JSON.stringify(result.issues));
  return result.compiled;
};

const PLAN = [
  task("a"),
  task("b", ["a"]),
  task("c", ["a"], { when: "false" }),
  task("d", ["b", "c"], { trigger_rule: "none_failed" }),
  task("e", ["d"]),
  task("f", ["e"], { trigger_rule: "all_done" }),
  task("clean", [], { finally: true }),
];

const ended = (statuses: Readonly<Record<string, TaskStatus>>) =>
  Object.entries(statuses).map(([taskId, status]) => ({ taskId, status, output: status === "succeeded" ? { of: taskId } : null }));

const STATUSES = {
  a: "succeeded",
  b: "succeeded",
  c: "skipped",
  d: "succeeded",
  e: "failed",
  f: "succeeded",
  clean: "succeeded",
} as const;

const carried = (
  from: RerunFrom,
  now: readonly unknown[] = PLAN,
  statuses: Readonly<Record<string, TaskStatus>> = STATUSES,
): readonly string[] => planRerun(compiled(PLAN), ended(statuses), compiled(now), from).carried;

describe("a rerun takes over", () => {
  it("from failed: what succeeded or was skipped, unless it comes after what did not, or is finally", () => {
    expect(carried({ from: "failed" })).toEqual(["a", "b", "c", "d"]);
  });

  it("nothing that did not succeed, however it ended", () => {
    for (const status of ["failed", "upstream_failed", "cancelled", "parked", "pending"] as const)
      expect(carried({ from: "failed" }, PLAN, { ...STATUSES, b: status })).toEqual(["a", "c"]);
    const { b: _, ...without } = STATUSES;
    expect(carried({ from: "failed" }, PLAN, without)).toEqual(["a", "c"]);
  });

  it("from a task: what does not come after it", () => {
    expect(carried({ from: "task", task: "d" })).toEqual(["a", "b", "c"]);
    expect(carried({ from: "task", task: "a" })).toEqual([]);
  });

  it("from the start: nothing", () => {
    expect(carried({ from: "start" })).toEqual([]);
  });

  it("of another version: what is written as it was, whatever its place", () => {
    const moved = [task("new"), ...PLAN];
    expect(carried({ from: "failed" }, moved)).toEqual(["a", "b", "c", "d"]);
    const changed = PLAN.map((one) => (one.id === "b" ? { ...one, activity: { name: "score", input: 1 } } : one));
    expect(carried({ from: "failed" }, changed)).toEqual(["a", "c"]);
    // How often it is tried, and by when it ought to end, change nothing of what it did.
    expect(
      carried(
        { from: "failed" },
        PLAN.map((one) => ({ ...one, retry: { attempts: 7 }, deadline: "1h" })),
      ),
    ).toEqual(["a", "b", "c", "d"]);
  });
});

it("the state begins with what is taken over, and only with the outputs that are read again", () => {
  const plan = compiled(PLAN);
  const { snapshot } = planRerun(plan, ended(STATUSES), plan, { from: "failed" });
  expect(snapshot).toEqual({ statuses: "ssksppp", waiting: {}, outputs: { 3: { of: "d" } } });
  const state = restoreSnapshot(snapshot, graphOf(plan.plan));
  expect([state.ready, state.open, state.openMain]).toEqual([[4], 3, 2]);
});

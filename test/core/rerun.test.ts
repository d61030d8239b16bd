// What a rerun takes over, and what it does again.

import { describe, expect, it } from "vitest";
import { compilePlan } from "../../core/compile-plan.ts";
import { checkDefinition } from "../../core/definition.ts";
import type { CompiledPlan } from "../../core/plan.ts";
import { type EndedRun, type EndedTask, planRerun, type RerunFrom } from "../../core/rerun.ts";
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
  const parsed = checkDefinition({ apiVersion: "downbeat/v1", name: "p", params: { type: "object" }, tasks });
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
  Object.entries(statuses).map(([taskId, status]) => ({
    taskId,
    status,
    attempts: status === "skipped" ? 0 : 1,
    output: status === "succeeded" ? { of: taskId } : null,
  }));

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
): readonly string[] => planRerun(was(compiled(PLAN), ended(statuses)), { compiled: compiled(now), params: {} }, from).carried;

const was = (plan: CompiledPlan, tasks: readonly EndedTask[], more: Partial<EndedRun> = {}): EndedRun => ({
  compiled: plan,
  params: {},
  tasks,
  actions: [],
  ...more,
});

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

describe("a rerun with other params", () => {
  const read = (id: string, source: string, needs: readonly string[] = []) =>
    task(id, needs, { activity: { name: "score", input: source } });
  const each = { in: "${{ params.days }}", as: "day" };
  const tasks = [
    read("plain", "${{ run.pipeline }}"),
    read("day", "of ${{ params.day }}"),
    read("after", "${{ tasks.day.output }}", ["day"]),
    task("other", [], { when: "params.mode == 'full'" }),
    task("skipped", [], { when: "params.day == 'sun'" }),
    task("items", [], { for_each: each }),
    task("whole", [], { http: { connection: "hook", method: "POST", path: "/x", body: { all: "${{ params }}" } }, activity: undefined }),
    task("clean", [], { finally: true, when: "params.day != 'sat'" }),
  ];
  const statuses = Object.fromEntries(tasks.map(({ id }) => [id, id === "skipped" ? "skipped" : "succeeded"] as const));
  const before = was(compiled(tasks), ended(statuses), { params: { day: "mon", mode: "full", days: [{ n: 1, of: 2 }] } });
  const rerun = (params: EndedRun["params"], asked: RerunFrom = { from: "failed" }) =>
    planRerun(before, { compiled: before.compiled, params }, asked);

  it("does again what reads one that has changed, and what comes after that", () => {
    const { carried: kept, anew } = rerun({ day: "tue", mode: "full", days: [{ n: 1, of: 2 }] });
    expect(kept).toEqual(["plain", "other", "items"]);
    expect(anew).toEqual(["day", "after", "skipped", "whole", "clean"]);
  });

  it("knows them by their values, and minds those that come or go", () => {
    const same = rerun({ days: [{ of: 2, n: 1 }], mode: "full", day: "mon" });
    expect([same.carried, same.anew]).toEqual([["plain", "day", "after", "other", "skipped", "items", "whole"], []]);
    expect(rerun({ day: "mon", mode: "full", days: [] }).anew).toEqual(["items", "whole"]);
    expect(rerun({ day: "mon", days: [{ n: 1, of: 2 }] }).anew).toEqual(["other", "whole"]);
    expect(rerun({ ...before.params, new: 1 }).anew).toEqual(["whole"]);
  });

  it("follows chains of any length", () => {
    const chain = Array.from({ length: 5_000 }, (_, index) => {
      const needs = index === 4_999 ? [] : [`t${index + 1}`];
      return { id: `t${index}`, needs, activity: { name: "score", input: index === 4_999 ? "${{ params.day }}" : null } };
    });
    const plan = compiled(chain);
    const long = was(plan, ended(Object.fromEntries(chain.map(({ id }) => [id, "succeeded"] as const))), { params: { day: "mon" } });
    expect(planRerun(long, { compiled: plan, params: { day: "tue" } }, { from: "failed" }).anew).toHaveLength(5_000);
  });

  it("takes what is only done again for what it was", () => {
    expect(rerun(before.params, { from: "task", task: "day" })).toMatchObject({
      carried: ["plain", "other", "skipped", "items", "whole"],
      anew: [],
    });
  });
});

describe("a rerun does again what was skipped and might have run", () => {
  const input = { activity: { name: "score", input: null } };
  const tasks = [
    { id: "wait", approval: { deadline: "1h", on_deadline: "skip" } },
    task("marked", [], input),
    task("off", [], { ...input, when: "false" }),
    task("waited", ["wait"], input),
    task("joined", ["marked", "off"], { ...input, trigger_rule: "none_failed" }),
    task("after", ["off"], input),
    task("handler", ["off"], { ...input, trigger_rule: "one_failed" }),
  ];
  const plan = compiled(tasks);
  const skipped = ended(Object.fromEntries(tasks.map(({ id }) => [id, id === "joined" ? "succeeded" : "skipped"] as const)));
  const begun = skipped.map((one) => (one.taskId === "wait" ? { ...one, attempts: 1 } : one));

  it("by its deadline or by hand, and what was skipped for that or came after it; not what its own plan skips", () => {
    const actions = [
      { action: "mark skipped", taskId: "marked" },
      { action: "pause", taskId: null },
    ];
    const { carried: kept } = planRerun(was(plan, begun, { actions }), { compiled: plan, params: {} }, { from: "failed" });
    expect(kept).toEqual(["off", "after", "handler"]);
  });
});

it("the state begins with what is taken over, and only with the outputs that are read again", () => {
  const plan = compiled(PLAN);
  const { snapshot } = planRerun(was(plan, ended(STATUSES)), { compiled: plan, params: {} }, { from: "failed" });
  expect(snapshot).toEqual({ statuses: "ssksppp", waiting: {}, outputs: { 3: { of: "d" } } });
  const state = restoreSnapshot(snapshot, graphOf(plan.plan));
  expect([state.ready, state.open, state.openMain]).toEqual([[4], 3, 2]);
});

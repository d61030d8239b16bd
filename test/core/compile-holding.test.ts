// What compile makes of waits, approvals, loops, finally, retries by code, and what it finds wrong with them.

import { describe, expect, it } from "vitest";
import { compilePlan } from "../../core/compile-plan.ts";
import { checkDefinition } from "../../core/definition.ts";
import type { Issue } from "../../core/issues.ts";
import type { PlanTask, Policy } from "../../core/plan.ts";
import { catalogue } from "./catalogue.ts";

type Task = Readonly<Record<string, unknown>>;

const compile = (tasks: readonly Task[], rest: Task = {}) => {
  const parsed = checkDefinition({ apiVersion: "downbeat/v1", name: "p", tasks, ...rest });
  return parsed.ok ? compilePlan(parsed.definition, catalogue) : parsed;
};
const taskOf = (task: Task, rest: Task = {}): PlanTask & { readonly own: Policy } => {
  const result = compile([{ id: "a", ...task }], rest);
  if (!result.ok) throw new Error(JSON.stringify(result.issues));
  const { tasks, policies } = result.compiled.plan;
  const [first] = tasks;
  return { ...(first as PlanTask), own: policies[first?.policy ?? 0] as Policy };
};
const issuesOf = (tasks: readonly Task[], rest: Task = {}): readonly Issue[] => {
  const result = compile(tasks, rest);
  return result.ok ? [] : result.issues;
};
const own = { activity: { name: "score" } };

describe("a plan", () => {
  it("has a wait's moment, duration or looks, its deadline and what comes then", () => {
    expect(taskOf({ wait: { for: "15m" } }).wait).toEqual({ for: "15m", deadlineMs: 604_800_000, onDeadline: "fail" });
    expect(
      taskOf({ wait: { until: "${{ params.at }}", deadline: "1h", on_deadline: "skip" } }, { params: { properties: { at: {} } } }).wait,
    ).toEqual({
      until: "${{ params.at }}",
      deadlineMs: 3_600_000,
      onDeadline: "skip",
    });
    expect(taskOf({ wait: { sql: { connection: "warehouse", query: "select 1" }, poll: { every: "30s" } } })).toMatchObject({
      wait: { poll: { everyMs: 30_000, maxMs: 300_000 } },
      summary: "a: waits for SQL on warehouse",
    });
  });

  it("has who may approve, and when others may", () => {
    const approval = {
      message: "go?",
      approvers: ["anna"],
      escalate: { after: "1h", to: ["boss"] },
      deadline: "2d",
      on_deadline: "approve",
    };
    expect(taskOf({ approval })).toMatchObject({
      summary: "a: approval: go?",
      approval: {
        message: "go?",
        approvers: ["anna"],
        escalate: { afterMs: 3_600_000, to: ["boss"] },
        deadlineMs: 172_800_000,
        onDeadline: "approve",
      },
    });
  });

  it("has loops, marks and retries by code", () => {
    const inner = { in: "${{ [each.day] }}", as: "again" };
    const task = taskOf({
      ...own,
      for_each: { in: { range: { to: 3 } }, as: "day", inner, window: 5, max_failures: 2 },
      finally: true,
      priority: 1,
      on_exhausted: "park",
      retry: { on: { RATE_LIMITED: { attempts: 9, backoff: "1m" } } },
    });
    expect(task).toMatchObject({
      forEach: {
        loops: [
          { as: "day", in: { range: { from: 0, to: 3, step: 1 } } },
          { as: "again", in: inner.in },
        ],
        window: 5,
        maxFailures: 2,
      },
      finally: true,
      priority: 1,
      own: { onExhausted: "park", retry: { on: { RATE_LIMITED: { attempts: 9, backoffMs: 60_000 } } } },
    });
    expect(taskOf(own, { defaults: { on_exhausted: "park" } }).own.onExhausted).toBe("park");
    expect(taskOf({ ...own, on_exhausted: "fail" }, { defaults: { on_exhausted: "park" } }).own.onExhausted).toBeUndefined();
  });

  it("lets a finally task read any other", () => {
    const tell = { id: "b", finally: true, activity: { name: "score", input: "${{ tasks.a.status }}" } };
    expect(issuesOf([{ id: "a", ...own }, tell])).toEqual([]);
    expect(
      issuesOf([
        { id: "a", ...own },
        { ...tell, finally: undefined },
      ]),
    ).toMatchObject([{ code: "UNKNOWN_REFERENCE" }]);
  });
});

describe("faults", () => {
  const first = { id: "a", ...own };
  it.each<[string, readonly Task[], string, string]>([
    ["a wait for nothing", [{ id: "a", wait: {} }], "MISSING_KEY", "give until or for or sql or http or file"],
    [
      "a wait for two things",
      [{ id: "a", wait: { for: "1s", until: "2026-01-01T00:00:00Z" } }],
      "INVALID_VALUE",
      "not until and for at once",
    ],
    ["a moment without its zone", [{ id: "a", wait: { until: "2026-01-01T00:00:00" } }], "INVALID_VALUE", "with a zone"],
    ["a connection that cannot be asked", [{ id: "a", wait: { sql: { connection: "hook", query: "select 1" } } }], "ROLE_MISMATCH", "sql"],
    ["a wait over items", [{ id: "a", wait: { for: "1s" }, for_each: { in: [1] } }], "INVALID_VALUE", "cannot be repeated"],
    ["two loops of one name", [{ ...first, for_each: { in: [1], inner: { in: [2] } } }], "INVALID_VALUE", "same name (item, item)"],
    ["a list that is no list", [{ ...first, for_each: { in: "monday" } }], "INVALID_VALUE", "expression"],
    [
      "an item's value where there are no items",
      [{ id: "a", activity: { name: "score", input: "${{ each.day }}" } }],
      "UNKNOWN_REFERENCE",
      "for_each",
    ],
    [
      "a loop that does not exist",
      [{ id: "a", activity: { name: "score", input: "${{ each.dya }}" }, for_each: { in: [1], as: "day" } }],
      "UNKNOWN_REFERENCE",
      'did you mean "day"',
    ],
    [
      "an outer loop that reads an inner one",
      [{ ...first, for_each: { in: "${{ [each.b] }}", as: "a", inner: { in: [1], as: "b" } } }],
      "UNKNOWN_REFERENCE",
      "each.b",
    ],
    [
      "a task that needs a finally one",
      [
        { ...first, finally: true },
        { id: "b", needs: ["a"], ...own },
      ],
      "INVALID_VALUE",
      "begins when all others have ended",
    ],
    [
      "a finally task that needs another",
      [first, { id: "b", needs: ["a"], finally: true, ...own }],
      "INVALID_VALUE",
      "can only need other finally tasks",
    ],
    ["an unknown code", [{ ...first, retry: { on: { RATE_LIMITTED: {} } } }], "UNKNOWN_KEY", "RATE_LIMITED"],
    ["a priority beyond five", [{ ...first, priority: 6 }], "INVALID_VALUE", "5"],
  ])("%s", (_name, tasks, code, words) => {
    const issues = issuesOf(tasks);
    expect(issues).toContainEqual(expect.objectContaining({ code, message: expect.stringContaining(words) as string }));
  });
});

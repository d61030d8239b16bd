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
const DAY = 86_400_000;
const own = { activity: { name: "score" } };

describe("keys that an operator has no use for", () => {
  const keys = { queue: "q", priority: 1, timeout: { attempt: "1m", heartbeat: "5s" } };
  const found = (task: Task): readonly string[] => issuesOf([{ id: "a", ...keys, ...task }]).map(({ code, path }) => `${code} ${path}`);
  const refused = (...paths: readonly string[]): readonly string[] => paths.map((path) => `INVALID_VALUE tasks[0].${path}`);

  it("are refused, and said to be useless", () => {
    const all = refused("queue", "priority", "timeout.attempt", "timeout.heartbeat");
    expect(found({ approval: {} })).toEqual(all);
    expect(found({ wait: { for: "1m" } })).toEqual(all);
    expect(found({ wait: { until: "2026-01-01T00:00:00Z" } })).toEqual(all);
    expect(found({ pipeline: { name: "other" } })).toEqual(refused("queue", "timeout.attempt", "timeout.heartbeat"));
    expect(found({ pipeline: { name: "other" }, for_each: { in: [1] } })).toEqual(refused("queue", "timeout.attempt", "timeout.heartbeat"));
    const [issue] = issuesOf([{ id: "sub", pipeline: { name: "other" }, queue: "q" }]);
    expect(issue?.message).toBe(
      'queue has no effect: task "sub" runs another pipeline; set it on the tasks of "other", and bound the whole run with timeout.total',
    );
  });

  it("are taken where they do something: a pipeline's priority, the looks of a wait, the total time, what `defaults` say", () => {
    expect(issuesOf([{ id: "a", pipeline: { name: "other" }, priority: 1, timeout: { total: "1h" } }])).toEqual([]);
    expect(found({ wait: { sql: { connection: "warehouse", query: "select 1" } } })).toEqual([]);
    const tasks = [
      { id: "a", approval: {} },
      { id: "b", pipeline: { name: "other" } },
    ];
    expect(issuesOf(tasks, { defaults: { timeout: { attempt: "1m", heartbeat: "5s" } } })).toEqual([]);
  });
});

describe("run.attempt", () => {
  const text = "${{ run.attempt }}";

  it.each<Task>([
    { activity: { name: "score", input: text } },
    { wait: { for: "${{ run.attempt }}m" } },
    { wait: { sql: { connection: "warehouse", query: "select :n", params: { n: text } } } },
    { approval: { message: text } },
    { pipeline: { name: "other", params: { n: text } } },
    { http: { connection: "hook", path: text } },
  ])("is read by what one try is made of: %j", (task) => {
    expect(issuesOf([{ id: "a", ...task }])).toEqual([]);
  });

  it("is read by nothing that comes before or after all tries", () => {
    const paths = (task: Task, rest: Task = {}) =>
      issuesOf([{ id: "a", ...own, ...task }], rest).map(({ code, path }) => `${code} ${path}`);
    expect(paths({ when: "run.attempt > 1" })).toEqual(["UNKNOWN_REFERENCE tasks[0].when"]);
    expect(paths({ for_each: { in: "${{ [run.attempt] }}" } })).toEqual(["UNKNOWN_REFERENCE tasks[0].for_each.in"]);
    expect(paths({}, { outputs: { n: text } })).toEqual(["UNKNOWN_REFERENCE outputs.n"]);
  });
});

describe("the condition of a wait for HTTP", () => {
  const found = (until: string): readonly string[] =>
    issuesOf([{ id: "a", wait: { http: { connection: "hook", until } } }]).map(({ code, path, message }) => `${code} ${path}: ${message}`);

  it("reads the answer, and what expressions read besides", () => {
    expect(found("response.body.state == 'done' && response.status == 200 && response.headers['x-a'] == run.id")).toEqual([]);
  });

  it.each([
    ["response.body.state ==", /^INVALID_EXPRESSION tasks\[0\]\.wait\.http\.until: .*Unexpected token/],
    ["answer.state == 'done'", /^INVALID_EXPRESSION tasks\[0\]\.wait\.http\.until: .*Unknown variable: answer/],
    ["response.body.n == params.n", /^UNKNOWN_REFERENCE tasks\[0\]\.wait\.http\.until: .*param "n"/],
    ["${{ response.body.ok }}", /^INVALID_VALUE tasks\[0\]\.wait\.http\.until: .*write it without/],
  ])("is checked: %s", (until, says) => {
    expect(found(until)).toEqual([expect.stringMatching(says)]);
  });

  it("is the only expression that reads an answer", () => {
    const issues = issuesOf([{ id: "a", wait: { http: { connection: "hook", path: "/${{ response.status }}" } } }]);
    expect(issues.map(({ message }) => message)).toEqual([expect.stringContaining("Unknown variable: response")]);
  });
});

describe("a plan", () => {
  it("has a wait's moment, duration or looks, its deadline and what comes then", () => {
    expect(taskOf({ wait: { for: "15m" } }).wait).toEqual({ for: "15m", deadlineMs: 365 * DAY, onDeadline: "fail" });
    expect(taskOf({ wait: { for: "30d" } }).wait).toMatchObject({ for: "30d", deadlineMs: 365 * DAY });
    expect(taskOf({ wait: { until: "2030-01-01T00:00:00Z" } }).wait?.deadlineMs).toBe(365 * DAY);
    expect(taskOf({ wait: { for: "2d", deadline: "2d" } }).wait?.deadlineMs).toBe(2 * DAY);
    expect(taskOf({ wait: { file: { path: "a.csv" } } }).wait?.deadlineMs).toBe(7 * DAY);
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

  it("has up to three loops, one inside the other", () => {
    const innermost = { in: "${{ [each.a, each.b] }}", as: "c" };
    const inner = { in: { partitions: { from: "2026-01-01", to: "${{ each.a }}", timezone: "Europe/Berlin" } }, as: "b", inner: innermost };
    const task = {
      activity: { name: "score", input: "${{ [each.a, each.b.start, each.c] }}" },
      for_each: { in: ["2026-02-01"], as: "a", inner },
    };
    expect(taskOf(task).forEach?.loops).toEqual([
      { as: "a", in: ["2026-02-01"] },
      { as: "b", in: { partitions: { ...inner.in.partitions, every: "day" } } },
      innermost,
    ]);
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
    [
      "a duration beyond its deadline",
      [{ id: "a", wait: { for: "30d", deadline: "7d" } }],
      "INVALID_VALUE",
      "30d is longer than the deadline of 7d",
    ],
    ["a duration beyond the longest deadline", [{ id: "a", wait: { for: "366d" } }], "INVALID_VALUE", "longer than the deadline of 365d"],
    [
      "an escalation where anyone may decide",
      [{ id: "a", approval: { escalate: { after: "1h", to: ["boss"] } } }],
      "MISSING_KEY",
      'no "approvers" are named',
    ],
    [
      "an escalation at the deadline",
      [{ id: "a", approval: { approvers: ["anna"], escalate: { after: "48h", to: ["boss"] }, deadline: "2d" } }],
      "INVALID_VALUE",
      "48h is not before the deadline of 2d",
    ],
    [
      "an escalation after the deadline that holds where none is given",
      [{ id: "a", approval: { approvers: ["anna"], escalate: { after: "30d", to: ["boss"] } } }],
      "INVALID_VALUE",
      "the deadline of 7d",
    ],
    ["a wait over items", [{ id: "a", wait: { for: "1s" }, for_each: { in: [1] } }], "INVALID_VALUE", "cannot be repeated"],
    ["two loops of one name", [{ ...first, for_each: { in: [1], inner: { in: [2] } } }], "INVALID_VALUE", "same name (item, item)"],
    [
      "a fourth loop",
      [{ ...first, for_each: { in: [1], as: "a", inner: { in: [1], as: "b", inner: { in: [1], as: "c", inner: { in: [1] } } } } }],
      "UNKNOWN_KEY",
      "inner",
    ],
    [
      "a zone that is none",
      [{ ...first, for_each: { in: { partitions: { from: "2026-01-01", to: "2026-02-01", timezone: "Berlin" } } } }],
      "INVALID_VALUE",
      "no time zone",
    ],
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

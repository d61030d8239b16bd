// compilePlan: the plan that a definition becomes, every fault at once, any graph.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compilePlan, type CompileResult } from "../../core/compile-plan.ts";
import { checkDefinition, parseDefinition } from "../../core/definition.ts";
import type { Issue } from "../../core/issues.ts";
import { LIMITS } from "../../core/limits.ts";
import type { CompiledPlan } from "../../core/plan.ts";
import { catalogue } from "./catalogue.ts";

type Task = Readonly<Record<string, unknown>>;

const compile = (tasks: readonly Task[], rest: Task = {}): CompileResult => {
  const parsed = checkDefinition({ apiVersion: "downbeat/v1", name: "p", tasks, ...rest });
  return parsed.ok ? compilePlan(parsed.definition, catalogue) : parsed;
};

const compiled = (tasks: readonly Task[], rest: Task = {}): CompiledPlan => {
  const result = compile(tasks, rest);
  if (!result.ok) throw new Error(JSON.stringify(result.issues));
  return result.compiled;
};

const issuesOf = (tasks: readonly Task[], rest: Task = {}): readonly Issue[] => {
  const result = compile(tasks, rest);
  return result.ok ? [] : result.issues;
};

const codesOf = (tasks: readonly Task[], rest: Task = {}): readonly string[] => issuesOf(tasks, rest).map((issue) => issue.code);

const own = { activity: { name: "score" } };
const copy = {
  from: { connection: "shop", stream: "orders" },
  to: { connection: "warehouse", table: "raw.orders" },
};

describe("a plan", () => {
  it("has needs as places, rules, summaries, queues and what expressions read", () => {
    const { plan, configs, connections } = compiled([
      { id: "orders", transfer: copy },
      { id: "score", needs: ["orders"], when: "tasks.orders.output.rows > 0", activity: { name: "remote", input: { a: 1 } } },
      {
        id: "tell",
        needs: ["score"],
        trigger_rule: "all_done",
        queue: "slow",
        http: { connection: "hook", method: "POST", body: { text: "rows ${{ tasks.orders.output.rows }} ${{ tasks.score.status }}" } },
      },
    ]);
    expect(plan.tasks).toEqual([
      {
        assets: ["warehouse/raw.orders"],
        id: "orders",
        needs: [],
        rule: "all_success",
        operator: "transfer",
        summary: "orders: shop.orders → warehouse.raw.orders",
        policy: 0,
      },
      {
        id: "score",
        needs: [0],
        rule: "all_success",
        when: "tasks.orders.output.rows > 0",
        operator: "activity",
        summary: "score: activity remote",
        policy: 1,
        queue: "elsewhere",
        reads: ["orders"],
        activity: { name: "remote", input: { a: 1 } },
      },
      {
        id: "tell",
        needs: [1],
        rule: "all_done",
        operator: "http",
        summary: "tell: POST hook",
        policy: 0,
        queue: "slow",
        reads: ["orders", "score"],
      },
    ]);
    expect(plan.failurePolicy).toBe("fail-fast");
    expect(connections).toEqual(["shop", "warehouse", "hook"]);
    expect(configs["orders"]).toEqual({
      from: { ...copy.from, null_cursor: "fail" },
      to: { ...copy.to, mode: "append", key: [], schema: "evolve" },
      dead_letters: { max_rows: 0 },
    });
    expect(configs["score"]).toEqual({});
  });

  it("limits bad rows by number, share or both, and not by nothing", () => {
    const diverting = (limits: object): readonly Issue[] => issuesOf([{ id: "a", transfer: { ...copy, dead_letters: limits } }]);
    for (const limits of [{ max_rows: 1 }, { max_share: 0.01 }, { max_rows: 0, max_share: 1 }]) expect(diverting(limits)).toEqual([]);
    expect(diverting({})).toMatchObject([
      { code: "MISSING_KEY", path: "tasks[0].transfer.dead_letters", message: "says no limit; give max_rows, max_share or both" },
    ]);
    expect(diverting({ max_share: 1.5 })).toMatchObject([{ code: "INVALID_VALUE", path: "tasks[0].transfer.dead_letters.max_share" }]);
  });

  it("replays dead letters by append, or by a merge that can tell which row is newer", () => {
    const replaying = (letters: object, to: object = {}, from: object = copy.from): readonly Issue[] =>
      issuesOf([{ id: "a", transfer: { from: { ...from, dead_letters: letters }, to: { ...copy.to, ...to } } }]);
    const merge = { mode: "merge", key: ["id"] };
    expect(replaying({ key: "shop/orders/orders" })).toEqual([]);
    expect(replaying({ key: "shop/orders/orders", newest_by: "updated_at" }, merge)).toEqual([]);
    expect(replaying({ key: "shop/orders/orders" }, merge)).toMatchObject([
      { code: "MISSING_KEY", path: "tasks[0].transfer.from.dead_letters" },
    ]);
    expect(replaying({ key: "shop/orders/orders" }, { mode: "replace" })).toMatchObject([
      { code: "MODE_UNSUPPORTED", path: "tasks[0].transfer.to.mode" },
    ]);
    const { stream: _, ...queried } = { ...copy.from, query: "select 1" };
    expect(replaying({ key: "shop/orders/query" }, {}, queried)).toMatchObject([
      { code: "INVALID_VALUE", path: "tasks[0].transfer.from.query" },
    ]);
  });

  it("has a task's deadline, within bounds", () => {
    expect(compiled([{ id: "a", deadline: "30m", ...own }]).plan.tasks[0]?.deadlineMs).toBe(1_800_000);
    expect(compiled([{ id: "a", ...own }]).plan.tasks[0]).not.toHaveProperty("deadlineMs");
    for (const deadline of ["0s", "366d", "soon"])
      expect(issuesOf([{ id: "a", deadline, ...own }])).toMatchObject([{ code: "INVALID_DURATION", path: "tasks[0].deadline" }]);
  });

  it("fills policies in from task, defaults and built-in values, and keeps each once", () => {
    const { plan } = compiled(
      [
        { id: "a", ...own },
        { id: "b", transfer: copy },
        { id: "c", retry: { attempts: 1, never_on: ["CHECK_FAILED"] }, timeout: { heartbeat: "1m" }, ...own },
        { id: "d", transfer: copy },
      ],
      { defaults: { retry: { backoff: "500ms" }, timeout: { attempt: "PT2M" }, trigger_rule: "none_failed" } },
    );
    const retry = { attempts: 3, backoffMs: 500, maxBackoffMs: 300_000, neverOn: [] };
    const timeout = { attemptMs: 120_000, totalMs: 14_400_000 };
    expect(plan.policies).toEqual([
      { retry, timeout: { ...timeout, heartbeatMs: 0 } },
      { retry, timeout: { ...timeout, heartbeatMs: 10_000 } },
      { retry: { ...retry, attempts: 1, neverOn: ["CHECK_FAILED"] }, timeout: { ...timeout, heartbeatMs: 60_000 } },
    ]);
    expect(plan.tasks.map((task) => task.policy)).toEqual([0, 1, 2, 1]);
    expect(plan.tasks.every((task) => task.rule === "none_failed")).toBe(true);
  });

  it("cuts a summary to what Temporal's UI shows", () => {
    const { plan } = compiled([{ id: "a", transfer: { ...copy, from: { connection: "shop", stream: "s".repeat(500) } } }]);
    expect(plan.tasks[0]?.summary).toHaveLength(200);
  });

  it("is the same for the same definition", () => {
    const tasks = [
      { id: "a", ...own },
      { id: "b", needs: ["a"], transfer: copy },
    ];
    expect(JSON.stringify(compiled(tasks))).toBe(JSON.stringify(compiled(tasks)));
  });
});

describe("faults", () => {
  it("come all at once, those of the schema and those of the graph, each with its place", () => {
    const parsed = parseDefinition(
      [
        "apiVersion: downbeat/v1",
        "nam: p",
        "tasks:",
        "  - { id: a, needs: [b, x], retries: 3 }",
        "  - { id: b, needs: [a] }",
        "  - { id: b }",
      ].join("\n"),
    );
    expect(parsed.ok ? [] : parsed.issues.map(({ code, path, line, column }) => [code, path, line, column])).toEqual([
      ["MISSING_KEY", "name", 1, 1],
      ["UNKNOWN_KEY", "tasks[0].retries", 4, 29],
      ["UNKNOWN_KEY", "nam", 2, 1],
      ["DUPLICATE_TASK_ID", "tasks[2].id", 6, 7],
      ["UNKNOWN_DEPENDENCY", "tasks[0].needs[1]", 4, 25],
      ["CYCLE", "tasks[1].needs[0]", 5, 22],
    ]);
  });

  it("come all at once, those of operators, connections and expressions", () => {
    expect(
      codesOf([
        { id: "a" },
        { id: "b", needs: ["a", "a", "b", "c"], when: "tasks.zz.status == 'x' && params.p && run.nope == 1", ...own },
        { id: "d", sql: { connection: "nowhere", query: "${{" }, activity: { name: "nobody" } },
        {
          id: "e",
          transfer: {
            from: { connection: "hook", stream: "x", query: "y" },
            to: { connection: "lake", table: "t", mode: "merge", formt: "csv", format: "xml" },
          },
        },
      ]).toSorted(),
    ).toEqual(
      [
        "NO_OPERATOR",
        "DUPLICATE_DEPENDENCY",
        "SELF_DEPENDENCY",
        "UNKNOWN_DEPENDENCY",
        "UNKNOWN_REFERENCE",
        "UNKNOWN_REFERENCE",
        "UNKNOWN_REFERENCE",
        "SEVERAL_OPERATORS",
        "UNKNOWN_CONNECTION",
        "INVALID_EXPRESSION",
        "UNKNOWN_ACTIVITY",
        "ROLE_MISMATCH",
        "INVALID_VALUE",
        "MISSING_KEY",
        "MODE_UNSUPPORTED",
        "UNKNOWN_KEY",
        "INVALID_OPTIONS",
      ].toSorted(),
    );
  });

  it("refuses to replace a table by what is new alone", () => {
    const from = { connection: "lake", stream: "prices/*.csv" };
    const to = { ...copy.to, mode: "replace" };
    expect(issuesOf([{ id: "a", transfer: { from: { ...from, new_only: true }, to } }])).toMatchObject([
      { code: "MODE_UNSUPPORTED", path: "tasks[0].transfer.to.mode", message: expect.stringContaining("new_only") as unknown },
    ]);
    expect(issuesOf([{ id: "a", transfer: { from: { ...from, new_only: false }, to } }])).toEqual([]);
  });

  it("refuses to append what may come twice, unless the task says that it may", () => {
    const issues = (more: object, mode: string) =>
      issuesOf([{ id: "a", transfer: { from: { connection: "crm", stream: "deals", ...more }, to: { ...copy.to, mode, key: ["id"] } } }]);
    for (const more of [{ incremental: true }, { cursor: "updated_at" }]) {
      expect(issues(more, "append")).toMatchObject([
        {
          code: "MODE_UNSUPPORTED",
          path: "tasks[0].transfer.to.mode",
          message: expect.stringContaining("accept_repeats: true") as unknown,
        },
      ]);
      expect(issues(more, "merge")).toEqual([]);
      expect(issues({ ...more, accept_repeats: true }, "append")).toEqual([]);
    }
    expect(issues({}, "append")).toEqual([]);
    expect(issues({}, "replace")).toEqual([]);
  });

  it.each(["dbt", "spark", "refresh", "external"])("says that the operator %s is of a later version", (operator) => {
    expect(issuesOf([{ id: "a", [operator]: {} }])).toMatchObject([
      { code: "UNKNOWN_OPERATOR", message: `operator "${operator}" is not in this version yet; remove it` },
    ]);
  });

  it.each<[string, Task, string]>([
    ["a misspelt key of an operator", { id: "a", sql: { connection: "warehouse", query: "x", ouput: "y" } }, 'did you mean "output"?'],
    [
      "a misspelt key that might have been a connector's",
      { id: "a", transfer: { ...copy, from: { ...copy.from, cursr: "x" } } },
      'did you mean "cursor"?',
    ],
    ["a misspelt key of a connector", { id: "a", transfer: { ...copy, from: { ...copy.from, pgae: 1 } } }, 'did you mean "page"?'],
    [
      "a key where the connector takes none",
      { id: "a", publish: { from: { connection: "warehouse", query: "q" }, to: { connection: "hook", path: "/", table: "t" } } },
      '"table" is not a key here',
    ],
    [
      "a misspelt check",
      { id: "a", check: { connection: "warehouse", table: "t", expect: [{ rowcount: { min: 1 } }] } },
      'did you mean "row_count"?',
    ],
    [
      "two checks in one",
      { id: "a", check: { connection: "warehouse", table: "t", expect: [{ row_count: {}, unique: ["a"] }] } },
      "give exactly one of row_count, not_null, unique, sql",
    ],
    ["a number for a duration", { id: "a", retry: { backoff: 5 }, ...own }, '"5" is not a duration; write "30s"'],
    ["a duration out of bounds", { id: "a", timeout: { attempt: "30d" }, ...own }, '"30d" is out of bounds; give 100ms to 24d'],
    ["an endless duration", { id: "a", timeout: { total: `${"9".repeat(99)}d` }, ...own }, "is not a duration"],
    ["an error code that does not exist", { id: "a", retry: { never_on: ["SOURCE_AUHT"] }, ...own }, 'did you mean "SOURCE_AUTH"?'],
    ["a lookback without merge", { id: "a", transfer: { ...copy, from: { ...copy.from, lookback: "1h" } } }, "which only mode merge takes"],
    ["what is followed without a cursor", { id: "a", transfer: { ...copy, follow: {} } }, "was read to, which needs from.cursor"],
    [
      "what is followed without its option",
      { id: "a", transfer: { ...copy, from: { connection: "lake", stream: "x" }, follow: {} } },
      "which needs from.cursor or from.new_only: true",
    ],
    [
      "what is followed into a table that is replaced",
      { id: "a", transfer: { from: { ...copy.from, cursor: "id" }, to: { ...copy.to, mode: "replace" }, follow: {} } },
      "could take the place of another",
    ],
    [
      "rows without a cursor value in what is followed",
      { id: "a", transfer: { ...copy, from: { ...copy.from, cursor: "id", null_cursor: "dead_letter" }, follow: {} } },
      "would be diverted again by every look",
    ],
    [
      "items of what does not end",
      { id: "a", for_each: { in: [1] }, transfer: { ...copy, from: { ...copy.from, cursor: "id" }, follow: {} } },
      "write a task for each",
    ],
    ["a pause out of bounds", { id: "a", transfer: { ...copy, follow: { every: "2h" } } }, '"2h" is out of bounds; give 100ms to 5m'],
    [
      "a cursor where there is none",
      { id: "a", transfer: { ...copy, from: { connection: "lake", stream: "x", cursor: "y" } } },
      "cannot be read by a cursor",
    ],
    ["neither table nor query", { id: "a", check: { connection: "warehouse", expect: [{ not_null: ["a"] }] } }, "give table or query"],
    [
      "an expression of an attempt where there is none yet",
      { id: "a", when: "run.attempt > 1", ...own },
      "run.attempt, which is known in a task's configuration alone; this is evaluated before or after all attempts",
    ],
    [
      "an attempt in what items are made of: they are made before any",
      { id: "a", for_each: { in: "${{ [run.attempt] }}" }, ...own },
      "run.attempt, which is known in a task's configuration alone",
    ],
    ["an expression that reads its own task", { id: "a", when: "tasks.a.status == 'x'", ...own }, "which is the task itself"],
    ["an id with capitals", { id: "A", ...own }, "must be 1 to 63 of a-z"],
  ])("has words for %s", (_name, task, message) => {
    expect(issuesOf([task])).toMatchObject([{ message: expect.stringContaining(message) as string }]);
  });

  it("leaves options with expressions inside to the time when they have a value, and only those", () => {
    const withOptions = (options: Task): readonly string[] =>
      codesOf([{ id: "a", transfer: { ...copy, from: { ...copy.from, ...options } } }], {
        params: { properties: { n: { type: "integer" } } },
      });
    expect(withOptions({ page: "${{ params.n }}" })).toEqual([]);
    expect(withOptions({ page: 0 })).toEqual(["INVALID_OPTIONS"]);
    expect(withOptions({ page: 0, lookback: "${{ params.n }}" })).toEqual(["INVALID_OPTIONS"]);
    expect(withOptions({ pages: "${{ params.n }}" })).toEqual(["UNKNOWN_KEY"]);
  });

  it("knows params only as far as their schema says", () => {
    const when = { id: "a", when: "params.x == 1", ...own };
    expect(codesOf([when])).toEqual(["UNKNOWN_REFERENCE"]);
    expect(codesOf([when], { params: { type: "object", properties: { y: {} } } })).toEqual(["UNKNOWN_REFERENCE"]);
    expect(codesOf([when], { params: { type: "object", properties: { x: {} } } })).toEqual([]);
    expect(codesOf([when], { params: { $ref: "#/elsewhere" } })).toEqual([]);
  });

  it("does not take names of object prototypes for known ones", () => {
    expect(codesOf([{ id: "constructor", sql: { connection: "constructor", query: "x" } }])).toEqual(["UNKNOWN_CONNECTION"]);
    expect(codesOf([{ id: "a", activity: { name: "toString" } }])).toEqual(["UNKNOWN_ACTIVITY"]);
    expect(codesOf([{ id: "a", constructor: 1, ...own }])).toEqual(["UNKNOWN_KEY"]);
  });
});

describe("limits", () => {
  const chain = (length: number): readonly Task[] =>
    Array.from({ length }, (_, index) => ({
      id: `t${index}`,
      needs: index === 0 ? [] : [`t${index - 1}`],
      ...(index === 0 ? {} : { when: "tasks.t0.status == 'succeeded'" }),
      ...own,
    }));

  it("takes 5,000 tasks in one chain, the last reading the first", () => {
    const { plan } = compiled(chain(LIMITS.tasks));
    expect(plan.tasks).toHaveLength(LIMITS.tasks);
    expect(plan.tasks.at(-1)).toMatchObject({ needs: [LIMITS.tasks - 2], reads: ["t0"] });
  });

  it("refuses 5,001", () => {
    expect(codesOf(chain(LIMITS.tasks + 1))).toEqual(["TOO_MANY_TASKS"]);
  });

  it("refuses a plan over Temporal's payload limit, counted in bytes", () => {
    const input = "ü".repeat(LIMITS.planBytes / 2);
    expect(codesOf([{ id: "a", activity: { name: "score", input } }])).toEqual(["TOO_LARGE"]);
    expect(codesOf([{ id: "a", activity: { name: "score", input: input.slice(2_000) } }])).toEqual([]);
  });

  it("refuses what nests or multiplies without end, before anything walks it", () => {
    let deep: unknown = 1;
    for (let level = 0; level < 50_000; level += 1) deep = [deep];
    expect(codesOf([{ id: "a", activity: { name: "score", input: deep } }])).toEqual(["TOO_LARGE"]);
    const long = "x".repeat(50_000);
    const text = `apiVersion: downbeat/v1\nname: p\nparams: { a: &a ${long}, b: [${"*a, ".repeat(90)}] }\ntasks: []`;
    const parsed = parseDefinition(text);
    expect(parsed.ok ? [] : parsed.issues).toMatchObject([{ code: "TOO_LARGE" }]);
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]`;
    const exploded = parseDefinition(bomb);
    expect(exploded.ok ? [] : exploded.issues).toMatchObject([{ code: "DEFINITION_MALFORMED" }]);
  });

  it("answers for thousands of faults", () => {
    const tasks = Array.from({ length: LIMITS.tasks }, (_, index) => ({ id: `t${index}`, needs: [`unknown-task-${index}`], ...own }));
    expect(codesOf(tasks)).toEqual(Array.from({ length: LIMITS.tasks }, () => "UNKNOWN_DEPENDENCY"));
  });

  it("shows a few of many cycles", () => {
    const tasks = Array.from({ length: 2_000 }, (_, index) => ({
      id: `t${index}`,
      needs: [`t${(index + 1) % 2_000}`, `t${(index + 7) % 2_000}`],
      ...own,
    }));
    const issues = issuesOf(tasks);
    expect(issues.length).toBeGreaterThan(0);
    expect(issues.length).toBeLessThanOrEqual(20);
    expect(issues.every((issue) => issue.code === "CYCLE" && issue.message.length < 1_000)).toBe(true);
  });
});

/** Tasks in some order with edges that only point to earlier tasks of another, hidden order. */
const dag = fc
  .array(fc.array(fc.nat(), { maxLength: 4 }), { minLength: 2, maxLength: 30 })
  .chain((edges) => fc.tuple(fc.constant(edges), fc.shuffledSubarray([...edges.keys()], { minLength: edges.length })))
  .map(([edges, order]) =>
    order.map((rank) => ({
      id: `t${rank}`,
      needs: rank === 0 ? [] : [...new Set((edges[rank] ?? []).map((edge) => `t${edge % rank}`))],
      ...own,
    })),
  );

describe("any graph", () => {
  it("compiles when it has no cycle, whatever the order of its tasks", () => {
    fc.assert(
      fc.property(dag, (tasks) => {
        const { plan } = compiled(tasks);
        for (const [index, task] of plan.tasks.entries())
          expect(task.needs.map((need) => plan.tasks[need]?.id)).toEqual(tasks[index]?.needs);
      }),
    );
  });

  it("lets expressions read all tasks above and no other", () => {
    fc.assert(
      fc.property(dag, fc.nat(), fc.nat(), (tasks, reader, read) => {
        const [from, to] = [tasks[reader % tasks.length], tasks[read % tasks.length]];
        if (from === undefined || to === undefined) throw new Error("no task");
        const above = new Set(from.needs);
        for (const id of above) for (const need of tasks.find((task) => task.id === id)?.needs ?? []) above.add(need);
        const reading = tasks.map((task) => (task === from ? { ...task, when: `tasks.${to.id}.status == 'failed'` } : task));
        expect(codesOf(reading)).toEqual(above.has(to.id) ? [] : ["UNKNOWN_REFERENCE"]);
      }),
    );
  });

  it("is refused with the members of a real cycle when an edge leads back", () => {
    fc.assert(
      fc.property(dag, fc.nat(), (tasks, pick) => {
        // From a task follow any path down; then let its end be needed by its start's … end: the edge back closes a circle.
        const start = tasks[pick % tasks.length];
        if (start === undefined) throw new Error("no task");
        let end = start;
        for (let next = end.needs[0]; next !== undefined; next = end.needs[0]) end = tasks.find((task) => task.id === next) ?? end;
        fc.pre(end !== start);
        const circular = tasks.map((task) => (task === end ? { ...task, needs: [...task.needs, start.id] } : task));
        const cycles = issuesOf(circular);
        expect(cycles.length).toBeGreaterThan(0);
        for (const issue of cycles) {
          expect(issue.code).toBe("CYCLE");
          const members = issue.known ?? [];
          expect(members.length).toBeGreaterThan(1);
          for (const [index, member] of members.entries()) {
            const next = members[(index + 1) % members.length];
            expect(circular.find((task) => task.id === member)?.needs).toContain(next);
          }
          expect(issue.message).toContain([...members, members[0]].join(" → "));
        }
      }),
    );
  });
});

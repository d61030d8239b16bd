// Outputs and errors of many megabytes: a clear code at once, or kept by reference; the run goes on, and Temporal's payloads stay small.

import { Worker } from "@temporalio/worker";
import { afterAll, describe, expect, it } from "vitest";
import type { Json } from "../../core/json.ts";
import { LIMITS } from "../../core/limits.ts";
import type { PlanTask } from "../../core/plan.ts";
import { planOf, policy } from "../core/runs.ts";
import { freshName } from "../fixtures/services.ts";
import { freshStore } from "../fixtures/store.ts";
import type { Behaviour, StartedRun } from "./engine.ts";
import { useEngine } from "./kit.ts";

const MB = 1024 * 1024;
const store = await freshStore();
afterAll(() => store.close());

/** Beyond Temporal's limit of 2 MB for a payload, and beyond gRPC's of 4 MB for a message. */
const large = { three: async () => "x".repeat(3 * MB), ten: async () => "x".repeat(10 * MB) };
const engine = useEngine({
  items: store.items,
  own: {
    ...large,
    second: async (item: Json) => (item === 2 ? large.ten() : 1),
    throws: () => Promise.reject(new RangeError("y".repeat(10 * MB))),
    limit: async () => "x".repeat(LIMITS.outputBytes - 2),
    echo: async (input) => ({ got: input }),
  },
});

const own = (name: string, more: { readonly queue?: string } = {}) =>
  ({ operator: "activity", activity: { name, input: null }, ...more }) as const;
type Task = Partial<Omit<PlanTask, "needs">>;

/** Attempts enough to see that it is not tried again; a timeout that no test waits for. */
const policies = [{ ...policy({ attempts: 3 }), retry: { attempts: 3, backoffMs: 1, maxBackoffMs: 1, neverOn: [] } }];
const mended = (first: ReturnType<typeof own>) => planOf({ first, mend: { needs: ["first"], rule: "all_failed" } }, { policies });

const historyBytes = async ({ handle }: StartedRun): Promise<number> =>
  Number((await handle.describe()).raw.workflowExecutionInfo?.historySizeBytes ?? Infinity);

describe("an output of many megabytes", () => {
  it("of a user's own activity goes by reference, and later tasks read it", async () => {
    const next = { operator: "activity", activity: { name: "echo", input: "${{ size(tasks.first.output) }}" } } as const;
    const run = await engine().run(planOf({ first: own("three"), next: { needs: ["first"], reads: ["first"], ...next } }), {
      isNamed: true,
    });
    expect(run.outcome).toBe("succeeded");
    expect(run.tasks()["first"]?.output).toEqual({ $output: { runId: run.id, taskId: "first" }, bytes: 3 * MB + 2 });
    expect(run.tasks()["next"]?.output).toEqual({ got: 3 * MB });
    expect(await store.items.findOutput({ runId: run.id, taskId: "first" })).toHaveLength(3 * MB);
    expect(await historyBytes(run)).toBeLessThan(20_000);
  });

  it("of a user's own activity is OUTPUT_TOO_LARGE at once beyond the limit of references, and the run goes on", async () => {
    const run = await engine().run(mended(own("ten")), { isNamed: true });
    expect(run.outcome).toBe("succeeded");
    expect(run.tasks()["first"]).toMatchObject({ status: "failed", attempts: 1, error: { code: "OUTPUT_TOO_LARGE" } });
    expect(run.tasks()["first"]?.error?.message).toMatch(/the output is \d{7,8} bytes of JSON, the limit is 8388608; return less/);
    expect(await historyBytes(run)).toBeLessThan(20_000);
  });

  it("up to the limit travels", async () => {
    const run = await engine().run(planOf({ first: own("limit") }));
    expect(run).toMatchObject({ outcome: "succeeded" });
  });

  it("of a worker that is not Downbeat's is refused by Temporal, in words that say so; beyond 4 MB it never comes", async () => {
    const queue = freshName("own");
    const worker = await Worker.create({ connection: engine().native, taskQueue: queue, activities: large, shutdownForceTime: "1s" });
    const done = worker.run();
    try {
      const run = await engine().run(mended(own("three", { queue })));
      expect(run.outcome).toBe("succeeded");
      expect(run.tasks()["first"]?.error).toMatchObject({
        code: "OUTPUT_TOO_LARGE",
        message: expect.stringMatching(/Temporal did not take/) as unknown,
      });
      // Its SDK sends again and again what gRPC does not let through: the attempt's timeout ends that.
      const [once] = policies.map((given) => ({
        ...given,
        timeout: { ...given.timeout, attemptMs: 1_500 },
        retry: { ...given.retry, attempts: 1 },
      }));
      const plan = planOf(
        { first: own("ten", { queue }), mend: { needs: ["first"], rule: "all_failed" } },
        { policies: once === undefined ? [] : [once] },
      );
      const silent = await engine().run(plan);
      expect(silent.outcome).toBe("succeeded");
      expect(silent.tasks()["first"]).toMatchObject({ status: "failed", attempts: 1, error: { code: "ATTEMPT_TIMEOUT" } });
    } finally {
      worker.shutdown();
      await done.catch(() => undefined);
    }
  });

  it("of a verb is OUTPUT_TOO_LARGE beyond the limit of references, and goes by reference below", async () => {
    const seen: Json[] = [];
    const plan = planOf(
      { first: {}, kept: {}, mend: { needs: ["first"], rule: "all_failed" }, next: { needs: ["kept"], reads: ["kept"] } },
      { policies },
    );
    const run = await engine().run(plan, {
      verbs: {
        first: async () => ({ output: "x".repeat(10 * MB) }),
        kept: async () => ({ output: "x".repeat(5 * MB) }),
        next: async ({ tasks }) => {
          seen.push(tasks["kept"]?.output ?? null);
          return { output: null };
        },
      },
    });
    expect(run.outcome).toBe("succeeded");
    expect(run.tasks()["first"]).toMatchObject({
      status: "failed",
      attempts: 1,
      error: { code: "OUTPUT_TOO_LARGE", details: { limit: LIMITS.largeOutputBytes } },
    });
    expect(seen).toEqual([{ $output: { runId: run.id, taskId: "kept" }, bytes: 5 * MB + 2 }]);
    expect(await store.items.findOutput({ runId: run.id, taskId: "kept" })).toHaveLength(5 * MB);
    expect(await historyBytes(run)).toBeLessThan(20_000);
  });
});

describe("an output that goes by reference", () => {
  const rows = Array.from({ length: 1_000 }, (_, id) => ({ id, text: "some text" }));
  const verbs = { big: async () => ({ output: rows }) };
  const reading = (task: Task) =>
    planOf({ big: {}, next: { needs: ["big"], reads: ["big"], ...task } }, { policies, failurePolicy: "fail-fast" });
  const input = (text: string): Task => ({ operator: "activity", activity: { name: "echo", input: { text } } });
  const held = { deadlineMs: 60_000, onDeadline: "fail" } as const;

  it("is read by the input of a user's own activity as any other", async () => {
    const text = "${{ size(tasks.big.output) }} rows, the last is ${{ tasks.big.output[999].id }}";
    const run = await engine().run(reading(input(text)), { verbs });
    expect(run.outcome).toBe("succeeded");
    expect(run.tasks()["next"]).toMatchObject({ attempts: 1, output: { got: { text: "1000 rows, the last is 999" } } });
  });

  it("makes an input that is too large, which is no failure of the activity", async () => {
    const many = Array.from({ length: 10 }, () => "${{ tasks.big.output }}").join("");
    const run = await engine().run(reading(input(many)), { verbs });
    expect(run.tasks()["next"]).toMatchObject({ status: "failed", attempts: 1, error: { code: "EXPRESSION_FAILED" } });
    expect(run.error?.message).toContain(`the limit is ${LIMITS.activityInputBytes}`);
  });

  const says = /the output of task "big" is large \(\d+ bytes of JSON\) and goes by reference; .* a sql task with "output"/;

  it.each<[string, Task]>([
    ["when", { when: "size(tasks.big.output) > 100" }],
    ["wait.until", { operator: "wait", wait: { until: "${{ tasks.big.output[0].text }}", ...held } }],
    ["wait.for", { operator: "wait", wait: { for: "${{ size(tasks.big.output) }}s", ...held } }],
    ["approval.message", { operator: "approval", approval: { message: "Publish ${{ tasks.big.output }}?", approvers: [], ...held } }],
  ])("is refused where the run itself evaluates, in words that say what to do: %s", async (_name, task) => {
    const run = await engine().run(reading(task), { verbs });
    expect(run).toMatchObject({ outcome: "failed", error: { code: "EXPRESSION_FAILED", message: expect.stringMatching(says) as unknown } });
    expect(run.tasks()["next"]).toMatchObject({ status: "failed", error: { code: "EXPRESSION_FAILED" } });
  });

  it("is refused by the pipeline's own outputs: who reads those may know nothing of references", async () => {
    const outputs = { values: { all: "${{ tasks.big.output }}" }, reads: ["big"] };
    const run = await engine().run({ ...planOf({ big: {} }), outputs }, { verbs });
    expect(run).toMatchObject({ outcome: "failed", error: { code: "EXPRESSION_FAILED", message: expect.stringMatching(says) as unknown } });
    expect(run.error?.message).toMatch(/^outputs: /);
  });

  it("keeps its task's status readable", async () => {
    const run = await engine().run(reading({ when: 'tasks.big.status == "succeeded"' }), { verbs });
    expect(run.outcome).toBe("succeeded");
    expect(run.tasks()["next"]).toMatchObject({ status: "succeeded" });
  });
});

describe("an output of many megabytes, of an item", () => {
  const over = { forEach: { loops: [{ as: "item", in: [1, 2, 3] }], window: 3, maxFailures: 1 } };
  /** The second of three is too large: it fails at once and alone. */
  const expectSecondRefused = async (run: StartedRun & { readonly outcome: string }): Promise<void> => {
    expect(run.outcome).toBe("succeeded");
    expect(
      (await store.items.list({ runId: run.id, taskId: "each" }, {}, { limit: 10 })).map(({ status, attempts, error }) => [
        status,
        attempts,
        error?.code,
      ]),
    ).toEqual([
      ["succeeded", 1, undefined],
      ["failed", 1, "OUTPUT_TOO_LARGE"],
      ["succeeded", 1, undefined],
    ]);
    expect(await historyBytes(run)).toBeLessThan(20_000);
  };

  it("of a verb or of a user's own activity is OUTPUT_TOO_LARGE at once, of that item alone", async () => {
    const verbs: Readonly<Record<string, Behaviour>> = {
      each: async ({ each }) => ({ output: each?.["item"] === 2 ? "x".repeat(10 * MB) : 1 }),
    };
    await expectSecondRefused(await engine().run(planOf({ each: over }, { policies }), { verbs }));
    const activity = { operator: "activity", activity: { name: "second", input: "${{ each.item }}" } } as const;
    await expectSecondRefused(await engine().run(planOf({ each: { ...activity, ...over } }, { policies })));
  });
});

describe("an error of many megabytes", () => {
  it("of a user's own activity arrives cut, each attempt at once", async () => {
    const run = await engine().run(mended(own("throws")));
    expect(run.outcome).toBe("succeeded");
    const { error, attempts } = run.tasks()["first"] ?? {};
    expect([error?.code, attempts]).toEqual(["ACTIVITY_FAILED", 3]);
    expect(error?.message).toMatch(/^RangeError: y{2000}/);
    expect(await historyBytes(run)).toBeLessThan(60_000);
  });
});

describe("a plan of more than a megabyte", () => {
  it("goes compressed to Temporal and back", async () => {
    const many = Array.from({ length: 4_000 }, (_, index) => [
      `t${index}`,
      { needs: ["gate"], summary: `${index} of many: ${"-".repeat(200)}` },
    ]);
    const plan = planOf({
      gate: { when: "params.go" },
      ...(Object.fromEntries(many) as Record<string, { readonly needs: readonly string[] }>),
    });
    expect(JSON.stringify(plan).length).toBeGreaterThan(MB);
    const run = await engine().run(plan, { params: { go: false } });
    expect(run.outcome).toBe("succeeded");
    expect(Object.values(run.tasks()).filter(({ status }) => status === "skipped")).toHaveLength(4_001);
    expect(await historyBytes(run)).toBeLessThan(256 * 1024);
  });
});

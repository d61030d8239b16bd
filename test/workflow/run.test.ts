// The run workflow on a real server: order, rules, retries, outcomes, reports.
import { setTimeout as pause } from "node:timers/promises";
import { defineSearchAttributeKey } from "@temporalio/common";
import { describe, expect, it } from "vitest";
import { DownbeatError } from "../../core/errors.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Control } from "../../core/run-control.ts";
import { INSPECT_WORKFLOW, STATUS_QUERY, type RunStatusAnswer } from "../../workflows/messages.ts";
import { planOf, policy } from "../core/runs.ts";
import { freshName } from "../fixtures/services.ts";
import type { Behaviour } from "./engine.ts";
import { control, statusesOf, until, useEngine } from "./kit.ts";

const engine = useEngine();

const succeeds: Behaviour = () => Promise.resolve({ output: null });
const fails =
  (code: "SOURCE_UNAVAILABLE" | "SOURCE_AUTH" = "SOURCE_AUTH"): Behaviour =>
  () =>
    Promise.reject(new DownbeatError(code, "the source says no", { details: { host: "db" } }));

/** Ends when it is told to stop, as a verb of the product does. */
const hangs =
  (seen: { started: boolean; stopped: boolean }): Behaviour =>
  async (_call, { signal }) => {
    seen.started = true;
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    seen.stopped = true;
    throw signal.reason as Error;
  };

const STATUS = defineSearchAttributeKey("DownbeatStatus", "KEYWORD");

describe("a run", () => {
  it("runs a diamond in dependency order and reports once, at its end", async () => {
    const order: string[] = [];
    const noted: Behaviour = async ({ taskId }) => {
      order.push(taskId);
      return { output: { from: taskId }, metrics: { rows: 3 } };
    };
    const plan = planOf({ a: {}, b: { needs: ["a"] }, c: { needs: ["a"] }, d: { needs: ["b", "c"] } });
    const run = await engine().run(plan, { verbs: { a: noted, b: noted, c: noted, d: noted } });
    expect(run.outcome).toBe("succeeded");
    expect([order[0], order.slice(1, 3).toSorted(), order[3]]).toEqual(["a", ["b", "c"], "d"]);
    expect(run.reports).toHaveLength(1);
    expect(run.reports[0]).toMatchObject({ status: "succeeded", tasks: plan.tasks.map(({ id }) => ({ taskId: id })) });
    expect(run.tasks()["a"]).toMatchObject({ status: "succeeded", attempts: 1, output: { from: "a" }, metrics: { rows: 3 } });
    expect(run.attempts("d")).toMatchObject([{ attempt: 1, status: "succeeded", worker: "the test" }]);
  });

  it("shows in a search attribute while something holds it, in one execution after another", async () => {
    const asked = { operator: "approval", approval: { approvers: [], deadlineMs: 600_000, onDeadline: "fail" } } as const;
    const run = await engine().start(
      planOf({ asked, slow: { needs: ["asked"], operator: "wait", wait: { for: "1s", deadlineMs: 60_000, onDeadline: "fail" } } }),
    );
    const shown = async (): Promise<unknown> => (await run.handle.describe()).typedSearchAttributes.get(STATUS);
    await until("it waits", async () => (await shown()) === "waiting");
    const act = (asked: Control) => control(run.handle, { control: asked, by: "somebody" });
    await act({ action: "pause" });
    await until("it is paused", async () => (await shown()) === "paused");
    await act({ action: "resume" });
    await act({ action: "decide", task: "asked", approve: true });
    expect(await run.end()).toMatchObject({ outcome: "succeeded" });
    expect(await shown()).toBeUndefined();
  });

  it("has activities with task ids and summaries, and no more events than it needs", async () => {
    const run = await engine().run(planOf({ orders: { summary: "orders: shop.orders → raw.orders" } }));
    const { events } = await run.handle.fetchHistory();
    const scheduled = events?.find(({ activityTaskScheduledEventAttributes }) => activityTaskScheduledEventAttributes);
    expect(scheduled?.activityTaskScheduledEventAttributes).toMatchObject({ activityId: "orders", activityType: { name: "sql" } });
    expect(Buffer.from(scheduled?.userMetadata?.summary?.data ?? []).toString()).toContain("orders: shop.orders → raw.orders");
    expect(events).toHaveLength(12);
  });

  it("hands a task the outputs that it reads and nothing else", async () => {
    const seen: unknown[] = [];
    const plan = planOf({ a: {}, b: {}, c: { needs: ["a", "b"], reads: ["a"] } });
    await engine().run(plan, {
      verbs: {
        a: async () => ({ output: { rows: 7 } }),
        c: async ({ tasks }) => {
          seen.push(tasks);
          return { output: null };
        },
      },
    });
    expect(seen).toEqual([{ a: { status: "succeeded", output: { rows: 7 } } }]);
  });

  it("tries a failed task again after its backoff, each attempt under an id of its own", async () => {
    const plan = planOf(
      { a: {} },
      { policies: [{ ...policy({ attempts: 3 }), retry: { attempts: 3, backoffMs: 50, maxBackoffMs: 80, neverOn: [] } }] },
    );
    const flaky: Behaviour = ({ attempt }) =>
      attempt < 3 ? fails("SOURCE_UNAVAILABLE")({} as never, {} as never) : succeeds({} as never, {} as never);
    const run = await engine().run(plan, { verbs: { a: flaky } });
    expect(run.outcome).toBe("succeeded");
    expect(run.attempts("a")).toMatchObject([
      { attempt: 1, status: "failed", error: { code: "SOURCE_UNAVAILABLE", message: "the source says no", details: { host: "db" } } },
      { attempt: 2, status: "failed" },
      { attempt: 3, status: "succeeded" },
    ]);
    const { events } = await run.handle.fetchHistory();
    const ids = events?.flatMap((event) => event.activityTaskScheduledEventAttributes?.activityId ?? []);
    expect(ids).toEqual(["a", "a#2", "a#3"]);
  });

  it("starts one timer for what waits, however much happens meanwhile", async () => {
    const longPause = { ...policy(), retry: { attempts: 2, backoffMs: 3_000_000, maxBackoffMs: 3_000_000, neverOn: [] } };
    const chain = Object.fromEntries(
      Array.from({ length: 10 }, (_, index) => [`t${index}`, { needs: index === 0 ? [] : [`t${index - 1}`] }]),
    );
    const run = await engine().start(planOf({ waits: { policy: 1 }, ...chain }, { policies: [policy(), longPause] }), {
      verbs: { waits: fails("SOURCE_UNAVAILABLE") },
    });
    await until("the chain has ended, and it waits", async () => {
      const { open, tasks } = await run.handle.query<RunStatusAnswer, []>(STATUS_QUERY);
      return open === 1 && tasks["waits"] === "waiting";
    });
    const { events } = await run.handle.fetchHistory();
    const long = events?.filter(({ timerStartedEventAttributes: timer }) => Number(timer?.startToFireTimeout?.seconds ?? 0) > 1_000);
    expect(long).toHaveLength(1);
    await run.handle.cancel();
    await run.end();
  });

  it("does not try again what the error table calls hopeless, and names the task and code in the run's failure", async () => {
    const run = await engine().run(planOf({ a: {} }, { policies: [policy({ attempts: 5 })] }), { verbs: { a: fails() } });
    expect(run).toMatchObject({ outcome: "failed", error: { code: "SOURCE_AUTH", message: 'task "a": the source says no' } });
    expect(run.reports.at(-1)).toMatchObject({ status: "failed", error: { code: "SOURCE_AUTH" }, tasks: [{ taskId: "a", attempts: 1 }] });
  });

  it("waits as long as the other side asks for", async () => {
    const limited: Behaviour = ({ attempt }) =>
      attempt === 1 ? Promise.reject(new DownbeatError("RATE_LIMITED", "later", { retryAfterMs: 700 })) : Promise.resolve({ output: null });
    const plan = planOf({ a: {} }, { policies: [{ ...policy(), retry: { attempts: 2, backoffMs: 1, maxBackoffMs: 1, neverOn: [] } }] });
    const run = await engine().run(plan, { verbs: { a: limited } });
    const [first, second] = run.attempts("a");
    expect(run.outcome).toBe("succeeded");
    expect(Date.parse(second?.startedAt ?? "") - Date.parse(first?.finishedAt ?? "")).toBeGreaterThanOrEqual(700);
  });

  it("under fail-fast, a failure cancels what runs and reaches it", async () => {
    const seen = { started: false, stopped: false };
    const failsLater: Behaviour = async () => {
      await until("the other task runs", () => seen.started);
      return fails()({} as never, {} as never);
    };
    const plan = planOf({ a: {}, slow: {}, next: { needs: ["slow"] } }, { failurePolicy: "fail-fast" });
    const run = await engine().run(plan, { verbs: { a: failsLater, slow: hangs(seen) } });
    expect(seen.stopped).toBe(true);
    expect(statusesOf(run)).toEqual({ a: "failed", slow: "cancelled", next: "upstream_failed" });
    expect(run).toMatchObject({ outcome: "failed", error: { code: "SOURCE_AUTH" } });
    expect(run.attempts("slow")).toMatchObject([{ status: "cancelled" }]);
  });

  it("under continue, what does not need the failed task goes on", async () => {
    const plan = planOf({ a: {}, b: {}, afterA: { needs: ["a"] }, afterB: { needs: ["b"] } });
    const run = await engine().run(plan, { verbs: { a: fails() } });
    expect(run.outcome).toBe("failed");
    expect(statusesOf(run)).toEqual({ a: "failed", b: "succeeded", afterA: "upstream_failed", afterB: "succeeded" });
  });

  it("skips a task whose `when` is false, and what needs its success", async () => {
    const plan = planOf({
      a: {},
      small: { needs: ["a"], when: "tasks.a.output.rows < 10", reads: ["a"] },
      big: { needs: ["a"], when: "tasks.a.output.rows >= params.limit", reads: ["a"] },
      afterBig: { needs: ["big"] },
      last: { needs: ["small", "big"], rule: "none_failed" },
    });
    const run = await engine().run(plan, { params: { limit: 10 }, verbs: { a: async () => ({ output: { rows: 3 } }) } });
    expect(run.outcome).toBe("succeeded");
    expect(statusesOf(run)).toEqual({ a: "succeeded", small: "succeeded", big: "skipped", afterBig: "skipped", last: "succeeded" });
  });

  it("a `when` that cannot be evaluated fails its task, not the workflow task", async () => {
    const run = await engine().run(planOf({ a: { when: "params.missing > 1" } }));
    expect(run).toMatchObject({ outcome: "failed", error: { code: "EXPRESSION_FAILED" } });
  });

  it("a one_failed task that succeeds handles the failure", async () => {
    const plan = planOf({ a: {}, handler: { needs: ["a"], rule: "one_failed" } }, { failurePolicy: "fail-fast" });
    const run = await engine().run(plan, { verbs: { a: fails() } });
    expect(run.outcome).toBe("succeeded");
    expect(statusesOf(run)).toEqual({ a: "failed", handler: "succeeded" });
  });

  it("a finally task with a rule of its own begins when the others ended so, in a run whose history goes on elsewhere, too", async () => {
    const rules = { alarm: { finally: true, asksAll: true, rule: "one_failed" }, cheer: { finally: true, asksAll: true } } as const;
    const plan = planOf({ a: {}, ...rules });
    const bad = await engine().run(plan, { verbs: { a: fails() } });
    expect(statusesOf(bad)).toEqual({ a: "failed", alarm: "succeeded", cheer: "upstream_failed" });
    const good = await engine().run(plan);
    expect(statusesOf(good)).toEqual({ a: "succeeded", alarm: "skipped", cheer: "succeeded" });
    const taken = { snapshot: { statuses: "spp", waiting: {}, outputs: {} }, seq: 0, actions: 1 };
    const again = await engine().run(plan, { continued: taken });
    expect([again.outcome, statusesOf(again)]).toEqual(["succeeded", { alarm: "skipped", cheer: "succeeded" }]);
  });

  it("that takes over the tasks before one ends although its rule skips it, and begins what needs nothing whatever its rule", async () => {
    const plan = planOf({ a: {}, after: { needs: ["a"] }, root: { rule: "one_failed" }, last: { needs: ["after"], rule: "all_done" } });
    const taken = { snapshot: { statuses: "kppp", waiting: {}, outputs: {} }, seq: 0, actions: 1 };
    const run = await engine().run(plan, { continued: taken });
    expect([run.outcome, statusesOf(run)]).toEqual(["succeeded", { after: "skipped", root: "succeeded", last: "succeeded" }]);
  });

  it("an output over the limit fails its task", async () => {
    const plan = planOf({ a: {} });
    const run = await engine().run(plan, { verbs: { a: async () => ({ output: "x".repeat(LIMITS.outputBytes) }) } });
    expect(run).toMatchObject({ outcome: "failed", error: { code: "OUTPUT_TOO_LARGE" } });
  });
});

describe("stopping and waiting", () => {
  it("cancelling a run reaches the running task; nothing new starts, also no cleanup", async () => {
    const seen = { started: false, stopped: false };
    const plan = planOf({ a: {}, next: { needs: ["a"] }, cleanup: { needs: ["a"], rule: "all_done" } });
    const run = await engine().start(plan, { verbs: { a: hangs(seen) } });
    await until("the task runs", () => seen.started);
    await run.handle.cancel();
    expect(await run.end()).toEqual({ outcome: "cancelled" });
    expect(seen.stopped).toBe(true);
    expect(statusesOf(run)).toEqual({ a: "cancelled", next: "cancelled", cleanup: "cancelled" });
    expect(run.reports.at(-1)?.status).toBe("cancelled");
  });

  it("cancelling a run ends what waits for its next attempt", async () => {
    const plan = planOf({ a: {} }, { policies: [policy({ attempts: 2 })] });
    const withLongPause = {
      ...plan,
      policies: [{ ...policy(), retry: { attempts: 2, backoffMs: 3_000_000, maxBackoffMs: 3_000_000, neverOn: [] } }],
    };
    const run = await engine().start(withLongPause, { verbs: { a: fails("SOURCE_UNAVAILABLE") } });
    await until("the task waits", async () => (await run.handle.query<RunStatusAnswer, []>(STATUS_QUERY)).tasks["a"] === "waiting");
    await run.handle.cancel();
    expect(await run.end()).toEqual({ outcome: "cancelled" });
    expect(statusesOf(run)).toEqual({ a: "cancelled" });
  });

  it("an attempt that takes longer than its limit is stopped, counted and tried again", async () => {
    const seen = { started: false, stopped: false };
    const slowOnce: Behaviour = (call, context) => (call.attempt === 1 ? hangs(seen)(call, context) : succeeds(call, context));
    // The second attempt has as long, and ends at once.
    const quick = { attemptMs: 8_000, totalMs: 60_000, heartbeatMs: 10_000 };
    const plan = planOf({ a: {} }, { policies: [{ timeout: quick, retry: { attempts: 2, backoffMs: 1, maxBackoffMs: 1, neverOn: [] } }] });
    const run = await engine().run(plan, { verbs: { a: slowOnce } });
    expect(seen.stopped).toBe(true);
    expect(run.outcome).toBe("succeeded");
    expect(run.attempts("a")).toMatchObject([{ status: "failed", error: { code: "ATTEMPT_TIMEOUT" } }, { status: "succeeded" }]);
  });

  it("the assets of tasks that have succeeded are reported, of no others", async () => {
    const plan = planOf({ made: { assets: ["w/a", "w/b"] }, broken: { assets: ["w/c"] }, next: { needs: ["broken"], assets: ["w/d"] } });
    const run = await engine().run(plan, { verbs: { broken: fails("SOURCE_AUTH") } });
    const reported = Object.fromEntries(Object.entries(run.tasks()).map(([id, { assets }]) => [id, assets]));
    expect(reported).toEqual({ made: ["w/a", "w/b"], broken: undefined, next: undefined });
  });

  it("shows at once what changes, and nothing twice; its reports have all of it", async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const waits: Behaviour = () => released.then(() => ({ output: null }));
    const run = await engine().start(planOf({ a: {}, b: { needs: ["a"] } }), { verbs: { a: succeeds, b: waits } });
    const seen = (): readonly string[] => run.shown.flatMap(({ tasks }) => tasks.map(({ taskId, status }) => `${taskId} ${status}`));
    await until("b is seen to run", () => seen().includes("b running"));
    expect(seen()).toEqual(["a running", "a succeeded", "b running"]);
    expect(run.shown.map(({ seq, status }) => [seq, status])).toEqual(run.shown.map(() => [0, "running"]));
    expect(run.reports).toEqual([]);
    release();
    await run.end();
    expect(run.reports).toMatchObject([{ status: "succeeded" }]);
    expect(run.attempts("a")).toMatchObject([{ status: "succeeded" }]);
  });

  it("a long run is reported while it goes on, and says of itself what runs", async () => {
    const seen = { started: false, stopped: false };
    const run = await engine().start(planOf({ quick: {}, slow: {} }), { verbs: { slow: hangs(seen) } });
    await until("a report arrives", () => run.reports.length > 0);
    expect(run.reports[0]).toMatchObject({ status: "running" });
    expect(statusesOf(run)).toEqual({ quick: "succeeded", slow: "running" });
    expect(run.attempts("slow")).toMatchObject([{ attempt: 1, status: "running" }]);
    const answer = await run.handle.query<RunStatusAnswer, []>(STATUS_QUERY);
    expect(answer).toEqual({ open: 1, tasks: { quick: "succeeded", slow: "running" } });
    const details = await run.handle.query<{ currentDetails?: string }, []>("__temporal_workflow_metadata");
    expect(details.currentDetails).toContain("running: slow");
    await run.handle.cancel();
    await run.end();
  });
});

describe("a store that is away", () => {
  it("does not hold tasks up, and gets everything once it is back", async () => {
    let away = true;
    const done: string[] = [];
    const noted: Behaviour = async ({ taskId }) => {
      done.push(taskId);
      return { output: null };
    };
    const slow: Behaviour = async (call, context) => {
      // Longer than the first report's delay, so that one fails under way.
      await until("a report was refused", () => refused > 0);
      return noted(call, context);
    };
    let refused = 0;
    const plan = planOf({ a: {}, b: { needs: ["a"] }, c: { needs: ["b"] }, d: { needs: ["c"] } });
    const run = await engine().start(plan, {
      verbs: { a: noted, b: slow, c: noted, d: noted },
      onReport: () => {
        if (!away) return;
        refused += 1;
        throw new DownbeatError("STORE_UNAVAILABLE", "the store is away");
      },
    });
    await until("all tasks have run without a store", () => done.length === 4);
    expect(run.reports).toEqual([]);
    away = false;
    expect(await run.end()).toEqual({ outcome: "succeeded" });
    expect(statusesOf(run)).toEqual({ a: "succeeded", b: "succeeded", c: "succeeded", d: "succeeded" });
    expect(run.attempts("b")).toMatchObject([{ status: "succeeded" }]);
  });

  it.each(["hangs", "is refused"])("a last report that %s comes later: the run has ended, and nothing is lost", async (how) => {
    let refused = 0;
    let away = true;
    const run = await engine().run(planOf({ a: {} }), {
      onReport: async () => {
        if (!away) return;
        refused += 1;
        // Longer than a report may take.
        if (how === "hangs") await pause(6_000);
        throw new DownbeatError("STORE_UNAVAILABLE", "the store is away");
      },
    });
    expect(run.outcome).toBe("succeeded");
    expect(run.reports).toEqual([]);
    await until("the report has been tried again", () => refused > 1);
    away = false;
    await until("the report has come", () => run.reports.length > 0);
    expect(run.reports).toMatchObject([{ status: "succeeded" }]);
    expect(statusesOf(run)).toEqual({ a: "succeeded" });
    expect(run.attempts("a")).toMatchObject([{ status: "succeeded" }]);
  });
});

describe("size", () => {
  it("200 tasks that start at once with large params stay under Temporal's message limit", async () => {
    const params = { text: "x".repeat(LIMITS.paramsBytes - 100) };
    const plan = planOf(Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`t${index}`, {}])));
    const run = await engine().run(plan, { params });
    expect(run.outcome).toBe("succeeded");
    expect(new Set(Object.values(statusesOf(run)))).toEqual(new Set(["succeeded"]));
  });
});

describe("inspect", () => {
  it("answers what the activity answers", async () => {
    const inspect = (connection: string): Promise<unknown> =>
      engine().client.workflow.execute(INSPECT_WORKFLOW, {
        workflowId: freshName("inspect"),
        taskQueue: engine().queue,
        args: [{ kind: "check", connection }],
      });
    expect(await inspect("shop")).toEqual({ ok: true, milliseconds: 1 });
    expect(await inspect("broken")).toEqual({ ok: false, milliseconds: 1 });
  });
});

// Pipelines that run pipelines, and what a run gives: outputs go up, failures go up, cancellations go down.

import proto from "@temporalio/proto";
import { describe, expect, it } from "vitest";
import { DownbeatError } from "../../core/errors.ts";
import { runWorkflowId } from "../../core/ids.ts";
import type { Plan } from "../../core/plan.ts";
import { planOf, policy } from "../core/runs.ts";
import type { Behaviour } from "./engine.ts";
import { statusesOf, toldWait, until, useEngine } from "./kit.ts";

const engine = useEngine();

const giving = (plan: Plan, values: Readonly<Record<string, string>>, reads: readonly string[]): Plan => ({
  ...plan,
  outputs: { values, reads },
});
const INNER = giving(planOf({ count: {} }), { rows: "${{ tasks.count.output.rows }}", day: "${{ params.day }}" }, ["count"]);
const counts: Behaviour = () => Promise.resolve({ output: { rows: 7 } });

describe("a run's outputs", () => {
  it("are made when it has succeeded, and reported", async () => {
    const run = await engine().run(INNER, { params: { day: "mon" }, verbs: { count: counts } });
    expect(await run.handle.result()).toEqual({ outcome: "succeeded", output: { rows: 7, day: "mon" } });
    expect(run.reports.at(-1)).toMatchObject({ status: "succeeded", output: { rows: 7, day: "mon" } });
  });

  it("that cannot be made, or are too large, fail it", async () => {
    const broken = await engine().run(INNER, { params: { day: "mon" } });
    expect(broken).toMatchObject({ outcome: "failed", error: { code: "EXPRESSION_FAILED" } });
    const large = giving(planOf({ count: {} }), { all: "${{ params.text }}" }, []);
    expect(await engine().run(large, { params: { text: "x".repeat(5_000) } })).toMatchObject({
      outcome: "failed",
      error: { code: "OUTPUT_TOO_LARGE" },
    });
  });
});

describe("a task that runs a pipeline", () => {
  const outer = planOf({ inner: { operator: "pipeline" }, next: { needs: ["inner"], reads: ["inner"] } });

  it("hands its priority down to its run", async () => {
    const run = await engine().run(planOf({ inner: { operator: "pipeline", priority: 2 } }), {
      pipelines: {
        inner: planOf({ deeper: { operator: "pipeline" }, own: { operator: "pipeline", priority: 4 } }),
        deeper: INNER,
        own: INNER,
      },
      params: { day: "mon" },
      verbs: { count: counts },
    });
    expect(run.outcome).toBe("succeeded");
    const priorityOf = async (pipeline: string, id: string): Promise<number | null | undefined> => {
      const history = await engine().client.workflow.getHandle(runWorkflowId(pipeline, id)).fetchHistory();
      return history.events?.[0]?.workflowExecutionStartedEventAttributes?.priority?.priorityKey;
    };
    expect(await priorityOf("inner", `${run.id}.inner.1`)).toBe(2);
    expect(await priorityOf("deeper", `${run.id}.inner.1.deeper.1`)).toBe(2);
    expect(await priorityOf("own", `${run.id}.inner.1.own.1`)).toBe(4);
  });

  it("succeeds with its run, and hands on what that gives", async () => {
    const seen: unknown[] = [];
    const run = await engine().run(outer, {
      params: { day: "mon" },
      pipelines: { inner: INNER },
      verbs: {
        count: counts,
        next: async ({ tasks }) => {
          seen.push(tasks["inner"]?.output);
          return { output: null };
        },
      },
    });
    expect([run.outcome, seen]).toEqual(["succeeded", [{ run_id: `${run.id}.inner.1`, outputs: { rows: 7, day: "mon" } }]]);
    const sub = await engine()
      .client.workflow.getHandle(runWorkflowId("inner", `${run.id}.inner.1`))
      .describe();
    expect(sub.status.name).toBe("COMPLETED");
    expect(sub.typedSearchAttributes.getAll()).toContainEqual(expect.objectContaining({ value: "inner" }));
  });

  it("has nothing of that run's plan in its own run's history", async () => {
    const marker = "only in the inner plan";
    const run = await engine().run(outer, { params: { day: "mon" }, pipelines: { inner: planOf({ count: { summary: marker } }) } });
    expect(run.outcome).toBe("succeeded");
    const holds = async (workflowId: string): Promise<boolean> => {
      const history = await engine().client.workflow.getHandle(workflowId).fetchHistory();
      return Buffer.from(proto.temporal.api.history.v1.History.encode(history).finish()).includes(marker);
    };
    expect([await holds(run.id), await holds(runWorkflowId("inner", `${run.id}.inner.1`))]).toEqual([false, true]);
  });

  it("fails as its run failed, and is tried again as a run of its own", async () => {
    let calls = 0;
    const refuses: Behaviour = () => {
      calls += 1;
      throw new DownbeatError("SOURCE_UNAVAILABLE", "away");
    };
    const policies = [{ ...policy({ attempts: 2 }), retry: { attempts: 2, backoffMs: 20, maxBackoffMs: 20, neverOn: [] } }];
    const run = await engine().run({ ...outer, policies }, { pipelines: { inner: planOf({ count: {} }) }, verbs: { count: refuses } });
    expect(run).toMatchObject({ outcome: "failed", error: { code: "SOURCE_UNAVAILABLE" } });
    expect(run.error?.message).toContain('task "count": away');
    expect([calls, run.tasks()["inner"]?.attempts]).toEqual([2, 2]);
  });

  it("is cancelled with its run: what runs inside is told to stop", async () => {
    let told = false;
    const hangs: Behaviour = async (_call, { signal }) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      told = true;
      throw signal.reason as Error;
    };
    let begun = false;
    const run = await engine().start(outer, {
      pipelines: { inner: planOf({ count: {} }) },
      verbs: {
        count: (call, context) => {
          begun = true;
          return hangs(call, context);
        },
      },
    });
    await until("the inner task runs", () => begun);
    await run.handle.cancel();
    expect(await run.end()).toEqual({ outcome: "cancelled" });
    expect([told, statusesOf(run)]).toEqual([true, { inner: "cancelled", next: "cancelled" }]);
    const sub = await engine()
      .client.workflow.getHandle(runWorkflowId("inner", `${run.id}.inner.1`))
      .describe();
    expect(sub.status.name).toBe("CANCELLED");
  });

  it("fails when there is no such pipeline", async () => {
    expect(await engine().run(outer)).toMatchObject({ outcome: "failed", error: { code: "NOT_FOUND" } });
  });
});

it("a store that is away takes no attempts: the task waits, says for what, and goes on", async () => {
  let calls = 0;
  const away: Behaviour = () => {
    calls += 1;
    if (calls < 3) throw new DownbeatError("STORE_UNAVAILABLE", "the store is away");
    return Promise.resolve({ output: null });
  };
  const run = await engine().start(planOf({ a: {} }), { verbs: { a: away } });
  // Where the server is busy it may go on before a report says that it waits.
  await until("it waits", () => toldWait(run, "a", "retry") !== undefined);
  expect(toldWait(run, "a", "retry")).toMatchObject({
    status: "waiting",
    attempts: 0,
    error: { code: "STORE_UNAVAILABLE" },
    waiting: { for: "retry" },
  });
  expect(await run.end()).toMatchObject({ outcome: "succeeded" });
  expect([calls, run.tasks()["a"]?.attempts]).toEqual([3, 1]);
});

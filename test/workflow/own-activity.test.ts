// A user's own activity, called by the run itself: input, output, failures, and names that no worker knows.
import { ApplicationFailure, Context } from "@temporalio/activity";
import { describe, expect, it } from "vitest";
import { LIMITS } from "../../core/limits.ts";
import type { Json } from "../../core/json.ts";
import type { Policy } from "../../core/plan.ts";
import { planOf } from "../core/runs.ts";
import { freshName } from "../fixtures/services.ts";
import { useEngine, statusesOf, until } from "./kit.ts";

let calls = 0;
let asked = 0;
let stopped = false;
let running = false;

const engine = useEngine({
  own: {
    echo: async (input) => ({ got: input }),
    flaky: async () => {
      calls += 1;
      if (calls % 2 === 1) throw new TypeError("not this time");
      return null;
    },
    echoesLater: async (input) => {
      if (input === 1) throw new Error("too early");
      return { got: input };
    },
    asksForTime: async () => {
      asked += 1;
      if (asked === 1) throw ApplicationFailure.create({ message: "later", nextRetryDelay: "1100 milliseconds" });
      return null;
    },
    refuses: () => Promise.reject(ApplicationFailure.nonRetryable("never", "OrderUnknown")),
    returnsNothing: async () => undefined as unknown as Json,
    waits: async () => {
      running = true;
      const beat = setInterval(() => Context.current().heartbeat(), 100);
      try {
        await Context.current().cancelled;
        return null;
      } catch (error) {
        stopped = true;
        throw error;
      } finally {
        clearInterval(beat);
      }
    },
  },
});

const tried = (attempts: number, timeout: Partial<Policy["timeout"]> = {}): Policy => ({
  retry: { attempts, backoffMs: 1, maxBackoffMs: 1, neverOn: [] },
  timeout: { attemptMs: 20_000, totalMs: 40_000, heartbeatMs: 0, ...timeout },
});

const own = (name: string, input: Json = null) => ({ operator: "activity" as const, activity: { name, input } });

describe("a user's own activity", () => {
  it("gets its input with the expressions evaluated; its output is read by later tasks", async () => {
    const plan = planOf({
      first: own("echo", { day: "${{ params.day }}", fixed: [1, "two"] }),
      second: { ...own("echo", "${{ tasks.first.output.got.day }}"), needs: ["first"], reads: ["first"] },
    });
    const run = await engine().run(plan, { params: { day: "2026-11-23" } });
    expect(run.outcome).toBe("succeeded");
    expect(run.tasks()["first"]?.output).toEqual({ got: { day: "2026-11-23", fixed: [1, "two"] } });
    expect(run.tasks()["second"]?.output).toEqual({ got: "2026-11-23" });
  });

  it("reads which attempt it is", async () => {
    const run = await engine().run(planOf({ a: own("echoesLater", "${{ run.attempt }}") }, { policies: [tried(3)] }));
    expect(run.tasks()["a"]).toMatchObject({ attempts: 2, output: { got: 2 } });
  });

  it("may return nothing", async () => {
    expect((await engine().run(planOf({ a: own("returnsNothing") }))).outcome).toBe("succeeded");
  });

  it("is tried again by the run, each attempt visible", async () => {
    const run = await engine().run(planOf({ a: own("flaky") }, { policies: [tried(3)] }));
    expect(run.outcome).toBe("succeeded");
    expect(run.attempts("a")).toMatchObject([
      { attempt: 1, status: "failed", error: { code: "ACTIVITY_FAILED", message: "TypeError: not this time" } },
      { attempt: 2, status: "succeeded" },
    ]);
  });

  it("is tried again when it asks to be, not before", async () => {
    const run = await engine().run(planOf({ a: own("asksForTime") }, { policies: [tried(2)] }));
    const [first, second] = run.attempts("a");
    expect([run.outcome, first?.error]).toEqual(["succeeded", { code: "ACTIVITY_FAILED", message: "later" }]);
    expect(Date.parse(second?.startedAt ?? "") - Date.parse(first?.finishedAt ?? "")).toBeGreaterThanOrEqual(1_100);
  });

  it("is not tried again when it asks for that", async () => {
    const run = await engine().run(planOf({ a: own("refuses") }, { policies: [tried(5)] }));
    expect(run).toMatchObject({ outcome: "failed", error: { code: "ACTIVITY_REFUSED", message: 'task "a": OrderUnknown: never' } });
    expect(run.tasks()["a"]?.attempts).toBe(1);
  });

  it("that no worker knows by name fails with a message that says so", async () => {
    const run = await engine().run(planOf({ a: own("misspelt") }, { policies: [tried(2)] }));
    expect(run).toMatchObject({ outcome: "failed", error: { code: "ACTIVITY_FAILED" } });
    expect(run.error?.message).toContain("misspelt");
  });

  it("on a queue without workers fails by its total timeout", async () => {
    const plan = planOf({ a: { ...own("echo"), queue: freshName("nobody") } }, { policies: [tried(3, { totalMs: 1_500 })] });
    const run = await engine().run(plan);
    expect(run).toMatchObject({ outcome: "failed", error: { code: "TASK_TIMEOUT" } });
    expect(run.error?.message).toContain("check that a worker runs on its task queue");
  });

  it("on a queue without workers fails by its total timeout also where that is so long that the run itself minds it", async () => {
    const plan = planOf(
      { a: { ...own("echo"), queue: freshName("nobody") } },
      { policies: [tried(3, { totalMs: 36_000, attemptMs: 600_000 })] },
    );
    const began = Date.now();
    const run = await engine().run(plan);
    expect(run).toMatchObject({ outcome: "failed", error: { code: "TASK_TIMEOUT" } });
    expect(run.tasks()["a"]).toMatchObject({ attempts: 1, error: { code: "TASK_TIMEOUT" } });
    expect(Date.now() - began).toBeGreaterThan(35_500);
  }, 120_000);

  it("with an input over the limit is not called", async () => {
    const plan = planOf({
      a: {
        ...own(
          "echo",
          Array.from({ length: 5 }, () => "${{ params.text }}"),
        ),
      },
    });
    const run = await engine().run(plan, { params: { text: "x".repeat(LIMITS.activityInputBytes / 4) } });
    expect(run).toMatchObject({ outcome: "failed", error: { code: "EXPRESSION_FAILED" } });
    expect(run.error?.message).toContain(`the limit is ${LIMITS.activityInputBytes}`);
  });

  it("that heartbeats is reached by a cancellation", async () => {
    const run = await engine().start(planOf({ a: own("waits") }, { policies: [tried(1, { heartbeatMs: 5_000 })] }));
    await until("it runs", () => running);
    await run.handle.cancel();
    expect(await run.end()).toEqual({ outcome: "cancelled" });
    expect(stopped).toBe(true);
    expect(statusesOf(run)).toEqual({ a: "cancelled" });
  });

  it("that takes too long without heartbeats counts as an attempt", async () => {
    const plan = planOf({ a: own("waits") }, { policies: [tried(1, { attemptMs: 500 })] });
    expect(await engine().run(plan)).toMatchObject({ outcome: "failed", error: { code: "ATTEMPT_TIMEOUT" } });
  });
});

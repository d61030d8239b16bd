// Waits, approvals, parking and acting by hand, on a real server: no worker is held, and every action arrives once.

import { ApplicationFailure } from "@temporalio/common";
import { WorkflowUpdateFailedError } from "@temporalio/client";
import { describe, expect, it } from "vitest";
import { DownbeatError } from "../../core/errors.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import { LIMITS } from "../../core/limits.ts";
import type { WaitPlan } from "../../core/plan.ts";
import type { Control } from "../../core/run-control.ts";
import type { ControlAnswer, ControlRequest } from "../../workflows/messages.ts";
import { createOrchestrator } from "../../api/orchestrator.ts";
import { takeSnapshot } from "../../core/run-snapshot.ts";
import { graphOf, initRun } from "../../core/run-state.ts";
import { planOf, policy } from "../core/runs.ts";
import type { Behaviour, StartedRun } from "./engine.ts";
import { control, isAt, statusesOf, until, useEngine } from "./kit.ts";
import { inLanes } from "./lanes.ts";

const engine = useEngine();

const WAIT = { deadlineMs: 3_600_000, onDeadline: "fail" } as const;
const wait = (part: Partial<WaitPlan>) => ({ operator: "wait", wait: { ...WAIT, ...part } }) as const;
const refuses: Behaviour = () => Promise.reject(new DownbeatError("SOURCE_AUTH", "wrong password"));

const act = (run: StartedRun, asked: Control, more: Partial<ControlRequest> = {}): Promise<ControlAnswer> =>
  control(run.handle, { control: asked, by: "anna", ...more });

const refusedWith = async (action: Promise<unknown>): Promise<string> => {
  const error = await action.then(
    () => undefined,
    (refused: unknown) => refused,
  );
  const cause = error instanceof WorkflowUpdateFailedError ? error.cause : undefined;
  return cause instanceof ApplicationFailure ? `${cause.type}: ${cause.message}` : `not refused: ${String(error)}`;
};

const activitiesIn = async (run: StartedRun): Promise<number> => {
  const { events } = await run.handle.fetchHistory();
  return (events ?? []).filter((event) => event.activityTaskScheduledEventAttributes).length;
};

describe("waits", () => {
  it("for a duration, and until a moment that an expression gives, take a timer and no worker", async () => {
    const at = new Date(Date.now() + 1_500).toISOString();
    const plan = planOf({ a: wait({ for: "1s" }), b: wait({ until: "${{ params.at }}" }), c: wait({ until: "2020-01-01T00:00:00Z" }) });
    const run = await engine().run(plan, { params: { at } });
    expect([run.outcome, statusesOf(run)]).toEqual(["succeeded", { a: "succeeded", b: "succeeded", c: "succeeded" }]);
    const { startedAt = "", finishedAt = "" } = run.tasks()["a"] ?? {};
    expect(Date.parse(finishedAt) - Date.parse(startedAt)).toBeGreaterThanOrEqual(1_000);
    expect(Date.parse(run.tasks()["b"]?.finishedAt ?? "")).toBeGreaterThanOrEqual(Date.parse(at));
    expect(await activitiesIn(run)).toBe(0);
  });

  it("for a condition look now and then, and looks that fail are tried again", async () => {
    let looks = 0;
    const probe: Behaviour = () => {
      looks += 1;
      if (looks === 2) throw new DownbeatError("SOURCE_UNAVAILABLE", "away");
      return Promise.resolve({ output: { met: looks === 4, value: looks } });
    };
    const plan = planOf(
      { a: wait({ poll: { everyMs: 50, maxMs: 100 } }), b: { needs: ["a"], reads: ["a"] } },
      { policies: [{ ...policy({ attempts: 2 }), retry: { attempts: 2, backoffMs: 50, maxBackoffMs: 50, neverOn: [] } }] },
    );
    const run = await engine().run(plan, { verbs: { a: probe } });
    expect([run.outcome, looks, run.tasks()["a"]?.output]).toEqual(["succeeded", 4, { met: true, value: 4 }]);
  });

  it("end at their deadline as they say", async () => {
    const never: Behaviour = () => Promise.resolve({ output: { met: false } });
    const poll = { everyMs: 100, maxMs: 100 };
    const plan = planOf({
      fails: wait({ poll, deadlineMs: 400 }),
      skips: wait({ poll, deadlineMs: 400, onDeadline: "skip" }),
      late: wait({ for: "1h", deadlineMs: 400 }),
    });
    const run = await engine().run(plan, { verbs: { fails: never, skips: never } });
    expect([run.outcome, statusesOf(run)]).toEqual(["failed", { fails: "failed", skips: "skipped", late: "failed" }]);
    expect(run.tasks()["late"]?.error).toMatchObject({ code: "WAIT_DEADLINE" });
    expect(run.attempts("fails").at(-1)).toMatchObject({ attempt: 1, status: "failed", error: { code: "WAIT_DEADLINE" } });
    expect(run.attempts("skips").at(-1)).toMatchObject({ attempt: 1, status: "cancelled", finishedAt: expect.any(String) as string });
  });

  it("leave no attempt at work when they end between two looks", async () => {
    const never: Behaviour = () => Promise.resolve({ output: { met: false } });
    const away: Behaviour = () => Promise.reject(new DownbeatError("SOURCE_UNAVAILABLE", "away"));
    const rare = { poll: { everyMs: 3_600_000, maxMs: 3_600_000 } };
    const retried = { ...policy(), retry: { attempts: 9, backoffMs: 3_600_000, maxBackoffMs: 3_600_000, neverOn: [] } };
    const plan = planOf(
      // Its first look has to be over before its deadline.
      { marked: wait(rare), cancelled: wait(rare), away: { ...wait({ ...rare, deadlineMs: 10_000 }), policy: 1 } },
      { policies: [policy(), retried] },
    );
    const run = await engine().start(plan, { verbs: { marked: never, cancelled: never, away } });
    for (const id of ["marked", "cancelled"]) await isAt(run, id, "waiting");
    await act(run, { action: "mark", task: "marked", as: "succeeded" });
    await isAt(run, "away", "failed");
    await run.handle.cancel();
    expect((await run.end()).outcome).toBe("cancelled");
    const latest = (id: string) => new Map(run.attempts(id).map(({ attempt, status }) => [attempt, status]));
    expect([latest("marked"), latest("cancelled")]).toEqual([new Map([[1, "cancelled"]]), new Map([[1, "cancelled"]])]);
    expect([latest("away"), run.tasks()["away"]?.attempts]).toEqual([new Map([1, 2].map((attempt) => [attempt, "failed"])), 2]);
  });

  it("fall to their deadline once more when they are continued, or begun again by retry.on, and not at once", async () => {
    const met = new Set<string>();
    const looked: string[] = [];
    const probe: Behaviour = ({ taskId }) => {
      looked.push(taskId);
      return Promise.resolve({ output: { met: met.has(taskId) } });
    };
    const poll = { everyMs: 100, maxMs: 100 };
    const again = { ...policy(), retry: { ...policy().retry, on: { WAIT_DEADLINE: { attempts: 2, backoffMs: 50 } } } };
    const plan = planOf(
      // Once continued it has to look within its deadline, or it parks for ever.
      { parks: { ...wait({ poll, deadlineMs: 10_000 }), policy: 0 }, again: { ...wait({ poll, deadlineMs: 300 }), policy: 1 } },
      { policies: [{ ...policy(), onExhausted: "park" }, again] },
    );
    const run = await engine().start(plan, { verbs: { parks: probe, again: probe } });
    await isAt(run, "parks", "parked");
    expect(run.tasks()["parks"]).toMatchObject({ error: { code: "WAIT_DEADLINE" } });
    met.add("parks");
    await act(run, { action: "continue", task: "parks" });
    expect((await run.end()).outcome).toBe("failed");
    expect([statusesOf(run), looked.filter((task) => task === "parks").length > 1]).toEqual([
      { parks: "succeeded", again: "failed" },
      true,
    ]);
    const { startedAt = "", finishedAt = "", error } = run.tasks()["again"] ?? {};
    expect(error).toMatchObject({ code: "WAIT_DEADLINE" });
    expect(Date.parse(finishedAt) - Date.parse(startedAt)).toBeGreaterThanOrEqual(650);
  });

  it("survive a run that continues as new", async () => {
    const many = inLanes(LIMITS.historyEvents / 3);
    const plan = planOf({ slow: wait({ for: "12s" }), ...many, end: { needs: ["slow"] } });
    const run = await engine().run(plan);
    expect(run.outcome).toBe("succeeded");
    const { startedAt = "", finishedAt = "" } = run.tasks()["slow"] ?? {};
    expect(Date.parse(finishedAt) - Date.parse(startedAt)).toBeGreaterThanOrEqual(12_000);
    expect((await run.handle.describe()).raw.workflowExecutionInfo?.firstRunId).not.toBe((await run.handle.describe()).runId);
  });
});

describe("approvals", () => {
  const approval = { approvers: ["anna"], deadlineMs: 3_600_000, onDeadline: "fail" } as const;

  it("tell what they wait for, take one decision, and hand it on", async () => {
    const seen: unknown[] = [];
    const plan = planOf({
      ok: { operator: "approval", approval: { ...approval, message: "publish ${{ params.day }}?" } },
      next: { needs: ["ok"], reads: ["ok"] },
    });
    const verbs: Record<string, Behaviour> = {
      next: async ({ tasks }) => {
        seen.push(tasks["ok"]?.output);
        return { output: null };
      },
    };
    const run = await engine().start(plan, { params: { day: "monday" }, verbs });
    await isAt(run, "ok", "waiting");
    expect(run.tasks()["ok"]?.waiting).toMatchObject({ for: "approval", message: "publish monday?", approvers: ["anna"] });
    expect(run.reports.at(-1)?.status).toBe("waiting");
    const decide = { action: "decide", task: "ok", approve: true } as const;
    expect(await refusedWith(act(run, decide, { by: "eve" }))).toBe('ACTION_REFUSED: "eve" may not decide task "ok"; these may: anna');
    await act(run, decide, { why: "fine" });
    expect(await run.end()).toMatchObject({ outcome: "succeeded" });
    expect(seen).toEqual([{ approved: true, by: "anna", comment: "fine" }]);
    expect(run.tasks()["ok"]?.output).toEqual(seen[0]);
    expect(run.actions()).toMatchObject([{ number: 1, action: "approve", taskId: "ok", by: "anna", why: "fine" }]);
    expect(await activitiesIn(run)).toBe(1);
  });

  it("are woken by their escalation: it is recorded, those who may decide by then are told, and one of them does", async () => {
    const plan = planOf({ ok: { operator: "approval", approval: { ...approval, escalate: { afterMs: 1_500, to: ["boss"] } } } });
    const run = await engine().start(plan);
    await until("more may decide", () => run.tasks()["ok"]?.waiting?.approvers?.includes("boss") === true);
    const { startedAt = "", waiting } = run.tasks()["ok"] ?? {};
    expect(waiting).toMatchObject({ for: "approval", approvers: ["anna", "boss"] });
    // From now on it waits for its deadline.
    expect(Date.parse(waiting?.until ?? "")).toBe(Date.parse(startedAt) + approval.deadlineMs);
    expect(run.actions()).toEqual([
      {
        number: 1,
        action: "escalate",
        taskId: "ok",
        by: "escalation",
        why: "nobody decided within 1.5 s",
        details: { to: ["boss"] },
        at: expect.any(String) as string,
      },
    ]);
    expect(Date.parse(run.actions()[0]?.at ?? "")).toBeGreaterThanOrEqual(Date.parse(startedAt) + 1_500);
    const decide = { action: "decide", task: "ok", approve: true } as const;
    expect(await refusedWith(act(run, decide, { by: "eve" }))).toContain("these may: anna, boss");
    await act(run, decide, { by: "boss" });
    expect(await run.end()).toMatchObject({ outcome: "succeeded" });
    expect(run.actions().map(({ number, action, by }) => [number, action, by])).toEqual([
      [1, "escalate", "escalation"],
      [2, "approve", "boss"],
    ]);
    const { events } = await run.handle.fetchHistory();
    expect((events ?? []).filter((event) => event.timerFiredEventAttributes).length).toBeGreaterThan(0);
  });

  it("are escalated also while the run is paused: who decides by it is recorded after it", async () => {
    const plan = planOf({ ok: { operator: "approval", approval: { ...approval, escalate: { afterMs: 300, to: ["boss"] } } } });
    const run = await engine().start(plan);
    await isAt(run, "ok", "waiting");
    await act(run, { action: "pause" });
    const decide = () =>
      act(run, { action: "decide", task: "ok", approve: true }, { by: "boss" }).then(
        () => true,
        () => false,
      );
    await until("the boss may decide", decide);
    expect(await run.end()).toMatchObject({ outcome: "succeeded" });
    const actions = run.actions().map(({ action }) => action);
    expect(actions.toSorted()).toEqual(["approve", "escalate", "pause"]);
    expect(actions.indexOf("escalate")).toBeLessThan(actions.indexOf("approve"));
  });

  it("pass their deadline as they say", async () => {
    const plan = planOf({ ok: { operator: "approval", approval: { ...approval, deadlineMs: 200, onDeadline: "approve" } } });
    expect(await engine().run(plan)).toMatchObject({ outcome: "succeeded" });
  });
});

describe("acting on a run", () => {
  const PARKS = { ...policy(), onExhausted: "park" as const };

  it("mends a parked task: only it runs again, with its new configuration and params", async () => {
    const calls: string[] = [];
    const noted =
      (name: string, behaviour: Behaviour): Behaviour =>
      (call, context) => {
        calls.push(`${name} ${call.planHash} ${JSON.stringify(call.params)}`);
        return behaviour(call, context);
      };
    const mended: Behaviour = (call, context) => (call.planHash === "mended" ? Promise.resolve({ output: null }) : refuses(call, context));
    const plan = planOf({ a: {}, b: { needs: ["a"] }, c: { needs: ["b"] } }, { policies: [PARKS], failurePolicy: "fail-fast" });
    const verbs = Object.fromEntries(
      ["a", "b", "c"].map((id) => [id, noted(id, id === "b" ? mended : () => Promise.resolve({ output: null }))]),
    );
    const run = await engine().start(plan, { verbs, params: { day: 1 } });
    await isAt(run, "b", "parked");
    await until("the run says that it is parked", () => run.reports.at(-1)?.status === "parked");
    const task = plan.tasks[1];
    if (task === undefined) throw new Error("there is no second task");
    const change = { task: { ...task, planHash: "mended" }, policy: policy(), params: { day: 2 } };
    expect(await refusedWith(act(run, { action: "continue", task: "b" }, { ...change, task: { ...task, needs: [] } }))).toContain(
      "must keep its needs",
    );
    await act(run, { action: "continue", task: "b" }, { ...change, why: "new password", details: { with: {} } });
    expect(await run.end()).toMatchObject({ outcome: "succeeded" });
    expect(calls).toEqual(['a hash {"day":1}', 'b hash {"day":1}', 'b mended {"day":2}', 'c hash {"day":2}']);
    expect(run.actions()).toMatchObject([{ action: "continue", taskId: "b", why: "new password" }]);
  });

  it("changes a task and params upon what was changed before, and refuses a change of what the task no longer is", async () => {
    const mended: Behaviour = (call, context) =>
      call.planHash === "twice" ? Promise.resolve({ output: call.params as Json }) : refuses(call, context);
    const plan = planOf({ b: {} }, { policies: [PARKS] });
    const run = await engine().start(plan, { verbs: { b: mended }, params: { day: 1, shop: 1 } });
    const [task] = plan.tasks;
    if (task === undefined) throw new Error("there is no task");
    const parked = (attempts: number): Promise<void> =>
      until(`it has parked with ${attempts} attempts`, () => {
        const told = run.tasks()["b"];
        return told?.status === "parked" && told.attempts === attempts;
      });
    const goOn = (planHash: string, basedOn: string, changedParams: JsonObject): Promise<ControlAnswer> =>
      act(run, { action: "continue", task: "b" }, { task: { ...task, planHash }, policy: PARKS, basedOn, params: {}, changedParams });
    await parked(1);
    expect(await goOn("once", "hash", { day: 2 })).toMatchObject({ action: { number: 1, action: "continue", taskId: "b" } });
    await parked(2);
    expect(await refusedWith(goOn("twice", "hash", { shop: 2 }))).toContain('somebody else has changed task "b" meanwhile');
    await goOn("twice", "once", { shop: 2 });
    expect(await run.end()).toMatchObject({ outcome: "succeeded" });
    expect(run.tasks()["b"]).toMatchObject({ output: { day: 2, shop: 2 } });
  });

  it("pauses and resumes: what runs goes on, nothing new begins", async () => {
    let [release, goOn] = [(): void => undefined, (): void => undefined];
    const held = new Promise<void>((resolve) => (release = resolve));
    const goesOn = new Promise<void>((resolve) => (goOn = resolve));
    const plan = planOf({ a: {}, b: { needs: ["a"] } });
    const wait = () => held.then(() => ({ output: null }));
    const run = await engine().start(plan, { verbs: { a: wait, b: () => goesOn.then(() => ({ output: null })) } });
    await isAt(run, "a", "running");
    expect(await act(run, { action: "pause" })).toMatchObject({ status: "paused", action: { action: "pause" } });
    release();
    await isAt(run, "a", "succeeded");
    expect([run.tasks()["b"], run.reports.at(-1)?.status]).toEqual([undefined, "paused"]);
    expect(await refusedWith(act(run, { action: "pause" }))).toBe("ACTION_REFUSED: the run is paused already; resume it to let it go on");
    // Under its key the same action is known, whatever has become of the run since.
    const key = { key: "once" };
    expect(await act(run, { action: "resume" }, key)).toMatchObject({ status: "running", action: { action: "resume" } });
    expect((await act(run, { action: "resume" }, key)).action).toBeUndefined();
    expect(await refusedWith(act(run, { action: "resume" }))).toContain("ACTION_REFUSED: the run is not paused");
    goOn();
    expect(await run.end()).toMatchObject({ outcome: "succeeded" });
    expect(run.actions().map(({ number, action }) => `${number} ${action}`)).toEqual(["1 pause", "2 resume"]);
  });

  it("takes a key for one request alone, also where Temporal knows the key's update, and after the run has continued as new", async () => {
    const plan = planOf({ hold: wait({ for: "1h" }) });
    const known = { snapshot: takeSnapshot(initRun(graphOf(plan)), graphOf(plan)), seq: 0, keys: ["older", ["before", "h"] as const] };
    const run = await engine().start(plan, { isNamed: true, continued: known });
    const { controlRun } = createOrchestrator({ connection: engine().client.connection, namespace: "default" });
    const action = (name: "pause" | "resume", key: string, requestHash: string = name) =>
      controlRun({ pipeline: "tested", id: run.id }, { control: { action: name }, by: "anna" }, { key, requestHash });
    const reused = { code: "IDEMPOTENCY_KEY_REUSED" };
    expect(await action("pause", "k")).toMatchObject({ status: "paused" });
    expect(await action("pause", "k")).toMatchObject({ status: "paused" });
    await expect(action("resume", "k")).rejects.toMatchObject(reused);
    await expect(action("resume", "before")).rejects.toMatchObject(reused);
    expect(await action("resume", "before", "h")).toEqual({ status: "paused" });
    // Nobody knows any more what was asked under it.
    expect(await action("resume", "older")).toEqual({ status: "paused" });
    expect(await action("resume", "k2")).toMatchObject({ status: "waiting", action: { key: "k2", requestHash: "resume" } });
    await run.handle.cancel();
    await run.end();
  });

  it("that ends the run is taken while other messages come in", async () => {
    const { controlRun } = createOrchestrator({ connection: engine().client.connection, namespace: "default" });
    for (let time = 0; time < 3; time += 1) {
      const run = await engine().start(planOf({ hold: wait({ for: "1h" }) }), { isNamed: true });
      await isAt(run, "hold", "waiting");
      // Not without an end: a run cannot end while there is always something new for it.
      const storm = Array.from({ length: 4 }, async () => {
        for (let signal = 0; signal < 12; signal += 1) await run.handle.signal("nobody listens to it").catch(() => undefined);
      });
      const request = { control: { action: "mark", task: "hold", as: "skipped" }, by: "anna" } as const;
      expect(await controlRun({ pipeline: "tested", id: run.id }, request, undefined)).toMatchObject({ action: { by: "anna" } });
      await Promise.all(storm);
      expect(await run.end()).toMatchObject({ outcome: "succeeded" });
    }
  });

  it("is refused when the run has no such task, and once it stops", async () => {
    const plan = planOf({
      ok: { operator: "approval", approval: { approvers: [], deadlineMs: 3_600_000, onDeadline: "fail" } },
      last: { finally: true },
    });
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const run = await engine().start(plan, { verbs: { last: () => held.then(() => ({ output: null })) } });
    await isAt(run, "ok", "waiting");
    expect(await refusedWith(act(run, { action: "mark", task: "none", as: "skipped" }))).toBe('ACTION_REFUSED: the run has no task "none"');
    await run.handle.cancel();
    await isAt(run, "last", "running");
    expect(await refusedWith(act(run, { action: "pause" }))).toContain("RUN_NOT_ACTIVE");
    release();
    expect(await run.end()).toEqual({ outcome: "cancelled" });
    expect(statusesOf(run)).toEqual({ ok: "cancelled", last: "succeeded" });
  });

  it("is taken on what a run that stops still carries out: a decision in a finally task, one that has parked", async () => {
    const approval = { approvers: [], deadlineMs: 3_600_000, onDeadline: "fail" } as const;
    let mended = false;
    const parks: Behaviour = (...call) => (mended ? Promise.resolve({ output: null }) : refuses(...call));
    const plan = planOf(
      {
        hold: wait({ for: "1h" }),
        ok: { operator: "approval", approval, finally: true },
        parks: { finally: true, policy: 1 },
        by_hand: { needs: ["parks"], finally: true },
      },
      { policies: [policy(), { ...policy(), onExhausted: "park" }] },
    );
    const run = await engine().start(plan, { verbs: { parks } });
    await isAt(run, "hold", "waiting");
    await run.handle.cancel();
    await isAt(run, "parks", "parked");
    await isAt(run, "ok", "waiting");
    expect(await refusedWith(act(run, { action: "mark", task: "hold", as: "succeeded" }))).toContain("RUN_NOT_ACTIVE");
    await act(run, { action: "decide", task: "ok", approve: true });
    await act(run, { action: "mark", task: "by_hand", as: "skipped" });
    mended = true;
    await act(run, { action: "continue", task: "parks" });
    expect(await run.end()).toEqual({ outcome: "cancelled" });
    expect(statusesOf(run)).toEqual({ hold: "cancelled", ok: "succeeded", parks: "succeeded", by_hand: "skipped" });
  });

  it("bears a storm of signals that it does not know, and hundreds of actions, each recorded once", async () => {
    const plan = planOf({ ok: { operator: "approval", approval: { approvers: [], deadlineMs: 3_600_000, onDeadline: "fail" } } });
    const run = await engine().start(plan);
    await Promise.all(Array.from({ length: 1_000 }, () => run.handle.signal("nobody-knows-it")));
    // Temporal takes ten updates of one workflow at a time. Of those that come together some find it done, and are refused.
    let taken = 0;
    const hand = async (): Promise<void> => {
      for (let turn = 0; turn < 30; turn += 1) {
        const action = act(run, { action: turn % 2 === 0 ? "pause" : "resume" });
        const isTaken = await action.then(
          () => true,
          () => false,
        );
        if (isTaken) taken += 1;
        else expect(await refusedWith(action)).toMatch(/ACTION_REFUSED: the run is (not paused|paused already)/);
      }
    };
    await Promise.all(Array.from({ length: 8 }, hand));
    await act(run, { action: "decide", task: "ok", approve: true });
    expect(await run.end()).toMatchObject({ outcome: "succeeded" });
    const numbers = run.actions().map(({ number }) => number);
    expect(taken).toBeGreaterThanOrEqual(30);
    expect(numbers).toEqual(Array.from({ length: taken + 1 }, (_, index) => index + 1));
    expect(run.actions().map(({ action }) => action)).toEqual([
      ...Array.from({ length: taken }, (_, index) => (index % 2 === 0 ? "pause" : "resume")),
      "approve",
    ]);
  });
});

// Schedules on a real server: firings become runs with data intervals, overlap, pause, and a store that Temporal is made equal to.

import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { reconcile } from "../../api/reconcile.ts";
import { countWithoutNext, reconcileSchedules } from "../../api/reconcile-schedules.ts";
import { startApi } from "../../bin/api-process.ts";
import { parseConfig } from "../../bin/config.ts";
import { createLogger } from "../../bin/log.ts";
import { startTelemetry } from "../../bin/telemetry.ts";
import { DEFAULT_QUEUE, runWorkflowId, scheduledWorkflowId, scheduleId } from "../../core/ids.ts";
import type { Json } from "../../core/json.ts";
import { RUN_WORKFLOW } from "../../workflows/messages.ts";
import { freshName } from "../fixtures/services.ts";
import { until } from "../workflow/kit.ts";
import * as whole from "./whole-kit.ts";
import { freshPipeline, startWhole, type WholeKit } from "./whole-kit.ts";

let kit: WholeKit;
beforeAll(async () => {
  kit = await startWhole();
});
afterAll(() => kit?.stop());

interface RunView {
  readonly id: string;
  readonly status: string;
  readonly trigger: string;
  readonly version: number;
  readonly params: Json;
  readonly schedule: string | null;
  readonly interval: { readonly start: string; readonly end: string } | null;
  readonly created_at: string;
}

/** A pipeline whose only task tells the test what its expressions read. `tasks`: more of them. */
const deploy = (name: string, schedules: readonly string[], tasks = ""): Promise<unknown> =>
  kit.call(
    "PUT",
    `/v1/pipelines/${name}`,
    `apiVersion: downbeat/v1
name: ${name}
params: { type: object, properties: { country: { type: string, default: DE } } }
tasks:
  - id: tell
    activity: { name: see, input: { run: "\${{ run.id }}", start: "\${{ run.interval.start }}", end: "\${{ run.interval.end }}", of: ${name} } }
${tasks}
schedules: ${schedules.length === 0 ? "[]" : `\n${schedules.map((schedule) => `  - ${schedule}`).join("\n")}`}
`,
  );

const HOLD = "  - { id: hold, needs: [tell], wait: { for: 1h, deadline: 2h } }";

const runsOf = (pipeline: string): Promise<readonly RunView[]> => whole.runsOf<RunView>(kit, pipeline);

const handleOf = (pipeline: string, name: string) => kit.client.schedule.getHandle(scheduleId({ pipeline, name }));

/** A time of day that comes not during the test. */
const FAR = "{ name: far, calendar: { year: 2099, month: 1, day_of_month: 1 } }";

describe("firings", () => {
  it("become runs, each with its data interval, of the version that is the latest", async () => {
    const name = freshPipeline();
    await deploy(name, ["{ name: often, every: 2s, jitter: 1s, overlap: allow-all, timezone: Europe/Berlin, params: { country: AT } }"]);
    // Temporal says when it fires next, with the jitter; the times of the schedule are even seconds.
    const moments = (await handleOf(name, "often").describe()).info.nextActionTimes.map((at) => at.getTime());
    const due = new Map(moments.map((at) => [at - (at % 2_000), at]));
    const fired = async (): Promise<readonly RunView[]> =>
      (await runsOf(name)).filter(({ interval }) => due.has(Date.parse(interval?.end ?? "")));
    await until("three runs have succeeded", async () => (await fired()).filter(({ status }) => status === "succeeded").length >= 3);
    await deploy(name, []);
    // What was fired last may not be written down yet, and what was fired later be written down earlier.
    const endOf = ({ interval }: RunView): number => Date.parse(interval?.end ?? "");
    const byTime = async (): Promise<readonly RunView[]> => (await runsOf(name)).toSorted((left, right) => endOf(left) - endOf(right));
    await until("all that were fired have succeeded, and none is missing", async () =>
      (await byTime()).every((run, index, all) => {
        const before = all[index - 1];
        return run.status === "succeeded" && (before === undefined || endOf(run) - endOf(before) === 2_000);
      }),
    );
    const runs = await byTime();
    for (const [index, run] of runs.entries()) {
      expect(run).toMatchObject({ trigger: "schedule", schedule: "often", version: 1, params: { country: "AT" } });
      const { start = "", end = "" } = run.interval ?? {};
      expect(run.id).toBe(`${name}.often-${new Date(end).toISOString().slice(0, 19)}Z`);
      expect(Date.parse(end) - Date.parse(start)).toBe(2_000);
      expect(end).toMatch(/\+0[12]:00$/);
      const before = runs[index - 1]?.interval?.end;
      if (before !== undefined) expect(start).toBe(before);
    }
    // Each is moved by another part of the second, and begins no earlier.
    const moved = [...due].map(([even, at]) => at - even);
    expect(Math.max(...moved)).toBeLessThanOrEqual(1_000);
    expect(new Set(moved).size).toBeGreaterThan(1);
    for (const { id, interval } of await fired()) {
      const { startTime } = await kit.client.workflow.getHandle(runWorkflowId(name, id)).describe();
      expect(startTime.getTime()).toBeGreaterThanOrEqual(due.get(Date.parse(interval?.end ?? "")) ?? Infinity);
    }
    // Expressions read the same.
    const told = kit.seen.filter((entry) => (entry as { readonly of?: string }).of === name);
    expect(told).toContainEqual({ run: runs[0]?.id, ...runs[0]?.interval, of: name });
    // Without the schedule there are no more.
    await pause(2_500);
    expect((await runsOf(name)).length).toBeLessThanOrEqual(runs.length + 1);
    await expect(handleOf(name, "often").describe()).rejects.toThrow(/not found/i);
  });

  it("of a manual run have no interval", async () => {
    const name = freshPipeline();
    await deploy(name, [FAR]);
    const run = await kit.call<RunView>("POST", `/v1/pipelines/${name}/runs?wait=30s`, {});
    expect(run).toMatchObject({ status: "succeeded", trigger: "http", schedule: null, interval: null });
    expect(kit.seen).toContainEqual({ run: run.id, start: null, end: null, of: name });
  });

  it("wait for a store that is away", async () => {
    const name = freshPipeline();
    await deploy(name, [FAR]);
    kit.storeIsAway = true;
    try {
      await handleOf(name, "far").trigger();
      const isWaiting = async (): Promise<boolean> => {
        for await (const { status } of kit.client.workflow.list({ query: `DownbeatPipeline = "${name}" AND WorkflowType = "run"` }))
          if (status.name === "RUNNING") return true;
        return false;
      };
      await until("the run waits", isWaiting);
      await pause(2_000);
      expect(await runsOf(name)).toEqual([]);
      expect(await isWaiting()).toBe(true);
    } finally {
      kit.storeIsAway = false;
    }
    await until("the run has succeeded", async () => (await runsOf(name))[0]?.status === "succeeded");
    // Nothing fires before 2099: the run has no interval.
    expect((await runsOf(name))[0]).toMatchObject({ schedule: "far", interval: null });
  });
});

describe("a firing of what the store does not have", () => {
  it("fails at once and says so", async () => {
    const name = freshPipeline();
    const scheduled = { pipeline: name, schedule: "gone", version: 1, planHash: "absent", params: {} };
    const ended = kit.client.workflow.execute(RUN_WORKFLOW, {
      workflowId: `${scheduledWorkflowId({ pipeline: name, name: "gone" })}-2026-01-01T00:00:00Z`,
      taskQueue: DEFAULT_QUEUE,
      args: [{ scheduled }],
    });
    await expect(ended).rejects.toMatchObject({
      cause: { type: "NOT_FOUND", message: expect.stringContaining('no schedule "gone"') as string },
    });
    expect(await runsOf(name)).toEqual([]);
  });
});

describe.concurrent("overlap", () => {
  const overlapping = async (overlap: string): Promise<string> => {
    const name = freshPipeline();
    await deploy(name, [`{ name: often, every: 3s, overlap: ${overlap} }`], HOLD);
    return name;
  };
  const statusesOf = async (name: string): Promise<string> => (await runsOf(name)).map(({ status }) => status).join();
  const becomes = (name: string, statuses: string): Promise<void> =>
    until(`${name} has runs ${statuses}`, async () => (await statusesOf(name)).startsWith(statuses));
  const infoOf = async (name: string) => (await handleOf(name, "often").describe()).info;
  const endFirst = async (name: string): Promise<void> => {
    const first = (await runsOf(name)).find(({ status }) => status === "waiting");
    await kit.call("POST", `/v1/runs/${first?.id}/tasks/hold/mark`, { as: "succeeded", by: "test", why: "enough" });
  };

  it("skip: one run from its first step to its end", async () => {
    const name = await overlapping("skip");
    await becomes(name, "waiting");
    await until("two were skipped", async () => (await infoOf(name)).numActionsSkippedOverlap >= 2);
    expect(await statusesOf(name)).toBe("waiting");
    await deploy(name, []);
  });

  it.each(["buffer-one", "buffer-all"])("%s: the next begins when the first has ended", async (overlap) => {
    const name = await overlapping(overlap);
    await becomes(name, "waiting");
    const [first] = await runsOf(name);
    await pause(Date.parse(first?.interval?.end ?? "") + 8_000 - Date.now());
    expect(await statusesOf(name)).toBe("waiting");
    await endFirst(name);
    await becomes(name, "succeeded,waiting");
    const [, second] = await runsOf(name);
    expect(Date.parse(second?.interval?.end ?? "") - Date.parse(first?.interval?.end ?? "")).toBe(3_000);
    await endFirst(name);
    await becomes(name, "succeeded,succeeded,waiting");
    // Of two that came while the first was open one was kept, or both.
    const [, , third] = await runsOf(name);
    const behind = Date.parse(third?.interval?.end ?? "") - Date.parse(first?.interval?.end ?? "");
    if (overlap === "buffer-all") expect(behind).toBe(6_000);
    else expect(behind).toBeGreaterThanOrEqual(9_000);
    await deploy(name, []);
  });

  it("cancel-other: the first is cancelled, the next runs", async () => {
    const name = await overlapping("cancel-other");
    await becomes(name, "cancelled,cancelled");
    await deploy(name, []);
  });

  it("terminate-other: the first ends at once, and the store is told by the reconciler", async () => {
    const name = await overlapping("terminate-other");
    await until("there are two runs", async () => (await runsOf(name)).length >= 2);
    await reconcile(kit.deps, 0);
    expect((await runsOf(name))[0]?.status).toBe("cancelled");
    await deploy(name, []);
  });

  it("allow-all: several are open", async () => {
    const name = await overlapping("allow-all");
    await becomes(name, "waiting,waiting");
    await deploy(name, []);
  });
});

describe("pausing", () => {
  it("by the API reaches Temporal, and outlives a deployment", async () => {
    const name = freshPipeline();
    await deploy(name, [FAR]);
    const path = `/v1/pipelines/${name}/schedules/far`;
    expect(await kit.call("POST", `${path}/pause`, { by: "ana", why: "stocktaking" })).toMatchObject({ paused: true, next: null });
    expect((await handleOf(name, "far").describe()).state).toMatchObject({ paused: true, note: "paused by ana: stocktaking" });
    await deploy(name, [FAR, "{ name: other, every: 24h, offset: 1h }"]);
    expect((await handleOf(name, "far").describe()).state.paused).toBe(true);
    expect(await kit.call("POST", `${path}/resume`, { by: "ana" })).toMatchObject({ paused: false });
    expect((await handleOf(name, "far").describe()).state).toMatchObject({ paused: false, note: "resumed by ana" });
  });
});

describe("Temporal is made equal to the store", () => {
  const FORMS = [
    "{ name: by-cron, cron: '15 6 * * mon-fri', timezone: America/New_York, jitter: 30s, overlap: buffer-all, catch_up: 6h, start: 2026-12-01, end: 2030-01-01 }",
    "{ name: by-interval, every: 90m, offset: 10m, paused: true, params: { country: FR } }",
    "{ name: by-calendar, calendar: [{ hour: '6-18/3', month: jan }, { second: 30, day_of_week: [sat, 7] }], exclude: ['2026-12-25', { month: 12 }], timezone: Asia/Tokyo }",
  ];
  const names = ["by-cron", "by-interval", "by-calendar"] as const;

  it("what is right is left alone, whatever its form", async () => {
    const name = freshPipeline();
    await deploy(name, FORMS);
    const before = await Promise.all(names.map(async (one) => (await handleOf(name, one).describe()).info.lastUpdatedAt));
    expect(before).toEqual([undefined, undefined, undefined]);
    expect(await reconcileSchedules(kit.deps)).toBe(0);
    const after = await Promise.all(names.map(async (one) => (await handleOf(name, one).describe()).info.lastUpdatedAt));
    expect(after).toEqual(before);
  });

  it("deleted, changed and paused by hand, and left over: all put right", async () => {
    const name = freshPipeline();
    await deploy(name, FORMS);
    await handleOf(name, "by-cron").delete();
    await handleOf(name, "by-calendar").pause("by hand in Temporal");
    await handleOf(name, "by-interval").update(({ spec: _spec, ...rest }) => ({ ...rest, spec: { intervals: [{ every: "1 day" }] } }));
    const leftOver = scheduleId({ pipeline: name, name: "left-over" });
    const stranger = freshName("of-somebody-else");
    for (const id of [leftOver, stranger])
      await kit.client.schedule.create({
        scheduleId: id,
        spec: { intervals: [{ every: "1 day" }] },
        action: { type: "startWorkflow", workflowType: "run", taskQueue: "nowhere" },
      });
    await until("Temporal lists it", async () => (await kit.deps.orchestrator.schedules.list()).some((one) => one.name === "left-over"));
    expect(await countWithoutNext(kit.deps)).toBeGreaterThanOrEqual(1);
    expect(await reconcileSchedules(kit.deps)).toBe(4);
    expect(await reconcileSchedules(kit.deps)).toBe(0);
    expect((await handleOf(name, "by-interval").describe()).spec.intervals).toEqual([{ every: 5_400_000, offset: 600_000 }]);
    expect((await handleOf(name, "by-calendar").describe()).state.paused).toBe(false);
    expect((await handleOf(name, "by-cron").describe()).policies).toMatchObject({ overlap: "BUFFER_ALL", catchupWindow: 21_600_000 });
    await expect(kit.client.schedule.getHandle(leftOver).describe()).rejects.toThrow(/not found/i);
    // What is not ours is nobody's to remove.
    await kit.client.schedule.getHandle(stranger).delete();
    await until("no schedule lacks its next action", async () => (await countWithoutNext(kit.deps)) === 0);
  });

  it("a schedule that Temporal refuses does not keep the others waiting", async () => {
    const name = freshPipeline();
    await deploy(name, [FAR]);
    const found = await kit.store.schedules.find({ pipeline: name, name: "far" });
    if (found === undefined) throw new Error("the schedule was not written down");
    const times = { ...found.plan.times, timezone: "Not/AZone" };
    const wanted = { ...found, plan: { ...found.plan, times }, paused: false, note: "" };
    // No DownbeatError, which would say that Temporal is away.
    await expect(kit.deps.orchestrator.schedules.ensure(wanted)).rejects.toThrow(TypeError);
  });
});

describe("a running API", () => {
  it("makes all schedules anew at its start when Temporal has lost them, and its metric counts those without a next action", async () => {
    const name = freshPipeline();
    await deploy(name, [FAR, "{ name: other, every: 24h, offset: 1h }"]);
    // As after the loss of Temporal's database. Lists lag behind: what was just made may not be there yet, what was deleted may still be.
    const listed = () => kit.deps.orchestrator.schedules.list();
    await until("Temporal lists both", async () => (await listed()).filter((one) => one.pipeline === name).length === 2);
    await until("Temporal lists none", async () => {
      for await (const { scheduleId: id } of kit.client.schedule.list())
        await kit.client.schedule
          .getHandle(id)
          .delete()
          .catch(() => undefined);
      return (await listed()).length === 0;
    });
    const config = parseConfig({ TEMPORAL_NAMESPACE: kit.deps.orchestrator.namespace });
    const telemetry = await startTelemetry(config, "downbeat-api");
    const { store, connection } = kit;
    const figure = async (): Promise<number> =>
      Number(/^downbeat_schedules_without_next_action(?:\{.*\})? (\d+)/m.exec(await telemetry.metricsText())?.[1]);
    const loaded = { catalogue: kit.deps.catalogue, implementations: {} };
    const api = await startApi({ config, store, loaded, connection, log: createLogger("error", "api"), telemetry, port: 0, env: {} });
    try {
      await until("both are there again", async () => {
        const found = await kit.deps.orchestrator.schedules.list();
        return ["far", "other"].every((one) =>
          found.some((schedule) => schedule.pipeline === name && schedule.name === one && schedule.hasNext),
        );
      });
      await until("none lacks its next action", async () => (await figure()) === 0);
      await handleOf(name, "far").delete();
      await until("one does", async () => (await figure()) === 1);
    } finally {
      await api.stop();
      await telemetry.shutdown();
    }
  });
});

// Opening a run that a schedule has started: its row, its data interval, and what cannot be opened.
import { ApplicationFailure } from "@temporalio/common";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createOpenRun } from "../../activities/open-run.ts";
import { compileSchedule } from "../../core/compile-schedules.ts";
import { scheduleSchema } from "../../core/definition-schedules.ts";
import { DownbeatError } from "../../core/errors.ts";
import { openStore, type Store } from "../../store/open-store.ts";
import type { OpenRunCall } from "../../workflows/ports.ts";

let store: Store;
beforeAll(async () => {
  store = await openStore({ url: "pglite:memory", secretKey: new Uint8Array(32).fill(3) });
  const schedules = [
    { name: "daily", cron: "30 2 * * *", timezone: "Europe/Berlin" },
    { name: "once", calendar: { year: 2030 } },
  ].map((schedule) => compileSchedule(scheduleSchema.parse(schedule), [], () => undefined));
  await store.definitions.save({
    pipeline: "shop",
    hash: "h1",
    definition: {},
    source: "",
    format: "yaml",
    plan: { plan: { failurePolicy: "continue", policies: [], tasks: [] }, configs: {}, connections: [], schedules },
  });
});
afterAll(() => store.close());

const open = (more: Partial<OpenRunCall>) =>
  createOpenRun({
    findPlan: (hash) => store.definitions.findPlan(hash),
    createRun: (run) => store.runs.create(run),
    guardedConnections: () => store.connections.guarded(),
  })({
    pipeline: "shop",
    schedule: "daily",
    version: 1,
    planHash: "h1",
    params: { country: "DE" },
    workflowId: "downbeat/run/shop/shop.daily-2026-03-30T00:30:00Z",
    ...more,
  });

const failure = async (more: Partial<OpenRunCall>): Promise<ApplicationFailure> => {
  const error: unknown = await open(more).catch((reason: unknown) => reason);
  if (!(error instanceof ApplicationFailure)) throw new Error("it was opened");
  return error;
};

describe("opening a scheduled run", () => {
  it("writes its row once, with the interval in the clocks of the zone over a day without the hour", async () => {
    const first = await open({});
    expect(first).toMatchObject({
      run: {
        id: "shop.daily-2026-03-30T00:30:00Z",
        origin: "shop.daily-2026-03-30T00:30:00Z",
        pipeline: "shop",
        version: 1,
        trigger: "schedule",
        interval: { start: "2026-03-28T02:30:00+01:00", end: "2026-03-30T02:30:00+02:00" },
      },
      plan: { tasks: [] },
      params: { country: "DE" },
    });
    expect(await open({})).toEqual(first);
    expect(await store.runs.find(first.run.id)).toMatchObject({ status: "queued", schedule: "daily", planHash: "h1" });
    expect(await store.runs.list({ pipeline: "shop" }, { limit: 10 })).toHaveLength(1);
  });

  it("has no interval where nothing fires before", async () => {
    const { run } = await open({ schedule: "once", workflowId: "downbeat/run/shop/shop.once-2030-01-01T00:00:00Z" });
    expect(run).not.toHaveProperty("interval");
  });

  it.each([
    ["a plan that the store does not have", { planHash: "absent" }, "NOT_FOUND"],
    [
      "a schedule that the version does not have",
      { schedule: "other", workflowId: "downbeat/run/shop/shop.other-2026-01-01T00:00:00Z" },
      "NOT_FOUND",
    ],
    ["a workflow of another schedule", { workflowId: "downbeat/run/shop/shop.once-2030-01-01T00:00:00Z" }, "NOT_FOUND"],
    ["a workflow that nothing has fired", { workflowId: "downbeat/run/shop/shop.daily-x" }, "NOT_FOUND"],
  ])("refuses %s", async (_what, more, code) => {
    expect((await failure(more)).type).toBe(code);
  });

  it("does not run a moment of the past again", async () => {
    const workflowId = "downbeat/run/shop/shop.daily-2026-04-01T00:30:00Z";
    const { run } = await open({ workflowId });
    await store.runs.repair(run.id, "succeeded");
    expect(await failure({ workflowId })).toMatchObject({
      type: "CONFLICT",
      message: expect.stringContaining("has ended already") as string,
    });
  });

  it("says when the store is away", async () => {
    const away = createOpenRun({
      guardedConnections: () => Promise.resolve(new Set()),
      findPlan: () => Promise.reject(new DownbeatError("STORE_UNAVAILABLE", "away")),
      createRun: () => Promise.reject(new Error("unused")),
    });
    await expect(
      away({
        pipeline: "shop",
        schedule: "daily",
        version: 1,
        planHash: "h1",
        params: {},
        workflowId: "downbeat/run/shop/shop.daily-2026-03-30T00:30:00Z",
      }),
    ).rejects.toMatchObject({ type: "STORE_UNAVAILABLE" });
  });
});

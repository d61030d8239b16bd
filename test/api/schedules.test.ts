// Schedules over HTTP: deployed with a definition, listed, previewed, paused; Temporal away and back.
import { beforeEach, describe, expect, it } from "vitest";
import { countWithoutNext, reconcileSchedules } from "../../api/reconcile-schedules.ts";
import { DownbeatError } from "../../core/errors.ts";
import { definitionOf, useApi } from "./kit.ts";

const kit = useApi();

let count = 0;
let name = "";
beforeEach(async () => {
  count += 1;
  name = `scheduled${count}`;
  await kit().send("PUT", "/v1/connections/api", { kind: "sample", config: { host: "h" } });
  kit().orchestrator.failure = undefined;
});

const PARAMS =
  "params: { type: object, required: [country], properties: { country: { type: string }, size: { type: integer, default: 7 } } }\n";

const deploy = (schedules: string, extra = "") =>
  kit().send("PUT", `/v1/pipelines/${name}`, definitionOf(name, `schedules:\n${schedules}\n${extra}`));

const HOURLY = "  - { name: hourly, cron: '15 * * * *', timezone: Europe/Berlin, catch_up: 6h }";
const DAILY = "  - { name: daily, cron: '30 2 * * *', timezone: Europe/Berlin, overlap: buffer-one, paused: true }";

describe("deploying", () => {
  it("writes schedules down and makes them in Temporal, with the version's plan and checked params", async () => {
    const answer = await deploy("  - { name: hourly, every: 1h, params: { country: DE } }", PARAMS);
    expect(answer.status).toBe(201);
    const wanted = kit().orchestrator.scheduled.get(`downbeat/schedule/${name}/hourly`);
    expect(wanted).toMatchObject({
      version: 1,
      planHash: (answer.body as { hash: string }).hash,
      paused: false,
      plan: { params: { country: "DE", size: 7 }, times: { intervals: [{ everyMs: 3_600_000, offsetMs: 0 }] } },
    });
    // The next version's schedules take its place.
    await deploy("  - { name: daily, cron: '@daily', params: { country: AT } }", PARAMS);
    expect([...kit().orchestrator.scheduled.keys()].filter((id) => id.includes(`/${name}/`))).toEqual([`downbeat/schedule/${name}/daily`]);
    expect(kit().orchestrator.scheduled.get(`downbeat/schedule/${name}/daily`)).toMatchObject({ version: 2 });
    await kit().send("PUT", `/v1/pipelines/${name}`, definitionOf(name));
    expect([...kit().orchestrator.scheduled.keys()].filter((id) => id.includes(`/${name}/`))).toEqual([]);
    expect((await kit().send("GET", `/v1/pipelines/${name}/schedules`)).body).toEqual({ items: [], next: null });
  });

  it("refuses params that do not fit, beside every other fault, at their places", async () => {
    const answer = await deploy(
      "  - { name: a, cron: '61 * * * *', params: { country: DE } }\n  - name: b\n    every: 1h\n    params:\n      country: 5\n  - { name: c, every: 1h }",
      PARAMS,
    );
    expect(answer.status).toBe(422);
    const { issues } = answer.body as { issues: readonly { code: string; path: string; line?: number; message: string }[] };
    expect(issues.map(({ code, path, line }) => `${code} ${path} ${line}`)).toEqual([
      "INVALID_SCHEDULE schedules[0].cron 7",
      "INVALID_VALUE schedules[1].params.country 11",
      "INVALID_VALUE schedules[2].params 12",
    ]);
    expect(issues[2]?.message).toContain("country");
  });

  it("refuses params of a pipeline that declares none", async () => {
    const answer = await deploy("  - { name: a, every: 1h, params: { country: DE } }");
    expect(answer.body).toMatchObject({
      issues: [{ path: "schedules[0].params", message: expect.stringContaining("declares no params") as string }],
    });
  });

  it("succeeds while Temporal is away; the reconciler makes up for it", async () => {
    kit().orchestrator.failure = new DownbeatError("TEMPORAL_UNAVAILABLE", "away");
    expect((await deploy(HOURLY)).status).toBe(201);
    expect(kit().orchestrator.scheduled.has(`downbeat/schedule/${name}/hourly`)).toBe(false);
    await expect(reconcileSchedules(kit().deps)).rejects.toMatchObject({ code: "TEMPORAL_UNAVAILABLE" });
    kit().orchestrator.failure = undefined;
    expect(await countWithoutNext(kit().deps)).toBe(1);
    expect(await reconcileSchedules(kit().deps)).toBe(1);
    expect(kit().orchestrator.scheduled.has(`downbeat/schedule/${name}/hourly`)).toBe(true);
    expect(await countWithoutNext(kit().deps)).toBe(0);
    expect(await reconcileSchedules(kit().deps)).toBe(0);
  });
});

describe("reading", () => {
  it("lists all, page by page, and those of one pipeline", async () => {
    await deploy(`${HOURLY}\n${DAILY}`);
    const own = await kit().send("GET", `/v1/pipelines/${name}/schedules?limit=1`);
    const { items, next } = own.body as { items: readonly object[]; next: string };
    expect(items).toMatchObject([{ name: "daily", paused: true, next: null, overlap: "buffer-one", summary: "30 2 * * * Europe/Berlin" }]);
    const second = await kit().send("GET", `/v1/pipelines/${name}/schedules?limit=1&cursor=${next}`);
    expect(second.body).toMatchObject({
      items: [{ name: "hourly", catch_up_seconds: 21_600, next: expect.stringMatching(/:15:00\+0[12]:00$/) as string }],
      next: null,
    });
    const all = await kit().send("GET", "/v1/schedules?limit=500");
    const found = (all.body as { items: readonly { pipeline: string; name: string }[] }).items.filter(({ pipeline }) => pipeline === name);
    expect(found.map((schedule) => schedule.name)).toEqual(["daily", "hourly"]);
    expect((await kit().send("GET", `/v1/pipelines/${name}/schedules/hourly`)).body).toMatchObject({
      pipeline: name,
      name: "hourly",
      version: 1,
      by_hand: null,
    });
  });

  it("previews firings with their data intervals over a change of clocks", async () => {
    await deploy(DAILY);
    const answer = await kit().send("GET", `/v1/pipelines/${name}/schedules/daily/next?count=2&after=2026-03-28T12:00:00Z`);
    expect(answer.body).toEqual({
      items: [
        { at: "2026-03-30T02:30:00+02:00", interval: { start: "2026-03-28T02:30:00+01:00", end: "2026-03-30T02:30:00+02:00" } },
        { at: "2026-03-31T02:30:00+02:00", interval: { start: "2026-03-30T02:30:00+02:00", end: "2026-03-31T02:30:00+02:00" } },
      ],
    });
  });

  it("previews what is not deployed, or says everything that is wrong with it", async () => {
    const preview = (schedule: object) =>
      kit().send("POST", "/v1/schedules/preview", { schedule, count: 1, after: "2026-01-01T00:00:00Z" });
    expect((await preview({ every: "1d", offset: "6h" })).body).toEqual({
      items: [{ at: "2026-01-01T06:00:00+00:00", interval: { start: "2025-12-31T06:00:00+00:00", end: "2026-01-01T06:00:00+00:00" } }],
    });
    expect(await preview({ cron: "* * *", timezone: "Mars/Olympus" })).toMatchObject({
      status: 422,
      body: { code: "DEFINITION_INVALID", issues: [{ path: "timezone" }, { path: "cron" }] },
    });
    expect(await preview({ corn: "@daily" })).toMatchObject({ status: 400, body: { code: "REQUEST_INVALID" } });
  });

  it.each([
    ["GET", "/v1/pipelines/absent/schedules", 404],
    ["GET", "/v1/pipelines/absent/schedules/hourly", 404],
    ["GET", "/v1/pipelines/absent/schedules/hourly/next", 404],
    ["POST", "/v1/pipelines/absent/schedules/hourly/pause", 404],
    ["GET", "/v1/schedules?limit=0", 400],
    ["GET", "/v1/schedules?cursor=nonsense", 400],
    ["PUT", "/v1/schedules", 405],
  ])("%s %s answers %i", async (method, path, status) => {
    expect((await kit().send(method, path)).status).toBe(status);
  });

  it("refuses a count that is too large", async () => {
    await deploy(HOURLY);
    expect((await kit().send("GET", `/v1/pipelines/${name}/schedules/hourly/next?count=1001`)).status).toBe(400);
  });
});

describe("a rerun of a scheduled run", () => {
  it("keeps the schedule and the data interval", async () => {
    const { body } = await deploy(HOURLY);
    const interval = { start: "2026-03-29T01:15:00+01:00", end: "2026-03-29T03:15:00+02:00" };
    const id = `${name}.hourly-2026-03-29T01:15:00Z`;
    await kit().store.runs.create({
      id,
      pipeline: name,
      version: 1,
      planHash: (body as { hash: string }).hash,
      origin: id,
      trigger: "schedule",
      schedule: "hourly",
      intervalStart: interval.start,
      intervalEnd: interval.end,
      params: {},
    });
    await kit().store.runs.repair(id, "failed");
    expect((await kit().send("GET", `/v1/runs/${id}`)).body).toMatchObject({ id, trigger: "schedule", schedule: "hourly", interval });
    const answer = await kit().send("POST", `/v1/runs/${encodeURIComponent(id)}/rerun`, {});
    expect(answer.body).toMatchObject({ trigger: "rerun", schedule: "hourly", interval });
    expect(kit().orchestrator.started.at(-1)?.run.interval).toEqual(interval);
  });
});

describe("pausing by hand", () => {
  const act = (action: string, body: object) => kit().send("POST", `/v1/pipelines/${name}/schedules/hourly/${action}`, body);
  const wanted = () => kit().orchestrator.scheduled.get(`downbeat/schedule/${name}/hourly`);

  it("is kept with who and why, and outlives deployments until the definition changes its mind", async () => {
    await deploy(HOURLY);
    const answer = await act("pause", { by: "ana", why: "stocktaking" });
    expect(answer.body).toMatchObject({ paused: true, next: null, by_hand: { paused: true, by: "ana", why: "stocktaking" } });
    expect(wanted()).toMatchObject({ paused: true, note: "paused by ana: stocktaking" });
    await deploy(`${HOURLY}\n${DAILY}`);
    expect(wanted()).toMatchObject({ version: 2, paused: true });
    expect((await act("resume", {})).body).toMatchObject({ paused: false, by_hand: { paused: false, by: "unnamed", why: null } });
    await deploy(HOURLY.replace(" }", ", paused: true }"));
    expect(wanted()).toMatchObject({ version: 3, paused: true, note: "as the definition says" });
  });

  it("is taken while Temporal is away", async () => {
    await deploy(HOURLY);
    kit().orchestrator.failure = new DownbeatError("TEMPORAL_UNAVAILABLE", "away");
    expect(await act("pause", { by: "ana" })).toMatchObject({ status: 200, body: { paused: true } });
    kit().orchestrator.failure = undefined;
    expect(wanted()?.paused).toBe(false);
    await reconcileSchedules(kit().deps);
    expect(wanted()?.paused).toBe(true);
  });
});

describe("the reconciler", () => {
  it("removes what the store does not have, and one that cannot be put right does not stop it", async () => {
    await deploy(`${HOURLY}\n${DAILY}`);
    const { orchestrator, logs } = kit();
    const hourly = orchestrator.scheduled.get(`downbeat/schedule/${name}/hourly`);
    if (hourly === undefined) throw new Error("it was not made");
    orchestrator.scheduled.set(`downbeat/schedule/${name}/gone`, { ...hourly, name: "gone" });
    orchestrator.scheduled.delete(`downbeat/schedule/${name}/hourly`);
    orchestrator.refusesSchedule = `${name}/daily`;
    expect(await reconcileSchedules(kit().deps)).toBe(2);
    orchestrator.refusesSchedule = undefined;
    expect([...orchestrator.scheduled.keys()].filter((id) => id.includes(`/${name}/`)).toSorted()).toEqual([
      `downbeat/schedule/${name}/daily`,
      `downbeat/schedule/${name}/hourly`,
    ]);
    expect(logs.some(({ level, message }) => level === "error" && message === "a schedule could not be put right")).toBe(true);
  });

  it("does not count schedules that are over or paused as lacking their next action", async () => {
    await deploy(`${DAILY}\n  - { name: over, every: 1h, start: 2026-01-01, end: 2026-01-02 }`);
    kit().orchestrator.scheduled.clear();
    const before = await countWithoutNext(kit().deps);
    await deploy(`${DAILY}\n  - { name: over, every: 1h, start: 2026-01-01, end: 2026-01-02 }\n${HOURLY}`);
    kit().orchestrator.scheduled.clear();
    expect(await countWithoutNext(kit().deps)).toBe(before + 1);
  });
});

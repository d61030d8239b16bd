// /v1/schedules and /v1/pipelines/:name/schedules: list, show, pause, resume, and when they fire next.

import { Router, type Request } from "express";
import { z } from "zod";
import { compileSchedule } from "../../core/compile-schedules.ts";
import { scheduleSchema } from "../../core/definition-schedules.ts";
import { nextFirings, previousFiring } from "../../core/firings.ts";
import { collectIssues } from "../../core/issues.ts";
import type { ScheduleTimes } from "../../core/schedule.ts";
import { isoIn } from "../../core/time-zone.ts";
import { isPaused, type ScheduleRecord } from "../../store/schedules.ts";
import type { ApiDeps } from "../deps.ts";
import { moment } from "../present.ts";
import { IssuesError } from "../problem.ts";
import { applySchedules } from "../reconcile-schedules.ts";
import { pauseByHand } from "../paused-by-hand.ts";
import { decodeCursor, jsonBody, notFound, page, parseInput, pathParam } from "../request.ts";
import { firingsQuery, pageQuery, schedulePreviewBody } from "../schemas.ts";

const presentSchedule = (record: ScheduleRecord, now: number) => {
  const { pipeline, name, version, plan, byHand, pipelinePause, updatedAt } = record;
  const [next] = isPaused(record) ? [] : nextFirings(plan.times, now, 1);
  return {
    pipeline,
    name,
    version,
    summary: plan.summary,
    timezone: plan.times.timezone,
    overlap: plan.overlap,
    catch_up_seconds: plan.catchUpMs / 1_000,
    jitter_seconds: (plan.times.jitterMs ?? 0) / 1_000,
    start: plan.times.startAt ?? null,
    end: plan.times.endAt ?? null,
    params: plan.params,
    paused: isPaused(record),
    pipeline_paused: pipelinePause !== null,
    by_hand: byHand === null ? null : { paused: byHand.paused, by: byHand.by, why: byHand.why ?? null, at: byHand.at },
    next: next === undefined ? null : isoIn(plan.times.timezone, next),
    updated_at: moment(updatedAt),
    links: { self: `/v1/pipelines/${pipeline}/schedules/${name}`, pipeline: `/v1/pipelines/${pipeline}/versions/${version}` },
  };
};

/** Each firing with the data interval that its run would have. */
const presentFirings = (times: ScheduleTimes, count: number, after: number) => {
  const at = (value: number): string => isoIn(times.timezone, value);
  const firings = nextFirings(times, after, count);
  return firings.map((firing, index) => {
    const since = firings[index - 1] ?? previousFiring(times, firing);
    return { at: at(firing), interval: since === undefined ? null : { start: at(since), end: at(firing) } };
  });
};

const cursorOf = z.strictObject({ pipeline: z.string(), name: z.string() });

const listPage = async (request: Request, { store }: ApiDeps, ofPipeline?: string) => {
  const { limit, cursor } = parseInput(pageQuery, request.query);
  const after = decodeCursor(cursorOf, cursor);
  const found = await store.schedules.list({
    limit: limit + 1,
    ...(ofPipeline === undefined ? {} : { pipeline: ofPipeline }),
    ...(after === undefined ? {} : { after }),
  });
  const { items, next } = page(found, limit, ({ pipeline, name }) => ({ pipeline, name }));
  return { items: items.map((record) => presentSchedule(record, Date.now())), next };
};

export const scheduleRoutes = (deps: ApiDeps): Router => {
  const router = Router();

  router.get("/", async (request, response) => {
    response.json(await listPage(request, deps));
  });

  router.post("/preview", (request, response) => {
    const { schedule, count, after } = parseInput(schedulePreviewBody, jsonBody(request));
    const { issues, fault } = collectIssues(() => undefined);
    const { times } = compileSchedule(parseInput(scheduleSchema, schedule), [], fault);
    if (issues.length > 0) throw new IssuesError("DEFINITION_INVALID", issues);
    response.json({ items: presentFirings(times, count, after === undefined ? Date.now() : Date.parse(after)) });
  });

  return router;
};

export const pipelineScheduleRoutes = (deps: ApiDeps): Router => {
  const router = Router({ mergeParams: true });
  const { store } = deps;

  const existing = async (request: Request): Promise<ScheduleRecord> => {
    const asked = { pipeline: pathParam(request, "name"), name: pathParam(request, "schedule") };
    const found = await store.schedules.find(asked);
    if (found === undefined) throw notFound("schedule", `${asked.pipeline}/${asked.name}`);
    return found;
  };

  router.get("/", async (request, response) => {
    const pipeline = pathParam(request, "name");
    if ((await store.definitions.find(pipeline)) === undefined) throw notFound("pipeline", pipeline);
    response.json(await listPage(request, deps, pipeline));
  });

  router.get("/:schedule", async (request, response) => {
    response.json(presentSchedule(await existing(request), Date.now()));
  });

  router.get("/:schedule/next", async (request, response) => {
    const { count, after } = parseInput(firingsQuery, request.query);
    const { plan } = await existing(request);
    response.json({ items: presentFirings(plan.times, count, after === undefined ? Date.now() : Date.parse(after)) });
  });

  for (const action of ["pause", "resume"] as const) {
    router.post(`/:schedule/${action}`, async (request, response) => {
      const changed = await pauseByHand("schedule", store.schedules, await existing(request), action, request);
      await applySchedules(deps, changed.pipeline, []);
      response.json(presentSchedule(changed, Date.now()));
    });
  }

  return router;
};

// /v1/pipelines/:name/pause and /resume: nothing of a pipeline starts by itself or unasked; its open runs are paused with it if that is asked.
// /v1/pipelines/:name/actions: who did that, and paused or resumed its schedules and triggers, and why.

import { Router } from "express";
import { z } from "zod";
import { DownbeatError } from "../../core/errors.ts";
import type { Actor } from "../../core/run-control.ts";
import { pauseText } from "../../store/definitions.ts";
import type { PipelineActionRecord } from "../../store/pipeline-actions.ts";
import type { PipelinePause } from "../../store/schema.ts";
import type { ApiDeps } from "../deps.ts";
import { applySchedules } from "../reconcile-schedules.ts";
import { moment } from "../present.ts";
import { decodeCursor, jsonBody, notFound, page, parseInput, pathParam } from "../request.ts";
import { pauseBody, pipelineActionsQuery, pipelinePauseBody } from "../schemas.ts";

export const presentPause = (pause: PipelinePause | null) =>
  pause === null ? null : { by: pause.by, why: pause.why ?? null, at: moment(pause.at), runs: pause.runs };

const presentPipelineAction = ({ number, action, schedule, trigger, by, why, runs, at }: PipelineActionRecord) => ({
  number,
  action,
  schedule,
  trigger,
  by,
  why,
  runs: runs ?? [],
  at: moment(at),
});

const PAGE = 200;

export const pipelinePauseRoutes = (deps: ApiDeps): Router => {
  const router = Router({ mergeParams: true });
  const { definitions } = deps.store;

  const pauseOf = async (name: string): Promise<PipelinePause | null> => {
    const pause = await definitions.findPause(name);
    if (pause === undefined) throw notFound("pipeline", name);
    return pause;
  };

  const pausedAlready = async (name: string): Promise<DownbeatError> => {
    const pause = await pauseOf(name);
    const who = pause === null ? `pipeline "${name}" is paused` : pauseText(name, pause);
    return new DownbeatError("ACTION_REFUSED", `${who}; there is nothing more to pause: resume it to let it go on`);
  };

  router.post("/pause", async (request, response) => {
    const { by, why, runs } = parseInput(pipelinePauseBody, jsonBody(request));
    const name = pathParam(request, "name");
    await pauseOf(name);
    const acted = { by, ...(why === undefined ? {} : { why }), at: new Date().toISOString() };
    // First the pipeline: a run that begins meanwhile is one that was open, or none.
    const isNew = await definitions.pause(name, acted);
    if (!isNew && runs === "keep") throw await pausedAlready(name);
    await applySchedules(deps, name, []);
    const taken: string[] = [];
    try {
      if (runs === "pause") for await (const id of pauseRuns(deps, name, acted)) taken.push(id);
    } finally {
      // Also when no worker took one of them: those that are paused must go on with the pipeline.
      const isKept = taken.length === 0 || (await definitions.pauseRuns(name, acted, taken));
      // Somebody has resumed it meanwhile: nobody would let these go on.
      if (!isKept) for (const id of taken) await actOn(deps, { pipeline: name, id }, "resume", acted);
    }
    if (!isNew && taken.length === 0) throw await pausedAlready(name);
    response.json({ name, paused: presentPause(await pauseOf(name)) });
  });

  router.post("/resume", async (request, response) => {
    const { by, why } = parseInput(pauseBody, jsonBody(request));
    const name = pathParam(request, "name");
    const acted = { by, ...(why === undefined ? {} : { why }), at: new Date().toISOString() };
    const { runs = [] } = (await pauseOf(name)) ?? {};
    // First the runs: who asks again after a fault finds the rest of them.
    for (const id of runs) await actOn(deps, { pipeline: name, id }, "resume", acted);
    if (!(await definitions.resume(name, acted, runs)))
      throw new DownbeatError("ACTION_REFUSED", `pipeline "${name}" is not paused; there is nothing to resume`);
    await applySchedules(deps, name, []);
    response.json({ name, paused: null, resumed: runs });
  });

  router.get("/actions", async (request, response) => {
    const { limit, cursor, schedule, trigger } = parseInput(pipelineActionsQuery, request.query);
    const name = pathParam(request, "name");
    await pauseOf(name);
    const before = decodeCursor(z.int(), cursor);
    const filter = { ...(schedule === undefined ? {} : { schedule }), ...(trigger === undefined ? {} : { trigger }) };
    const found = await deps.store.pipelineActions.list(name, filter, {
      limit: limit + 1,
      ...(before === undefined ? {} : { before }),
    });
    const { items, next } = page(found, limit, ({ number }) => number);
    response.json({ items: items.map(presentPipelineAction), next });
  });

  return router;
};

/** The open runs that were not paused before. */
async function* pauseRuns(deps: ApiDeps, pipeline: string, acted: Actor): AsyncGenerator<string> {
  for (let after: { readonly createdAt: string; readonly id: string } | undefined; ; ) {
    const found = await deps.store.runs.list(
      { pipeline, status: ["queued", "running", "waiting", "parked"] },
      { limit: PAGE, ...(after === undefined ? {} : { after }) },
    );
    for (const run of found) if (await actOn(deps, run, "pause", acted)) yield run.id;
    after = found.at(-1);
    if (found.length < PAGE || after === undefined) return;
  }
}

/** False: it has ended meanwhile, or is as it is to be by somebody else. */
const actOn = async (
  { orchestrator }: ApiDeps,
  run: { readonly pipeline: string; readonly id: string },
  action: "pause" | "resume",
  { by, why }: Actor,
): Promise<boolean> => {
  try {
    const details = { pipeline: run.pipeline };
    await orchestrator.controlRun(
      { pipeline: run.pipeline, id: run.id },
      { control: { action }, by, ...(why === undefined ? {} : { why }), details },
      undefined,
    );
    return true;
  } catch (error) {
    if (error instanceof DownbeatError && (error.code === "RUN_NOT_ACTIVE" || error.code === "ACTION_REFUSED")) return false;
    throw error;
  }
};

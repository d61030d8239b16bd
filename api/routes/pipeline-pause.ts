// /v1/pipelines/:name/pause and /resume: nothing of a pipeline starts by itself or unasked; its open runs are paused with it if that is asked.

import { Router } from "express";
import { DownbeatError } from "../../core/errors.ts";
import type { PipelinePause } from "../../store/schema.ts";
import type { ApiDeps } from "../deps.ts";
import { applySchedules } from "../reconcile-schedules.ts";
import { moment } from "../present.ts";
import { jsonBody, notFound, parseInput, pathParam } from "../request.ts";
import { pauseBody, pipelinePauseBody } from "../schemas.ts";

export const presentPause = (pause: PipelinePause | null) =>
  pause === null ? null : { by: pause.by, why: pause.why ?? null, at: moment(pause.at), runs: pause.runs };

const PAGE = 200;

export const pipelinePauseRoutes = (deps: ApiDeps): Router => {
  const router = Router({ mergeParams: true });
  const { definitions } = deps.store;

  const pauseOf = async (name: string): Promise<PipelinePause | null> => {
    const pause = await definitions.findPause(name);
    if (pause === undefined) throw notFound("pipeline", name);
    return pause;
  };

  router.post("/pause", async (request, response) => {
    const { by, why, runs } = parseInput(pipelinePauseBody, jsonBody(request));
    const name = pathParam(request, "name");
    const before = await pauseOf(name);
    const pause = { by, ...(why === undefined ? {} : { why }), at: new Date().toISOString(), runs: before?.runs ?? [] };
    // First the pipeline: a run that begins meanwhile is one that was open, or none.
    await definitions.setPause(name, pause);
    await applySchedules(deps, name, []);
    const whole = { ...pause, runs: [...pause.runs] };
    try {
      if (runs === "pause") for await (const id of pauseRuns(deps, name, pause)) whole.runs.push(id);
    } finally {
      // Also when no worker took one of them: those that are paused must go on with the pipeline.
      if (whole.runs.length > pause.runs.length) await definitions.setPause(name, whole);
    }
    response.json({ name, paused: presentPause(whole) });
  });

  router.post("/resume", async (request, response) => {
    const { by, why } = parseInput(pauseBody, jsonBody(request));
    const name = pathParam(request, "name");
    const before = await pauseOf(name);
    // First the runs: who asks again after a fault finds the rest of them.
    for (const id of before?.runs ?? []) await actOn(deps, { pipeline: name, id }, "resume", { by, ...(why === undefined ? {} : { why }) });
    await definitions.setPause(name, undefined);
    await applySchedules(deps, name, []);
    response.json({ name, paused: null, resumed: before?.runs ?? [] });
  });

  return router;
};

/** The open runs that were not paused before. */
async function* pauseRuns(deps: ApiDeps, pipeline: string, pause: PipelinePause): AsyncGenerator<string> {
  for (let after: { readonly createdAt: string; readonly id: string } | undefined; ; ) {
    const found = await deps.store.runs.list(
      { pipeline, status: ["queued", "running", "waiting", "parked"] },
      { limit: PAGE, ...(after === undefined ? {} : { after }) },
    );
    for (const run of found) if (await actOn(deps, run, "pause", pause)) yield run.id;
    after = found.at(-1);
    if (found.length < PAGE || after === undefined) return;
  }
}

/** False: it has ended meanwhile. */
const actOn = async (
  { orchestrator }: ApiDeps,
  run: { readonly pipeline: string; readonly id: string },
  action: "pause" | "resume",
  { by, why }: Pick<PipelinePause, "by" | "why">,
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
    if (error instanceof DownbeatError && error.code === "RUN_NOT_ACTIVE") return false;
    throw error;
  }
};

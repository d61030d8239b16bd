// /v1/runs and /v1/pipelines/:name/runs: trigger, list, show, cancel.

import { Router, type Request, type Response } from "express";
import { z } from "zod";
import { parseDuration } from "../../core/duration.ts";
import { DownbeatError } from "../../core/errors.ts";
import type { JsonObject } from "../../core/json.ts";
import { overridesOf } from "../../core/overrides.ts";
import type { CompiledPlan } from "../../core/plan.ts";
import { isRunEnded } from "../../core/run-changes.ts";
import type { RunFilter, RunRecord, WholeRun } from "../../store/runs.ts";
import type { ApiDeps } from "../deps.ts";
import { closeRun } from "../close-run.ts";
import { contentHash } from "../hash.ts";
import { checkParams } from "../params.ts";
import { moment, presentAction, presentItem, presentRun, presentTasks } from "../present.ts";
import { runIdFor } from "../run-id.ts";
import { overriddenPlan, runInput } from "../run-input.ts";
import { refuseStart } from "../start-guard.ts";
import { decodeCursor, idempotencyKeyOf, jsonBody, notFound, page, parseInput, pathParam } from "../request.ts";
import { cancelBody, itemListQuery, runListQuery, triggerBody } from "../schemas.ts";

const MAX_WAIT_MS = 10 * 60_000;

export const waitOf = (request: Request): number => {
  const wait = request.query["wait"];
  if (wait === undefined) return 0;
  const milliseconds =
    typeof wait === "string" ? (parseDuration(wait) ?? (/^\d+$/.test(wait) ? Number(wait) * 1_000 : undefined)) : undefined;
  if (milliseconds === undefined) throw new DownbeatError("REQUEST_INVALID", 'wait is a duration such as "60s"');
  return Math.min(milliseconds, MAX_WAIT_MS);
};

export const pipelineRunRoutes = (deps: ApiDeps): Router => {
  const router = Router({ mergeParams: true });
  const { store, orchestrator } = deps;

  router.post("/", async (request, response) => {
    const pipeline = pathParam(request, "name");
    const wait = waitOf(request);
    const body = parseInput(triggerBody, jsonBody(request));
    const idempotencyKey = idempotencyKeyOf(request);
    const version = await store.definitions.find(pipeline, body.version);
    if (version === undefined) throw notFound("pipeline", body.version === undefined ? pipeline : `${pipeline} version ${body.version}`);
    const params = checkParams(version.definition["params"] as JsonObject | undefined, version.hash, body.params as JsonObject);
    const id = runIdFor(pipeline, idempotencyKey);
    await refuseStart(store, version, id, body.force);
    const { run, created } = await store.runs.create({
      id,
      pipeline,
      version: version.version,
      planHash: version.hash,
      origin: id,
      trigger: "http",
      params,
      ...(idempotencyKey === undefined
        ? {}
        : { idempotencyKey, requestHash: contentHash({ params: body.params, version: body.version ?? null }) }),
    });
    // A repetition may have to start what an earlier request could only write down.
    if (created) await orchestrator.startRun(await runInput(store, run, version.plan));
    else if (run.status === "queued") await orchestrator.startRun(await runInput(store, run));
    await answerRun(deps, response, run, { wait, isNew: created, ...(run.planHash === version.hash ? { plan: version.plan } : {}) });
  });

  return router;
};

/** The run, once it has ended or the wait is over. `plan`: where it is at hand. `isNew`: nothing can have been reported of it yet. */
export const answerRun = async (
  deps: ApiDeps,
  response: Response,
  run: RunRecord,
  { wait, plan, isNew = false }: { readonly wait: number; readonly plan?: CompiledPlan; readonly isNew?: boolean },
): Promise<void> => {
  const { orchestrator, store } = deps;
  const ended = isRunEnded(run.status) || (wait > 0 && (await orchestrator.waitForRun(run, wait)) === "ended");
  const unreported = { run, tasks: [], attempts: [], actions: [] };
  const whole = isNew && wait === 0 ? unreported : ((await store.runs.findWhole(run.id)) ?? unreported);
  response
    .status(ended ? 200 : 202)
    .location(`/v1/runs/${run.id}`)
    .json(await presentWhole(deps, whole, plan ?? (await store.definitions.findPlan(run.planHash))));
};

const presentWhole = async ({ orchestrator, store, temporalUiUrl }: ApiDeps, whole: WholeRun, compiled: CompiledPlan | undefined) => {
  const overrides = overridesOf(whole.actions);
  const plan = compiled === undefined ? undefined : await overriddenPlan(store, compiled, overrides);
  return {
    ...presentRun(whole.run, { temporalUiUrl, namespace: orchestrator.namespace }),
    tasks: presentTasks(whole.run, plan?.plan.tasks ?? [], whole.tasks, whole.attempts),
    // What was done to it from outside is counted apart.
    actions: whole.actions.map(presentAction).toSorted((left, right) => (left.at < right.at ? -1 : left.at > right.at ? 1 : 0)),
    overrides,
  };
};

export const runRoutes = (deps: ApiDeps): Router => {
  const router = Router();
  const { store, orchestrator, temporalUiUrl } = deps;

  router.get("/", async (request, response) => {
    const { limit, cursor, pipeline, status, trigger, backfill, since } = parseInput(runListQuery, request.query);
    const after = decodeCursor(z.strictObject({ createdAt: z.string(), id: z.string() }), cursor);
    const filter: RunFilter = {
      ...(pipeline === undefined ? {} : { pipeline }),
      ...(status === undefined ? {} : { status }),
      ...(trigger === undefined ? {} : { trigger }),
      ...(backfill === undefined ? {} : { backfill }),
      ...(since === undefined ? {} : { since }),
    };
    const found = await store.runs.list(filter, { limit: limit + 1, ...(after === undefined ? {} : { after }) });
    const { items, next } = page(found, limit, ({ createdAt, id }) => ({ createdAt, id }));
    response.json({ items: items.map((run) => presentRun(run, { temporalUiUrl, namespace: orchestrator.namespace })), next });
  });

  const existing = (id: string): Promise<RunRecord> => existingRun(deps, id);

  router.get("/:id", async (request, response) => {
    const wait = waitOf(request);
    const id = pathParam(request, "id");
    let whole = await store.runs.findWhole(id);
    if (whole !== undefined && wait > 0 && !isRunEnded(whole.run.status)) {
      await orchestrator.waitForRun(whole.run, wait);
      whole = await store.runs.findWhole(id);
    }
    if (whole === undefined) throw notFound("run", id);
    response.json(await presentWhole(deps, whole, await store.definitions.findPlan(whole.run.planHash)));
  });

  router.get("/:id/tasks/:task/items", async (request, response) => {
    const { limit, cursor, status } = parseInput(itemListQuery, request.query);
    const after = decodeCursor(z.int(), cursor);
    const run = await existing(pathParam(request, "id"));
    const taskId = pathParam(request, "task");
    const plan = await store.definitions.findPlan(run.planHash);
    if (plan?.plan.tasks.every(({ id }) => id !== taskId)) throw notFound("task", taskId);
    const place = { runId: run.id, taskId };
    const filter = status === undefined ? {} : { status };
    const found = await store.items.list(place, filter, { limit: limit + 1, ...(after === undefined ? {} : { after }) });
    const { items, next } = page(found, limit, ({ item }) => item);
    response.json({ items: items.map(presentItem), next });
  });

  router.post("/:id/cancel", async (request, response) => {
    const { by, reason = "cancelled over the API", why = reason, force } = parseInput(cancelBody, jsonBody(request));
    const run = await existing(pathParam(request, "id"));
    if (isRunEnded(run.status)) throw alreadyEnded(run);
    const status = await orchestrator.statusOf(run);
    if (status !== undefined && isRunEnded(status)) {
      // Its last report never came.
      await closeRun(deps, run, status);
      throw alreadyEnded(await existing(run.id));
    }
    await store.runs.noteCancel(run.id, { action: force ? "force cancel" : "cancel", by, why });
    if (force) await orchestrator.terminateRun(run, why);
    if (status === undefined || force) await closeRun(deps, run, "cancelled");
    else await orchestrator.cancelRun(run, why);
    response.status(202).json({ id: run.id, cancelling: true, links: { self: `/v1/runs/${run.id}` } });
  });

  return router;
};

export const existingRun = async ({ store }: ApiDeps, id: string): Promise<RunRecord> => {
  const run = await store.runs.find(id);
  if (run === undefined) throw notFound("run", id);
  return run;
};

const alreadyEnded = ({ id, status, finishedAt }: RunRecord): DownbeatError =>
  new DownbeatError(
    "RUN_NOT_ACTIVE",
    `run ${id} ended ${status}${finishedAt === null ? "" : ` at ${moment(finishedAt)}`}; there is nothing to cancel`,
  );

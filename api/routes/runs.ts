// /v1/runs and /v1/pipelines/:name/runs: trigger, list, show, cancel.

import { Router, type Request, type Response } from "express";
import { z } from "zod";
import { parseDuration } from "../../core/duration.ts";
import { DownbeatError } from "../../core/errors.ts";
import type { JsonObject } from "../../core/json.ts";
import { overridesOf } from "../../core/overrides.ts";
import type { CompiledPlan } from "../../core/plan.ts";
import { isRunEnded, referenceOf } from "../../core/run-changes.ts";
import type { TaskPlace } from "../../store/items.ts";
import type { ActionRecord, RunFilter, RunRecord, WholeRun } from "../../store/runs.ts";
import type { ApiDeps } from "../deps.ts";
import { closeRun } from "../close-run.ts";
import { contentHash } from "../hash.ts";
import { checkParams } from "../params.ts";
import { moment, presentAction, presentItem, presentRun, presentTasks } from "../present.ts";
import { runIdFor } from "../run-id.ts";
import { overriddenPlan, runInput } from "../run-input.ts";
import { refuseStart } from "../start-guard.ts";
import { isRepetition } from "../repeated-action.ts";
import { decodeCursor, idempotencyKeyOf, jsonBody, keyedOf, notFound, page, parseInput, pathParam } from "../request.ts";
import { cancelBody, itemListQuery, runListQuery, triggerBody } from "../schemas.ts";
import { findOnceEnded } from "../find-once-ended.ts";

const MAX_WAIT_MS = 10 * 60_000;

const waitQuery = z.strictObject({
  wait: z
    .string()
    .refine((text) => (parseDuration(text) ?? Infinity) <= MAX_WAIT_MS, 'is a duration of at most 10m, such as "60s"')
    .optional(),
});

export const waitOf = (request: Request): number => {
  const { wait } = parseInput(waitQuery, request.query);
  return wait === undefined ? 0 : (parseDuration(wait) ?? 0);
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
  const unreported = { run, tasks: [], attempts: [], actions: [] };
  const whole = isNew && wait === 0 ? unreported : ((await findOnceEnded(deps, run, wait)) ?? unreported);
  response
    .status(isRunEnded(whole.run.status) ? 200 : 202)
    .location(`/v1/runs/${run.id}`)
    .json(await presentWhole(deps, whole, plan ?? (await deps.store.definitions.findPlan(run.planHash))));
};

const presentWhole = async ({ orchestrator, store, temporalUiUrl }: ApiDeps, whole: WholeRun, compiled: CompiledPlan | undefined) => {
  const overrides = overridesOf(whole.actions);
  const plan = compiled === undefined ? undefined : await overriddenPlan(store, compiled, overrides);
  const planned = plan?.plan.tasks ?? [];
  const callers = planned.flatMap(({ id, operator, forEach }) => (operator === "pipeline" && forEach === undefined ? [id] : []));
  const started = await store.runs.newestStartedBy(whole.run.id, callers);
  return {
    ...presentRun(whole.run, { temporalUiUrl, namespace: orchestrator.namespace }),
    tasks: presentTasks(whole, planned, started),
    // What was done to it from outside is counted apart.
    actions: whole.actions.map(presentAction).toSorted((left, right) => (left.at < right.at ? -1 : left.at > right.at ? 1 : 0)),
    overrides,
  };
};

export const runRoutes = (deps: ApiDeps): Router => {
  const router = Router();
  const { store, orchestrator, temporalUiUrl } = deps;

  router.get("/", async (request, response) => {
    const {
      limit,
      cursor,
      pipeline,
      status,
      trigger,
      backfill,
      parent,
      parent_task: parentTask,
      since,
    } = parseInput(runListQuery, request.query);
    const after = decodeCursor(z.strictObject({ createdAt: z.string(), id: z.string() }), cursor);
    const filter: RunFilter = {
      ...(pipeline === undefined ? {} : { pipeline }),
      ...(status === undefined ? {} : { status }),
      ...(trigger === undefined ? {} : { trigger }),
      ...(backfill === undefined ? {} : { backfill }),
      ...(parent === undefined ? {} : { parent }),
      ...(parentTask === undefined ? {} : { parentTask }),
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
    const whole = wait > 0 ? await findOnceEnded(deps, await existing(id), wait) : await store.runs.findWhole(id);
    if (whole === undefined) throw notFound("run", id);
    response.json(await presentWhole(deps, whole, await store.definitions.findPlan(whole.run.planHash)));
  });

  const existingTask = async (request: Request): Promise<TaskPlace> => {
    const run = await existing(pathParam(request, "id"));
    const taskId = pathParam(request, "task");
    const plan = await store.definitions.findPlan(run.planHash);
    if (plan?.plan.tasks.every(({ id }) => id !== taskId)) throw notFound("task", taskId);
    return { runId: run.id, taskId };
  };

  router.get("/:id/tasks/:task/output", async (request, response) => {
    const { runId, taskId } = await existingTask(request);
    const { status = "pending", output = null } = (await store.runs.findTask(runId, taskId)) ?? {};
    const place = referenceOf(output)?.$output;
    const whole = place === undefined ? output : await store.items.findOutput(place);
    if (whole === null || whole === undefined) {
      const why = whole === undefined ? "its output is no longer kept" : `it is ${status}${status === "succeeded" ? " without one" : ""}`;
      throw new DownbeatError("NOT_FOUND", `task "${taskId}" of run ${runId} has no output: ${why}`);
    }
    response.json(whole);
  });

  router.get("/:id/tasks/:task/items", async (request, response) => {
    const { limit, cursor, status } = parseInput(itemListQuery, request.query);
    const after = decodeCursor(z.int(), cursor);
    const place = await existingTask(request);
    const filter = status === undefined ? {} : { status };
    const found = await store.items.list(place, filter, { limit: limit + 1, ...(after === undefined ? {} : { after }) });
    const { items, next } = page(found, limit, ({ item }) => item);
    response.json({ items: items.map(presentItem), next });
  });

  router.post("/:id/cancel", async (request, response) => {
    const body = parseInput(cancelBody, jsonBody(request));
    const { by, reason = "cancelled over the API", why = reason, force } = body;
    const keyed = keyedOf(request, body);
    const run = await existing(pathParam(request, "id"));
    const asked = { action: force ? "force cancel" : "cancel", by, why, ...keyed } as const;
    const answer = (): void => {
      response.status(202).json({ id: run.id, cancelling: true, links: { self: `/v1/runs/${run.id}` } });
    };
    const cancels = async () => (await store.runs.actionsOf(run.id)).filter(({ number }) => number < 0);
    if (await isRepetition(store.runs, run.id, keyed)) return answer();
    if (isRunEnded(run.status)) throw alreadyEnded(run);
    const status = await orchestrator.statusOf(run);
    if (status !== undefined && isRunEnded(status)) {
      // Its last report never came.
      await closeRun(deps, run, status);
      throw alreadyEnded(await existing(run.id));
    }
    if (!force && run.cancelReason !== null) throw stopping(run, await cancels());
    if (force) await orchestrator.terminateRun(run, why);
    else if (status === undefined) await closeRun(deps, run, "cancelled");
    else await orchestrator.cancelRun(run, why);
    // Only what was taken: a run that goes on must not say that it was cancelled.
    const isFirst = await store.runs.noteCancel(run.id, asked);
    if (force) await closeRun(deps, run, "cancelled");
    else if (!isFirst && !(await isRepetition(store.runs, run.id, keyed))) throw stopping(run, await cancels());
    answer();
  });

  return router;
};

export const existingRun = async ({ store }: ApiDeps, id: string): Promise<RunRecord> => {
  const run = await store.runs.find(id);
  if (run === undefined) throw notFound("run", id);
  return run;
};

const stopping = ({ id }: RunRecord, cancels: readonly ActionRecord[]): DownbeatError => {
  const first = cancels.at(-1);
  const asked = first === undefined ? "" : `: ${first.by} asked for it at ${moment(first.at)} (${first.why ?? ""})`;
  return new DownbeatError(
    "ACTION_REFUSED",
    `run ${id} is being cancelled already${asked}; it ends when its running tasks have stopped and its finally tasks have run. {"force": true} ends it at once`,
  );
};

const alreadyEnded = ({ id, status, finishedAt }: RunRecord): DownbeatError =>
  new DownbeatError(
    "RUN_NOT_ACTIVE",
    `run ${id} ended ${status}${finishedAt === null ? "" : ` at ${moment(finishedAt)}`}; there is nothing to cancel`,
  );

// /v1/runs/:id/rerun: a new run that repeats one which has ended, and takes over what need not be done again.

import { Router } from "express";
import { DownbeatError } from "../../core/errors.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import { overridesOf } from "../../core/overrides.ts";
import type { RerunRequest } from "../../core/rerun.ts";
import { isRunEnded } from "../../core/run-changes.ts";
import type { TaskPlace } from "../../store/items.ts";
import type { RunRecord } from "../../store/runs.ts";
import type { VersionRecord } from "../../store/definitions.ts";
import type { ApiDeps } from "../deps.ts";
import { contentHash } from "../hash.ts";
import { checkParams } from "../params.ts";
import { idempotencyKeyOf, jsonBody, notFound, parseInput, pathParam } from "../request.ts";
import { refuseStart } from "../start-guard.ts";
import { runIdFor } from "../run-id.ts";
import { overriddenPlan, rerunOf, runInput } from "../run-input.ts";
import { rerunBody } from "../schemas.ts";
import { answerRun, existingRun, waitOf } from "./runs.ts";

export const rerunRoutes = (deps: ApiDeps): Router => {
  const router = Router({ mergeParams: true });
  const { store, orchestrator } = deps;

  router.post("/rerun", async (request, response) => {
    const wait = waitOf(request);
    const { force, ...body } = parseInput(rerunBody, jsonBody(request));
    const { from, task, items, version: chosen, params: changes, by, why } = body;
    const before = await existingRun(deps, pathParam(request, "id"));
    if (!isRunEnded(before.status))
      throw new DownbeatError(
        "ACTION_REFUSED",
        `run ${before.id} is ${before.status}; only a run that has ended can be repeated: cancel it, or continue its parked tasks`,
      );
    const version = await versionFor(deps, before, chosen);
    if (task !== undefined) await refuseUnknown(deps, version, { runId: before.id, taskId: task }, items);
    const params = checkParams(version.definition["params"] as JsonObject | undefined, version.hash, {
      ...before.params,
      ...(changes as JsonObject),
    });
    const rerun = {
      of: before.id,
      from,
      ...(task === undefined ? {} : { task }),
      ...(items === undefined ? {} : { items }),
    } as RerunRequest;
    // They are changes of that version, and of no other.
    const overrides = overridesOf(await store.runs.actionsOf(before.id));
    const isOriginal = chosen === "original";
    const plan = isOriginal ? await overriddenPlan(store, version.plan, overrides) : version.plan;
    const { carried, anew } = await rerunOf(store, rerun, plan, params);
    const details = {
      of: before.id,
      from,
      carried: carried.length,
      ...(overrides.length === 0 ? {} : { [isOriginal ? "overrides" : "left_out"]: overrides }),
    };
    const idempotencyKey = idempotencyKeyOf(request);
    const id = runIdFor(before.pipeline, idempotencyKey);
    await refuseStart(store, version, id, force);
    const { run } = await store.runs.create({
      id,
      pipeline: before.pipeline,
      version: version.version,
      planHash: version.hash,
      // What the repeated run has committed is recognised by its origin; a whole new run commits anew.
      origin: from === "start" ? id : before.origin,
      trigger: "rerun",
      // What it is about stays: the same interval, read from the same schedule.
      ...intervalOf(before),
      params,
      rerun: { ...rerun, ...(isOriginal ? { original: true as const } : {}), ...originsOf(before, from, anew, id) },
      carried,
      action: { action: "rerun", by, ...(why === undefined ? {} : { why }), details: details as unknown as Json },
      ...(idempotencyKey === undefined ? {} : { idempotencyKey, requestHash: contentHash({ ...body, of: before.id }) }),
    });
    if (run.status === "queued") await orchestrator.startRun(await runInput(store, run));
    await answerRun(deps, response, run, { wait });
  });

  return router;
};

/** Other params are other work: what is committed of the old one is not taken for it. A whole new run needs none of that. */
const originsOf = (
  { rerun }: RunRecord,
  from: RerunRequest["from"],
  anew: readonly string[],
  id: string,
): Pick<RerunRequest, "origins"> => {
  if (from === "start") return {};
  const origins = { ...rerun?.origins, ...Object.fromEntries(anew.map((task) => [task, id])) };
  return Object.keys(origins).length === 0 ? {} : { origins };
};

const intervalOf = ({ schedule, intervalStart, intervalEnd }: RunRecord) => ({
  ...(schedule === null ? {} : { schedule }),
  ...(intervalStart === null || intervalEnd === null ? {} : { intervalStart, intervalEnd }),
});

/** Items are counted where the repeated run has written some down: of a task that it took over or never began nobody knows how many there are. */
const refuseUnknown = async ({ store }: ApiDeps, version: VersionRecord, place: TaskPlace, items: readonly number[] | undefined) => {
  const { runId, taskId } = place;
  const task = version.plan.plan.tasks.find(({ id }) => id === taskId);
  if (task === undefined) throw notFound("task", taskId);
  if (items === undefined) return;
  const refused = (why: string): DownbeatError => new DownbeatError("REQUEST_INVALID", `items: ${why}`);
  if (task.forEach === undefined)
    throw refused(`task "${taskId}" has no for_each, and so no items; leave them out to repeat the whole task`);
  const count = await store.items.count(place);
  const unknown = [...new Set(items)].filter((item) => item >= count).toSorted((left, right) => left - right);
  if (count > 0 && unknown.length > 0)
    throw refused(`task "${taskId}" of run ${runId} has no item ${unknown.join(", ")}; it has ${count}, from 0 to ${count - 1}`);
};

const versionFor = async ({ store }: ApiDeps, run: RunRecord, chosen: "original" | "latest" | number): Promise<VersionRecord> => {
  const number = chosen === "original" ? run.version : chosen === "latest" ? undefined : chosen;
  const version = await store.definitions.find(run.pipeline, number);
  if (version === undefined) throw notFound("version", `${run.pipeline} ${String(number ?? "latest")}`);
  return version;
};

// /v1/runs/:id/… : acting on an open run by hand. The run itself decides whether it can be done, and records who did it.

import { Router, type Request, type Response } from "express";
import { compilePlan } from "../../core/compile-plan.ts";
import { checkDefinition } from "../../core/definition.ts";
import { DownbeatError } from "../../core/errors.ts";
import { guardedPlan } from "../../store/guarded-plan.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import { overridesOf } from "../../core/overrides.ts";
import { isRunEnded, type RunStatus } from "../../core/run-changes.ts";
import type { Actor } from "../../core/run-control.ts";
import type { RunRecord } from "../../store/runs.ts";
import type { ControlRequest } from "../../workflows/messages.ts";
import type { ApiDeps } from "../deps.ts";
import { contentHash } from "../hash.ts";
import { checkParams } from "../params.ts";
import { IssuesError } from "../problem.ts";
import { jsonBody, keyedOf, notFound, parseInput, pathParam } from "../request.ts";
import { isRepetition } from "../repeated-action.ts";
import { continueBody, decisionBody, markBody, pauseBody } from "../schemas.ts";
import { existingRun } from "./runs.ts";

export const controlRoutes = (deps: ApiDeps): Router => {
  const router = Router({ mergeParams: true });
  const { store, orchestrator, log } = deps;

  type Asked = (run: RunRecord, task: string) => ControlRequest | Promise<ControlRequest>;

  const act = async (request: Request, response: Response, body: unknown, asked: Asked): Promise<void> => {
    const run = await existingRun(deps, pathParam(request, "id"));
    const keyed = keyedOf(request, body);
    const answer = (status: RunStatus): void => {
      response.json({ id: run.id, status, links: { self: `/v1/runs/${run.id}` } });
    };
    // Its answer may have been lost, and the run may have ended since.
    const isRepeated = await isRepetition(store.runs, run.id, keyed);
    if (isRunEnded(run.status)) {
      if (isRepeated) return answer(run.status);
      throw new DownbeatError("RUN_NOT_ACTIVE", `run ${run.id} has ended: it is ${run.status}`);
    }
    try {
      const { status, action } = await orchestrator.controlRun(run, await asked(run, pathParam(request, "task")), keyed);
      // Who looks or acts next finds it. A store that is away hears of it by the run's own report.
      if (action !== undefined)
        await store.runs.recordAction(run.id, action).catch((error: unknown) => {
          log.warn({ err: error, run: run.id }, "an action is recorded by the run's next report");
        });
      answer(status);
    } catch (error) {
      const hasEnded = error instanceof DownbeatError && error.code === "RUN_NOT_ACTIVE";
      if (!hasEnded || !(await isRepetition(store.runs, run.id, keyed))) throw error;
      answer((await existingRun(deps, run.id)).status);
    }
  };

  for (const action of ["pause", "resume"] as const) {
    router.post(`/${action}`, async (request, response) => {
      const body = parseInput(pauseBody, jsonBody(request));
      await act(request, response, body, () => ({ control: { action }, ...actorOf(body) }));
    });
  }

  router.post("/tasks/:task/continue", async (request, response) => {
    const body = parseInput(continueBody, jsonBody(request));
    const { with: changes, params } = body;
    await act(request, response, body, async (run, task) => {
      const changed: ChangedTask = changes === undefined ? {} : await changedTask(deps, run, task, changes as JsonObject);
      return {
        control: { action: "continue", task },
        ...actorOf(body),
        ...changed,
        ...(params === undefined
          ? {}
          : { params: await changedParams(deps, run, params as JsonObject), changedParams: params as JsonObject }),
        ...(changes === undefined && params === undefined
          ? {}
          : {
              details: {
                with: (changes ?? null) as Json,
                params: (params ?? null) as Json,
                ...(changed.task?.planHash === undefined ? {} : { hash: changed.task.planHash }),
              },
            }),
      };
    });
  });

  router.post("/tasks/:task/mark", async (request, response) => {
    const body = parseInput(markBody, jsonBody(request));
    const { as, output } = body;
    await act(request, response, body, (_run, task) => ({
      control: { action: "mark", task, as, ...(output === undefined ? {} : { output: output as Json }) },
      ...actorOf(body),
    }));
  });

  router.post("/tasks/:task/decide", async (request, response) => {
    const body = parseInput(decisionBody, jsonBody(request));
    const { approve, by, comment } = body;
    await act(request, response, body, (_run, task) => ({
      control: { action: "decide", task, approve },
      ...actorOf({ by, why: comment }),
    }));
  });

  return router;
};

const actorOf = ({ by, why }: { readonly by: string; readonly why?: string | undefined }): Actor => ({
  by,
  ...(why === undefined ? {} : { why }),
});

type ChangedTask = Pick<ControlRequest, "task" | "policy" | "basedOn">;

/** The run's definition with one task changed, also by what was changed of it before, compiled anew: what is wrong is said before the run hears of it. */
const changedTask = async ({ store, catalogue }: ApiDeps, run: RunRecord, taskId: string, changes: JsonObject): Promise<ChangedTask> => {
  const version = await store.definitions.find(run.pipeline, run.version);
  if (version === undefined) throw new DownbeatError("INTERNAL", `the store has no version ${run.version} of "${run.pipeline}"`);
  const tasks = version.definition["tasks"] as readonly JsonObject[];
  if (!tasks.some(({ id }) => id === taskId)) throw notFound("task", taskId);
  const fixed = ["id", "needs"].filter((key) => key in changes);
  if (fixed.length > 0) throw new DownbeatError("REQUEST_INVALID", `with: ${fixed.join(" and ")} cannot change while the run goes on`);
  const before = overridesOf(await store.runs.actionsOf(run.id)).find(({ task }) => task === taskId);
  const changed = { ...before?.with, ...changes };
  const value = { ...version.definition, tasks: tasks.map((task) => (task["id"] === taskId ? { ...task, ...changed } : task)) };
  const parsed = checkDefinition(value);
  if (!parsed.ok) throw new IssuesError("DEFINITION_INVALID", parsed.issues);
  const { connectors, activities } = catalogue;
  const result = compilePlan(parsed.definition, {
    connections: await store.connections.kinds(),
    pools: await store.pools.names(),
    connectors,
    activities,
  });
  if (!result.ok) throw new IssuesError("DEFINITION_INVALID", result.issues);
  const hash = contentHash(parsed.definition);
  await store.definitions.saveOverride({ hash, definition: parsed.definition as unknown as JsonObject, plan: result.compiled });
  const plan = await guardedPlan(result.compiled, store.connections.guarded);
  const task = plan.tasks.find(({ id }) => id === taskId);
  const policy = task === undefined ? undefined : plan.policies[task.policy];
  if (task === undefined || policy === undefined) throw new DownbeatError("INTERNAL", `the changed plan has no task "${taskId}"`);
  return { task: { ...task, planHash: hash }, policy, basedOn: before?.hash ?? run.planHash };
};

const changedParams = async ({ store }: ApiDeps, run: RunRecord, changes: JsonObject): Promise<JsonObject> => {
  const version = await store.definitions.find(run.pipeline, run.version);
  return checkParams(version?.definition["params"] as JsonObject | undefined, run.planHash, { ...run.params, ...changes });
};

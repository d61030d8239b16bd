// What a run's workflow is started with: the same whenever it is made, out of its row and what that leads to.

import { DownbeatError } from "../core/errors.ts";
import { guardedPlan } from "../store/guarded-plan.ts";
import type { JsonObject } from "../core/json.ts";
import { type Override, overridesOf, withTaskOf } from "../core/overrides.ts";
import type { CompiledPlan } from "../core/plan.ts";
import { CURRENT_MANNER } from "../core/run-manner.ts";
import { planRerun, type Rerun, type RerunRequest } from "../core/rerun.ts";
import type { Store } from "../store/open-store.ts";
import { runFacts } from "../store/run-facts.ts";
import type { RunRecord } from "../store/runs.ts";
import type { RunInput } from "../workflows/messages.ts";

type Stored = Pick<Store, "connections" | "definitions" | "runs">;

export const runInput = async (store: Stored, run: RunRecord, known?: CompiledPlan): Promise<RunInput> => {
  const input = async (compiled: CompiledPlan): Promise<RunInput> => ({
    ...CURRENT_MANNER,
    run: runFacts(run),
    planHash: run.planHash,
    plan: await guardedPlan(compiled, store.connections.guarded),
    params: run.params,
  });
  if (run.rerun === null) return input(known ?? (await planOf(store, run)));
  const plan = await planAsChanged(store, run);
  const { snapshot } = await rerunOf(store, run.rerun, plan, run.params);
  const { of, from, items, origins } = run.rerun;
  const fresh = run.rerun.from === "task" ? { fresh: { task: run.rerun.task, ...(items === undefined ? {} : { items }) } } : {};
  return {
    ...(await input(plan)),
    // Its first action, the rerun itself, is in the store.
    continued: { snapshot, seq: 0, actions: 1 },
    ...(from === "start" ? {} : { rerun: { of, ...fresh, ...(origins === undefined ? {} : { origins }) } }),
  };
};

const planOf = async ({ definitions }: Stored, { id, planHash }: RunRecord): Promise<CompiledPlan> => {
  const plan = await definitions.findPlan(planHash);
  if (plan === undefined) throw new DownbeatError("INTERNAL", `the store has no plan ${planHash} of run ${id}`);
  return plan;
};

/** The plan with tasks as people changed them. */
export const overriddenPlan = async (
  { definitions }: Pick<Stored, "definitions">,
  plan: CompiledPlan,
  overrides: readonly Override[],
): Promise<CompiledPlan> => {
  let overridden = plan;
  for (const { task, hash } of overrides) {
    const changed = await definitions.findPlan(hash);
    if (changed === undefined) throw new DownbeatError("INTERNAL", `the store has no plan ${hash}, to which task "${task}" was changed`);
    overridden = withTaskOf(overridden, task, hash, changed);
  }
  return overridden;
};

/** What the run's tasks really were, or are to be. */
const planAsChanged = async (store: Stored, run: RunRecord): Promise<CompiledPlan> =>
  overriddenPlan(store, await planOf(store, run), overridesOf(await store.runs.actionsOf(run.id)));

/** What a rerun takes over: the repeated run has ended, so that this stays the same. */
export const rerunOf = async (store: Stored, request: RerunRequest, compiled: CompiledPlan, params: JsonObject): Promise<Rerun> => {
  const before = await store.runs.find(request.of);
  if (before === undefined) throw new DownbeatError("INTERNAL", `the store has no run ${request.of}, which is to be repeated`);
  const [tasks, actions] = await Promise.all([store.runs.tasksOf(before.id), store.runs.actionsOf(before.id)]);
  const ended = { compiled: await planAsChanged(store, before), params: before.params, tasks, actions };
  return planRerun(ended, { compiled, params }, request);
};

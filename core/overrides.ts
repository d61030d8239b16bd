// What people changed of a run's tasks while it went on: read from the record of what they did, applied to the plan of its version.

import type { Json, JsonObject } from "./json.ts";
import type { CompiledPlan } from "./plan.ts";

export interface Override {
  readonly task: string;
  /** Keys of the task that differ from the version, from all changes together. */
  readonly with: JsonObject;
  /** Of the version with this one task changed: its plan lies under it. */
  readonly hash: string;
  /** Who changed it last, why and when. */
  readonly by: string;
  readonly why: string | null;
  /** ISO 8601 UTC. */
  readonly at: string;
}

/** What was done by hand, as it was recorded. */
export interface Recorded {
  readonly action: string;
  readonly taskId: string | null;
  readonly by: string;
  readonly why: string | null;
  readonly details: Json;
  readonly at: string;
}

/** `recorded` in the order in which it was done. A rerun's record says what it took over, a continuation's what it changed. */
export const overridesOf = (recorded: readonly Recorded[]): readonly Override[] => {
  const byTask = new Map<string, Override>();
  for (const { action, taskId, by, why, details, at } of recorded) {
    const said = details as { readonly overrides?: readonly Override[]; readonly with?: JsonObject | null; readonly hash?: string } | null;
    if (action === "rerun") for (const override of said?.overrides ?? []) byTask.set(override.task, override);
    if (action !== "continue" || taskId === null || said?.hash === undefined) continue;
    const changes = { ...byTask.get(taskId)?.with, ...said.with };
    byTask.set(taskId, { task: taskId, with: changes, hash: said.hash, by, why, at: new Date(at).toISOString() });
  }
  return [...byTask.values()];
};

/** The plan with one task as it is in another plan of the same tasks, which lies under `hash`. */
export const withTaskOf = (compiled: CompiledPlan, id: string, hash: string, changed: CompiledPlan): CompiledPlan => {
  const { plan } = compiled;
  const task = changed.plan.tasks.find((one) => one.id === id);
  const policy = task === undefined ? undefined : changed.plan.policies[task.policy];
  const config = changed.configs[id];
  if (task === undefined || policy === undefined) return compiled;
  const { [id]: _, ...uses } = compiled.uses ?? {};
  const used = changed.uses?.[id];
  const overridden = { ...task, policy: plan.policies.length, planHash: hash };
  return {
    ...compiled,
    plan: { ...plan, policies: [...plan.policies, policy], tasks: plan.tasks.map((one) => (one.id === id ? overridden : one)) },
    configs: config === undefined ? compiled.configs : { ...compiled.configs, [id]: config },
    uses: used === undefined ? uses : { ...uses, [id]: used },
  };
};

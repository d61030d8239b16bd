// Repairs what lies between store and Temporal: runs that were written down but never started, ends that were never reported.

import type { RunRecord } from "../store/runs.ts";
import { isRunEnded } from "../core/run-changes.ts";
import type { ApiDeps } from "./deps.ts";
import { runInput } from "./run-input.ts";

/** Younger runs are still on their way. */
const GRACE_MS = 15_000;
const PER_ROUND = 200;

/** One round; answers how many runs it repaired. Any number of processes may do this at once. */
export const reconcile = async (deps: Pick<ApiDeps, "store" | "orchestrator" | "log">): Promise<number> => {
  const before = new Date(Date.now() - GRACE_MS).toISOString();
  let repaired = 0;
  for (const run of await deps.store.runs.listOpen(before, PER_ROUND)) {
    if (await repair(deps, run)) repaired += 1;
  }
  return repaired;
};

const repair = async ({ store, orchestrator, log }: Pick<ApiDeps, "store" | "orchestrator" | "log">, run: RunRecord): Promise<boolean> => {
  const status = await orchestrator.statusOf(run);
  if (status === undefined && run.status === "queued") {
    const plan = await store.definitions.findPlan(run.planHash);
    if (plan === undefined) return false;
    await orchestrator.startRun(runInput(run, plan.plan));
    log.warn({ runId: run.id }, "started a run that had only been written down");
    return true;
  }
  if (status === undefined) {
    await store.runs.repair(run.id, "failed", {
      code: "INTERNAL",
      message: "Temporal no longer knows this run; its last report never came",
    });
    log.warn({ runId: run.id }, "closed a run that Temporal no longer knows");
    return true;
  }
  if (!isRunEnded(status)) return false;
  await store.runs.repair(run.id, status);
  log.warn({ runId: run.id, status }, "repaired the status of a run whose last report never came");
  return true;
};

// Repairs what lies between store and Temporal: runs that were written down but never started, ends that were never reported.

import { isSystemFault } from "../core/errors.ts";
import type { RunRecord } from "../store/runs.ts";
import { isRunEnded } from "../core/run-changes.ts";
import { closeRun } from "./close-run.ts";
import type { ApiDeps } from "./deps.ts";
import { runInput } from "./run-input.ts";

/** Younger runs are still on their way. */
const GRACE_MS = 15_000;
const PAGE = 200;

type Deps = Pick<ApiDeps, "store" | "orchestrator" | "log">;

/** One round over all open runs; answers how many it repaired. Any number of processes may do this at once. */
export const reconcile = async (deps: Deps, graceMs = GRACE_MS): Promise<number> => {
  const before = new Date(Date.now() - graceMs).toISOString();
  let repaired = 0;
  let after: RunRecord | undefined;
  do {
    const page = await deps.store.runs.listOpen(before, { limit: PAGE, ...(after === undefined ? {} : { after }) });
    for (const run of page) {
      if (await repairSafely(deps, run)) repaired += 1;
    }
    after = page.length < PAGE ? undefined : page.at(-1);
  } while (after !== undefined);
  return repaired;
};

/** One run that cannot be repaired must not keep the others waiting; a service that is away ends the round. */
const repairSafely = async (deps: Deps, run: RunRecord): Promise<boolean> => {
  try {
    return await repair(deps, run);
  } catch (error) {
    if (isSystemFault(error)) throw error;
    deps.log.error({ err: error, runId: run.id }, "a run could not be repaired");
    return false;
  }
};

const repair = async (deps: Deps, run: RunRecord): Promise<boolean> => {
  const { store, orchestrator, log } = deps;
  const status = await orchestrator.statusOf(run);
  if (status === undefined && run.parent !== null) {
    // The task that has written it down starts it, or has come to its end.
    const above = await store.runs.find(run.parent.runId);
    if (above !== undefined && !isRunEnded(above.status)) return false;
    await closeRun(deps, run, "cancelled");
    log.warn({ runId: run.id }, "closed a run whose parent has ended");
    return true;
  }
  if (status === undefined && run.status === "queued") {
    await orchestrator.startRun(await runInput(store, run));
    log.warn({ runId: run.id }, "started a run that had only been written down");
    return true;
  }
  if (status === undefined) {
    await closeRun(deps, run, "failed", {
      code: "INTERNAL",
      message: "Temporal no longer knows this run; its last report never came",
    });
    log.warn({ runId: run.id }, "closed a run that Temporal no longer knows");
    return true;
  }
  if (!isRunEnded(status)) return false;
  await closeRun(deps, run, status);
  log.warn({ runId: run.id, status }, "repaired the status of a run whose last report never came");
  return true;
};

// Closes a run that does not report its end itself: those who wait for it hear of it, then the store has it.

import type { RunStatus, TaskError } from "../core/run-changes.ts";
import { createTellListeners } from "../store/tell-listeners.ts";
import type { RunRecord } from "../store/runs.ts";
import type { ApiDeps } from "./deps.ts";

/** Safe to repeat: a run that is still open in the store is closed again, and who was told of it knows its event. */
export const closeRun = async (
  { store, orchestrator, log }: Pick<ApiDeps, "store" | "orchestrator" | "log">,
  { id }: Pick<RunRecord, "id">,
  status: RunStatus,
  error?: TaskError,
): Promise<void> => {
  const tell = createTellListeners({
    triggers: store.triggers,
    findRun: (runId) => store.runs.find(runId),
    tellTrigger: (settings, event) => orchestrator.triggers.tell(settings, event),
    log,
  });
  await tell({ runId: id, status, tasks: [] });
  await store.runs.repair(id, status, error);
};

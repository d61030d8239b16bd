// The last report of a run that has ended while the store was away: waits until it is back.

import { proxyActivities, setCurrentDetails } from "@temporalio/workflow";
import type { RunChanges } from "../core/run-changes.ts";
import { OPEN_OPTIONS } from "./policies.ts";
import type { DagActivities } from "./ports.ts";

const { recordRun } = proxyActivities<DagActivities>(OPEN_OPTIONS);

export const lateReport = (changes: RunChanges): Promise<void> => {
  setCurrentDetails(`run ${changes.runId} has ended, ${changes.status}; its last report waits for Downbeat's store`);
  return recordRun(changes);
};

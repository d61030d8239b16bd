// The last report of a run that has ended while the store was away: waits until it is back.

import { proxyActivities } from "@temporalio/workflow";
import type { RunChanges } from "../core/run-changes.ts";
import { OPEN_OPTIONS } from "./policies.ts";
import type { DagActivities } from "./ports.ts";

export const lateReport = (changes: RunChanges): Promise<void> => proxyActivities<DagActivities>(OPEN_OPTIONS).recordRun(changes);

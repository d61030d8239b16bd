// Loaded by workers with a build id alone, as an interceptor module: what outlives every build goes on with the current one. Runs are pinned.

import { setWorkflowOptions, type WorkflowInterceptorsFactory } from "@temporalio/workflow";
import { backfill } from "./backfill.ts";
import { lateReport } from "./late-report.ts";
import { pool } from "./pool.ts";
import { trigger } from "./trigger.ts";

// Not in pool.ts: a server refuses what a worker without a build id says of builds.
setWorkflowOptions({ versioningBehavior: "AUTO_UPGRADE" }, pool);
setWorkflowOptions({ versioningBehavior: "AUTO_UPGRADE" }, backfill);
setWorkflowOptions({ versioningBehavior: "AUTO_UPGRADE" }, trigger);
setWorkflowOptions({ versioningBehavior: "AUTO_UPGRADE" }, lateReport);

export const interceptors: WorkflowInterceptorsFactory = () => ({});

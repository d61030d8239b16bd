// What a run's workflow is started with, out of its row and its plan.

import type { Plan } from "../core/plan.ts";
import type { RunRecord } from "../store/runs.ts";
import type { RunInput } from "../workflows/messages.ts";

export const runInput = (run: RunRecord, plan: Plan): RunInput => ({
  run: {
    id: run.id,
    origin: run.origin,
    pipeline: run.pipeline,
    version: run.version,
    trigger: run.trigger,
    triggeredAt: new Date(run.createdAt).toISOString(),
  },
  planHash: run.planHash,
  plan,
  params: run.params,
});

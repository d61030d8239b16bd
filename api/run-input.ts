// What a run's workflow is started with, out of its row and its plan.

import type { Plan } from "../core/plan.ts";
import { runFacts } from "../store/run-facts.ts";
import type { RunRecord } from "../store/runs.ts";
import type { RunInput } from "../workflows/messages.ts";

export const runInput = (run: RunRecord, plan: Plan): RunInput => ({
  run: runFacts(run),
  planHash: run.planHash,
  plan,
  params: run.params,
});

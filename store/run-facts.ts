// A run's row as the facts that its workflow and its expressions know.

import type { RunRecord } from "./runs.ts";

export const runFacts = (run: RunRecord) => ({
  id: run.id,
  origin: run.origin,
  pipeline: run.pipeline,
  version: run.version,
  trigger: run.trigger,
  triggeredAt: new Date(run.createdAt).toISOString(),
  ...(run.backfill === null ? {} : { backfill: run.backfill }),
  ...(run.parent === null ? {} : { depth: run.parent.depth }),
  ...(run.intervalStart === null || run.intervalEnd === null ? {} : { interval: { start: run.intervalStart, end: run.intervalEnd } }),
});

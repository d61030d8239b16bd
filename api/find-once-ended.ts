// Waits for a run's end on behalf of a request.

import { setTimeout as pause } from "node:timers/promises";
import { isRunEnded } from "../core/run-changes.ts";
import type { RunRecord, WholeRun } from "../store/runs.ts";
import type { ApiDeps } from "./deps.ts";

const FIRST_PAUSE_MS = 20;
const MOST_PAUSE_MS = 1_000;

/** The run once the store knows how it ended, or the time is over: where the store was slow to take its last report, that comes after Temporal's word. */
export const findOnceEnded = async (
  { orchestrator, store }: Pick<ApiDeps, "orchestrator" | "store">,
  run: Pick<RunRecord, "id" | "pipeline" | "status">,
  milliseconds: number,
): Promise<WholeRun | undefined> => {
  const until = Date.now() + milliseconds;
  const isAwaited = milliseconds > 0 && !isRunEnded(run.status) && (await orchestrator.waitForRun(run, milliseconds)) === "ended";
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, MOST_PAUSE_MS)) {
    const found = await store.runs.findWhole(run.id);
    if (!isAwaited || found === undefined || isRunEnded(found.run.status) || Date.now() + pauseMs > until) return found;
    await pause(pauseMs);
  }
};

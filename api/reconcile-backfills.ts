// Repairs what lies between store and Temporal: backfills that were written down but do not run, and those that somebody stopped there.

import { controlBackfill, endPartition, settleBackfill } from "../core/backfill.ts";
import type { BackfillRecord } from "../store/backfills.ts";
import type { ApiDeps } from "./deps.ts";

/** Younger ones are still on their way. */
const GRACE_MS = 15_000;
const PAGE = 200;

type Deps = Pick<ApiDeps, "store" | "orchestrator" | "log">;

/** One round over all that have not ended; answers how many it repaired. Any number of processes may do this at once. */
export const reconcileBackfills = async (deps: Deps, graceMs = GRACE_MS): Promise<number> => {
  let repaired = 0;
  let after: BackfillRecord | undefined;
  do {
    const found = await deps.store.backfills.list(
      { status: ["running", "paused", "cancelling"] },
      { limit: PAGE, ...(after === undefined ? {} : { after }) },
    );
    for (const backfill of found) {
      if (Date.now() - Date.parse(backfill.createdAt) >= graceMs && (await repair(deps, backfill))) repaired += 1;
    }
    after = found.length < PAGE ? undefined : found.at(-1);
  } while (after !== undefined);
  return repaired;
};

const repair = async ({ store, orchestrator, log }: Deps, { id, pipeline, state, seq }: BackfillRecord): Promise<boolean> => {
  const status = await orchestrator.backfills.statusOf({ id, pipeline });
  if (status === "running") return false;
  if (status === "stopped") {
    const open = state.open.reduce((left, { runId }) => endPartition(left, runId, false), state);
    const cancelled = settleBackfill(controlBackfill(open, { action: "cancel", runs: false }));
    const at = new Date().toISOString();
    const action = { number: cancelled.actions, action: "cancel", by: "Temporal", why: "its workflow was stopped there", at };
    await store.backfills.record({ id, seq: seq + 1, state: cancelled, actions: [action] });
    log.warn({ backfill: id }, "closed a backfill whose workflow was stopped in Temporal");
    return true;
  }
  await orchestrator.backfills.start({ id, pipeline, state, seq });
  log.warn({ backfill: id }, "started a backfill that had only been written down");
  return true;
};

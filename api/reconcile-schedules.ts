// Keeps Temporal's schedules equal to the store's, in both directions: what was deleted, changed or left over there is put right.

import { nextFirings } from "../core/firings.ts";
import { scheduleId } from "../core/ids.ts";
import { pauseText } from "../store/definitions.ts";
import { isPaused, type ScheduleRecord } from "../store/schedules.ts";
import type { ApiDeps } from "./deps.ts";
import type { WantedSchedule } from "./orchestrator-schedules.ts";
import { allOf, applyNamed, type Named, reconcileNamed } from "./reconcile-named.ts";

type Deps = Pick<ApiDeps, "store" | "orchestrator" | "log">;

const wantedOf = (record: ScheduleRecord): WantedSchedule => {
  const { pipeline, name, version, planHash, plan, byHand, pipelinePause } = record;
  const paused = isPaused(record);
  const said = `${paused ? "paused" : "resumed"} by ${byHand?.by ?? ""}${byHand?.why === undefined ? "" : `: ${byHand.why}`}`;
  const own = byHand === null ? "as the definition says" : said;
  const note = pipelinePause === null ? own : pauseText(pipeline, pipelinePause);
  return { pipeline, name, version, planHash, plan, paused, note };
};

const schedulesOf = ({ store, orchestrator: { schedules }, log }: Deps): Named<ScheduleRecord> => ({
  kind: "schedule",
  idOf: scheduleId,
  inStore: store.schedules,
  inTemporal: { ...schedules, ensure: (record) => schedules.ensure(wantedOf(record)) },
  log,
});

/** One round over all schedules; answers how many it put right. Any number of processes may do this at once. */
export const reconcileSchedules = (deps: Deps): Promise<number> => reconcileNamed(schedulesOf(deps));

/** The same for one pipeline, right after it was deployed. `dropped`: names that its version before had. Leaves to the next round what cannot be done now. */
export const applySchedules = (deps: Deps, pipeline: string, dropped: readonly string[]): Promise<void> =>
  applyNamed(schedulesOf(deps), pipeline, dropped);

/** Whether it is to fire at all from now on. */
export const isActive = (record: ScheduleRecord, now: number): boolean =>
  !isPaused(record) && nextFirings(record.plan.times, now, 1).length > 0;

/** How many schedules ought to fire again while Temporal knows of no next time: gone, paused by hand, or never taken. */
export const countWithoutNext = async (deps: Pick<Deps, "store" | "orchestrator">): Promise<number> => {
  const found = new Map((await deps.orchestrator.schedules.list()).map((entry) => [scheduleId(entry), entry]));
  const now = Date.now();
  let count = 0;
  for await (const record of allOf({ inStore: deps.store.schedules })) {
    const there = found.get(scheduleId(record));
    if (isActive(record, now) && (there === undefined || there.paused || !there.hasNext)) count += 1;
  }
  return count;
};

// Keeps Temporal's schedules equal to the store's, in both directions: what was deleted, changed or left over there is put right.

import { isSystemFault } from "../core/errors.ts";
import { nextFirings } from "../core/firings.ts";
import { scheduleId, type ScheduleRef } from "../core/ids.ts";
import { pauseText } from "../store/definitions.ts";
import { isPaused, type ScheduleRecord } from "../store/schedules.ts";
import type { ApiDeps } from "./deps.ts";
import type { WantedSchedule } from "./orchestrator-schedules.ts";

type Deps = Pick<ApiDeps, "store" | "orchestrator" | "log">;

const PAGE = 200;

const wantedOf = (record: ScheduleRecord): WantedSchedule => {
  const { pipeline, name, version, planHash, plan, byHand, pipelinePause } = record;
  const paused = isPaused(record);
  const said = `${paused ? "paused" : "resumed"} by ${byHand?.by ?? ""}${byHand?.why === undefined ? "" : `: ${byHand.why}`}`;
  const own = byHand === null ? "as the definition says" : said;
  const note = pipelinePause === null ? own : pauseText(pipeline, pipelinePause);
  return { pipeline, name, version, planHash, plan, paused, note };
};

/** All schedules of the store. */
async function* schedulesOf({ store }: Pick<Deps, "store">, pipeline?: string): AsyncGenerator<ScheduleRecord> {
  for (let after: ScheduleRef | undefined; ; ) {
    const page = await store.schedules.list({
      limit: PAGE,
      ...(pipeline === undefined ? {} : { pipeline }),
      ...(after === undefined ? {} : { after }),
    });
    yield* page;
    after = page.at(-1);
    if (page.length < PAGE || after === undefined) return;
  }
}

/** One that cannot be put right must not keep the others waiting; a service that is away ends the round. */
const safely = async ({ log }: Deps, ref: ScheduleRef, work: () => Promise<boolean>): Promise<boolean> => {
  try {
    return await work();
  } catch (error) {
    if (isSystemFault(error)) throw error;
    log.error({ err: error, schedule: scheduleId(ref) }, "a schedule could not be put right");
    return false;
  }
};

const ensure = (deps: Deps, record: ScheduleRecord): Promise<boolean> =>
  safely(deps, record, async () => {
    const done = await deps.orchestrator.schedules.ensure(wantedOf(record));
    if (done !== "kept") deps.log.info({ schedule: scheduleId(record), done }, "made Temporal's schedule as the store says");
    return done !== "kept";
  });

const remove = (deps: Deps, ref: ScheduleRef): Promise<boolean> =>
  safely(deps, ref, async () => {
    // Asked once more: it may have been deployed since the list was made.
    if ((await deps.store.schedules.find(ref)) !== undefined) return false;
    const wasThere = await deps.orchestrator.schedules.remove(ref);
    if (wasThere) deps.log.info({ schedule: scheduleId(ref) }, "removed a schedule from Temporal that the store does not have");
    return wasThere;
  });

/** One round over all schedules; answers how many it put right. Any number of processes may do this at once. */
export const reconcileSchedules = async (deps: Deps): Promise<number> => {
  const found = await deps.orchestrator.schedules.list();
  const known = new Set<string>();
  let repaired = 0;
  for await (const record of schedulesOf(deps)) {
    known.add(scheduleId(record));
    if (await ensure(deps, record)) repaired += 1;
  }
  for (const ref of found) if (!known.has(scheduleId(ref)) && (await remove(deps, ref))) repaired += 1;
  return repaired;
};

/** The same for one pipeline, right after it was deployed. `dropped`: names that its version before had. Leaves to the next round what cannot be done now. */
export const applySchedules = async (deps: Deps, pipeline: string, dropped: readonly string[]): Promise<void> => {
  try {
    for await (const record of schedulesOf(deps, pipeline)) await ensure(deps, record);
    for (const name of dropped) await remove(deps, { pipeline, name });
  } catch (error) {
    deps.log.warn({ err: error, pipeline }, "schedules are not in Temporal yet; it is tried again");
  }
};

/** Whether it is to fire at all from now on. */
export const isActive = (record: ScheduleRecord, now: number): boolean =>
  !isPaused(record) && nextFirings(record.plan.times, now, 1).length > 0;

/** How many schedules ought to fire again while Temporal knows of no next time: gone, paused by hand, or never taken. */
export const countWithoutNext = async (deps: Pick<Deps, "store" | "orchestrator">): Promise<number> => {
  const found = new Map((await deps.orchestrator.schedules.list()).map((entry) => [scheduleId(entry), entry]));
  const now = Date.now();
  let count = 0;
  for await (const record of schedulesOf(deps)) {
    const there = found.get(scheduleId(record));
    if (isActive(record, now) && (there === undefined || there.paused || !there.hasNext)) count += 1;
  }
  return count;
};

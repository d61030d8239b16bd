// Schedules as they should be: written with a version of their pipeline, paused and resumed by hand.

import { createNamedOfVersions, type NamedOfVersions, type OfVersion } from "./of-version.ts";
import type { Database } from "./database.ts";
import { schedules } from "./schema.ts";

export type ScheduleRecord = OfVersion<typeof schedules>;
export type Schedules = NamedOfVersions<typeof schedules>;

/** What its user wants last: by hand, or by the definition. */
export const isPaused = ({ byHand, plan, pipelinePause }: Pick<ScheduleRecord, "byHand" | "plan" | "pipelinePause">): boolean =>
  pipelinePause !== null || (byHand?.paused ?? plan.paused);

export const createSchedules = (db: Database): Schedules => createNamedOfVersions(db, schedules, "schedule");

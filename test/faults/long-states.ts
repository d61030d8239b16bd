// States of runs with so many tasks that windows carry them out, or that they have continued as new.

import { inLanes } from "../workflow/lanes.ts";
import { after, hold, mark, pipeline, show, type State, succeeded, type Task, trigger } from "./states.ts";

const HELD = "held";

const longState = (name: string, tasks: readonly Task[], isThere: (succeededTasks: number) => boolean): State => ({
  name,
  pipelines: [pipeline(name, tasks)],
  async begin(world, key) {
    const run = await trigger(world, name, key);
    return {
      subjects: [{ run, pipeline: `kills_${name}`, wanted: succeeded(...tasks.map(({ id }) => String(id))) }],
      isReached: async () => {
        const { tasks: shown } = await show(world, run);
        const done = shown.filter(({ status }) => status === "succeeded").length;
        return shown.some(({ id, status }) => id === HELD && status === "running") && isThere(done);
      },
      goOn: () => world.effects.openGate(run),
    };
  },
});

/** More at once than a run's own history has room for. */
const WIDE = Array.from({ length: 1_180 }, (_, index) => `t${index}`);

/** The first one of a window is held, many of the others have ended, and more are at work. */
export const inWindow = longState(
  "window",
  [
    mark("before"),
    ...[HELD, ...WIDE].map((id) => after("before", id === HELD ? hold(id) : mark(id))),
    { ...mark("after"), needs: [HELD, ...WIDE] },
  ],
  (done) => done > WIDE.length / 4,
);

const LANES = 40;
/** About 5,000 events. */
const LONG = Object.entries(inLanes(LANES * 36, LANES));

/** In its second execution. */
export const continued = longState(
  "continued",
  [
    ...LONG.map(([id, { needs }]) => ({ ...mark(id), needs })),
    { ...hold(HELD), needs: LONG.slice(-LANES).map(([id]) => id) },
    after(HELD, mark("after")),
  ],
  (done) => done === LONG.length,
);

export const LONG_STATES: readonly State[] = [inWindow, continued];

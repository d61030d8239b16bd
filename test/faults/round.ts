// One round: runs are brought into their states, a victim is killed at that moment, everything goes on, and each run is judged.

import { waitUntil } from "../../bin/services/wait.ts";
import { runWorkflowId } from "../../core/ids.ts";
import { type RunStatusAnswer, STATUS_QUERY } from "../../workflows/messages.ts";
import { marks, type Scene, type ShownRun, type State, type Subject } from "./states.ts";
import { faultsOf, type Recorded } from "./verdict.ts";
import type { Victim, World } from "./world.ts";

export interface Round {
  readonly key: string;
  readonly victim: Victim;
  readonly states: readonly State[];
  /** `state`: while all runs are in their states. `going-on`: so long after they have been told to go on. */
  readonly moment: { readonly at: "state" } | { readonly at: "going-on"; readonly afterMs: number };
}

export const describeRound = ({ key, victim, states, moment }: Round): string =>
  `${key}: ${victim} dies ${moment.at === "state" ? "in" : `${moment.afterMs} ms after`} ${states.map(({ name }) => name).join(", ")}`;

/** Runs of more than a thousand tasks take most of it where the machine is busy. */
const REACHED_MS = 180_000;
const ENDED_MS = 180_000;

interface ShownItem {
  readonly values: { readonly n: number };
  readonly finished_at: string;
}

const show = (world: World, run: string): Promise<ShownRun> => world.call("GET", `/v1/runs/${run}`);

const recordedOf = async (world: World, { run, items: counts = {} }: Subject): Promise<readonly Recorded[]> => {
  const { tasks } = await show(world, run);
  const done = tasks.flatMap(({ id, status, finished_at: finishedAt }) =>
    status === "succeeded" && finishedAt !== null ? [{ task: id, item: 0, finishedAt }] : [],
  );
  const items = await Promise.all(
    Object.keys(counts).map(async (task) => {
      const page = await world.call<{ readonly items: readonly ShownItem[] }>(
        "GET",
        `/v1/runs/${run}/tasks/${task}/items?status=succeeded&limit=100`,
      );
      return page.items.map(({ values, finished_at: finishedAt }) => ({ task, item: values.n, finishedAt }));
    }),
  );
  return [...done, ...items.flat()];
};

const ENDS = ["succeeded", "failed", "cancelled"];

const endOf = (world: World, run: string): Promise<ShownRun> =>
  waitUntil(
    async () => {
      const shown = await show(world, run);
      if (ENDS.includes(shown.status)) return shown;
      throw new Error(`${run} is ${shown.status}: ${shown.tasks.map(({ id, status }) => `${id} ${status}`).join(", ")}`);
    },
    { timeoutMs: ENDED_MS },
  );

const realOf = (world: World, { run, pipeline }: Subject) =>
  world.withTemporal(async ({ workflow }) => {
    const handle = workflow.getHandle(runWorkflowId(pipeline, run));
    // Its last report is made as it ends: Temporal hears of the end a moment later.
    const { status } = await waitUntil(
      async () => {
        const described = await handle.describe();
        if (described.status.name === "RUNNING") throw new Error(`${run} has told its end, and goes on in Temporal`);
        return described;
      },
      { timeoutMs: REACHED_MS },
    );
    const { tasks } = await waitUntil(() => handle.query<RunStatusAnswer>(STATUS_QUERY), { timeoutMs: REACHED_MS });
    // A failed or cancelled run is a workflow that says so; completed alone is called otherwise.
    return { status: status.name === "COMPLETED" ? "succeeded" : status.name.toLowerCase(), tasks };
  });

const judge = async (
  world: World,
  scene: Scene,
  state: State,
  recorded: ReadonlyMap<string, readonly Recorded[]>,
): Promise<readonly string[]> => {
  const runs = scene.subjects.map(({ run }) => run);
  const ended = await Promise.all(runs.map(async (run) => [run, await endOf(world, run)] as const));
  const shown = new Map(ended);
  const effects = await world.effects.of(runs);
  const faults = await Promise.all(
    scene.subjects.map(async (subject) => {
      const record = shown.get(subject.run);
      if (record === undefined) throw new Error(`${subject.run} was not looked at`);
      return faultsOf({
        run: subject.run,
        wanted: subject.wanted,
        shown: record,
        real: await realOf(world, subject),
        items: subject.items ?? {},
        marking: record.tasks.map(({ id }) => id).filter((id) => marks(id, state.name) && subject.items?.[id] === undefined),
        recorded: recorded.get(subject.run) ?? [],
        effects: effects.filter(({ run }) => run === subject.run),
      });
    }),
  );
  return faults.flat();
};

/** The faults that it has found. Throws when runs do not come into their states, or do not end. */
export const playRound = async (world: World, round: Round): Promise<readonly string[]> => {
  const scenes = await Promise.all(round.states.map(async (state) => ({ state, scene: await state.begin(world, round.key) })));
  await waitUntil(
    async () => {
      const reached = await Promise.all(scenes.map(async ({ state, scene }) => ((await scene.isReached()) ? [] : [state.name])));
      if (reached.flat().length > 0) throw new Error(`not in their states: ${reached.flat().join(", ")}`);
    },
    { timeoutMs: REACHED_MS },
  );
  const subjects = scenes.flatMap(({ scene }) => scene.subjects);
  const recorded = new Map(await Promise.all(subjects.map(async (subject) => [subject.run, await recordedOf(world, subject)] as const)));
  const goOn = async (): Promise<void> => {
    await Promise.all(scenes.map(({ scene }) => scene.goOn()));
  };
  if (round.moment.at === "state") {
    await world.kill(round.victim);
    await goOn();
  } else {
    const { afterMs } = round.moment;
    const killed = new Promise((resolve) => setTimeout(resolve, afterMs)).then(() => world.kill(round.victim));
    await Promise.all([goOn(), killed]);
  }
  const faults = await Promise.all(scenes.map(({ state, scene }) => judge(world, scene, state, recorded)));
  world.assertHealthy();
  return faults.flat();
};

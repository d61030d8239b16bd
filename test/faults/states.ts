// The states in which a kill finds a run: the pipelines that stay in each until their gate is opened, and what lets them go on.

import { waitUntil } from "../../bin/services/wait.ts";
import type { TaskFacts } from "./verdict.ts";
import type { World } from "./world.ts";

interface ShownTask extends TaskFacts {
  readonly waiting: { readonly for: string } | null;
}

export interface ShownRun {
  readonly id: string;
  readonly status: string;
  readonly tasks: readonly ShownTask[];
}

/** A run under test and how it must end. */
export interface Subject {
  readonly run: string;
  readonly pipeline: string;
  readonly wanted: { readonly status: string; readonly tasks: Readonly<Record<string, string>> };
  /** How many items each task with `for_each` has. */
  readonly items?: Readonly<Record<string, number>>;
}

export interface Scene {
  readonly subjects: readonly Subject[];
  isReached(): Promise<boolean>;
  goOn(): Promise<void>;
}

export type Task = Readonly<Record<string, unknown>>;

export interface State {
  readonly name: string;
  readonly pipelines: readonly Readonly<Record<string, unknown>>[];
  /** Starts its runs; `key` makes them once. */
  begin(world: World, key: string): Promise<Scene>;
}

const RUN = "${{ run.id }}";
const sql = (id: string, query: string, params: Readonly<Record<string, unknown>> = {}): Task => ({
  id,
  sql: { connection: "effects", query, params: { run: RUN, task: id, ...params } },
});
export const mark = (id: string): Task => sql(id, "select mark(:run, :task, 0)");
export const hold = (id: string, gate = RUN): Task => sql(id, "select mark_and_hold(:run, :task, 0, :gate)", { gate });
/** By a connection that has limits. */
const by = (connection: string, { sql: work, ...task }: Task): Task => ({ ...task, sql: { ...(work as object), connection } });
const markIfOpen = (id: string): Task => sql(id, "select mark_if_open(:run, :task, 0, :gate)", { gate: RUN });

/** Short heartbeats, so that a dead worker is noticed within seconds; attempts enough for whatever the kills cost. */
export const pipeline = (name: string, tasks: readonly Task[], more: Readonly<Record<string, unknown>> = {}) => ({
  apiVersion: "downbeat/v1",
  name: `kills_${name}`,
  defaults: { timeout: { heartbeat: "2s" }, retry: { attempts: 20, backoff: "500ms", max_backoff: "2s" } },
  ...more,
  tasks,
});

export const trigger = async (world: World, name: string, key: string): Promise<string> =>
  (await world.call<{ readonly id: string }>("POST", `/v1/pipelines/kills_${name}/runs`, {}, `${key}-${name}`)).id;
export const show = (world: World, run: string): Promise<ShownRun> => world.call("GET", `/v1/runs/${run}`);
const taskOf = async (world: World, run: string, id: string): Promise<ShownTask | undefined> =>
  (await show(world, run)).tasks.find((task) => task.id === id);
const act = async (world: World, run: string, action: string, body: Readonly<Record<string, unknown>>): Promise<void> => {
  await world.call("POST", `/v1/runs/${run}/${action}`, body, `${run}-${action}`);
};

export const succeeded = (...tasks: readonly string[]) => ({
  status: "succeeded",
  tasks: Object.fromEntries(tasks.map((task) => [task, "succeeded"])),
});

export const after = (need: string, task: Task): Task => ({ ...task, needs: [need] });
const BY = { by: "kills" };

/** One run of one pipeline, with `before` done, `held` in the state, `after` still to come. */
const heldState = (
  name: string,
  held: Task,
  isThere: (task: ShownTask, run: ShownRun) => boolean,
  more: {
    readonly begun?: (world: World, run: string) => Promise<void>;
    readonly goOn?: (world: World, run: string) => Promise<void>;
  } = {},
): State => ({
  name,
  pipelines: [pipeline(name, [mark("before"), { ...held, needs: ["before"] }, after("held", mark("after"))])],
  async begin(world, key) {
    const run = await trigger(world, name, key);
    await more.begun?.(world, run);
    return {
      subjects: [{ run, pipeline: `kills_${name}`, wanted: succeeded("before", "held", "after") }],
      isReached: async () => {
        const shown = await show(world, run);
        return shown.tasks.some((task) => task.id === "held" && isThere(task, shown));
      },
      goOn: async () => {
        await world.effects.openGate(run);
        await more.goOn?.(world, run);
      },
    };
  },
});

const waitsFor =
  (reason: string) =>
  ({ status, waiting }: ShownTask): boolean =>
    status === "waiting" && waiting?.for === reason;

const CONDITION = {
  id: "held",
  wait: { sql: { connection: "effects", query: "select is_open(:run)", params: { run: RUN } }, poll: { every: "1s", max: "1s" } },
};

/** Two runs that cannot both go on: the second one is in the state while the first holds what it wants. */
const rivals = (
  name: string,
  tasks: readonly Task[],
  more: Readonly<Record<string, unknown>>,
  isThere: (run: ShownRun) => boolean,
): State => ({
  name,
  pipelines: [pipeline(name, tasks, more)],
  async begin(world, key) {
    const runs = await Promise.all(["1", "2"].map((number) => trigger(world, name, `${key}-${number}`)));
    return {
      subjects: runs.map((run) => ({ run, pipeline: `kills_${name}`, wanted: succeeded("held", "after") })),
      isReached: async () => {
        const shown = await Promise.all(runs.map((run) => show(world, run)));
        return shown.some(isThere) && shown.some(({ tasks: seen }) => seen.some(({ id, status }) => id === "held" && status === "running"));
      },
      goOn: async () => {
        for (const run of runs) await world.effects.openGate(run);
      },
    };
  },
});

/** Enough for groups of several items; the last ten hold, in the midst of such a group. */
const ITEM_COUNT = 40;
const QUICK_ITEMS = 30;
const ITEMS = sql("held", `select mark_and_hold(:run, :task, :item, case when :item::int > ${QUICK_ITEMS} then :run else 'open' end)`, {
  item: "${{ each.n }}",
});

const itemsState: State = {
  ...heldState("items", { ...ITEMS, for_each: { in: { range: { from: 1, to: ITEM_COUNT } }, as: "n", window: 2 } }, () => false),
  async begin(world, key) {
    await world.effects.openGate("open");
    const run = await trigger(world, "items", key);
    return {
      subjects: [{ run, pipeline: "kills_items", wanted: succeeded("before", "held", "after"), items: { held: ITEM_COUNT } }],
      isReached: async () => {
        if ((await taskOf(world, run, "held"))?.status !== "running") return false;
        const page = await world.call<{ readonly items: readonly unknown[] }>(
          "GET",
          `/v1/runs/${run}/tasks/held/items?status=succeeded&limit=100`,
        );
        return page.items.length === QUICK_ITEMS;
      },
      goOn: () => world.effects.openGate(run),
    };
  },
};

/** The second of three items waits for its next attempt until the gate is open. */
const itemRetryState: State = {
  ...heldState(
    "item_retry",
    {
      ...sql("held", "select mark_if_open(:run, :task, :item::int, case when :item::int = 2 then :run else 'open' end)", {
        item: "${{ each.n }}",
      }),
      for_each: { in: { range: { from: 1, to: 3 } }, as: "n" },
      retry: { attempts: 100, on: { SQL_FAILED: { attempts: 100, backoff: "2s", max_backoff: "2s" } } },
    },
    () => false,
  ),
  async begin(world, key) {
    await world.effects.openGate("open");
    const run = await trigger(world, "item_retry", key);
    return {
      subjects: [{ run, pipeline: "kills_item_retry", wanted: succeeded("before", "held", "after"), items: { held: 3 } }],
      isReached: async () => {
        if ((await taskOf(world, run, "held"))?.status !== "running") return false;
        type Item = { readonly status: string; readonly attempts: number };
        const { items } = await world.call<{ readonly items: readonly Item[] }>("GET", `/v1/runs/${run}/tasks/held/items`);
        return items.map(({ status }) => status).join() === "succeeded,pending,succeeded" && (items[1]?.attempts ?? 0) > 0;
      },
      goOn: () => world.effects.openGate(run),
    };
  },
};

/** A rerun of what failed: `before` is carried over from the first run, whose id is the origin of both. */
const rerunState: State = {
  name: "rerun",
  pipelines: [
    pipeline("rerun", [
      mark("before"),
      {
        ...after("before", sql("doubtful", "select mark_if_open(:run, :task, 0, :gate)", { gate: "${{ run.origin }}" })),
        retry: { attempts: 1 },
      },
      after("doubtful", hold("held")),
      after("held", mark("after")),
    ]),
  ],
  async begin(world, key) {
    const first = await trigger(world, "rerun", key);
    await waitUntil(
      async () => {
        const { status } = await show(world, first);
        if (status !== "failed") throw new Error(`what is to be repeated is ${status}`);
      },
      { timeoutMs: 60_000 },
    );
    await world.effects.openGate(first);
    const { id: run } = await world.call<{ readonly id: string }>(
      "POST",
      `/v1/runs/${first}/rerun`,
      { from: "failed", ...BY },
      `${key}-again`,
    );
    return {
      subjects: [{ run, pipeline: "kills_rerun", wanted: succeeded("before", "doubtful", "held", "after") }],
      isReached: async () => (await taskOf(world, run, "held"))?.status === "running",
      goOn: () => world.effects.openGate(run),
    };
  },
};

const subPipelineState: State = {
  name: "sub_pipeline",
  pipelines: [
    pipeline("inner", [mark("first"), after("first", hold("inside", "${{ params.gate }}"))], {
      params: { type: "object", properties: { gate: { type: "string" } }, required: ["gate"] },
    }),
    pipeline("sub_pipeline", [
      mark("before"),
      { id: "sub", needs: ["before"], pipeline: { name: "kills_inner", params: { gate: RUN } } },
      after("sub", mark("after")),
    ]),
  ],
  async begin(world, key) {
    const run = await trigger(world, "sub_pipeline", key);
    const subjects: Subject[] = [{ run, pipeline: "kills_sub_pipeline", wanted: succeeded("before", "sub", "after") }];
    return {
      subjects,
      isReached: async () => {
        type Child = { readonly id: string; readonly parent: { readonly run: string } | null };
        const { items } = await world.call<{ readonly items: readonly Child[] }>("GET", "/v1/runs?pipeline=kills_inner");
        const child = items.find(({ parent }) => parent?.run === run);
        if (child === undefined || (await taskOf(world, child.id, "inside"))?.status !== "running") return false;
        if (subjects.length === 1) subjects.push({ run: child.id, pipeline: "kills_inner", wanted: succeeded("first", "inside") });
        return true;
      },
      goOn: () => world.effects.openGate(run),
    };
  },
};

/** `clean` is a finally task that holds; with `cancelled` it comes after a cancellation, not after a success. */
const finallyState = (name: string, cancelled: boolean): State => ({
  name,
  pipelines: [
    pipeline(name, [cancelled ? hold("main", "never") : mark("main"), after("main", mark("next")), { ...hold("clean"), finally: true }]),
  ],
  async begin(world, key) {
    const run = await trigger(world, name, key);
    let isCancelled = !cancelled;
    const wanted = cancelled
      ? { status: "cancelled", tasks: { main: "cancelled", next: "cancelled", clean: "succeeded" } }
      : succeeded("main", "next", "clean");
    return {
      subjects: [{ run, pipeline: `kills_${name}`, wanted }],
      isReached: async () => {
        if (!isCancelled && (await taskOf(world, run, "main"))?.status === "running") {
          await act(world, run, "cancel", { reason: "the round says so" });
          isCancelled = true;
        }
        return (await taskOf(world, run, "clean"))?.status === "running";
      },
      goOn: () => world.effects.openGate(run),
    };
  },
});

const isRunning = ({ status }: ShownTask): boolean => status === "running";

export const STATES: readonly State[] = [
  rivals(
    "queued",
    [hold("held"), after("held", mark("after"))],
    { concurrency: { max_runs: 1, strategy: "queue" } },
    ({ status }) => status === "queued",
  ),
  heldState("running", hold("held"), isRunning),
  heldState(
    "retry",
    { ...markIfOpen("held"), retry: { attempts: 100, on: { SQL_FAILED: { attempts: 100, backoff: "2s", max_backoff: "2s" } } } },
    waitsFor("retry"),
  ),
  // Longer than all others take to come into their states, also on a busy machine: nothing else ends by itself.
  heldState("timer", { id: "held", wait: { for: "25s" } }, waitsFor("time")),
  heldState("condition", CONDITION, waitsFor("condition")),
  rivals("pool", [{ ...hold("held"), pool: "kills" }, after("held", mark("after"))], {}, ({ tasks }) => tasks.some(waitsFor("pool"))),
  rivals("connection", [by("narrow", hold("held")), after("held", mark("after"))], {}, ({ tasks }) => tasks.some(waitsFor("connection"))),
  // Its circuit opens at the first failure, and again at each probe until the gate is open.
  heldState(
    "circuit",
    {
      ...by("unwell", sql("held", "select mark_if_well(:run, :task, :gate)", { gate: RUN })),
      retry: { attempts: 100, backoff: "500ms", max_backoff: "500ms" },
    },
    waitsFor("circuit"),
  ),
  heldState("approval", { id: "held", approval: { message: "Go on?" } }, waitsFor("approval"), {
    goOn: (world, run) => act(world, run, "tasks/held/decide", { ...BY, approve: true }),
  }),
  heldState("paused", CONDITION, (_task, { status }) => status === "paused", {
    begun: (world, run) => act(world, run, "pause", BY),
    goOn: (world, run) => act(world, run, "resume", BY),
  }),
  heldState("parked", { ...markIfOpen("held"), retry: { attempts: 1 }, on_exhausted: "park" }, ({ status }) => status === "parked", {
    goOn: (world, run) => act(world, run, "tasks/held/continue", BY),
  }),
  itemsState,
  itemRetryState,
  rerunState,
  subPipelineState,
  finallyState("finally", false),
  finallyState("cancelling", true),
];

/** What the pipelines share, and the pipelines. */
export const deployStates = async (world: World, states: readonly State[]): Promise<void> => {
  await world.call("PUT", "/v1/pools/kills", { slots: 1 });
  await world.connect("narrow", { max_concurrent: 1 });
  await world.connect("unwell", { circuit_breaker: { failures: 1, within: "1m", open_for: "5s" } });
  for (const definition of states.flatMap(({ pipelines }) => pipelines))
    await world.call("PUT", `/v1/pipelines/${String(definition["name"])}`, definition);
};

/** Tasks without an effect of their own, or with that of the run before. */
export const marks = (task: string, state: string): boolean =>
  task !== "sub" &&
  !(task === "before" && state === "rerun") &&
  !(task === "held" && ["timer", "condition", "approval", "paused"].includes(state));

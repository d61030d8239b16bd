// No history of ours grows beyond its limit: runs of many tasks, tasks of many items.

import { setTimeout as pause } from "node:timers/promises";
import { Worker } from "@temporalio/worker";
import { afterAll, expect, it } from "vitest";
import { LIMITS } from "../../core/limits.ts";
import { planOf } from "../core/runs.ts";
import { historyLengthsUnder } from "../faults/histories.ts";
import { freshStore } from "../fixtures/store.ts";
import type { Behaviour } from "./engine.ts";
import { useEngine } from "./kit.ts";
import { LIMITED } from "./limits-kit.ts";

const store = await freshStore();
afterAll(() => store.close());
const engine = useEngine({ items: store.items, own: { nothing: () => Promise.resolve(null) }, ...LIMITED });

const nothing = { operator: "activity", activity: { name: "nothing", input: null } } as const;

/** More events than one history may have were there, and none has more. */
const expectShort = async (workflowId: string): Promise<void> => {
  const lengths = await historyLengthsUnder(engine().client, workflowId);
  const all = Object.values(lengths).flat();
  expect(all.length).toBeGreaterThan(1);
  const long = Object.fromEntries(Object.entries(lengths).filter(([, each]) => Math.max(...each) > LIMITS.historyEvents));
  expect(long).toEqual({});
};

it("a run of as many tasks as a definition can have", async () => {
  const wide = 100;
  const tasks = Array.from({ length: LIMITS.tasks }, (_, index) => [
    `t${index}`,
    { ...nothing, ...(index < wide ? {} : { needs: [`t${index - wide}`] }) },
  ]);
  const run = await engine().run(planOf(Object.fromEntries(tasks)));
  expect(run.outcome).toBe("succeeded");
  expect(Object.keys(run.tasks())).toHaveLength(LIMITS.tasks);
  await expectShort(run.id);
}, 300_000);

it("a run of many tasks that end one by one, its windows as well", async () => {
  const ids = Array.from({ length: 1_300 }, (_, index) => `t${index}`);
  const slow: Behaviour = async ({ taskId }) => {
    await pause(1_000 + ((Number(taskId.slice(1)) * 7919) % 1_000));
    return { output: null };
  };
  const run = await engine().run(planOf(Object.fromEntries(ids.map((id) => [id, {}]))), {
    verbs: Object.fromEntries(ids.map((id) => [id, slow])),
  });
  expect(run.outcome).toBe("succeeded");
  await expectShort(run.id);
}, 300_000);

const over = (to: number, window = 200) => ({
  forEach: { loops: [{ as: "n", in: { range: { from: 1, to, step: 1 } } }], window, maxFailures: 0 },
});

it("a task with as many items as it can have", async () => {
  const run = await engine().run(planOf({ many: { ...nothing, ...over(LIMITS.items) } }));
  expect(run.outcome).toBe("succeeded");
  await expectShort(run.id);
}, 300_000);

it("a task whose items are activities each, on a queue of their own", async () => {
  const queue = `${engine().queue}-own`;
  const worker = await Worker.create({
    connection: engine().native,
    taskQueue: queue,
    activities: { nothing: () => Promise.resolve(null) },
  });
  await worker.runUntil(async () => {
    const run = await engine().run(planOf({ many: { ...nothing, queue, ...over(1_000) } }));
    expect(run.outcome).toBe("succeeded");
    await expectShort(run.id);
  });
}, 300_000);

it("a task whose items have large inputs: what answers at the same time stays under the limit of a message", async () => {
  const queue = `${engine().queue}-large`;
  const lengths: number[] = [];
  const worker = await Worker.create({
    connection: engine().native,
    taskQueue: queue,
    activities: {
      nothing: ({ text }: { text: string }) => {
        lengths.push(text.length);
        return Promise.resolve(null);
      },
    },
  });
  const [text, items] = ["x".repeat(60_000), 60];
  await worker.runUntil(async () => {
    const large = { ...nothing, activity: { name: "nothing", input: { text: "${{ params.text }}${{ params.text }}" } } };
    const run = await engine().run(planOf({ many: { ...large, queue, ...over(items) } }), { params: { text } });
    expect(run.outcome).toBe("succeeded");
    expect(lengths).toEqual(Array.from({ length: items }, () => 2 * text.length));
  });
}, 300_000);

it("a run with many tasks that wait for a pool of few slots: each has its turn, in one execution after another", async () => {
  const pool = "few_slots";
  const tasks = Object.fromEntries(Array.from({ length: 400 }, (_, index) => [`t${index}`, { ...nothing, pool }]));
  const run = await engine().run(planOf(tasks));
  expect(run.outcome).toBe("succeeded");
  await expectShort(run.id);
  expect((await historyLengthsUnder(engine().client, run.id))[run.id]?.length).toBeGreaterThan(1);
}, 300_000);

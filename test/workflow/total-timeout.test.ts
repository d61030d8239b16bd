// What becomes of a task's run, and of its items, when the task's total time is over: they are told to stop, and clean up.

import { afterAll, describe, expect, it } from "vitest";
import { runWorkflowId } from "../../core/ids.ts";
import type { Policy } from "../../core/plan.ts";
import { planOf, policy } from "../core/runs.ts";
import { freshStore } from "../fixtures/store.ts";
import { blocked, statusesOf, useEngine } from "./kit.ts";

const store = await freshStore();
afterAll(() => store.close());

const engine = useEngine({ items: store.items });

const INNER = planOf({ work: {}, clean: { finally: true } });
const OVER = { forEach: { loops: [{ as: "n", in: [1, 2] }], window: 2, maxFailures: 0 } };
/** What is told to stop has begun by then. */
const policies: readonly Policy[] = [policy({ totalMs: 10_000 })];

/** Of tasks that clean up. */
const cleaned = () => {
  const runs: string[] = [];
  return {
    runs,
    clean: async ({ run }: { readonly run: { readonly id: string } }) => {
      runs.push(run.id);
      return { output: null };
    },
  };
};

const statusOf = async (id: string): Promise<string> =>
  (await engine().client.workflow.getHandle(runWorkflowId("inner", id)).describe()).status.name;

describe("timeout.total", () => {
  it("of a task that runs a pipeline: that is cancelled, cleans up, and the task fails as others do", async () => {
    const { runs, clean } = cleaned();
    const { work } = blocked();
    const plan = planOf({ inner: { operator: "pipeline" } }, { policies });
    const run = await engine().run(plan, { pipelines: { inner: INNER }, verbs: { work, clean } });
    expect(run).toMatchObject({ outcome: "failed", error: { code: "TASK_TIMEOUT" } });
    expect(run.attempts("inner")).toMatchObject([{ status: "failed", error: { code: "TASK_TIMEOUT" } }]);
    expect([runs, await statusOf(`${run.id}.inner.1`)]).toEqual([[`${run.id}.inner.1`], "CANCELLED"]);
  });

  it("of items that are runs of a pipeline: those clean up, too", async () => {
    const { runs, clean } = cleaned();
    const { work } = blocked();
    const plan = planOf({ inner: { operator: "pipeline", ...OVER } }, { policies });
    const run = await engine().run(plan, { pipelines: { inner: INNER }, verbs: { work, clean } });
    expect(run.outcome).toBe("failed");
    expect(runs.toSorted()).toEqual([`${run.id}.inner.1.0.1`, `${run.id}.inner.1.1.1`]);
    expect(await statusOf(`${run.id}.inner.1.1.1`)).toBe("CANCELLED");
  });

  it("of a task with for_each: its items are told to stop", async () => {
    const { work } = blocked();
    const run = await engine().run(planOf({ each: OVER }, { policies }), { verbs: { each: work } });
    expect(run).toMatchObject({ outcome: "failed", error: { code: "TASK_TIMEOUT" } });
    expect(statusesOf(run)).toEqual({ each: "failed" });
  });
});

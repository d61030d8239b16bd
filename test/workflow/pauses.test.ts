// A pause reaches what has begun: items of a for_each, runs that tasks have started, and items that are such runs.

import { afterAll, describe, expect, it } from "vitest";
import { mappedWorkflowId, runWorkflowId } from "../../core/ids.ts";
import { type ControlAnswer, type RunStatusAnswer, STATUS_QUERY } from "../../workflows/messages.ts";
import { DownbeatError } from "../../core/errors.ts";
import { planOf } from "../core/runs.ts";
import { freshStore } from "../fixtures/store.ts";
import type { Behaviour } from "./engine.ts";
import { blocked, control, statusesOf, until, useEngine } from "./kit.ts";

const store = await freshStore();
afterAll(() => store.close());

const engine = useEngine({ items: store.items });
const handleOf = (id: string) => engine().client.workflow.getHandle(id);
const innerOf = (id: string) => handleOf(runWorkflowId("inner", id));

const act = (handle: ReturnType<typeof handleOf>, action: "pause" | "resume"): Promise<ControlAnswer> =>
  control(handle, { control: { action }, by: "ann", why: "the bank is closed" });

const saysPaused = async (handle: ReturnType<typeof handleOf>): Promise<boolean> => {
  const { currentDetails = "" } = await handle.query<{ readonly currentDetails?: string }>("__temporal_workflow_metadata");
  return currentDetails.includes("paused");
};

const stateOf = async (id: string): Promise<RunStatusAnswer["tasks"]> => (await innerOf(id).query<RunStatusAnswer>(STATUS_QUERY)).tasks;

const over = (to: number, window: number) => ({
  forEach: { loops: [{ as: "n", in: { range: { from: 1, to, step: 1 } } }], window, maxFailures: 0 },
});

const INNER = planOf({ work: {}, more: { needs: ["work"] } });

describe("a run that is paused", () => {
  it("begins no new items of a for_each, until it goes on", async () => {
    const { work, begun, release } = blocked();
    const run = await engine().start(planOf({ each: over(20, 2) }), {
      verbs: { each: (call, context) => work(call, context).then(() => ({ output: true })) },
    });
    const items = handleOf(mappedWorkflowId(run.id, "each", 1));
    await until("two items are at work", () => begun.length === 2);
    await act(run.handle, "pause");
    await until("its items know", () => saysPaused(items));
    release();
    const done = async () => (await store.items.list({ runId: run.id, taskId: "each" }, {}, { limit: 20 })).filter(({ output }) => output);
    await until("what was at work has ended", async () => (await done()).length === 2);
    expect([begun.length, await saysPaused(items)]).toEqual([2, true]);
    await act(run.handle, "resume");
    expect(await run.end()).toMatchObject({ outcome: "succeeded" });
    expect(begun).toHaveLength(20);
  });

  it("pauses the runs of its tasks and of its items, which go on with it", async () => {
    const { work, begun, release } = blocked();
    const plan = planOf({ inner: { operator: "pipeline" }, items: { operator: "pipeline", ...over(3, 1) } });
    const run = await engine().start(plan, { pipelines: { inner: INNER, items: INNER }, verbs: { work } });
    await until("both run", () => begun.length === 2);
    const [task, item] = [innerOf(`${run.id}.inner.1`), handleOf(runWorkflowId("items", `${run.id}.items.1.0.1`))];
    await act(run.handle, "pause");
    await until("they are paused", async () => (await saysPaused(task)) && (await saysPaused(item)));
    release();
    await until("the inner task has ended", async () => (await stateOf(`${run.id}.inner.1`))["work"] === "succeeded");
    expect(await stateOf(`${run.id}.inner.1`)).toEqual({ work: "succeeded", more: "pending" });
    await act(run.handle, "resume");
    expect(await run.end()).toMatchObject({ outcome: "succeeded" });
    expect(begun).toHaveLength(4);
  });

  it("leaves a run alone that somebody paused by itself", async () => {
    const { work, begun, release } = blocked();
    const run = await engine().start(planOf({ inner: { operator: "pipeline" }, other: { operator: "pipeline" } }), {
      pipelines: { inner: INNER, other: INNER },
      verbs: { work },
    });
    await until("both run", () => begun.length === 2);
    const other = handleOf(runWorkflowId("other", `${run.id}.other.1`));
    await act(innerOf(`${run.id}.inner.1`), "pause");
    await act(run.handle, "pause");
    await until("the other one is paused", () => saysPaused(other));
    await act(run.handle, "resume");
    release();
    await other.result();
    expect(await saysPaused(innerOf(`${run.id}.inner.1`))).toBe(true);
    await act(innerOf(`${run.id}.inner.1`), "resume");
    expect(await run.end()).toMatchObject({ outcome: "succeeded" });
  });
});

describe("a run that is cancelled while it is paused", () => {
  const CLEANS = planOf({ work: {}, more: { needs: ["work"] }, clean: { finally: true } });

  it("runs its finally tasks, and so do the runs that are paused with it", async () => {
    const { work, begun } = blocked();
    const cleaned: string[] = [];
    const clean: Behaviour = ({ run: { pipeline } }) => {
      cleaned.push(pipeline);
      return Promise.resolve({ output: null });
    };
    const plan = planOf({
      inner: { operator: "pipeline" },
      each: { operator: "pipeline", ...over(3, 1) },
      items: over(20, 2),
      clean: { finally: true },
    });
    const run = await engine().start(plan, { pipelines: { inner: CLEANS, each: CLEANS }, verbs: { work, items: work, clean } });
    await until("all are at work", () => begun.length === 4);
    await act(run.handle, "pause");
    const children = [
      innerOf(`${run.id}.inner.1`),
      handleOf(runWorkflowId("each", `${run.id}.each.1.0.1`)),
      handleOf(mappedWorkflowId(run.id, "items", 1)),
    ];
    for (const child of children) await until("it is paused", () => saysPaused(child));
    await run.handle.cancel();
    expect(await run.end()).toMatchObject({ outcome: "cancelled" });
    expect(statusesOf(run)).toEqual({ inner: "cancelled", each: "cancelled", items: "cancelled", clean: "succeeded" });
    expect(cleaned.toSorted()).toEqual(["each", "inner", "tested"]);
    expect(begun).toHaveLength(4);
  });

  it("goes on with finally tasks that have begun, and what they start", async () => {
    const { work, begun, release } = blocked();
    const plan = planOf({
      first: {},
      inner: { finally: true, operator: "pipeline" },
      each: { finally: true, ...over(20, 2) },
      later: { finally: true, operator: "pipeline", needs: ["inner"] },
    });
    const run = await engine().start(plan, { pipelines: { inner: INNER, later: INNER }, verbs: { work, each: work } });
    await until("all are at work", () => begun.length === 3);
    await act(run.handle, "pause");
    const children = [innerOf(`${run.id}.inner.1`), handleOf(mappedWorkflowId(run.id, "each", 1))];
    for (const child of children) await until("it is paused", () => saysPaused(child));
    await run.handle.cancel();
    release();
    expect(await run.end()).toMatchObject({ outcome: "cancelled" });
    expect(statusesOf(run)).toEqual({ first: "succeeded", inner: "succeeded", each: "succeeded", later: "succeeded" });
  });
});

describe("a run that fails while it is paused", () => {
  it("stays paused and can be resumed, with the runs that are paused with it", async () => {
    let fail = (): void => undefined;
    const failing = new Promise<void>((resolve) => (fail = resolve));
    const begun: string[] = [];
    const fails: Behaviour = async ({ run: { pipeline } }) => {
      begun.push(pipeline);
      await failing;
      throw new DownbeatError("CHECK_FAILED", "no");
    };
    const stopped = (more: Parameters<typeof planOf>[0]) =>
      planOf({ fails: {}, ...more, clean: { finally: true } }, { failurePolicy: "fail-fast" });
    const run = await engine().start(stopped({ inner: { operator: "pipeline", rule: "always" } }), {
      pipelines: { inner: stopped({}) },
      verbs: { fails },
    });
    await until("both are at work", () => begun.length === 2);
    const inner = innerOf(`${run.id}.inner.1`);
    await act(run.handle, "pause");
    await until("it is paused", () => saysPaused(inner));
    fail();
    await until("both have failed", async () => {
      const states = await Promise.all([run.handle, inner].map((one) => one.query<RunStatusAnswer>(STATUS_QUERY)));
      return states.every(({ tasks }) => tasks["fails"] === "failed" && tasks["clean"] === "pending");
    });
    await expect(act(run.handle, "pause")).rejects.toThrow();
    await act(run.handle, "resume");
    expect(await run.end()).toMatchObject({ outcome: "failed" });
    expect(statusesOf(run)).toEqual({ fails: "failed", inner: "failed", clean: "succeeded" });
    expect((await stateOf(`${run.id}.inner.1`))["clean"]).toBe("succeeded");
  });
});

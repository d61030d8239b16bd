// What somebody else cancels or terminates under a run: its task or item has failed, and the run with it.

import type { WorkflowHandle } from "@temporalio/client";
import { afterAll, describe, expect, it } from "vitest";
import { mappedWorkflowId, runWorkflowId } from "../../core/ids.ts";
import type { Plan } from "../../core/plan.ts";
import { freshName } from "../fixtures/services.ts";
import { planOf, policy } from "../core/runs.ts";
import { freshStore } from "../fixtures/store.ts";
import { blocked, statusesOf, until, useEngine } from "./kit.ts";

const store = await freshStore();
afterAll(() => store.close());

const engine = useEngine({ items: store.items });
const handleOf = (id: string): WorkflowHandle => engine().client.workflow.getHandle(id);

const INNER = planOf({ work: {}, clean: { finally: true } });
const OUTER = planOf({ inner: { operator: "pipeline" }, next: { needs: ["inner"] } });

describe("a sub-run", () => {
  it.each([
    ["cancelled", "was cancelled, and not by this run"],
    ["terminated", "was terminated"],
  ])("that is %s by somebody else has failed, and its parent with it", async (how, message) => {
    const { work, begun } = blocked();
    const run = await engine().start(OUTER, { pipelines: { inner: INNER }, verbs: { work } });
    await until("the inner task runs", () => begun.length === 1);
    const inner = handleOf(runWorkflowId("inner", `${run.id}.inner.1`));
    await (how === "cancelled" ? inner.cancel() : inner.terminate("on purpose"));
    const ended = await run.end();
    expect(ended).toMatchObject({ outcome: "failed", error: { code: "CANCELLED" } });
    expect(ended.error?.message).toContain(message);
    expect(statusesOf(run)).toEqual({ inner: "failed", next: "upstream_failed" });
    expect(run.attempts("inner")).toMatchObject([{ attempt: 1, status: "failed", error: { code: "CANCELLED" } }]);
  });

  it("that is cancelled is tried again where its definition says so", async () => {
    const { work, begun, release } = blocked();
    const retry = { attempts: 1, backoffMs: 1, maxBackoffMs: 1, neverOn: [], on: { CANCELLED: { attempts: 2 } } };
    const run = await engine().start({ ...OUTER, policies: [{ ...policy(), retry }] }, { pipelines: { inner: INNER }, verbs: { work } });
    await until("the inner task runs", () => begun.length === 1);
    await handleOf(runWorkflowId("inner", `${run.id}.inner.1`)).cancel();
    await until("the next one runs", () => begun.length === 2);
    release();
    expect(await run.end()).toMatchObject({ outcome: "succeeded" });
    expect(run.attempts("inner").map(({ status }) => status)).toEqual(["failed", "succeeded"]);
  });

  it("that finds no place among the runs of its pipeline fails its task with what stood in its way", async () => {
    const inner: Plan = { ...INNER, concurrency: { maxRuns: 1, strategy: "cancel_new" } };
    const name = freshName("limited");
    const { work, begun, release } = blocked();
    const first = await engine().start(inner, { verbs: { work }, pipeline: name });
    await until("the first goes on", () => begun.length === 1);
    const run = await engine().run(planOf({ [name]: { operator: "pipeline" } }), { pipelines: { [name]: inner } });
    expect(run).toMatchObject({ outcome: "failed", error: { code: "CONCURRENCY_LIMIT" } });
    release();
    expect(await first.end()).toMatchObject({ outcome: "succeeded" });
  });
});

describe("items", () => {
  const over = { forEach: { loops: [{ as: "n", in: [1, 2] }], window: 2, maxFailures: 0 } };

  it("whose runs somebody cancels have failed, and so has their task", async () => {
    const { work, begun } = blocked();
    const run = await engine().start(planOf({ inner: { operator: "pipeline", ...over } }), {
      pipelines: { inner: INNER },
      verbs: { work },
    });
    await until("both run", () => begun.length === 2);
    await handleOf(runWorkflowId("inner", `${run.id}.inner.1.0.1`)).cancel();
    expect(await run.end()).toMatchObject({ outcome: "failed", error: { code: "ITEMS_FAILED" } });
    expect(run.tasks()["inner"]?.error?.message).toContain("item 0: CANCELLED: ");
    const items = await store.items.list({ runId: run.id, taskId: "inner" }, {}, { limit: 10 });
    expect(items[0]).toMatchObject({ status: "failed", error: { code: "CANCELLED" } });
  });

  it.each(["cancelled", "terminated"])("whose workflow is %s by somebody have failed as a task", async (how) => {
    const { work, begun } = blocked();
    const run = await engine().start(planOf({ each: over }), { verbs: { each: work } });
    await until("they run", () => begun.length > 0);
    const items = handleOf(mappedWorkflowId(run.id, "each", 1));
    await (how === "cancelled" ? items.cancel() : items.terminate("on purpose"));
    expect(await run.end()).toMatchObject({ outcome: "failed", error: { code: "CANCELLED" } });
    expect(statusesOf(run)).toEqual({ each: "failed" });
  });
});

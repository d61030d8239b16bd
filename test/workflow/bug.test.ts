// A build with a bug: runs wait with the error in sight, and a build without it takes them on where they were.

import type { WorkflowHandle } from "@temporalio/client";
import { Worker } from "@temporalio/worker";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { DATA_CONVERTER } from "../../api/payload-codec.ts";
import { mappedWorkflowId } from "../../core/ids.ts";
import { planOf, policy } from "../core/runs.ts";
import { freshName } from "../fixtures/services.ts";
import { freshStore } from "../fixtures/store.ts";
import type { Behaviour } from "./engine.ts";
import { blocked, statusesOf, until, useEngine } from "./kit.ts";

const store = await freshStore();
afterAll(() => store.close());
const engine = useEngine({ items: store.items });
const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** A worker of the same code, or of a build of it with a bug, on a queue of its own. */
const startBuild = async (taskQueue: string, code = engine().bundle.code): Promise<() => Promise<void>> => {
  const worker = await Worker.create({
    connection: engine().native,
    taskQueue,
    dataConverter: DATA_CONVERTER,
    workflowBundle: { code },
    activities: engine().activities,
    sinks: engine().sinks as never,
    // Each build reads the whole history, as after a deploy.
    maxCachedWorkflows: 0,
    shutdownGraceTime: 0,
    shutdownForceTime: "5s",
  });
  const done = worker.run();
  const stop = async (): Promise<void> => {
    if (worker.getState() === "RUNNING") worker.shutdown();
    await done;
  };
  stops.push(stop);
  return stop;
};

/** The engine's code with a line put before another, which must be there once. */
const codeWith = (line: string, before: string): string => {
  const parts = engine().bundle.code.split(before);
  if (parts.length !== 2) throw new Error(`"${before}" is ${parts.length - 1} times in the bundle`);
  return parts.join(`${line}\n${before}`);
};

/** How the bundle sets private fields. */
const PRIVATE = "_class_private_field_set";
const BUG = "undefined.thisIsTheBug;";
/** Where the bug is, and the code that it comes before. */
const BUGS = [
  { where: "as a task is prepared", line: `if (task.id === "broken") ${BUG}`, before: "const remainingMs = ((_ref" },
  {
    where: "as a task has ended",
    line: `if (taskOf(graph, index).id === "broken") ${BUG}`,
    before: 'return settle(state, graph, index, "succeeded", now)',
  },
];

const ITEMS = 40;

type HistoryOf = Pick<WorkflowHandle, "fetchHistory">;
const eventsOf = async (run: HistoryOf) => (await run.fetchHistory()).events ?? [];
const hasFailed = async (run: HistoryOf): Promise<boolean> =>
  (await eventsOf(run)).some((event) => event.workflowTaskFailedEventAttributes?.failure?.message?.includes("thisIsTheBug"));

describe("a build with a bug", () => {
  it.each(BUGS)(
    "$where: the run neither fails nor goes on; a build without it ends the run, and nothing runs twice that had succeeded",
    async ({ line, before }) => {
      const queue = freshName("bug");
      const begun: string[] = [];
      const counted: Behaviour = async ({ taskId }) => {
        begun.push(taskId);
        return { output: { of: taskId } };
      };
      const plan = planOf(
        {
          first: {},
          second: { needs: ["first"], reads: ["first"] },
          timer: { needs: ["second"], operator: "wait", wait: { for: "1s", deadlineMs: 60_000, onDeadline: "fail" } },
          broken: { needs: ["timer"] },
          last: { needs: ["broken"], reads: ["first"] },
        },
        { policies: [policy({ attempts: 1 })] },
      );
      const stop = await startBuild(queue, codeWith(line, before));
      const run = await engine().start(plan, { queue, verbs: Object.fromEntries(plan.tasks.map(({ id }) => [id, counted])) });
      await until("a workflow task has failed", () => hasFailed(run.handle));
      expect((await run.handle.describe()).status.name).toBe("RUNNING");
      await stop();
      await startBuild(queue);
      expect(await run.end()).toEqual({ outcome: "succeeded" });
      expect(new Set(Object.values(statusesOf(run)))).toEqual(new Set(["succeeded"]));
      expect(begun).toEqual(["first", "second", "broken", "last"]);
      expect(run.attempts("broken")).toMatchObject([{ attempt: 1, status: "succeeded" }]);
    },
  );

  it("in the midst of a for_each: the items at work are left in peace, and none runs twice", async () => {
    const queue = freshName("bug");
    const { work, begun, release } = blocked(({ each }) => String(each?.["item"]));
    const first: Behaviour = async (call, context) => {
      const item = Number(call.each?.["item"]);
      if (item > 2) return work(call, context);
      begun.push(String(item));
      return { output: item };
    };
    const plan = planOf(
      { items: { forEach: { loops: [{ as: "item", in: { range: { from: 1, to: ITEMS, step: 1 } } }], window: 8, maxFailures: 0 } } },
      { policies: [policy({ attempts: 1 })] },
    );
    const stop = await startBuild(queue, codeWith(BUG, "const inTime = Math.floor("));
    const run = await engine().start(plan, { queue, verbs: { items: first } });
    const items = engine().client.workflow.getHandle(mappedWorkflowId(run.id, "items", 1));
    await until("the items have their workflow", async () =>
      (await eventsOf(run.handle)).some((event) => event.childWorkflowExecutionStartedEventAttributes),
    );
    await until("a workflow task has failed", () => hasFailed(items));
    await stop();
    await startBuild(queue);
    release();
    expect(await run.end()).toEqual({ outcome: "succeeded" });
    const rows = await store.items.list({ runId: run.id, taskId: "items" }, {}, { limit: ITEMS });
    expect(rows.map(({ status, attempts }) => [status, attempts])).toEqual(Array.from({ length: ITEMS }, () => ["succeeded", 1]));
    // Those at work when the first worker stopped died with it; what had succeeded did not begin again.
    expect(begun.filter((item) => Number(item) <= 2)).toEqual(["1", "2"]);
    expect((await eventsOf(items)).filter((event) => event.activityTaskCancelRequestedEventAttributes)).toEqual([]);
  });

  it("after a report: what the next try reports is newer, since it may know more", async () => {
    const queue = freshName("bug");
    const { work, release } = blocked();
    const numbers: number[] = [];
    const before = `${PRIVATE}(this, _isRefused, !isTaken)`;
    const stop = await startBuild(queue, codeWith(BUG, before));
    const plan = planOf({ quick: {}, slow: {} }, { policies: [policy({ attempts: 1 })] });
    const run = await engine().start(plan, { queue, verbs: { slow: work }, onReport: ({ seq }) => void numbers.push(seq) });
    await until("the report has come twice", () => numbers.length >= 2);
    release();
    await stop();
    await startBuild(queue);
    expect(await run.end()).toEqual({ outcome: "succeeded" });
    expect(numbers).toEqual([...new Set(numbers)].toSorted((left, right) => left - right));
    expect(statusesOf(run)).toEqual({ quick: "succeeded", slow: "succeeded" });
  });
});

// Backfills on a real server: app, store, worker and the runs of their partitions.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { backfillWorkflowId, runWorkflowId } from "../../core/ids.ts";
import type { Json } from "../../core/json.ts";
import { LIMITS } from "../../core/limits.ts";
import { RUN_ENDED_SIGNAL } from "../../workflows/messages.ts";
import type { EndedRun } from "../../workflows/ports.ts";
import { reconcileBackfills } from "../../api/reconcile-backfills.ts";
import { fillHistory, historyLengthsOf } from "../faults/histories.ts";
import { type WholeKit, startWhole } from "./whole-kit.ts";
import { until } from "../workflow/kit.ts";

let kit: WholeKit;
beforeAll(async () => {
  kit = await startWhole();
});
afterAll(() => kit.stop());

interface View {
  readonly id: string;
  readonly status: string;
  readonly reason: string | null;
  readonly counts: Readonly<Record<string, number>>;
  readonly window: readonly { readonly partition: number; readonly run: string }[];
  readonly actions: readonly { readonly action: string; readonly by: string; readonly why: string | null }[];
}

interface Runs {
  readonly items: readonly {
    readonly id: string;
    readonly status: string;
    readonly trigger: string;
    readonly interval: { readonly start: string };
  }[];
}

const definition = (name: string, extra = ""): string => `apiVersion: downbeat/v1
name: ${name}
params: { type: object, properties: { mode: { type: string, default: plain } } }
defaults: { retry: { attempts: 1 } }
${extra}
tasks:
  - id: see
    activity: { name: see, input: { start: "\${{ run.interval.start }}", end: "\${{ run.interval.end }}", trigger: "\${{ run.trigger }}" } }
`;

let pipeline = "";
let number = 0;
beforeEach(() => {
  number += 1;
  pipeline = `filled_${number}`;
  kit.whileSeen = () => Promise.resolve(null);
});

const deploy = (extra = ""): Promise<unknown> => kit.call("PUT", `/v1/pipelines/${pipeline}`, definition(pipeline, extra));
const begin = (body: object): Promise<View> =>
  kit.call("POST", `/v1/pipelines/${pipeline}/backfills`, { from: "2026-03-01", to: "2026-03-11", every: "day", by: "ada", ...body });
const view = (id: string): Promise<View> => kit.call("GET", `/v1/backfills/${id}`);
const act = (id: string, action: string, body: object = {}): Promise<View> =>
  kit.call("POST", `/v1/backfills/${id}/${action}`, { by: "ada", why: "a test", ...body });
const runsOf = (id: string): Promise<Runs> => kit.call("GET", `/v1/runs?backfill=${id}&limit=500`);
const ended = async (id: string): Promise<View> => {
  await until("the backfill ends", async () => ["succeeded", "failed", "cancelled"].includes((await view(id)).status));
  return view(id);
};

/** Tasks that wait until they are let go, by the start of their interval. */
const held = (): { readonly begun: string[]; letGo(which?: string): void } => {
  const waiting = new Map<string, () => void>();
  const begun: string[] = [];
  let isOpen = false;
  kit.whileSeen = (input: Json) => {
    const { start } = input as { readonly start: string | null };
    begun.push(start ?? "none");
    return isOpen ? Promise.resolve(null) : new Promise((resolve) => waiting.set(start ?? "none", () => resolve(null)));
  };
  return {
    begun,
    letGo(which) {
      if (which === undefined) isOpen = true;
      for (const [start, go] of waiting) if (which === undefined || start.startsWith(which)) go();
    },
  };
};

describe("a backfill", () => {
  it("runs every partition once, with its interval", async () => {
    await deploy();
    const { id } = await begin({ timezone: "Europe/Berlin", from: "2026-03-27", to: "2026-04-01", concurrency: 2 });
    expect(await ended(id)).toMatchObject({ status: "succeeded", counts: { succeeded: 5, pending: 0, failed: 0 }, window: [] });
    const { items } = await runsOf(id);
    expect(items.map(({ interval }) => interval.start).toSorted()).toEqual([
      "2026-03-27T00:00:00+01:00",
      "2026-03-28T00:00:00+01:00",
      "2026-03-29T00:00:00+01:00",
      "2026-03-30T00:00:00+02:00",
      "2026-03-31T00:00:00+02:00",
    ]);
    expect(items.every(({ trigger, status }) => trigger === "backfill" && status === "succeeded")).toBe(true);
    expect(kit.seen).toContainEqual({ start: "2026-03-29T00:00:00+01:00", end: "2026-03-30T00:00:00+02:00", trigger: "backfill" });
    // Those that have succeeded are left out, also when a part of them is asked for again.
    const again = await begin({ timezone: "Europe/Berlin", from: "2026-03-26", to: "2026-04-01" });
    expect(await ended(again.id)).toMatchObject({ status: "succeeded", counts: { succeeded: 1, existing: 5 } });
    expect((await runsOf(again.id)).items).toHaveLength(1);
  });

  it("slides: a slow partition does not hold the others; concurrency changes live", async () => {
    await deploy();
    const tasks = held();
    const { id } = await begin({ concurrency: 2 });
    await until("two run", () => tasks.begun.length === 2);
    tasks.letGo("2026-03-02");
    await until("the third runs", () => tasks.begun.some((start) => start.startsWith("2026-03-03")));
    expect(tasks.begun).toHaveLength(3);
    await kit.call("PATCH", `/v1/backfills/${id}`, { concurrency: 5, priority: 1, by: "ada" });
    await until("five run", () => tasks.begun.length === 6);
    tasks.letGo();
    const { actions, counts } = await ended(id);
    expect(counts["succeeded"]).toBe(10);
    expect(actions.map(({ action, by }) => `${action} by ${by}`)).toEqual(["create by ada", "change by ada"]);
  });

  it("pauses after failures, skips, resumes, ends failed, and retries what failed", async () => {
    await deploy();
    let broken = ["2026-03-02", "2026-03-04"];
    kit.whileSeen = (input) => {
      const { start } = input as { readonly start: string };
      return broken.some((day) => start.startsWith(day)) ? Promise.reject(new Error("no data")) : Promise.resolve(null);
    };
    const { id } = await begin({ concurrency: 1, stop_after_failures: 1 });
    await until("it pauses", async () => (await view(id)).status === "paused");
    expect(await view(id)).toMatchObject({ reason: "1 partitions failed; it stops after 1", counts: { succeeded: 1, failed: 1 } });
    await expect(act(id, "pause")).rejects.toThrow(/409.*paused already/s);
    await expect(act(id, "skip", { partitions: [0] })).rejects.toThrow(/ACTION_REFUSED/);
    await act(id, "skip", { from: "2026-03-08", to: "2026-03-11" });
    await act(id, "resume");
    await until("it pauses again", async () => (await view(id)).counts["failed"] === 2);
    await kit.call("PATCH", `/v1/backfills/${id}`, { stop_after_failures: null });
    await act(id, "resume");
    expect(await ended(id)).toMatchObject({ status: "failed", counts: { succeeded: 5, failed: 2, skipped: 3 } });
    const failed = await kit.call<{ items: readonly { partition: number; run_status: string }[] }>(
      "GET",
      `/v1/backfills/${id}/partitions?status=failed`,
    );
    expect(failed.items).toMatchObject([
      { partition: 1, run_status: "failed" },
      { partition: 3, run_status: "failed" },
    ]);
    broken = [];
    await act(id, "retry");
    expect(await ended(id)).toMatchObject({ status: "succeeded", counts: { succeeded: 7, failed: 0, skipped: 3 } });
    expect((await runsOf(id)).items).toHaveLength(9);
    await expect(act(id, "retry")).rejects.toThrow(/none of these partitions has failed/);
    expect((await view(id)).actions.map(({ action }) => action)).toEqual(["create", "skip", "resume", "change", "resume", "retry"]);
  });

  it("pauses with its pipeline, and starts when it is resumed what it could not", async () => {
    await deploy();
    await kit.call("POST", `/v1/pipelines/${pipeline}/pause`, { by: "bob", why: "stocktaking" });
    const { id } = await begin({ concurrency: 2 });
    await until("it pauses", async () => (await view(id)).status === "paused");
    expect(await view(id)).toMatchObject({ reason: expect.stringContaining("paused by bob: stocktaking") as string });
    expect((await runsOf(id)).items).toEqual([]);
    await kit.call("POST", `/v1/pipelines/${pipeline}/resume`, { by: "bob" });
    await act(id, "resume");
    expect(await ended(id)).toMatchObject({ status: "succeeded", counts: { succeeded: 10 } });
  });

  it("is cancelled with its runs, or without", async () => {
    await deploy();
    const tasks = held();
    const first = await begin({ concurrency: 2 });
    await until("two run", () => tasks.begun.length === 2);
    await act(first.id, "cancel", { runs: true });
    expect(await ended(first.id)).toMatchObject({ status: "cancelled", counts: { failed: 2, cancelled: 8 } });
    expect((await runsOf(first.id)).items.map(({ status }) => status)).toEqual(["cancelled", "cancelled"]);
    const second = await begin({ concurrency: 2 });
    await until("two run", () => tasks.begun.length === 4);
    expect((await act(second.id, "cancel")).status).toBe("cancelling");
    tasks.letGo();
    expect(await ended(second.id)).toMatchObject({ status: "cancelled", counts: { succeeded: 2, cancelled: 8 } });
    await expect(act(second.id, "resume")).rejects.toThrow(/has ended: it is cancelled/);
  });

  it("yields: another run of the pipeline goes before its runs that wait", async () => {
    await deploy("concurrency: { max_runs: 1, strategy: skip }");
    const tasks = held();
    const { id } = await begin({ concurrency: 3, priority: 1 });
    await until("one holds the slot and two wait for it", async () => {
      const state = await kit.deps.orchestrator.poolState(`pipeline/${pipeline}`);
      return tasks.begun.length === 1 && state?.slots.waiting.length === 2;
    });
    // Its strategy would skip it: a backfill must not be what it is skipped for.
    const { id: due } = await kit.call<{ id: string }>("POST", `/v1/pipelines/${pipeline}/runs`, {});
    await until("it waits", async () => (await kit.deps.orchestrator.poolState(`pipeline/${pipeline}`))?.slots.waiting.length === 3);
    tasks.letGo();
    await ended(id);
    expect(tasks.begun[1]).toBe("none");
    expect(await kit.store.runs.find(due)).toMatchObject({ status: "succeeded" });
    const { workflowExecutionInfo } = await kit.connection.workflowService.describeWorkflowExecution({
      namespace: kit.deps.orchestrator.namespace,
      execution: { workflowId: runWorkflowId(pipeline, `${id}.0`) },
    });
    expect(workflowExecutionInfo?.priority?.priorityKey).toBe(1);
  });

  it("yields to a scheduled run: it has the slot before the next partition", async () => {
    const limit = "concurrency: { max_runs: 1 }";
    await deploy(limit);
    const tasks = held();
    const { id } = await begin({ concurrency: 3 });
    const waiting = async (): Promise<readonly string[]> =>
      ((await kit.deps.orchestrator.poolState(`pipeline/${pipeline}`))?.slots.waiting ?? []).map(({ key }) => key);
    await until("one holds the slot and two wait for it", async () => tasks.begun.length === 1 && (await waiting()).length === 2);
    const before = kit.seen.length;
    await deploy(`${limit}\nschedules: [{ name: often, every: 1s, overlap: skip }]`);
    await until("a scheduled run waits for it too", async () => (await waiting()).length === 3);
    await kit.call("POST", `/v1/pipelines/${pipeline}/schedules/often/pause`, { by: "ada" });
    const [, , scheduled = ""] = await waiting();
    const partitions = ["0", "1", "2"].map((partition) => runWorkflowId(pipeline, `${id}.${partition}`));
    expect(partitions).not.toContain(scheduled);
    tasks.letGo();
    expect(await ended(id)).toMatchObject({ status: "succeeded", counts: { succeeded: 10 } });
    const triggers = kit.seen.slice(before).map((input) => (input as { readonly trigger: string }).trigger);
    expect(triggers[0]).toBe("schedule");
    expect(triggers.filter((trigger) => trigger === "backfill")).toHaveLength(9);
    expect(await kit.client.workflow.getHandle(scheduled).result()).toMatchObject({ outcome: "succeeded" });
  });

  it("is started by the reconciler where only its row was written, and closed where somebody stopped it in Temporal", async () => {
    await deploy();
    const tasks = held();
    const { id } = await begin({ concurrency: 1 });
    await until("one runs", () => tasks.begun.length === 1);
    await until("the store knows", async () => (await view(id)).window.length === 1);
    await kit.client.workflow.getHandle(backfillWorkflowId(pipeline, id)).terminate("by a test");
    await reconcileBackfills(kit.deps, 0);
    expect(await view(id)).toMatchObject({ status: "cancelled", counts: { failed: 1, cancelled: 9 } });
    const { ...row } = await kit.store.backfills.find(id);
    const { status: _, seq: __, createdAt: ___, finishedAt: ____, ...input } = row as Required<typeof row> & { id: string };
    const state = { ...input.state, status: "running" as const, passed: 0, failed: [], actions: 1 };
    await kit.store.backfills.create({ ...input, id: `${id}-copy`, state } as never, { by: "ada" });
    tasks.letGo();
    // The run that outlived its backfill has to have succeeded when the next one asks for its day.
    await until("its run has succeeded", async () => (await runsOf(id)).items[0]?.status === "succeeded");
    await reconcileBackfills(kit.deps, 0);
    expect(await ended(`${id}-copy`)).toMatchObject({ counts: { succeeded: 9, existing: 1 } });
  });

  it("continues as new with runs under way, loses none, and knows what was done under a key", { timeout: 400_000 }, async () => {
    await deploy();
    let letGo = (): void => undefined;
    const isLetGo = new Promise<null>((resolve) => (letGo = () => resolve(null)));
    // Its last days wait for what is done to it in its second execution: more runs than it has at a time.
    kit.whileSeen = (input) => ((input as { readonly start: string }).start > "2026-03-04" ? isLetGo : Promise.resolve(null));
    const { id } = await begin({ every: "1h", from: "2026-03-01", to: "2026-03-08", concurrency: 10 });
    const change = (concurrency: number, key: string) =>
      kit.deps.orchestrator.backfills.control(
        { id, pipeline },
        { control: { action: "change", concurrency }, by: "ada" },
        { key, requestHash: `${concurrency}` },
      );
    expect(await change(50, "faster")).toMatchObject({ concurrency: 50, actions: 2 });
    await expect(change(51, "faster")).rejects.toMatchObject({ code: "IDEMPOTENCY_KEY_REUSED" });
    const handle = kit.client.workflow.getHandle(backfillWorkflowId(pipeline, id));
    const { runId: first } = await handle.describe();
    // A history becomes as long by the words of runs that it does not know as by a thousand partitions, each of which costs a run.
    await fillHistory(() => handle.signal<[EndedRun]>(RUN_ENDED_SIGNAL, { runId: "nobody", succeeded: true }));
    await change(40, "slower");
    await until("it continues as new", async () => (await handle.describe()).runId !== first);
    expect(await change(50, "faster")).toMatchObject({ concurrency: 40, actions: 3 });
    await expect(change(51, "faster")).rejects.toMatchObject({ code: "IDEMPOTENCY_KEY_REUSED" });
    letGo();
    expect(await ended(id)).toMatchObject({ status: "succeeded", counts: { succeeded: 168 } });
    expect((await runsOf(id)).items).toHaveLength(168);
    const lengths = await historyLengthsOf(kit.client, backfillWorkflowId(pipeline, id));
    expect(lengths.length).toBeGreaterThan(1);
    expect(Math.max(...lengths)).toBeLessThan(LIMITS.historyEvents);
  });
});

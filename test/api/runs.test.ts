// Triggers and runs: idempotency, params, waiting, lists, cancelling, repair.

import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { reconcile } from "../../api/reconcile.ts";
import { DownbeatError } from "../../core/errors.ts";
import type { RunStatus } from "../../core/run-changes.ts";
import { runWorkflowId } from "../../core/ids.ts";
import { definitionOf, useApi, type Answer } from "./kit.ts";

const PARAMS = `params:
  type: object
  additionalProperties: false
  properties:
    day: { type: string, format: date }
    rows: { type: integer, default: 10 }
`;

const idOf = (answer: Answer): string => (answer.body as { id: string }).id;

describe("runs over HTTP", () => {
  const api = useApi({ temporalUiUrl: "http://ui" });

  beforeAll(async () => {
    const { send } = api();
    await send("PUT", "/v1/connections/api", { kind: "sample", config: { host: "h" } });
    await send("PUT", "/v1/pipelines/plain", definitionOf("plain"));
    await send("PUT", "/v1/pipelines/asking", definitionOf("asking", PARAMS));
  });
  beforeEach(() => {
    api().orchestrator.failure = undefined;
    api().orchestrator.whileWaiting = () => Promise.resolve("open");
  });

  const trigger = (pipeline: string, body?: unknown, headers: Readonly<Record<string, string>> = {}, query = "") =>
    api().send("POST", `/v1/pipelines/${pipeline}/runs${query}`, body, headers);

  const end = (id: string, status: RunStatus, seq = 1) =>
    api().store.runs.apply({
      runId: id,
      seq,
      status,
      startedAt: "2026-01-02T03:04:05.000Z",
      finishedAt: "2026-01-02T03:04:07.500Z",
      tasks: [{ taskId: "call", status: status === "succeeded" ? "succeeded" : "failed", attempts: 1, output: { rows: 1 } }],
      attempts: [{ taskId: "call", attempt: 1, status: "succeeded", startedAt: "2026-01-02T03:04:05.000Z", worker: "w" }],
    });

  it("give the whole output of a task, also where it goes by reference", async () => {
    const { send, store } = api();
    const id = idOf(await trigger("plain"));
    const outputOf = (task: string, run = id) => send("GET", `/v1/runs/${run}/tasks/${task}/output`);
    expect(await outputOf("call")).toMatchObject({
      status: 404,
      body: { code: "NOT_FOUND", detail: expect.stringMatching(/it is pending/) as unknown },
    });
    await end(id, "succeeded");
    expect(await outputOf("call")).toMatchObject({ status: 200, body: { rows: 1 } });
    expect(await outputOf("none")).toMatchObject({ status: 404, body: { detail: 'there is no task "none"' } });
    expect(await outputOf("call", "none")).toMatchObject({ status: 404, body: { detail: 'there is no run "none"' } });

    const large = Array.from({ length: 20_000 }, (_, row) => ({ row, text: "some text" }));
    const by = async (run: string, runId: string): Promise<Answer> => {
      const output = { $output: { runId, taskId: "call" }, bytes: 9_000 };
      await store.runs.apply({
        runId: run,
        seq: 1,
        status: "running",
        tasks: [{ taskId: "call", status: "succeeded", attempts: 1, output }],
        attempts: [],
      });
      return outputOf("call", run);
    };
    const first = idOf(await trigger("plain"));
    await store.items.saveOutput({ runId: first, taskId: "call" }, large);
    expect(await by(first, first)).toMatchObject({ status: 200, body: large });
    // A rerun has taken it over.
    expect(await by(idOf(await trigger("plain")), first)).toMatchObject({ status: 200, body: large });
    const lost = await by(idOf(await trigger("plain")), "gone");
    expect(lost).toMatchObject({ status: 404, body: { detail: expect.stringMatching(/no longer kept/) as unknown } });
  });

  it("say that a task which gave nothing has no output", async () => {
    const { send, store } = api();
    const id = idOf(await trigger("plain"));
    await store.runs.apply({
      runId: id,
      seq: 1,
      status: "running",
      tasks: [{ taskId: "call", status: "succeeded", attempts: 1 }],
      attempts: [],
    });
    const { status, body } = await send("GET", `/v1/runs/${id}/tasks/call/output`);
    expect([status, (body as { detail: string }).detail]).toEqual([
      404,
      `task "call" of run ${id} has no output: it is succeeded without one`,
    ]);
  });

  it("are written down, started and linked", async () => {
    const { orchestrator } = api();
    const answer = await trigger("plain");
    const id = idOf(answer);
    expect(answer).toMatchObject({
      status: 202,
      body: { status: "queued", pipeline: "plain", version: 1, trigger: "http", tasks: [{ id: "call", status: "pending", attempts: 0 }] },
    });
    expect(answer.headers.get("location")).toBe(`/v1/runs/${id}`);
    expect(answer.body).toMatchObject({
      links: {
        self: `/v1/runs/${id}`,
        temporal: `http://ui/namespaces/test-namespace/workflows/${encodeURIComponent(runWorkflowId("plain", id))}`,
      },
    });
    expect(orchestrator.started.at(-1)).toMatchObject({
      run: { id, origin: id, pipeline: "plain", version: 1 },
      params: {},
      plan: { tasks: [{ id: "call" }] },
    });
    // Configurations travel by hash, never in the workflow's input.
    expect(JSON.stringify(orchestrator.started.at(-1))).not.toContain('"connection"');
  });

  it("take params that fit, with defaults, and refuse all others at once", async () => {
    const { orchestrator } = api();
    await trigger("asking", { params: { day: "2026-01-02" } });
    expect(orchestrator.started.at(-1)?.params).toEqual({ day: "2026-01-02", rows: 10 });
    const count = orchestrator.started.length;
    const refused = await trigger("asking", { params: { day: "yesterday", rows: "x", more: 1 } });
    expect(refused).toMatchObject({ status: 422, body: { code: "PARAMS_INVALID" } });
    expect((refused.body as { issues: unknown[] }).issues).toHaveLength(3);
    expect(await trigger("plain", { params: { a: 1 } })).toMatchObject({ status: 422, body: { code: "PARAMS_INVALID" } });
    expect(await trigger("plain", { parms: {} })).toMatchObject({ status: 400, body: { code: "REQUEST_INVALID" } });
    expect((await trigger("plain", "params: {}")).status).toBe(415);
    expect((await trigger("absent")).status).toBe(404);
    expect((await trigger("plain", { version: 9 })).status).toBe(404);
    expect(orchestrator.started).toHaveLength(count);
  });

  it("with one idempotency key are one run, and another request under it is refused", async () => {
    const { orchestrator } = api();
    const key = { "idempotency-key": "2026-01-02" };
    const before = orchestrator.started.length;
    const answers = await Promise.all(Array.from({ length: 5 }, () => trigger("asking", { params: { rows: 1 } }, key)));
    expect(new Set(answers.map(idOf)).size).toBe(1);
    expect(new Set(orchestrator.started.slice(before).map(({ run }) => run.id)).size).toBe(1);
    expect(await trigger("asking", { params: { rows: 2 } }, key)).toMatchObject({ status: 409, body: { code: "IDEMPOTENCY_KEY_REUSED" } });
    const id = idOf(answers[0] as Answer);
    await end(id, "succeeded");
    const starts = orchestrator.started.length;
    expect(await trigger("asking", { params: { rows: 1 } }, key)).toMatchObject({ status: 200, body: { id, status: "succeeded" } });
    expect(orchestrator.started).toHaveLength(starts);
    expect((await trigger("asking", {}, { "idempotency-key": "x".repeat(256) })).status).toBe(400);
  });

  it("that Temporal did not take stay written down and are started by the repetition, with their own version", async () => {
    const { orchestrator, send, store } = api();
    await send("PUT", "/v1/pipelines/moving", definitionOf("moving"));
    const key = { "idempotency-key": "once" };
    orchestrator.failure = new DownbeatError("TEMPORAL_UNAVAILABLE", "away");
    expect(await trigger("moving", {}, key)).toMatchObject({ status: 503, body: { code: "TEMPORAL_UNAVAILABLE" } });
    orchestrator.failure = undefined;
    await send("PUT", "/v1/pipelines/moving", definitionOf("moving", "  - id: added\n    http: { connection: api, method: GET }\n"));
    const again = await trigger("moving", {}, key);
    expect(again).toMatchObject({ status: 202, body: { version: 1 } });
    const started = orchestrator.started.at(-1);
    expect(started).toMatchObject({ run: { id: idOf(again), version: 1 } });
    expect(started?.plan.tasks.map((task) => task.id)).toEqual(["call"]);
    expect(started?.planHash).toBe((await store.definitions.find("moving", 1))?.hash);
  });

  it("are waited for when that is asked", async () => {
    const { orchestrator, send } = api();
    orchestrator.whileWaiting = async ({ id }) => {
      await end(id, "succeeded");
      return "ended";
    };
    const ended = await trigger("plain", {}, {}, "?wait=60s");
    expect(ended).toMatchObject({
      status: 200,
      body: {
        status: "succeeded",
        seconds: 2.5,
        tasks: [{ status: "succeeded", output: { rows: 1 }, attempt_log: [{ attempt: 1, worker: "w" }] }],
      },
    });
    expect(orchestrator.waits.at(-1)).toBe(60_000);
    orchestrator.whileWaiting = () => Promise.resolve("open");
    const open = await trigger("plain", {}, {}, "?wait=5s");
    expect(open.status).toBe(202);
    expect(orchestrator.waits.at(-1)).toBe(5_000);
    await send("GET", `/v1/runs/${idOf(open)}?wait=10m`);
    expect(orchestrator.waits.at(-1)).toBe(600_000);
    for (const query of ["?wait=soon", "?wait=5", "?wait=11m", "?wiat=5s"])
      expect(await trigger("plain", {}, {}, query), query).toMatchObject({ status: 400, body: { code: "REQUEST_INVALID" } });
  });

  it("are waited for until the store knows their end, which Temporal may know before", async () => {
    const { orchestrator } = api();
    orchestrator.whileWaiting = ({ id }) => {
      setTimeout(() => void end(id, "succeeded"), 100);
      return Promise.resolve("ended");
    };
    expect(await trigger("plain", {}, {}, "?wait=60s")).toMatchObject({ status: 200, body: { status: "succeeded" } });
    orchestrator.whileWaiting = () => Promise.resolve("ended");
    expect(await trigger("plain", {}, {}, "?wait=1s")).toMatchObject({ status: 202, body: { status: "queued" } });
    orchestrator.whileWaiting = () => Promise.resolve("open");
  });

  it("are shown and listed, newest first, by filter and page", async () => {
    const { send } = api();
    await send("PUT", "/v1/pipelines/listed", definitionOf("listed"));
    const made: string[] = [];
    for (let index = 0; index < 3; index += 1) made.push(idOf(await trigger("listed")));
    await end(made[1] as string, "failed");
    const ids = async (query: string) =>
      ((await send("GET", `/v1/runs?pipeline=listed${query}`)).body as { items: { id: string }[] }).items.map((item) => item.id);
    expect((await ids("")).toSorted()).toEqual(made.toSorted());
    expect(await ids("&status=failed,cancelled")).toEqual([made[1]]);
    expect(await ids("&trigger=schedule")).toEqual([]);
    expect(await ids(`&since=${encodeURIComponent("2999-01-01T00:00:00+02:00")}`)).toEqual([]);
    const paged: string[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const { body } = await send("GET", `/v1/runs?pipeline=listed&limit=1${cursor === "" ? "" : `&cursor=${cursor}`}`);
      const page = body as { items: { id: string }[]; next: string | null };
      paged.push(...page.items.map((item) => item.id));
      cursor = page.next;
    }
    expect(paged).toEqual(await ids(""));
    for (const query of ["status=done", "since=yesterday", "limit=501", "cursor=e30"])
      expect([query, (await send("GET", `/v1/runs?${query}`)).status]).toEqual([query, 400]);
    expect((await send("GET", "/v1/runs/absent")).status).toBe(404);
  });

  it("are cancelled with a reason, once, whether or not they were ever started", async () => {
    const { send, orchestrator, store } = api();
    const id = idOf(await trigger("plain"));
    expect((await send("POST", `/v1/runs/${id}/cancel`, { reason: "wrong day" })).status).toBe(202);
    expect(orchestrator.cancelled.at(-1)).toEqual({ run: id, reason: "wrong day" });
    expect((await send("GET", `/v1/runs/${id}`)).body).toMatchObject({ cancel_reason: "wrong day" });
    expect((await send("POST", `/v1/runs/${id}/cancel`, { why: "x", reason: "y" })).status).toBe(400);
    // It stops already: who says so again learns who asked first, and nothing is recorded.
    expect(await send("POST", `/v1/runs/${id}/cancel`, { by: "anna", why: "too slow" })).toMatchObject({
      status: 409,
      body: { code: "ACTION_REFUSED", detail: expect.stringMatching(/unnamed asked for it at .* \(wrong day\).*"force": true/) as string },
    });
    expect((await send("GET", `/v1/runs/${id}`)).body).toMatchObject({
      cancel_reason: "wrong day",
      actions: [{ action: "cancel", by: "unnamed", why: "wrong day" }],
    });
    await end(id, "cancelled");
    expect(await send("POST", `/v1/runs/${id}/cancel`)).toMatchObject({ status: 409, body: { code: "RUN_NOT_ACTIVE" } });

    orchestrator.failure = new DownbeatError("TEMPORAL_UNAVAILABLE", "away");
    await trigger("plain", {}, { "idempotency-key": "never" });
    orchestrator.failure = undefined;
    const [never] = await store.runs.list({ pipeline: "plain", status: ["queued"] }, { limit: 1 });
    expect((await send("POST", `/v1/runs/${never?.id}/cancel`)).status).toBe(202);
    expect((await send("GET", `/v1/runs/${never?.id}`)).body).toMatchObject({ status: "cancelled", tasks: [{ status: "cancelled" }] });

    const unreported = idOf(await trigger("plain"));
    orchestrator.statuses.set(unreported, "succeeded");
    const cancels = orchestrator.cancelled.length;
    expect((await send("POST", `/v1/runs/${unreported}/cancel`)).status).toBe(409);
    expect(orchestrator.cancelled).toHaveLength(cancels);
    expect((await send("GET", `/v1/runs/${unreported}`)).body).toMatchObject({ status: "succeeded" });
    expect((await send("POST", "/v1/runs/absent/cancel")).status).toBe(404);
  });

  it("are cancelled once under one key, by force also when they stop already, and it is recorded once Temporal has taken it", async () => {
    const { send, orchestrator } = api();
    const id = idOf(await trigger("plain"));
    const cancel = (key: string, body: object) => send("POST", `/v1/runs/${id}/cancel`, body, { "idempotency-key": key });
    const actions = async () =>
      ((await send("GET", `/v1/runs/${id}`)).body as { actions: readonly { action: string; by: string }[] }).actions;
    orchestrator.cancelRun = () => Promise.reject(new DownbeatError("TEMPORAL_UNAVAILABLE", "away"));
    expect((await cancel("one", { by: "anna" })).status).toBe(503);
    Reflect.deleteProperty(orchestrator, "cancelRun");
    expect([await actions(), (await send("GET", `/v1/runs/${id}`)).body]).toMatchObject([[], { cancel_reason: null }]);
    expect((await cancel("one", { by: "anna" })).status).toBe(202);
    const before = orchestrator.cancelled.length;
    expect((await cancel("one", { by: "anna" })).status).toBe(202);
    expect((await cancel("another", { by: "ben" })).status).toBe(409);
    expect([orchestrator.cancelled.length, await actions()]).toMatchObject([before, [{ action: "cancel", by: "anna" }]]);
    const reused = { status: 409, body: { code: "IDEMPOTENCY_KEY_REUSED" } };
    expect(await cancel("one", { by: "anna", why: "another" })).toMatchObject(reused);
    expect(await cancel("one", { by: "anna", force: true })).toMatchObject(reused);
    expect(await send("POST", `/v1/runs/${id}/pause`, { by: "anna" }, { "idempotency-key": "one" })).toMatchObject(reused);
    expect((await cancel("two", { by: "ben", force: true })).status).toBe(202);
    // It has ended, and who repeats the request is told what became of it.
    expect((await cancel("two", { by: "ben", force: true })).status).toBe(202);
    expect((await cancel("one", { by: "anna" })).status).toBe(202);
    expect(await cancel("two", { by: "eve", force: true })).toMatchObject(reused);
    expect((await cancel("third", { by: "ben", force: true })).status).toBe(409);
    expect(await actions()).toMatchObject([
      { action: "cancel", by: "anna" },
      { action: "force cancel", by: "ben" },
    ]);
  });

  it("that a task of another run has written down are never started for it, and end with it", async () => {
    const { deps, orchestrator, store } = api();
    const above = idOf(await trigger("plain"));
    const planHash = (await store.definitions.find("plain"))?.hash ?? "";
    const parent = { runId: above, taskId: "call", depth: 1 };
    await store.runs.create({
      id: `${above}.call.1`,
      pipeline: "plain",
      version: 1,
      planHash,
      origin: "o",
      trigger: "pipeline",
      params: {},
      parent,
    });
    const statusOf = async () => (await store.runs.find(`${above}.call.1`))?.status;
    const started = orchestrator.started.length;
    await reconcile(deps, -60_000);
    expect(await statusOf()).toBe("queued");
    expect((await api().send("POST", `/v1/runs/${above}/cancel`, { force: true })).status).toBe(202);
    orchestrator.statuses.set(above, "cancelled");
    await reconcile(deps, -60_000);
    expect(await statusOf()).toBe("cancelled");
    expect(orchestrator.started.slice(started).some(({ run }) => run.id === `${above}.call.1`)).toBe(false);
  });

  it("tell those who wait for their ends, once, also where they cannot report them", async () => {
    const { send, deps, orchestrator, store } = api();
    const waits = (on: string): string => `${definitionOf(`after-${on}`)}triggers: [{ name: end, pipeline: { name: plain, on: ${on} } }]\n`;
    for (const on of ["ended", "failed"]) expect((await send("PUT", `/v1/pipelines/after-${on}`, waits(on))).status).toBe(201);
    const told = () => orchestrator.triggerEvents.map(({ trigger: name }) => name);
    const heard = async (name: string) => (await send("GET", `/v1/pipelines/${name}/triggers/end/events`)).body;
    const forced = idOf(await trigger("plain"));
    expect((await send("POST", `/v1/runs/${forced}/cancel`, { force: true })).status).toBe(202);
    expect(told()).toEqual(["after-ended/end"]);
    expect(await heard("after-ended")).toMatchObject({ items: [{ data: { run: forced, status: "cancelled" } }] });
    const lost = idOf(await trigger("plain"));
    orchestrator.statuses.set(lost, "failed");
    // It could not be told, so it is still to be closed.
    const { tell } = orchestrator.triggers;
    orchestrator.triggers.tell = () => Promise.reject(new DownbeatError("TEMPORAL_UNAVAILABLE", "away"));
    await expect(reconcile(deps, -60_000)).rejects.toMatchObject({ code: "TEMPORAL_UNAVAILABLE" });
    expect((await store.runs.find(lost))?.status).toBe("queued");
    orchestrator.triggers.tell = tell;
    await reconcile(deps, -60_000);
    expect((await store.runs.find(lost))?.status).toBe("failed");
    expect(told().toSorted()).toEqual(["after-ended/end", "after-ended/end", "after-failed/end"]);
    await reconcile(deps, -60_000);
    expect(told()).toHaveLength(3);
    expect(await heard("after-failed")).toMatchObject({ items: [{ data: { run: lost, status: "failed" } }] });
  });

  it("are repaired where store and Temporal disagree, every one, though one of them cannot be", async () => {
    const { deps, orchestrator, store, logs } = api();
    // What other tests left open is of no interest here.
    for (const run of await store.runs.list({ status: ["queued", "running"] }, { limit: 500 }))
      await store.runs.repair(run.id, "cancelled");
    const plan = (await store.definitions.find("plain"))?.hash ?? "";
    const make = async (id: string, planHash = plan): Promise<void> => {
      await store.runs.create({ id, pipeline: "plain", version: 1, planHash, origin: id, trigger: "http", params: {} });
    };
    await make("broken", "no-such-plan");
    await make("unstarted");
    await make("goes-on");
    orchestrator.statuses.set("goes-on", "running");
    await make("ended");
    orchestrator.statuses.set("ended", "failed");
    await make("vanished");
    await end("vanished", "running");
    // More than one page of runs that go on lie before and after the others.
    const many = Array.from({ length: 210 }, (_, index) => `long-${index}`);
    await Promise.all(many.map((id) => make(id)));
    for (const id of many) orchestrator.statuses.set(id, "running");
    await make("last");
    orchestrator.statuses.set("last", "succeeded");

    // A moment ahead stands for the time that young runs are left alone.
    expect(await reconcile(deps, -60_000)).toBe(4);
    expect(orchestrator.started.at(-1)?.run.id).toBe("unstarted");
    const status = async (id: string) => (await store.runs.find(id))?.status;
    expect([
      await status("goes-on"),
      await status("ended"),
      await status("vanished"),
      await status("last"),
      await status("broken"),
    ]).toEqual(["queued", "failed", "failed", "succeeded", "queued"]);
    expect(logs.some((line) => line.level === "error" && line.fields["runId"] === "broken")).toBe(true);
    expect(await reconcile(deps, -60_000)).toBe(0);
    // Young runs are still on their way.
    await make("young");
    expect(await reconcile(deps)).toBe(0);
    orchestrator.failure = new DownbeatError("TEMPORAL_UNAVAILABLE", "away");
    await expect(reconcile(deps, -60_000)).rejects.toMatchObject({ code: "TEMPORAL_UNAVAILABLE" });
  });
});

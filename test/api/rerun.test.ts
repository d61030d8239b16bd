// Repeating runs over HTTP: what the new run is started with, again and again the same.

import { beforeAll, describe, expect, it } from "vitest";
import { reconcile } from "../../api/reconcile.ts";
import { DownbeatError } from "../../core/errors.ts";
import { useApi, type Answer } from "./kit.ts";

const definition = (path = "/b"): string => `apiVersion: downbeat/v1
name: repeated
params: { type: object, additionalProperties: false, properties: { day: { type: string } } }
tasks:
  - id: a
    http: { connection: api, path: /a }
  - id: b
    needs: [a]
    http: { connection: api, path: ${path}, body: "\${{ tasks.a.output }}" }
    when: params.day != "sun"
`;

describe("a rerun", () => {
  const api = useApi();
  let id = "";
  const idOf = (answer: Answer): string => (answer.body as { id: string }).id;
  const rerun = (body?: unknown, headers = {}, of = id): Promise<Answer> => api().send("POST", `/v1/runs/${of}/rerun`, body, headers);
  const started = (answer: Answer) => api().orchestrator.started.findLast(({ run }) => run.id === idOf(answer));

  beforeAll(async () => {
    const { send, store } = api();
    await send("PUT", "/v1/connections/api", { kind: "sample", config: { host: "h" } });
    expect((await send("PUT", "/v1/pipelines/repeated", definition())).status).toBe(201);
    id = idOf(await send("POST", "/v1/pipelines/repeated/runs", { params: { day: "mon" } }));
    expect(await rerun()).toMatchObject({ status: 409, body: { code: "ACTION_REFUSED" } });
    const moments = { startedAt: "2026-01-02T03:04:05.000Z", finishedAt: "2026-01-02T03:04:06.000Z" };
    await store.runs.apply({
      runId: id,
      seq: 1,
      status: "failed",
      ...moments,
      tasks: [
        { taskId: "a", status: "succeeded", attempts: 1, output: { n: 1 }, ...moments },
        { taskId: "b", status: "failed", attempts: 3, error: { code: "HTTP_REFUSED", message: "no" }, ...moments },
      ],
      attempts: [],
    });
  });

  it("from failed begins with what has succeeded, and is linked to the run that it repeats", async () => {
    const answer = await rerun({ by: "anna", why: "again" });
    expect(answer).toMatchObject({
      status: 202,
      body: {
        rerun_of: id,
        trigger: "rerun",
        params: { day: "mon" },
        tasks: [
          { id: "a", status: "succeeded", output: { n: 1 } },
          { id: "b", status: "pending" },
        ],
        actions: [{ action: "rerun", by: "anna", why: "again", details: { of: id, from: "failed", carried: 1 } }],
      },
    });
    expect(started(answer)).toMatchObject({
      run: { origin: id },
      continued: { snapshot: { statuses: "sp", outputs: { 0: { n: 1 } } }, seq: 0, actions: 1 },
      rerun: { of: id },
    });
  });

  it("of a whole run is a new origin and begins with nothing", async () => {
    const answer = await rerun({ from: "start", params: { day: "tue" } });
    const input = started(answer);
    expect(input).toMatchObject({ run: { origin: idOf(answer) }, params: { day: "tue" }, continued: { snapshot: { statuses: "pp" } } });
    expect(input?.rerun).toBeUndefined();
  });

  it("from a task", async () => {
    expect(started(await rerun({ from: "task", task: "a" }))).toMatchObject({
      continued: { snapshot: { statuses: "pp" } },
      rerun: { of: id, fresh: { task: "a" } },
    });
    expect(await rerun({ from: "task", task: "a", items: [0] })).toMatchObject({
      status: 400,
      body: { code: "REQUEST_INVALID", detail: expect.stringContaining('task "a" has no for_each') as string },
    });
  });

  it("from some items of a task, if there are such", async () => {
    const { send, store } = api();
    const tasks = "tasks:\n  - { id: each, for_each: { in: { range: { from: 1, to: 6 } } }, http: { connection: api, path: /e } }";
    expect((await send("PUT", "/v1/pipelines/looped", `apiVersion: downbeat/v1\nname: looped\n${tasks}\n`)).status).toBe(201);
    const looped = idOf(await send("POST", "/v1/pipelines/looped/runs", {}));
    const startedAt = "2026-01-02T03:04:05.000Z";
    await store.runs.apply({ runId: looped, seq: 1, status: "failed", startedAt, tasks: [], attempts: [] });
    const some = (...items: readonly number[]) => rerun({ from: "task", task: "each", items }, {}, looped);
    // Nobody knows how many there are before they are written down.
    expect((await some(99)).status).toBe(202);
    await store.items.plan(
      { runId: looped, taskId: "each" },
      Array.from({ length: 6 }, (_, n) => ({ key: `n=${n}`, values: { item: n + 1 } })),
    );
    expect(started(await some(3, 5))?.rerun).toEqual({ of: looped, fresh: { task: "each", items: [3, 5] } });
    expect(await some(99, 5, 6, 99)).toMatchObject({
      status: 400,
      body: { code: "REQUEST_INVALID", detail: expect.stringContaining("no item 6, 99; it has 6, from 0 to 5") as string },
    });
  });

  it("of the latest version takes over what is written as it was", async () => {
    await api().send("PUT", "/v1/pipelines/repeated", definition("/other"));
    const answer = await rerun({ version: "latest" });
    expect(answer.body).toMatchObject({ version: 2 });
    expect(started(answer)).toMatchObject({ continued: { snapshot: { statuses: "sp" } } });
    expect(started(await rerun({}))?.run.version).toBe(1);
  });

  describe("of a run whose tasks were changed while it went on", () => {
    let acted = "";
    const post = (path: string, body: unknown): Promise<Answer> => api().send("POST", `/v1/runs/${acted}${path}`, body);
    const changed = { http: { connection: "api", path: "/mended" } };

    beforeAll(async () => {
      const { send, store } = api();
      acted = idOf(await send("POST", "/v1/pipelines/repeated/runs", { params: { day: "mon" }, version: 1 }));
      await post("/tasks/a/continue", { by: "anna", why: "moved", with: changed, params: { day: "tue" } });
      const moments = { startedAt: "2026-01-02T03:04:05.000Z", finishedAt: "2026-01-02T03:04:06.000Z" };
      await store.runs.apply({
        runId: acted,
        seq: 1,
        status: "failed",
        ...moments,
        tasks: [
          { taskId: "a", status: "succeeded", attempts: 1, output: { n: 1 }, ...moments },
          { taskId: "b", status: "failed", attempts: 3, error: { code: "HTTP_REFUSED", message: "no" }, ...moments },
        ],
        attempts: [],
      });
    });

    it("has the changes, and says so, and so has a rerun of that", async () => {
      const override = { task: "a", with: changed, by: "anna", why: "moved" };
      let of = acted;
      for (let round = 0; round < 2; round += 1) {
        const answer = await rerun({}, {}, of);
        expect(answer.body).toMatchObject({
          params: { day: "tue" },
          overrides: [override],
          actions: [{ action: "rerun", details: { carried: 1, overrides: [override] } }],
        });
        const input = started(answer);
        const [task] = input?.plan.tasks ?? [];
        expect(input).toMatchObject({ params: { day: "tue" }, continued: { snapshot: { statuses: "sp" } } });
        const plan = await api().store.definitions.findPlan(task?.planHash ?? "");
        expect(plan?.configs["a"]).toMatchObject({ path: "/mended" });
        of = idOf(answer);
        await api().store.runs.repair(of, "failed");
      }
      const whole = started(await rerun({ from: "start" }, {}, acted));
      expect(whole?.plan.tasks[0]?.planHash).toBeDefined();
    });

    it("does a changed task again where the chosen version is without the change, and says what was left out", async () => {
      for (const version of [1, "latest"]) {
        const answer = await rerun({ version }, {}, acted);
        expect(answer.body).toMatchObject({
          params: { day: "tue" },
          overrides: [],
          actions: [{ details: { carried: 0, left_out: [{ task: "a", with: changed, by: "anna" }] } }],
        });
        const input = started(answer);
        expect(input).toMatchObject({ continued: { snapshot: { statuses: "pp" } } });
        expect(input?.plan.tasks[0]?.planHash).toBeUndefined();
      }
    });
  });

  it("with other params does what reads them as work of its own, also when that is repeated, and not otherwise", async () => {
    const first = await rerun({ params: { day: "wed" } });
    expect(started(first)).toMatchObject({
      run: { origin: id },
      continued: { snapshot: { statuses: "sp" } },
      rerun: { of: id, origins: { b: idOf(first) } },
    });
    await api().store.runs.repair(idOf(first), "failed");
    const second = await rerun({}, {}, idOf(first));
    expect(started(second)).toMatchObject({ run: { origin: id }, rerun: { of: idOf(first), origins: { b: idOf(first) } } });
    expect(started(await rerun({ params: { day: "mon" } }))?.rerun).toEqual({ of: id });
    expect(started(await rerun({ from: "start" }, {}, idOf(first)))?.rerun).toBeUndefined();
  });

  it("does again what somebody has marked as skipped", async () => {
    const { send, store } = api();
    const skipping = idOf(await send("POST", "/v1/pipelines/repeated/runs", { params: { day: "mon" }, version: 1 }));
    const moments = { startedAt: "2026-01-02T03:04:05.000Z", finishedAt: "2026-01-02T03:04:06.000Z" };
    const actions = [{ number: 1, action: "mark skipped", taskId: "a", by: "anna", at: moments.finishedAt }];
    const tasks = ["a", "b"].map((taskId) => ({ taskId, status: "skipped" as const, attempts: 0, finishedAt: moments.finishedAt }));
    await store.runs.apply({ runId: skipping, seq: 1, status: "succeeded", ...moments, tasks, attempts: [], actions });
    expect(started(await rerun({}, {}, skipping))).toMatchObject({ continued: { snapshot: { statuses: "pp" } } });
  });

  it("with a key happens once, and another request with it is refused", async () => {
    const headers = { "idempotency-key": "again-1" };
    const first = idOf(await rerun({}, headers));
    expect(idOf(await rerun({}, headers))).toBe(first);
    expect(await rerun({ from: "start" }, headers)).toMatchObject({ status: 409, body: { code: "IDEMPOTENCY_KEY_REUSED" } });
  });

  it("that could only be written down is started later, just so", async () => {
    const { orchestrator, deps, store } = api();
    orchestrator.failure = new DownbeatError("TEMPORAL_UNAVAILABLE", "away");
    expect((await rerun({}, { "idempotency-key": "later" })).status).toBe(503);
    orchestrator.failure = undefined;
    const before = orchestrator.started.length;
    expect(await reconcile(deps, 0)).toBeGreaterThan(0);
    const input = orchestrator.started.slice(before).find(({ rerun: of }) => of?.of === id);
    expect(input).toMatchObject({ run: { origin: id }, continued: { snapshot: { statuses: "sp" } } });
    expect(await store.runs.find(input?.run.id ?? "")).toMatchObject({ status: "queued" });
  });

  it("is refused with what is wrong", async () => {
    for (const [body, status] of [
      [{ from: "task" }, 400],
      [{ task: "a" }, 400],
      [{ items: [1] }, 400],
      [{ from: "task", task: "none" }, 404],
      [{ version: 99 }, 404],
      [{ params: { dya: "x" } }, 422],
    ] as const)
      expect([body, (await rerun(body)).status]).toEqual([body, status]);
    expect((await rerun({}, {}, "none")).status).toBe(404);
  });
});

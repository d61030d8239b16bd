// Acting on runs over HTTP: what reaches the run, what is refused before, what is kept.

import { beforeAll, describe, expect, it } from "vitest";
import { openApiDocument } from "../../api/openapi.ts";
import { DownbeatError } from "../../core/errors.ts";
import { useApi, type Answer, type Kit } from "./kit.ts";

const DEFINITION = `apiVersion: downbeat/v1
name: acted
params: { type: object, additionalProperties: false, properties: { day: { type: string }, shop: { type: integer } } }
defaults: { on_exhausted: park }
tasks:
  - id: call
    http: { connection: api, path: /x }
  - id: after
    needs: [call]
    http: { connection: api, path: "/y/\${{ params.day }}" }
`;

interface Described {
  readonly properties?: Readonly<Record<string, { readonly description?: string }>>;
  readonly requestBody?: { readonly content: { readonly "application/json": { readonly schema: { readonly $ref: string } } } };
}

describe("acting on a run", () => {
  const api = useApi();
  let id = "";
  const last = (): Kit["orchestrator"]["controlled"][number] | undefined => api().orchestrator.controlled.at(-1);
  const post = (path: string, body?: unknown, headers = {}): Promise<Answer> => api().send("POST", `/v1/runs/${id}${path}`, body, headers);

  beforeAll(async () => {
    const { send } = api();
    await send("PUT", "/v1/connections/api", { kind: "sample", config: { host: "h" } });
    await send("PUT", "/v1/connections/mended", { kind: "sample", config: { host: "h" } });
    expect((await send("PUT", "/v1/pipelines/acted", DEFINITION)).status).toBe(201);
    id = ((await send("POST", "/v1/pipelines/acted/runs", { params: { day: "mon" } })).body as { id: string }).id;
  });

  it("pauses and resumes, with who, why and the caller's key", async () => {
    expect(await post("/pause", { by: "anna", why: "maintenance" }, { "idempotency-key": "k1" })).toMatchObject({
      status: 200,
      body: { id, status: "running", links: { self: `/v1/runs/${id}` } },
    });
    const keyed = { key: "k1", requestHash: expect.any(String) as string };
    expect(last()).toEqual({ run: id, keyed, request: { control: { action: "pause" }, by: "anna", why: "maintenance" } });
    await post("/resume");
    expect(last()).toEqual({ run: id, keyed: undefined, request: { control: { action: "resume" }, by: "unnamed" } });
  });

  it("lets a parked task go on, changed: the change is compiled, kept and handed over", async () => {
    const changes = { http: { connection: "mended", path: "/z" }, retry: { attempts: 9 } };
    expect((await post("/tasks/call/continue", { by: "anna", with: changes, params: { day: "tue" } })).status).toBe(200);
    const { request } = last() ?? {};
    expect(request).toMatchObject({
      control: { action: "continue", task: "call" },
      task: { id: "call", needs: [], operator: "http" },
      policy: { retry: { attempts: 9 }, onExhausted: "park" },
      params: { day: "tue" },
      details: { with: changes, params: { day: "tue" } },
    });
    const plan = await api().store.definitions.findPlan(request?.task?.planHash ?? "");
    expect(plan?.configs["call"]).toMatchObject({ connection: "mended", path: "/z" });
    expect(plan?.configs["after"]).toMatchObject({ connection: "api" });
  });

  it("adds another change to those before it, of the task and of the params, and shows what is changed by now", async () => {
    const first = last()?.request;
    const more = { timeout: { attempt: "2h" } };
    const headers = { "idempotency-key": "k2" };
    const again = () => post("/tasks/call/continue", { by: "ben", why: "slow", with: more, params: { shop: 7 } }, headers);
    expect((await again()).status).toBe(200);
    const { request } = last() ?? {};
    expect(request).toMatchObject({
      basedOn: first?.task?.planHash,
      policy: { retry: { attempts: 9 }, timeout: { attemptMs: 7_200_000 } },
      params: { day: "tue", shop: 7 },
      changedParams: { shop: 7 },
    });
    const plan = await api().store.definitions.findPlan(request?.task?.planHash ?? "");
    expect(plan?.configs["call"]).toMatchObject({ connection: "mended", path: "/z" });
    const shown = {
      tasks: [{ id: "call", summary: expect.stringContaining("/z") as string }, { id: "after" }],
      params: { day: "tue", shop: 7 },
      overrides: [
        {
          task: "call",
          with: { http: { connection: "mended", path: "/z" }, retry: { attempts: 9 }, ...more },
          hash: request?.task?.planHash,
          by: "ben",
          why: "slow",
        },
      ],
    };
    expect((await api().send("GET", `/v1/runs/${id}`)).body).toMatchObject(shown);
    expect((await again()).status).toBe(200);
    const whole = (await api().send("GET", `/v1/runs/${id}`)).body as { actions: readonly unknown[] };
    expect(whole).toMatchObject(shown);
    expect(whole.actions).toHaveLength(4);
    expect((await api().send("GET", "/v1/runs")).body).toMatchObject({ items: [{ id, params: { day: "tue", shop: 7 } }] });
    expect(await api().store.runs.find(id)).toMatchObject({ params: { day: "tue", shop: 7 } });
  });

  it("says all that is wrong with a change, before the run hears of it", async () => {
    const before = api().orchestrator.controlled.length;
    expect(await post("/tasks/call/continue", { with: { http: { connection: "none", pth: "/" }, retry: { attempts: 0 } } })).toMatchObject({
      status: 422,
      body: { code: "DEFINITION_INVALID" },
    });
    expect(await post("/tasks/call/continue", { with: { needs: ["after"] } })).toMatchObject({
      status: 400,
      body: { code: "REQUEST_INVALID" },
    });
    expect(await post("/tasks/nobody/continue", { with: {} })).toMatchObject({ status: 404 });
    expect(await post("/tasks/call/continue", { params: { dya: "x" } })).toMatchObject({ status: 422, body: { code: "PARAMS_INVALID" } });
    expect(await post("/tasks/call/mark", { as: "done" })).toMatchObject({ status: 400 });
    expect(await post("/tasks/call/decide", { approve: true })).toMatchObject({ status: 400, body: { code: "REQUEST_INVALID" } });
    expect(api().orchestrator.controlled.length).toBe(before);
  });

  it("asks for who and why wherever people act, and says that both are kept", () => {
    const { paths, components } = openApiDocument() as unknown as {
      readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
      readonly components: { readonly schemas: Readonly<Record<string, Described>> };
    };
    const acts = /\/(pause|resume|cancel|rerun|continue|mark|decide|reset|skip|retry)$/;
    const asked = Object.entries(paths).filter(([path]) => acts.test(path));
    expect(asked.length).toBeGreaterThan(12);
    for (const [path, { post }] of asked) {
      const name = post?.requestBody?.content["application/json"].schema.$ref.split("/").at(-1) ?? "";
      const { by, why, comment } = components.schemas[name]?.properties ?? {};
      expect([path, by?.description, (why ?? comment)?.description], path).toEqual([
        path,
        expect.stringContaining("kept"),
        expect.stringMatching(/[Kk]ept|Shown/),
      ]);
    }
  });

  it("marks and decides", async () => {
    expect((await post("/tasks/call/mark", { as: "succeeded", output: { n: 1 }, by: "anna", why: "done by hand" })).status).toBe(200);
    expect(last()?.request).toEqual({
      control: { action: "mark", task: "call", as: "succeeded", output: { n: 1 } },
      by: "anna",
      why: "done by hand",
    });
    await post("/tasks/call/decide", { approve: false, by: "anna", comment: "no" });
    expect(last()?.request).toEqual({ control: { action: "decide", task: "call", approve: false }, by: "anna", why: "no" });
  });

  it("takes a key for one request alone", async () => {
    const key = { "idempotency-key": "one request" };
    const mark = { as: "skipped", by: "anna", why: "not today" };
    expect((await post("/tasks/after/mark", mark, key)).status).toBe(200);
    expect((await post("/tasks/after/mark", mark, key)).status).toBe(200);
    const others = [
      ["/tasks/after/mark", { ...mark, why: "never" }],
      ["/tasks/call/mark", mark],
      ["/resume", { by: "anna" }],
      ["/cancel", { by: "anna" }],
    ] as const;
    for (const [path, body] of others)
      expect(await post(path, body, key), path).toMatchObject({ status: 409, body: { code: "IDEMPOTENCY_KEY_REUSED" } });
    expect(last()?.request.control).toMatchObject({ action: "mark", task: "after" });
  });

  it("hands the run's own refusal on", async () => {
    api().orchestrator.failure = new DownbeatError("ACTION_REFUSED", 'task "call" is running');
    expect(await post("/tasks/call/continue")).toMatchObject({
      status: 409,
      body: { code: "ACTION_REFUSED", detail: 'task "call" is running' },
    });
    api().orchestrator.failure = undefined;
  });

  it("shows what was done, and what waits for what", async () => {
    await api().store.runs.apply({
      runId: id,
      seq: 1,
      status: "waiting",
      startedAt: "2026-01-02T03:04:05.000Z",
      tasks: [{ taskId: "call", status: "waiting", attempts: 1, waiting: { for: "approval", message: "ok?", approvers: ["anna"] } }],
      attempts: [],
      actions: [{ number: 1, action: "pause", by: "anna", why: "maintenance", at: "2026-01-02T03:04:05.000Z" }],
    });
    expect((await api().send("GET", `/v1/runs/${id}`)).body).toMatchObject({
      status: "waiting",
      tasks: [{ waiting: { for: "approval", message: "ok?", approvers: ["anna"] } }, { waiting: null }],
    });
    expect(((await api().send("GET", `/v1/runs/${id}`)).body as { actions: readonly unknown[] }).actions[0]).toMatchObject({
      action: "pause",
      task: null,
      by: "anna",
      why: "maintenance",
    });
    expect((await api().send("GET", "/v1/runs?status=waiting,parked")).body).toMatchObject({ items: [{ id }] });
  });

  it("lists the items of a task, by status and page by page", async () => {
    const place = { runId: id, taskId: "call" };
    const planned = Array.from({ length: 5 }, (_, index) => ({ key: `n=${index}`, values: { n: index } }));
    expect(await api().store.items.plan(place, planned)).toBe(0);
    const moments = { startedAt: "2026-01-02T03:04:05.000Z", finishedAt: "2026-01-02T03:04:06.000Z" };
    await api().store.items.record(place, [
      { item: 1, status: "succeeded", attempts: 1, output: { n: 1 }, ...moments },
      { item: 3, status: "failed", attempts: 2, error: { code: "CHECK_FAILED", message: "no" }, ...moments },
    ]);
    const items = (query: string) => api().send("GET", `/v1/runs/${id}/tasks/call/items${query}`);
    const first = (await items("?limit=3")).body as { items: readonly { item: number }[]; next: string };
    expect(first.items.map(({ item }) => item)).toEqual([0, 1, 2]);
    expect((await items(`?limit=3&cursor=${first.next}`)).body).toMatchObject({
      items: [{ item: 3, error: { code: "CHECK_FAILED" } }, { item: 4 }],
      next: null,
    });
    expect((await items("?status=failed")).body).toMatchObject({ items: [{ item: 3, key: "n=3", values: { n: 3 }, attempts: 2 }] });
    expect((await items("?status=odd")).status).toBe(400);
    expect((await api().send("GET", `/v1/runs/${id}/tasks/none/items`)).status).toBe(404);
    // Planned again: what has succeeded stays, what failed is to be done, another list is another list.
    expect(await api().store.items.plan(place, [...planned.slice(0, 2), { key: "n=9", values: { n: 9 } }])).toBe(1);
    expect((await items("")).body).toMatchObject({
      items: [{ status: "pending" }, { status: "succeeded", output: { n: 1 } }, { key: "n=9", status: "pending" }],
    });
    // Another run that repeats this one takes over what has succeeded with the same values.
    expect(await api().store.items.plan({ runId: "another", taskId: "call" }, planned, { from: id })).toBe(1);
  });

  it("ends a run at once when it is told to, and acts on none that has ended", async () => {
    const decide = (comment: string, key = "decided") =>
      post("/tasks/call/decide", { approve: true, by: "anna", comment }, { "idempotency-key": key });
    expect((await decide("fine")).status).toBe(200);
    expect((await post("/cancel", { force: true, reason: "hangs" })).status).toBe(202);
    expect(((await api().send("GET", `/v1/runs/${id}`)).body as { actions: readonly unknown[] }).actions.at(-1)).toMatchObject({
      action: "force cancel",
      by: "unnamed",
      why: "hangs",
    });
    expect(api().orchestrator.terminated).toEqual([{ run: id, reason: "hangs" }]);
    expect((await api().send("GET", `/v1/runs/${id}`)).body).toMatchObject({ status: "cancelled", cancel_reason: "hangs" });
    expect(await post("/pause")).toMatchObject({ status: 409, body: { code: "RUN_NOT_ACTIVE" } });
    // Whose answer was lost hears that it was taken.
    expect(await decide("fine")).toMatchObject({ status: 200, body: { id, status: "cancelled" } });
    expect(await decide("not fine")).toMatchObject({ status: 409, body: { code: "IDEMPOTENCY_KEY_REUSED" } });
    expect(await decide("fine", "another")).toMatchObject({ status: 409, body: { code: "RUN_NOT_ACTIVE" } });
  });

  it("knows what was taken of a run that ends meanwhile, by the run's own report", async () => {
    const { send, orchestrator, store } = api();
    const { id: ending } = (await send("POST", "/v1/pipelines/acted/runs", { params: { day: "mon" } })).body as { id: string };
    const pause = (by: string) => send("POST", `/v1/runs/${ending}/pause`, { by }, { "idempotency-key": "ending" });
    // Its action was not recorded by the API, and its last report comes while it is asked again.
    const { recordAction } = store.runs;
    store.runs.recordAction = () => Promise.reject(new DownbeatError("STORE_UNAVAILABLE", "away"));
    expect((await pause("anna")).status).toBe(200);
    store.runs.recordAction = recordAction;
    const { keyed } = orchestrator.controlled.at(-1) ?? {};
    orchestrator.controlRun = async () => {
      const at = "2026-01-02T03:04:05.000Z";
      const actions = [{ number: 1, action: "pause", by: "anna", at, ...keyed }];
      await store.runs.apply({ runId: ending, seq: 1, status: "succeeded", finishedAt: at, tasks: [], attempts: [], actions });
      throw new DownbeatError("RUN_NOT_ACTIVE", "it has ended");
    };
    expect(await pause("anna")).toMatchObject({ status: 200, body: { status: "succeeded" } });
    expect(await pause("eve")).toMatchObject({ status: 409, body: { code: "IDEMPOTENCY_KEY_REUSED" } });
    Reflect.deleteProperty(orchestrator, "controlRun");
  });
});

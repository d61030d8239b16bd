// Pausing a whole pipeline over HTTP: schedules, triggers, reruns, open runs; and triggers that a limit refuses.

import { beforeAll, describe, expect, it } from "vitest";
import { reconcileSchedules } from "../../api/reconcile-schedules.ts";
import { DownbeatError } from "../../core/errors.ts";
import { definitionOf, useApi } from "./kit.ts";

const scheduled = (name: string): string => definitionOf(name, "schedules:\n  - { name: often, every: 1h }\n");
const idOf = ({ body }: { readonly body: unknown }): string => (body as { readonly id: string }).id;

describe("a paused pipeline", () => {
  const api = useApi();
  const trigger = (pipeline: string, body: object = {}, headers: Readonly<Record<string, string>> = {}) =>
    api().send("POST", `/v1/pipelines/${pipeline}/runs`, body, headers);
  const deploy = async (text: string, name: string): Promise<void> => {
    expect((await api().send("PUT", `/v1/pipelines/${name}`, text)).status).toBe(201);
  };
  beforeAll(async () => {
    await api().send("PUT", "/v1/connections/api", { kind: "sample", config: { host: "h" } });
  });

  it("is not started by anybody who does not say so, and tells who paused it and why", async () => {
    await deploy(definitionOf("halted"), "halted");
    const before = await trigger("halted", {}, { "idempotency-key": "k" });
    expect(before.status).toBe(202);
    const paused = await api().send("POST", "/v1/pipelines/halted/pause", { by: "ann", why: "the bank is closed" });
    expect(paused).toMatchObject({ status: 200, body: { name: "halted", paused: { by: "ann", why: "the bank is closed", runs: [] } } });
    expect(api().orchestrator.controlled).toEqual([]);
    expect((await api().send("GET", "/v1/pipelines/halted")).body).toMatchObject({ paused: { by: "ann" } });
    expect((await api().send("GET", "/v1/pipelines")).body).toMatchObject({ items: [{ name: "halted", paused: { by: "ann" } }] });
    expect(await trigger("halted")).toMatchObject({
      status: 409,
      body: { code: "PIPELINE_PAUSED", details: { by: "ann", why: "the bank is closed" } },
    });
    expect((await trigger("halted", { force: true })).status).toBe(202);
    // A repeated request has its run already.
    expect(idOf(await trigger("halted", {}, { "idempotency-key": "k" }))).toBe(idOf(before));
    await api().store.runs.repair(idOf(before), "failed");
    expect(await api().send("POST", `/v1/runs/${idOf(before)}/rerun`, {})).toMatchObject({
      status: 409,
      body: { code: "PIPELINE_PAUSED" },
    });
    expect((await api().send("POST", `/v1/runs/${idOf(before)}/rerun`, { force: true })).status).toBe(202);
    await deploy(definitionOf("halted", "description: changed\n"), "halted");
    expect((await api().send("GET", "/v1/pipelines/halted")).body).toMatchObject({ version: 2, paused: { by: "ann" } });
    expect(await api().send("POST", "/v1/pipelines/halted/resume", { by: "bob" })).toMatchObject({
      status: 200,
      body: { paused: null, resumed: [] },
    });
    expect((await trigger("halted")).status).toBe(202);
  });

  it("pauses its schedules in Temporal, whatever they were, and gives them back as they were", async () => {
    const { orchestrator, deps } = api();
    const name = "clocked";
    await deploy(scheduled(name), name);
    const inTemporal = () => orchestrator.scheduled.get(`downbeat/schedule/${name}/often`);
    expect(inTemporal()?.paused).toBe(false);
    await api().send("POST", `/v1/pipelines/${name}/pause`, { by: "ann", why: "moving" });
    expect(inTemporal()).toMatchObject({ paused: true, note: `pipeline "${name}" is paused by ann: moving` });
    expect((await api().send("GET", `/v1/pipelines/${name}/schedules/often`)).body).toMatchObject({
      paused: true,
      pipeline_paused: true,
      by_hand: null,
      next: null,
    });
    // Somebody lets it go in Temporal's own UI, or a resume of the schedule alone: the pipeline's pause holds.
    expect(await api().send("POST", `/v1/pipelines/${name}/schedules/often/resume`, {})).toMatchObject({
      status: 409,
      body: { code: "ACTION_REFUSED", detail: expect.stringContaining("its pipeline is: resume that") as string },
    });
    orchestrator.scheduled.delete(`downbeat/schedule/${name}/often`);
    await reconcileSchedules(deps);
    expect(inTemporal()?.paused).toBe(true);
    await api().send("POST", `/v1/pipelines/${name}/resume`, {});
    expect(inTemporal()?.paused).toBe(false);
  });

  it("pauses its open runs where that is asked, and lets those go on again and no others", async () => {
    const { orchestrator, store } = api();
    await deploy(definitionOf("opened"), "opened");
    const [open, byHand, ended] = await Promise.all([trigger("opened"), trigger("opened"), trigger("opened")]).then((all) => all.map(idOf));
    await store.runs.repair(byHand ?? "", "paused");
    await store.runs.repair(ended ?? "", "succeeded");
    const before = orchestrator.controlled.length;
    expect(await api().send("POST", "/v1/pipelines/opened/pause", { by: "ann", runs: "pause" })).toMatchObject({
      body: { paused: { runs: [open] } },
    });
    expect(await api().send("POST", "/v1/pipelines/opened/resume", { by: "bob" })).toMatchObject({ body: { resumed: [open] } });
    expect(orchestrator.controlled.slice(before)).toMatchObject([
      { run: open, request: { control: { action: "pause" }, by: "ann" } },
      { run: open, request: { control: { action: "resume" }, by: "bob" } },
    ]);
  });

  it("is paused also when no worker takes its runs' pause, and says so", async () => {
    const { orchestrator } = api();
    await deploy(definitionOf("lonely"), "lonely");
    await trigger("lonely");
    orchestrator.failure = new DownbeatError("WORKER_LOST", "no worker");
    try {
      expect((await api().send("POST", "/v1/pipelines/lonely/pause", { runs: "pause" })).status).toBe(503);
    } finally {
      orchestrator.failure = undefined;
    }
    expect((await api().send("GET", "/v1/pipelines/lonely")).body).toMatchObject({ paused: { by: "unnamed", runs: [] } });
  });

  it("is refused where it is paused already or not at all; open runs can still be paused with it", async () => {
    const { orchestrator, send } = api();
    await deploy(definitionOf("twice"), "twice");
    const act = (action: string, body: object) => send("POST", `/v1/pipelines/twice/${action}`, body);
    expect(await act("resume", { by: "ann" })).toMatchObject({ status: 409, body: { code: "ACTION_REFUSED" } });
    expect((await act("pause", { by: "ann", why: "first" })).status).toBe(200);
    const refused = { status: 409, body: { code: "ACTION_REFUSED", detail: expect.stringContaining("paused by ann: first; ") as string } };
    expect(await act("pause", { by: "eve" })).toMatchObject(refused);
    expect(await act("pause", { by: "eve", runs: "pause" })).toMatchObject(refused);
    const [open, taken] = [idOf(await trigger("twice", { force: true })), idOf(await trigger("twice", { force: true }))];
    const { controlRun } = orchestrator;
    // Somebody has paused this one meanwhile, which the store has not heard of yet.
    orchestrator.controlRun = (run, request, key) =>
      run.id === taken
        ? Promise.reject(new DownbeatError("ACTION_REFUSED", "the run is paused already"))
        : controlRun.call(orchestrator, run, request, key);
    expect(await act("pause", { by: "bob", runs: "pause" })).toMatchObject({
      status: 200,
      body: { paused: { by: "ann", why: "first", runs: [open] } },
    });
    Reflect.deleteProperty(orchestrator, "controlRun");
    expect(await act("resume", { by: "bob", why: "done" })).toMatchObject({ status: 200, body: { paused: null, resumed: [open] } });
    expect(await act("resume", { by: "eve" })).toMatchObject({ status: 409, body: { code: "ACTION_REFUSED" } });
    expect((await send("GET", "/v1/pipelines/twice/actions")).body).toMatchObject({
      items: [
        { number: 3, action: "resume", by: "bob", why: "done", runs: [open] },
        { number: 2, action: "pause runs", by: "bob", why: null, runs: [open] },
        { number: 1, action: "pause", by: "ann", why: "first", runs: [], schedule: null, trigger: null },
      ],
      next: null,
    });
  });

  it("that is resumed while its runs are being paused lets all of them go on", async () => {
    const { orchestrator, send } = api();
    await deploy(definitionOf("hasty"), "hasty");
    const open = idOf(await trigger("hasty"));
    const before = orchestrator.controlled.length;
    const { controlRun } = orchestrator;
    orchestrator.controlRun = async (run, request, key) => {
      Reflect.deleteProperty(orchestrator, "controlRun");
      expect((await send("POST", "/v1/pipelines/hasty/resume", { by: "bob" })).status).toBe(200);
      return controlRun.call(orchestrator, run, request, key);
    };
    expect(await send("POST", "/v1/pipelines/hasty/pause", { by: "ann", runs: "pause" })).toMatchObject({
      status: 200,
      body: { paused: null },
    });
    expect(orchestrator.controlled.slice(before).map(({ run, request }) => [run, request.control.action])).toEqual([
      [open, "pause"],
      [open, "resume"],
    ]);
  });

  it("tells who paused and resumed it, its schedules and triggers, page by page", async () => {
    const { send } = api();
    const hook = "triggers:\n  - { name: push, pipeline: { name: opened, on: ended } }\n";
    await deploy(`${scheduled("told")}${hook}`, "told");
    const act = async (path: string, by: string): Promise<number> => (await send("POST", `/v1/pipelines/told/${path}`, { by })).status;
    expect([await act("schedules/often/pause", "ann"), await act("schedules/often/pause", "eve")]).toEqual([200, 409]);
    expect([await act("triggers/push/pause", "bob"), await act("triggers/push/pause", "eve")]).toEqual([200, 409]);
    expect([await act("triggers/push/resume", "ann"), await act("triggers/push/resume", "eve")]).toEqual([200, 409]);
    expect((await send("GET", "/v1/pipelines/told/schedules/often")).body).toMatchObject({ by_hand: { paused: true, by: "ann" } });
    expect([await act("schedules/often/resume", "bob"), await act("schedules/often/resume", "eve")]).toEqual([200, 409]);
    // Also after the schedule is gone.
    await deploy(definitionOf("told"), "told");
    const list = async (query: string) => {
      const { items, next } = (await send("GET", `/v1/pipelines/told/actions${query}`)).body as {
        readonly items: readonly { readonly [key: string]: unknown }[];
        readonly next: string | null;
      };
      return { next, items: items.map(({ action, schedule, trigger: of, by }) => [action, schedule ?? of, by].join(" ")) };
    };
    const all = ["resume often bob", "resume push ann", "pause push bob", "pause often ann"];
    expect(await list("")).toEqual({ items: all, next: null });
    const first = await list("?limit=3");
    expect([first.items, (await list(`?limit=3&cursor=${first.next}`)).items]).toEqual([all.slice(0, 3), all.slice(3)]);
    expect((await list("?schedule=often")).items).toEqual([all[0], all[3]]);
    expect((await list("?trigger=push")).items).toEqual([all[1], all[2]]);
    expect((await send("GET", "/v1/pipelines/nowhere/actions")).status).toBe(404);
    expect((await send("GET", "/v1/pipelines/told/actions?cursor=nonsense")).status).toBe(400);
  });

  it("is refused where there is none, or what is asked is nothing known", async () => {
    for (const action of ["pause", "resume"]) expect((await api().send("POST", `/v1/pipelines/nowhere/${action}`, {})).status).toBe(404);
    expect((await api().send("POST", "/v1/pipelines/opened/pause", { runs: "kill" })).status).toBe(400);
  });

  it("strategy skip: a trigger beyond max_runs is refused and leaves no run; with cancel_new it is taken", async () => {
    const { store } = api();
    const limited = (name: string, strategy: string) => definitionOf(name, `concurrency: { max_runs: 1, strategy: ${strategy} }\n`);
    await deploy(limited("skipping", "skip"), "skipping");
    const first = await trigger("skipping", {}, { "idempotency-key": "one" });
    expect(await trigger("skipping")).toMatchObject({
      status: 409,
      body: { code: "CONCURRENCY_LIMIT", details: { open: 1, max_runs: 1 } },
    });
    expect(idOf(await trigger("skipping", {}, { "idempotency-key": "one" }))).toBe(idOf(first));
    expect(await store.runs.list({ pipeline: "skipping" }, { limit: 10 })).toHaveLength(1);
    await store.runs.repair(idOf(first), "succeeded");
    expect((await trigger("skipping")).status).toBe(202);
    await deploy(limited("recording", "cancel_new"), "recording");
    expect([(await trigger("recording")).status, (await trigger("recording")).status]).toEqual([202, 202]);
  });
});

// Event triggers over HTTP: who may send events, what becomes of them, what people see and do.

import { execFile } from "node:child_process";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { forgetEvents } from "../../api/forget-events.ts";
import { reconcileTriggers } from "../../api/reconcile-triggers.ts";
import { LIMITS } from "../../core/limits.ts";
import { HOOK_SECRET, useApi } from "./kit.ts";

const api = useApi({ apiKey: "the key" });
const KEY = { "x-api-key": "the key" };

let count = 0;
const deploy = async (triggers: string, name = `p${(count += 1)}`): Promise<string> => {
  const text = `apiVersion: downbeat/v1\nname: ${name}\ntriggers: [${triggers}]\ntasks:\n  - { id: pause, wait: { for: 1s, deadline: 1m } }\n`;
  const answer = await api().send("PUT", `/v1/pipelines/${name}`, text, KEY);
  expect(answer.status, answer.text).toBeLessThan(300);
  return name;
};

const HOOK = "{ name: push, webhook: { secret: { env: HOOK_SECRET } } }";
const GITHUB = "{ name: push, webhook: { secret: { env: HOOK_SECRET }, signature: github } }";
const seconds = (): number => Math.floor(Date.now() / 1_000);

interface Sending {
  readonly id?: string;
  readonly timestamp?: string;
  readonly body?: string;
  /** What is sent, when it is not what was signed. */
  readonly sent?: string;
  readonly key?: Buffer;
  readonly type?: string;
}

const post = async (pipeline: string, headers: Record<string, string>, body: string) => {
  const response = await fetch(`${api().url}/v1/hooks/${pipeline}/push`, { method: "POST", headers, body });
  return { status: response.status, body: (await response.json()) as Readonly<Record<string, unknown>> };
};

const send = (pipeline: string, given: Sending = {}) => {
  const { id = "e1", timestamp = String(seconds()), body = '{"n":1}', sent = body, type = "application/json" } = given;
  const key = given.key ?? Buffer.from(HOOK_SECRET.slice("whsec_".length), "base64");
  const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
  const signed = { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,AAAA v1,${signature}` };
  return post(pipeline, { "content-type": type, ...signed }, sent);
};

const dataOf = async (pipeline: string, event: unknown) => {
  const known = await api().store.triggers.addEvent({ pipeline, name: "push" }, { id: String(event), data: "it was not there" });
  return known.data;
};

describe("a webhook", () => {
  it("takes a signed event without an API key, and answers the same when it comes again", async () => {
    const name = await deploy(HOOK);
    const first = await send(name);
    expect(first).toMatchObject({ status: 202, body: { counts: true, run: first.body["event"] } });
    expect(await send(name)).toEqual(first);
    expect((await send(name, { id: "e2" })).body["event"]).not.toBe(first.body["event"]);
    expect(api().orchestrator.triggerEvents.at(-1)?.trigger).toBe(`${name}/push`);
    expect(await dataOf(name, first.body["event"])).toEqual({ n: 1 });
  });

  it.each<[string, Sending]>([
    ["of another secret", { key: Buffer.from("another") }],
    ["of another body", { sent: '{"n":2}' }],
    ["that is old", { timestamp: String(seconds() - 301) }],
    ["of the future", { timestamp: String(seconds() + 3_600) }],
    ["without a time", { timestamp: "soon" }],
  ])("refuses an event %s", async (_title, sending) => {
    const name = await deploy(HOOK);
    const told = api().orchestrator.triggerEvents.length;
    expect(await send(name, sending)).toMatchObject({ status: 401, body: { code: "SIGNATURE_INVALID" } });
    expect(api().orchestrator.triggerEvents.length).toBe(told);
  });

  it("refuses one that is not signed at all, and what is not there looks like what is no webhook", async () => {
    const name = await deploy(`${HOOK}, { name: other, pipeline: { name: up } }`);
    expect(await post(name, {}, "{}")).toMatchObject({ status: 401, body: { code: "SIGNATURE_INVALID" } });
    const nowhere = await post("nowhere", {}, "{}");
    expect(nowhere).toMatchObject({ status: 404, body: { detail: "there is no such webhook" } });
    const other = await fetch(`${api().url}/v1/hooks/${name}/other`, { method: "POST" });
    expect(other.status).toBe(404);
    expect(await other.json()).toMatchObject({ detail: "there is no such webhook" });
  });

  it("takes events that GitHub signs", async () => {
    const name = await deploy(GITHUB);
    const body = '{"ref":"refs/heads/main"}';
    const signature = `sha256=${createHmac("sha256", HOOK_SECRET).update(body).digest("hex")}`;
    const headers = { "content-type": "application/json", "x-hub-signature-256": signature };
    const first = await post(name, { ...headers, "x-github-delivery": "d1" }, body);
    expect(first.status).toBe(202);
    // Without the header the body stands for the event.
    const bare = await post(name, headers, body);
    expect(bare.body["event"]).not.toBe(first.body["event"]);
    expect(await post(name, headers, body)).toEqual(bare);
    expect(await post(name, { ...headers, "x-hub-signature-256": signature.replace(/.$/, "x") }, body)).toMatchObject({ status: 401 });
  });

  it.each<[string, string, unknown]>([
    ["application/x-www-form-urlencoded", "a=1&b=x+y", { a: "1", b: "x y" }],
    ["text/plain", "hello", "hello"],
    ["application/cloudevents+json; charset=utf-8", "[1]", [1]],
    ["application/json", "", null],
  ])("reads %s", async (type, body, data) => {
    const name = await deploy(HOOK);
    const { body: answer } = await send(name, { type, body });
    expect(await dataOf(name, answer["event"])).toEqual(data);
  });

  it("refuses a body that is too large, or no JSON", async () => {
    const name = await deploy(HOOK);
    expect(await send(name, { body: "{" })).toMatchObject({ status: 400, body: { code: "REQUEST_INVALID" } });
    expect(await send(name, { body: "x".repeat(LIMITS.eventBytes + 1) })).toMatchObject({
      status: 413,
      body: { code: "BODY_TOO_LARGE", detail: expect.stringContaining(String(LIMITS.eventBytes)) as string },
    });
  });

  it("says which events do not count, and that a condition fails", async () => {
    const name = await deploy(HOOK.replace("} }", "} }, when: event.data.n > 1"));
    expect((await send(name)).body).toMatchObject({ counts: false, run: null });
    expect(await send(name, { body: '{"m":1}' })).toMatchObject({ status: 422, body: { code: "EXPRESSION_FAILED" } });
    expect((await send(name, { body: '{"n":2}' })).body).toMatchObject({ counts: true });
  });

  it("whose secret cannot be read tells the log alone why", async () => {
    const name = await deploy(HOOK.replace("HOOK_SECRET", "ABSENT_SECRET"));
    const { status, body } = await send(name);
    expect([status, body["code"]]).toEqual([422, "SECRET_UNRESOLVED"]);
    expect(JSON.stringify(body)).not.toContain("ABSENT_SECRET");
    expect(api().logs.map(({ message }) => message)).toContain("a webhook's secret cannot be read");
  });

  it("keeps an event that Temporal did not take, for when it is sent again", async () => {
    const name = await deploy(HOOK);
    api().orchestrator.failure = new Error("away");
    expect((await send(name)).status).toBe(500);
    api().orchestrator.failure = undefined;
    const told = api().orchestrator.triggerEvents.length;
    expect((await send(name)).status).toBe(202);
    expect(api().orchestrator.triggerEvents.length).toBe(told + 1);
  });
});

describe("the guide", () => {
  it("has a pipeline that deploys, and a request that is taken", async () => {
    const guide = readFileSync(path.resolve(import.meta.dirname, "../../docs/guides/event-triggers.md"), "utf8");
    const [yaml = "", request = ""] = ["yaml", "sh"].map((kind) => new RegExp(`^\`\`\`${kind}\n(.*?)^\`\`\``, "ms").exec(guide)?.[1]);
    const deployed = await api().send("PUT", "/v1/pipelines/build-report", yaml, KEY);
    expect(deployed.status, deployed.text).toBe(201);
    const env = {
      ...process.env,
      DOWNBEAT_URL: api().url,
      HOOK_SECRET: Buffer.from(HOOK_SECRET.slice("whsec_".length), "base64").toString(),
    };
    const { stdout } = await promisify(execFile)("sh", ["-c", request], { env });
    expect(JSON.parse(stdout)).toMatchObject({ counts: true, run: null });
  });
});

describe("triggers", () => {
  it("are listed, shown, paused and resumed", async () => {
    const name = await deploy(`${HOOK}, { name: fresh, assets: { any_of: [lake/a] }, paused: true }`);
    const list = await api().send("GET", `/v1/pipelines/${name}/triggers`, undefined, KEY);
    expect(list.body).toMatchObject({
      items: [
        { name: "fresh", kind: "assets", paused: true, summary: "update of any of lake/a" },
        { name: "push", kind: "webhook", paused: false, state: { waiting: 0 }, links: { hook: `/v1/hooks/${name}/push` } },
      ],
      next: null,
    });
    expect(list.text).not.toContain("HOOK_SECRET");
    const paused = await api().send("POST", `/v1/pipelines/${name}/triggers/push/pause`, { by: "ada", why: "a flood" }, KEY);
    expect(paused.body).toMatchObject({ paused: true, by_hand: { by: "ada", why: "a flood" } });
    expect(api().orchestrator.triggerOwners.get(`${name}/push`)?.paused).toBe(true);
    expect(await send(name)).toMatchObject({ status: 409, body: { code: "TRIGGER_PAUSED" } });
    expect((await send(name, { key: Buffer.from("another") })).status).toBe(401);
    await api().send("POST", `/v1/pipelines/${name}/triggers/push/resume`, { by: "ada" }, KEY);
    expect((await send(name)).status).toBe(202);
  });

  it("need the API key, and to be there", async () => {
    const name = await deploy(HOOK);
    expect((await api().send("GET", `/v1/pipelines/${name}/triggers`)).status).toBe(401);
    expect((await api().send("GET", "/v1/pipelines/nowhere/triggers", undefined, KEY)).status).toBe(404);
    expect((await api().send("GET", `/v1/pipelines/${name}/triggers/absent`, undefined, KEY)).status).toBe(404);
    expect((await api().send("POST", `/v1/pipelines/${name}/triggers/absent/pause`, { by: "ada" }, KEY)).status).toBe(404);
  });

  it("are made as the store says, in both directions", async () => {
    const name = await deploy(HOOK);
    const { orchestrator, deps } = api();
    await reconcileTriggers(deps);
    orchestrator.triggerOwners.delete(`${name}/push`);
    orchestrator.triggerOwners.set("gone/x", { pipeline: "gone", name: "x", timing: {}, paused: false });
    expect(await reconcileTriggers(deps)).toBe(2);
    expect(orchestrator.triggerOwners.has(`${name}/push`)).toBe(true);
    expect(orchestrator.triggerOwners.has("gone/x")).toBe(false);
    expect(await reconcileTriggers(deps)).toBe(0);
    await deploy("", name);
    expect(orchestrator.triggerOwners.has(`${name}/push`)).toBe(false);
  });
});

describe("events of a trigger", () => {
  it("are tried with a sample: whether it counts, the params of a run, or what is wrong; nothing comes of it", async () => {
    const params =
      "params: { type: object, additionalProperties: false, required: [n], properties: { n: { type: integer }, m: { default: 5 } } }";
    const given = 'params: { n: "${{ event.data.n }}" }';
    const name = `p${(count += 1)}`;
    const text = `apiVersion: downbeat/v1\nname: ${name}\n${params}
triggers: [{ name: push, when: "event.data.n > 1", webhook: { secret: { env: HOOK_SECRET } }, ${given} }]
tasks:\n  - { id: pause, wait: { for: 1s, deadline: 1m } }\n`;
    expect((await api().send("PUT", `/v1/pipelines/${name}`, text, KEY)).status).toBe(201);
    const test = (body: unknown, trigger = "push") => api().send("POST", `/v1/pipelines/${name}/triggers/${trigger}/test`, body, KEY);
    const told = api().orchestrator.triggerEvents.length;
    expect((await test({ data: { n: 2 } })).body).toEqual({ counts: true, params: { n: 2, m: 5 }, error: null });
    expect((await test({ data: { n: 1 }, subject: "x" })).body).toEqual({ counts: false, params: null, error: null });
    expect((await test({ data: {} })).body).toMatchObject({ counts: null, params: null, error: { at: "when", code: "EXPRESSION_FAILED" } });
    expect((await test({ data: { n: 2.5 } })).body).toMatchObject({
      counts: true,
      params: null,
      error: { at: "params", code: "PARAMS_INVALID" },
    });
    expect((await test({})).status).toBe(400);
    expect((await test({ data: 1 }, "none")).status).toBe(404);
    expect((await api().send("GET", `/v1/pipelines/${name}/triggers/push/events`, undefined, KEY)).body).toMatchObject({ items: [] });
    expect(api().orchestrator.triggerEvents).toHaveLength(told);
  });

  it("are forgotten when they are old, one batch after the other", async () => {
    const name = await deploy(HOOK);
    const { deps, store, logs } = api();
    const ref = { pipeline: name, name: "push" };
    const events = Array.from({ length: 5 }, (_, index) => ({ id: `e${index}`, data: index, counts: false }));
    await store.triggers.recordLook(ref, { mark: 0, position: null, events });
    expect(await forgetEvents(deps, 60_000)).toBe(0);
    expect(await forgetEvents(deps, -60_000, 2)).toBeGreaterThanOrEqual(5);
    expect(await store.triggers.events(ref, { limit: 10 })).toEqual([]);
    expect(logs.some(({ message }) => message === "old events of triggers were deleted")).toBe(true);
  });

  it("are listed by page, newest first, with what became of each", async () => {
    const name = await deploy("{ name: push, files: { glob: '*.csv' } }");
    const ref = { pipeline: name, name: "push" };
    const event = (id: string) => ({ id, data: { path: id }, counts: true });
    const refused = { ...event("b"), error: { code: "BODY_TOO_LARGE", message: "it is too large" } };
    await api().store.triggers.recordLook(ref, {
      mark: 0,
      position: 1,
      events: [event("a"), refused, { ...event("c"), counts: false }, event("d")],
    });
    await api().store.triggers.claim(ref, ["d"]);
    const list = async (query: string) => {
      const { body, status } = await api().send("GET", `/v1/pipelines/${name}/triggers/push/events${query}`, undefined, KEY);
      expect(status).toBe(200);
      return body as { readonly items: readonly { readonly id: string; readonly status: string }[]; readonly next: string | null };
    };
    const first = await list("?limit=3");
    expect(first.items).toMatchObject([
      { id: "d", status: "started", run: "d", links: { run: "/v1/runs/d" } },
      { id: "c", status: "ignored", run: null },
      { id: "b", status: "refused", run: null, error: { code: "BODY_TOO_LARGE" } },
    ]);
    expect(await list(`?limit=3&cursor=${first.next}`)).toMatchObject({
      items: [{ id: "a", status: "waiting", data: { path: "a" } }],
      next: null,
    });
    for (const status of ["waiting", "started", "refused", "ignored"])
      expect((await list(`?status=${status}`)).items.map((found) => found.status)).toEqual([status]);
    expect((await api().send("GET", `/v1/pipelines/${name}/triggers/push/events?status=lost`, undefined, KEY)).status).toBe(400);
    expect((await api().send("GET", `/v1/pipelines/${name}/triggers/other/events`, undefined, KEY)).status).toBe(404);
  });
});

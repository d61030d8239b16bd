// /v1/connections: secrets go in and never come out; all faults at once.

import { describe, expect, it } from "vitest";
import { definitionOf, useApi } from "./kit.ts";

describe("connections over HTTP", () => {
  const api = useApi();

  it("are created, shown without secrets, replaced and deleted", async () => {
    const { send } = api();
    const made = await send("PUT", "/v1/connections/db", {
      kind: "sample",
      config: { host: "h", password: "hunter2", token: { env: "T" } },
    });
    expect(made).toMatchObject({
      status: 201,
      body: { name: "db", config: { host: "h", password: { secret: true }, token: { env: "T" } } },
    });
    expect(made.headers.get("location")).toBe("/v1/connections/db");
    for (const path of ["/v1/connections/db", "/v1/connections"]) expect((await send("GET", path)).text).not.toMatch(/hunter2|sealed/);
    expect((await send("PUT", "/v1/connections/db", { kind: "sample", config: { host: "h2" } })).status).toBe(200);
    expect((await send("GET", "/v1/connections/db")).body).toMatchObject({ config: { host: "h2" } });
    expect((await send("DELETE", "/v1/connections/db")).status).toBe(204);
    expect(await send("GET", "/v1/connections/db")).toMatchObject({ status: 404, body: { code: "NOT_FOUND" } });
    expect((await send("DELETE", "/v1/connections/db")).status).toBe(404);
  });

  it("made by POST take a free name alone", async () => {
    const { send } = api();
    const body = { name: "posted", kind: "sample", config: { host: "first" } };
    expect(await send("POST", "/v1/connections", body)).toMatchObject({ status: 201, body: { name: "posted" } });
    expect(await send("POST", "/v1/connections", { ...body, config: { host: "second" } })).toMatchObject({
      status: 409,
      body: { code: "CONFLICT" },
    });
    expect((await send("GET", "/v1/connections/posted")).body).toMatchObject({ config: { host: "first" } });
  });

  it("keep a stored secret that is sent back as it was shown", async () => {
    const { send, store } = api();
    await send("PUT", "/v1/connections/kept", { kind: "sample", config: { host: "h", password: "hunter2", token: { env: "T" } } });
    const shown = (await send("GET", "/v1/connections/kept")).body as { kind: string; config: object };
    expect((await send("PUT", "/v1/connections/kept", { kind: shown.kind, config: { ...shown.config, host: "h2" } })).status).toBe(200);
    expect(await store.connections.findOpened("kept")).toMatchObject({ config: { host: "h2", password: "hunter2", token: { env: "T" } } });
    const none = await send("PUT", "/v1/connections/empty", { kind: "sample", config: { host: "h", password: { secret: true } } });
    expect(none).toMatchObject({ status: 422, body: { code: "CONNECTION_INVALID", issues: [{ path: "config.password" }] } });
  });

  it("take several secrets under one key, as values or references, and show none", async () => {
    const { send, store } = api();
    const keys = { "auth.token": "hunter2", "auth.key": { env: "K" } };
    expect((await send("PUT", "/v1/connections/several", { kind: "sample", config: { host: "h", keys } })).status).toBe(201);
    const shown = await send("GET", "/v1/connections/several");
    expect(shown.body).toMatchObject({ config: { host: "h", keys: { secret: true } } });
    expect(shown.text).not.toMatch(/hunter2|sealed/);
    expect((await send("PATCH", "/v1/connections/several", { config: { host: "h2" } })).status).toBe(200);
    expect(await store.connections.findOpened("several")).toMatchObject({ config: { host: "h2", keys } });
    expect((await send("PUT", "/v1/connections/several", { kind: "sample", config: { host: "h", keys: { a: 1 } } })).status).toBe(422);
    const references = { a: { env: "K" } };
    await send("PUT", "/v1/connections/several", { kind: "sample", config: { host: "h", keys: references } });
    expect((await send("GET", "/v1/connections/several")).body).toMatchObject({ config: { keys: references } });
  });

  it("are changed key by key by PATCH", async () => {
    const { send, store } = api();
    await send("PUT", "/v1/connections/patched", { kind: "sample", config: { host: "h", port: 1, password: "hunter2" } });
    expect(await send("PATCH", "/v1/connections/patched", { config: { host: "h2", port: null } })).toMatchObject({
      status: 200,
      body: { config: { host: "h2", password: { secret: true } } },
    });
    expect(await store.connections.findOpened("patched")).toEqual({
      name: "patched",
      kind: "sample",
      config: { host: "h2", password: "hunter2" },
    });
    await send("PATCH", "/v1/connections/patched", { config: { password: "new" } });
    expect(await store.connections.findOpened("patched")).toMatchObject({ config: { password: "new" } });
    expect((await send("PATCH", "/v1/connections/patched", { config: { host: null } })).status).toBe(422);
    expect((await send("PATCH", "/v1/connections/absent", { config: {} })).status).toBe(404);
  });

  it("are refused with every fault and a hint", async () => {
    const { send } = api();
    const answer = await send("PUT", "/v1/connections/bad", { kind: "sample", config: { hots: "h", port: "x" } });
    expect(answer).toMatchObject({ status: 422, body: { code: "CONNECTION_INVALID" } });
    const issues = (answer.body as { issues: { path: string; message: string }[] }).issues;
    expect(issues.map((issue) => issue.path).toSorted()).toEqual(["config.host", "config.hots", "config.port"]);
    expect(issues.find((issue) => issue.path === "config.hots")?.message).toContain('did you mean "host"?');
    const unknown = await send("PUT", "/v1/connections/bad", { kind: "sampel", config: {} });
    expect(unknown).toMatchObject({ status: 422, body: { code: "CONNECTOR_UNKNOWN" } });
    expect(unknown.text).toContain("did you mean");
    expect(await send("PUT", "/v1/connections/Bad%20Name", { kind: "sample", config: { host: "h" } })).toMatchObject({ status: 400 });
    expect(await send("PUT", "/v1/connections/bad", { kind: "sample", config: { host: "h" }, more: 1 })).toMatchObject({ status: 400 });
    // Nobody gives sealed bytes from outside.
    expect(
      await send("PUT", "/v1/connections/bad", { kind: "sample", config: { host: "h", password: { sealed: "v1:x:y" } } }),
    ).toMatchObject({ status: 422 });
    expect((await send("GET", "/v1/connections/bad")).status).toBe(404);
  });

  it("that a pipeline uses are not deleted", async () => {
    const { send } = api();
    await send("PUT", "/v1/connections/api", { kind: "sample", config: { host: "h" } });
    expect((await send("PUT", "/v1/pipelines/user", definitionOf("user"))).status).toBe(201);
    expect(await send("DELETE", "/v1/connections/api")).toMatchObject({
      status: 409,
      body: { code: "CONFLICT", details: { pipelines: ["user"] } },
    });
    expect((await send("GET", "/v1/connections/api")).status).toBe(200);
  });

  it("are listed page by page", async () => {
    const { send } = api();
    for (const name of ["z1", "z2", "z3"]) await send("PUT", `/v1/connections/${name}`, { kind: "sample", config: { host: "h" } });
    const names: string[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const { body } = await send("GET", `/v1/connections?limit=2${cursor === "" ? "" : `&cursor=${cursor}`}`);
      const page = body as { items: { name: string }[]; next: string | null };
      expect(page.items.length).toBeLessThanOrEqual(2);
      names.push(...page.items.map((item) => item.name));
      cursor = page.next;
    }
    expect(names).toEqual(names.toSorted());
    expect(new Set(names).size).toBe(names.length);
    expect(names).toEqual(expect.arrayContaining(["z1", "z2", "z3"]));
    expect(await send("GET", "/v1/connections?cursor=nonsense")).toMatchObject({ status: 400, body: { code: "REQUEST_INVALID" } });
    expect((await send("GET", "/v1/connections?limit=0")).status).toBe(400);
    expect((await send("GET", "/v1/connections?limt=1")).status).toBe(400);
  });

  it("are checked and discovered by a worker", async () => {
    const { send, orchestrator } = api();
    await send("PUT", "/v1/connections/looked", { kind: "sample", config: { host: "h" } });
    orchestrator.inspectResult = { ok: false, error: { code: "SOURCE_AUTH", message: "no" }, milliseconds: 5 };
    expect(await send("POST", "/v1/connections/looked/check")).toMatchObject({
      status: 200,
      body: { ok: false, error: { code: "SOURCE_AUTH" } },
    });
    await send("POST", "/v1/connections/looked/discover");
    expect(orchestrator.inspected).toEqual([
      { kind: "check", connection: "looked" },
      { kind: "discover", connection: "looked" },
    ]);
    expect((await send("POST", "/v1/connections/absent/check")).status).toBe(404);
  });
});

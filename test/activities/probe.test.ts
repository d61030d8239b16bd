// One look at what a wait waits for: SQL, HTTP and files, over real connections.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { AssetRecord } from "../../store/assets.ts";
import { createConnectionOpener } from "../../activities/connections.ts";
import { createProbe } from "../../activities/probe.ts";
import type { VerbDeps } from "../../activities/verb.ts";
import { builtinConnectors } from "../../connectors/registry.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import { waitSchema } from "../../core/operators.ts";
import { testContext } from "../contract/kit.ts";

const folder = mkdtempSync(path.join(tmpdir(), "downbeat-probe-"));
let status = 404;
/** What it answers, where that is JSON. */
let body: Json | undefined;
const server = createServer((_request, response) => {
  const headers = { "x-progress": "80", ...(body === undefined ? {} : { "content-type": "application/json" }) };
  response.writeHead(status, headers).end(body === undefined ? "" : JSON.stringify(body));
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

const connections: Readonly<Record<string, { readonly kind: string; readonly config: JsonObject }>> = {
  db: { kind: "duckdb", config: { path: path.join(folder, "probe.duckdb") } },
  api: { kind: "http", config: { base_url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` } },
  closed: { kind: "http", config: { base_url: "http://127.0.0.1:9" } },
};

const made: AssetRecord[] = [];

const look = async (wait: JsonObject): Promise<Json> => {
  const files = { baseDir: folder, reserved: [] };
  const deps: Pick<VerbDeps, "findConfig" | "findOutput" | "openConnection"> = {
    findConfig: () => Promise.resolve(waitSchema.parse(wait) as unknown as JsonObject),
    findOutput: () => Promise.resolve(null),
    openConnection: createConnectionOpener({
      findConnection: (name) => Promise.resolve(connections[name] && { name, ...connections[name] }),
      findSpec: (kind) => builtinConnectors.find((spec) => spec.kind === kind),
      resolveSecret: () => Promise.reject(new Error("no references here")),
      tempRoot: folder,
      ...files,
    }),
  };
  const { signal, log } = testContext(folder);
  const run = { id: "r", origin: "r", pipeline: "p", version: 1, trigger: "test", triggeredAt: "2026-01-01T00:00:00.000Z" };
  const call = { run, planHash: "h", taskId: "t", attempt: 1, params: { day: 3 }, tasks: {}, timeoutMs: 10_000 };
  const probe = createProbe({
    ...(deps as VerbDeps),
    files,
    findAsset: (name) => Promise.resolve(made.find((asset) => asset.name === name)),
  });
  return (await probe(call, { signal, log, heartbeat: () => undefined, tell: () => undefined, lostAttempts: 0 })).output;
};

describe("a look", () => {
  it.each<[string, Json]>([
    ["select 1", { met: true, value: 1 }],
    ["select 0", { met: false, value: 0 }],
    ["select true, false", { met: true, value: true }],
    ["select null", { met: false, value: null }],
    ["select '0'", { met: false, value: "0" }],
    ["select 12345678901234567890::hugeint > 1", { met: true, value: true }],
    ["select 1 where false", { met: false }],
  ])("at SQL: %s", async (query, expected) => {
    expect(await look({ sql: { connection: "db", query } })).toEqual(expected);
  });

  it("at SQL with parameters and expressions", async () => {
    expect(await look({ sql: { connection: "db", query: "select :day::int > 2", params: { day: "${{ params.day }}" } } })).toEqual({
      met: true,
      value: true,
    });
    await expect(look({ sql: { connection: "db", query: "select * from nowhere" } })).rejects.toMatchObject({ code: "SQL_FAILED" });
  });

  it("at HTTP takes any answer for one, but wrong credentials and none at all", async () => {
    status = 404;
    expect(await look({ http: { connection: "api", path: "/report" } })).toEqual({ met: false, value: 404 });
    expect(await look({ http: { connection: "api", path: "/report", status: [404] } })).toEqual({ met: true, value: 404 });
    status = 200;
    expect(await look({ http: { connection: "api", path: "/report" } })).toEqual({ met: true, value: 200 });
    status = 401;
    await expect(look({ http: { connection: "api" } })).rejects.toMatchObject({ code: "HTTP_REFUSED" });
    await expect(look({ http: { connection: "closed" } })).rejects.toMatchObject({ code: "HTTP_UNAVAILABLE" });
  });

  it("at HTTP may ask for more of the answer than its status", async () => {
    const job = (until: string, more: JsonObject = {}): Promise<Json> =>
      look({ http: { connection: "api", path: "/job", until, ...more } });
    const done = 'response.body.state == "done"';
    status = 200;
    body = { state: "running", steps: [{ ok: true }, { ok: false }], day: 3 };
    expect(await job(done)).toEqual({ met: false, value: 200 });
    expect(await job('int(response.headers["x-progress"]) >= 80 && response.body.day == params.day && run.attempt == 1')).toMatchObject({
      met: true,
    });
    expect(await job("response.body.steps.all(s, s.ok)")).toMatchObject({ met: false });
    body = { state: "done" };
    expect(await job(done)).toEqual({ met: true, value: 200 });
    // Both must hold; an answer whose status is asked for is read whatever that is.
    status = 409;
    expect(await job(done)).toEqual({ met: false, value: 409 });
    expect(await job(done, { status: [200, 409] })).toEqual({ met: true, value: 409 });
    expect(await job("response.status == 409", { status: [200, 409] })).toEqual({ met: true, value: 409 });
    status = 200;
    const failed = (says: string) => ({ code: "EXPRESSION_FAILED", message: expect.stringContaining(says) as unknown });
    await expect(job("response.body.missing == 1")).rejects.toMatchObject(failed("No such key: missing"));
    expect(await job("has(response.body.missing) && response.body.missing == 1")).toMatchObject({ met: false });
    await expect(job("response.body.state")).rejects.toMatchObject(failed("not true or false"));
    body = ["x".repeat(9 * 1024 * 1024)];
    await expect(job("size(response.body) > 0")).rejects.toMatchObject(failed("the limit is 8388608"));
    body = undefined;
  });

  it("at SQL shows no value that is too long to travel", async () => {
    expect(await look({ sql: { connection: "db", query: "select repeat('x', 5000)" } })).toEqual({ met: true });
  });

  it("at files, one or many", async () => {
    expect(await look({ file: { path: "drop/ready.flag" } })).toEqual({ met: false, value: 0 });
    writeFileSync(path.join(folder, "ready.flag"), "");
    expect(await look({ file: { path: "ready.flag" } })).toEqual({ met: true, value: 1 });
    expect(await look({ file: { glob: "*.flag" } })).toEqual({ met: true, value: 1 });
    expect(await look({ file: { glob: "*.csv" } })).toEqual({ met: false, value: 0 });
  });

  it("at an asset, which must be newer than the run, or than the moment that is given", async () => {
    const name = "warehouse/raw.orders";
    expect(await look({ asset: { name } })).toEqual({ met: false });
    const update = { name, runId: "r0", taskId: "t", pipeline: "p", rows: 3, updates: 1 };
    made.push({ ...update, updatedAt: "2025-12-31 23:59:59+00" });
    expect(await look({ asset: { name } })).toEqual({ met: false });
    expect(await look({ asset: { name, newer_than: "2025-12-31T00:00:00Z" } })).toEqual({
      met: true,
      value: { updated_at: "2025-12-31T23:59:59.000Z", run: "r0", rows: 3 },
    });
    made[0] = { ...update, updatedAt: "2026-01-01 00:00:01+00" };
    expect(await look({ asset: { name } })).toMatchObject({ met: true });
    await expect(look({ asset: { name, newer_than: "${{ 'yester' + 'day' }}" } })).rejects.toMatchObject({ code: "EXPRESSION_FAILED" });
  });
});

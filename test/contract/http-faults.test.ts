// What HTTP APIs do wrong: endless redirects and pages, answers that are no delivery, rows without a cursor, tokens that are not given.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import type { Batch } from "../../connectors/batch.ts";
import type { StreamRequest } from "../../connectors/connector.ts";
import { http } from "../../connectors/http/spec.ts";
import { fromRows, toRows } from "../../connectors/lib/rows.ts";
import { openConnector, testContext, testFolder } from "./kit.ts";

type Handler = (request: IncomingMessage, url: URL, body: string) => { status?: number; body?: unknown; headers?: Record<string, string> };

let handle: Handler = () => ({});
let received: { readonly method: string; readonly url: string; readonly key: string | undefined; readonly body: string }[] = [];

const server = createServer((request: IncomingMessage, response: ServerResponse) => {
  let body = "";
  request.on("data", (chunk: Buffer) => (body += chunk.toString("utf8")));
  request.on("end", () => {
    received.push({
      method: request.method ?? "",
      url: request.url ?? "",
      key: request.headers["idempotency-key"] as string | undefined,
      body,
    });
    const answer = handle(request, new URL(request.url ?? "/", "http://localhost"), body);
    const text = typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body ?? []);
    response.writeHead(answer.status ?? 200, { "content-type": "application/json", ...answer.headers }).end(text);
  });
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
afterAll(() => server.close());
beforeEach(() => {
  received = [];
});

const base_url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const folder = testFolder("http-faults");
const make = (config: Record<string, unknown> = {}) => openConnector(http, { base_url, ...config }, testContext(folder));

const read = async (options: Record<string, unknown>, more: Partial<StreamRequest> = {}, config: Record<string, unknown> = {}) => {
  await using connector = await make(config);
  const batches: Batch[] = [];
  for await (const batch of connector.source?.read({
    stream: "/items",
    options: http.sourceOptions?.parse(options) as Record<string, unknown>,
    nullCursor: "fail",
    newRun: true,
    position: null,
    bounds: null,
    seen: () => Promise.resolve(new Set()),
    ...more,
  }) ?? [])
    batches.push(batch);
  return batches;
};

describe("reading that would never end, or lose something", () => {
  it("redirects in a circle are given up", async () => {
    handle = () => ({ status: 302, headers: { location: "/items" } });
    await expect(read({})).rejects.toMatchObject({ code: "SOURCE_QUERY_FAILED" });
    expect(received.length).toBeLessThan(10);
  });

  it("a redirect within the host is followed, its query kept", async () => {
    handle = (_request, url) =>
      url.pathname === "/items" ? { status: 307, headers: { location: "/v2/items?page=7" } } : { body: [{ id: 1 }] };
    expect((await read({})).flatMap(toRows)).toEqual([{ id: 1 }]);
    expect(received.map(({ url }) => url)).toEqual(["/items", "/v2/items?page=7"]);
  });

  it.each([
    ["cursor", { records: "items", pagination: { type: "cursor", param: "after", path: "next" } }],
    ["link", { records: "items", pagination: { type: "link" } }],
  ])("a %s that leads to the same page again is an error", async (_name, options) => {
    handle = () => ({ body: { items: [{ id: 1 }], next: "same" }, headers: { link: '</items>; rel="next"' } });
    await expect(read(options)).rejects.toMatchObject({ code: "SOURCE_DATA_INVALID" });
    expect(received.length).toBeLessThan(4);
  });

  it("numbers keep their digits, records that are no objects are rejects", async () => {
    handle = () => ({ body: '[{"id": 9007199254740993, "price": 12345678901234567.89}, 7, {"id": 2}]' });
    const batches = await read({});
    expect(batches.flatMap(toRows)).toEqual([
      { id: "9007199254740993", price: "12345678901234567.89" },
      { id: 2, price: null },
    ]);
    expect(batches.flatMap((batch) => batch.rejects ?? [])).toMatchObject([{ where: "record 2 of page 1", raw: "7" }]);
  });
});

describe("cursors", () => {
  const since = { since_param: "since" };

  it("a row without a cursor value fails, or goes to the dead letters", async () => {
    handle = () => ({ body: [{ id: 1, at: "2026-01-01" }, { id: 2, at: null }, { id: 3 }] });
    await expect(read(since, { cursor: "at" })).rejects.toMatchObject({ code: "CURSOR_NULL" });
    const batches = await read(since, { cursor: "at", nullCursor: "dead_letter" });
    expect(batches.flatMap(toRows).map((row) => row["id"])).toEqual([1]);
    expect(batches.flatMap((batch) => batch.rejects ?? []).map(({ code, where }) => `${code} ${where}`)).toEqual([
      "CURSOR_NULL record 2 of page 1",
      "CURSOR_NULL record 3 of page 1",
    ]);
    expect(batches.at(-1)?.position).toBe("2026-01-01");
  });

  it("numbers are compared as numbers, also beyond what a double holds", async () => {
    handle = () => ({ body: '[{"id": 9}, {"id": 9007199254740993}, {"id": 10}, {"id": 9007199254740992}]' });
    expect((await read(since, { cursor: "id" })).at(-1)?.position).toBe("9007199254740993");
  });

  it("a run without new rows keeps the position", async () => {
    handle = () => ({ body: [] });
    expect((await read(since, { cursor: "at", position: "2026-01-05" })).at(-1)?.position).toBe("2026-01-05");
  });

  it("lookback goes back behind the last run's value, not when the same run goes on", async () => {
    handle = () => ({ body: [] });
    const request = { cursor: "at", position: "2026-01-05T10:00:00Z", lookbackMs: 3_600_000 };
    await read(since, request);
    await read(since, { ...request, newRun: false });
    expect(received.map(({ url }) => new URL(url, base_url).searchParams.get("since"))).toEqual([
      "2026-01-05T09:00:00.000Z",
      "2026-01-05T10:00:00Z",
    ]);
    await expect(read(since, { ...request, position: 7 })).rejects.toMatchObject({ code: "CURSOR_INVALID" });
  });
});

describe("deliveries that are none", () => {
  const rows = fromRows([{ name: "id", type: { kind: "int64" }, nullable: false }], [{ id: 1 }, { id: 2 }, { id: 3 }], { position: null });
  const publish = async (options: Record<string, unknown>) => {
    await using connector = await make();
    const batches = (async function* () {
      yield await Promise.resolve(rows);
    })();
    return connector.publisher?.publish(batches, {
      key: "run/task",
      options: http.publishOptions?.parse(options) as Record<string, unknown>,
    });
  };

  it.each([301, 302, 304, 307])("a %i to a POST is refused, not taken for success", async (status) => {
    handle = () => ({ status, headers: { location: "/elsewhere" } });
    await expect(publish({ path: "/hook" })).rejects.toMatchObject({ code: "HTTP_REFUSED" });
    expect(received).toHaveLength(1);
  });

  it.each(["", "{broken"])("a delivery that is answered 200 with %j for JSON has arrived", async (body) => {
    handle = () => ({ body });
    expect(await publish({ path: "/hook" })).toMatchObject({ rows: 3, messages: 1 });
  });

  it("an endpoint that fails or is not there is HTTP_UNAVAILABLE, for a retry", async () => {
    handle = () => ({ status: 500, body: { error: "broken" } });
    await expect(publish({ path: "/hook" })).rejects.toMatchObject({ code: "HTTP_UNAVAILABLE" });
    const closed = await make({ base_url: "http://127.0.0.1:9" });
    await expect(closed.http?.call({ method: "GET", path: "/", idempotencyKey: "key" })).rejects.toMatchObject({
      code: "HTTP_UNAVAILABLE",
    });
    await closed[Symbol.asyncDispose]();
  });

  it("a message that was refused for a while is repeated with its key; no other is sent meanwhile", async () => {
    handle = () => (received.length === 2 ? { status: 503, headers: { "retry-after": "0" } } : {});
    expect(await publish({ path: "/hook", body: "row" })).toMatchObject({ rows: 3, messages: 3 });
    expect(received.map(({ key, body }) => `${key} ${body}`)).toEqual([
      'run/task/0 {"id":1}',
      'run/task/1 {"id":2}',
      'run/task/1 {"id":2}',
      'run/task/2 {"id":3}',
    ]);
  });
});

describe("tokens", () => {
  const config = { auth: "oauth2_client_credentials", token_url: `${base_url}/token`, client_id: "me", client_secret: "hush-hush" };

  it.each([
    [401, "SOURCE_AUTH"],
    [503, "SOURCE_UNAVAILABLE"],
  ])("a token endpoint that answers %i is %s, and the secret is not shown", async (status, code) => {
    handle = (_request, url) => (url.pathname === "/token" ? { status, body: { error: "no" } } : {});
    const refused = await read({}, {}, config).catch((error: unknown) => error as Error);
    expect(refused).toMatchObject({ code });
    expect((refused as Error).message).not.toContain("hush-hush");
  });
});

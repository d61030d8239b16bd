// The HTTP connector against the contract of sources, on a real HTTP server of the test's own: pages, credentials, limits, deliveries.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { sourceCases } from "../../connectors/contract/source.ts";
import { http } from "../../connectors/http/spec.ts";
import { fromRows, toRows } from "../../connectors/lib/rows.ts";
import type { Json } from "../../core/json.ts";
import { openConnector, runCases, testContext, testFolder } from "./kit.ts";

const ITEMS = Array.from({ length: 25 }, (_, index) => ({
  id: index + 1,
  name: `item ${index + 1}`,
  updated_at: `2026-01-${String(index + 1).padStart(2, "0")}`,
}));
const PAGE = 10;

interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

const received: Received[] = [];
let busy = 0;
let tokens = 0;

const answer = (response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void => {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
};

const server = createServer((request, response) => {
  const url = new URL(request.url ?? "/", "http://localhost");
  let body = "";
  request.on("data", (chunk: Buffer) => {
    body += chunk.toString("utf8");
  });
  request.on("end", () => {
    received.push({ method: request.method ?? "", path: `${url.pathname}${url.search}`, headers: request.headers, body });
    const from = Number(url.searchParams.get("offset") ?? (Number(url.searchParams.get("page") ?? 1) - 1) * PAGE);
    const items = ITEMS.slice(from, from + PAGE);
    const next = from + PAGE < ITEMS.length ? from + PAGE : null;
    switch (url.pathname) {
      case "/":
        return answer(response, 200, { ok: true });
      case "/token":
        tokens += 1;
        return answer(response, 200, { access_token: `token-${tokens}`, expires_in: 3600 });
      case "/oauth":
        return request.headers.authorization === "Bearer token-2"
          ? answer(response, 200, ITEMS)
          : answer(response, 401, { error: "expired" });
      case "/secret":
        return request.headers["x-api-key"] === "right-key" ? answer(response, 200, ITEMS) : answer(response, 401, { error: "no" });
      case "/cursor":
        return answer(response, 200, { data: { items }, next });
      case "/page":
        return answer(response, 200, items);
      case "/link":
        return answer(response, 200, items, next === null ? {} : { link: `</link?offset=${next}>; rel="next", </link>; rel="first"` });
      case "/since":
        return answer(
          response,
          200,
          ITEMS.filter((item) => item.updated_at > (url.searchParams.get("since") ?? "")),
        );
      case "/all":
        return answer(response, 200, ITEMS);
      case "/empty":
        return answer(response, 200, []);
      case "/busy":
        busy += 1;
        return busy < 3 ? answer(response, 429, { error: "slow down" }, { "retry-after": "0" }) : answer(response, 200, ITEMS);
      case "/later":
        return answer(response, 429, { error: "come back" }, { "retry-after": "3600" });
      case "/elsewhere":
        return answer(response, 302, {}, { location: "http://192.0.2.1/steal" });
      case "/never":
        return undefined;
      case "/hook":
        return answer(response, 200, { ok: true });
      default:
        return answer(response, 404, { error: "nothing here" });
    }
  });
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
afterAll(() => {
  server.close();
  server.closeAllConnections();
});
beforeEach(() => {
  received.length = 0;
  busy = 0;
});
const base_url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

const folder = testFolder("http");
const make = (config: Record<string, unknown> = {}, signal?: AbortSignal) =>
  openConnector(http, { base_url, ...config }, testContext(folder, signal));
const options = (more: Record<string, unknown> = {}): Readonly<Record<string, unknown>> =>
  http.sourceOptions?.parse(more) as Record<string, unknown>;

runCases(
  "http source",
  sourceCases({
    open: (signal) => make({}, signal),
    stream: "/all",
    options: options(),
    capabilities: http.capabilities,
    expectedRows: ITEMS.length,
    emptyStream: "/empty",
    openUnreachable: () => make({ base_url: "http://127.0.0.1:1" }),
  }),
);

const read = async (
  stream: string,
  more: Record<string, unknown>,
  config: Record<string, unknown> = {},
  rest: { cursor?: string; position?: Json } = {},
) => {
  await using connector = await make(config);
  const batches = [];
  const { position = null, ...asked } = rest;
  for await (const batch of connector.source?.read({
    stream,
    options: options(more),
    nullCursor: "fail",
    newRun: true,
    position,
    bounds: null,
    seen: () => Promise.resolve(new Set()),
    ...asked,
  }) ?? [])
    batches.push(batch);
  return batches;
};

const ids = (batches: Awaited<ReturnType<typeof read>>): readonly unknown[] => batches.flatMap(toRows).map((row) => row["id"]);
const all = ITEMS.map(({ id }) => id);

describe("pages of an HTTP API", () => {
  it.each([
    ["cursor", "/cursor", { records: "data.items", pagination: { type: "cursor", param: "offset", path: "next" } }],
    ["page", "/page", { pagination: { type: "page" } }],
    ["link", "/link", { pagination: { type: "link" } }],
  ])("pagination by %s brings every record once", async (_name, stream, more) => {
    expect(ids(await read(stream, more))).toEqual(all);
  });

  it("goes on from the largest cursor value of the last run", async () => {
    const first = await read("/since", { since_param: "since" }, {}, { cursor: "updated_at" });
    expect(first.at(-1)?.position).toBe("2026-01-25");
    expect(ids(await read("/since", { since_param: "since" }, {}, { cursor: "updated_at", position: "2026-01-20" }))).toEqual([
      21, 22, 23, 24, 25,
    ]);
  });

  it("an answer that is no list says where to look", async () => {
    await expect(read("/cursor", {})).rejects.toMatchObject({
      code: "SOURCE_DATA_INVALID",
      message: expect.stringContaining("from.records") as unknown,
    });
  });
});

describe("credentials and limits", () => {
  it("an API key goes into its header; a wrong one is SOURCE_AUTH and is not shown", async () => {
    expect(ids(await read("/secret", {}, { auth: "api_key", api_key: "right-key" }))).toEqual(all);
    const refused = await read("/secret", {}, { auth: "api_key", api_key: "wrong-key" }).catch(
      (error: unknown) => error as Error & { code: string },
    );
    expect(refused).toMatchObject({ code: "SOURCE_AUTH" });
    expect((refused as Error).message).not.toContain("wrong-key");
  });

  it("OAuth2 client credentials fetch a token, and another one when it is refused", async () => {
    const config = {
      auth: "oauth2_client_credentials",
      token_url: `${base_url}/token`,
      client_id: "me",
      client_secret: "hush",
      scope: "read",
    };
    expect(ids(await read("/oauth", {}, config))).toEqual(all);
    const asked = received.filter(({ path }) => path === "/token");
    expect(asked).toHaveLength(2);
    expect(asked[0]?.headers.authorization).toBe(`Basic ${Buffer.from("me:hush").toString("base64")}`);
    expect(asked[0]?.body).toBe("grant_type=client_credentials&scope=read");
  });

  it("waits for a Retry-After that is short, and hands a long one to the task", async () => {
    expect(ids(await read("/busy", {}))).toEqual(all);
    await expect(read("/later", {})).rejects.toMatchObject({ code: "RATE_LIMITED", retryAfterMs: 3_600_000 });
  });

  it("a host that never answers is given up after its limit", async () => {
    await expect(read("/never", {}, { timeout_seconds: 1 })).rejects.toMatchObject({
      code: "SOURCE_UNAVAILABLE",
      message: expect.stringContaining("no answer within 1 s") as unknown,
    });
  });

  it("a redirect to another host is refused: the credentials stay", async () => {
    await expect(read("/elsewhere", {}, { auth: "bearer", token: "t" })).rejects.toMatchObject({ code: "HTTP_REFUSED" });
  });
});

describe("deliveries", () => {
  const rows = fromRows([{ name: "id", type: { kind: "int64" }, nullable: false }], ITEMS, { position: null });
  const publish = async (more: Record<string, unknown>) => {
    await using connector = await make();
    const batches = (async function* () {
      yield await Promise.resolve(rows);
    })();
    return connector.publisher?.publish(batches, {
      key: "run-1/task",
      options: http.publishOptions?.parse(more) as Record<string, unknown>,
    });
  };

  it("messages carry batches of rows and keys that a repetition repeats", async () => {
    expect(await publish({ path: "/hook", batch_size: 10 })).toMatchObject({ rows: 25, messages: 3 });
    const first = received.map(({ headers }) => headers["idempotency-key"]);
    expect(first).toEqual(["run-1/task/0", "run-1/task/1", "run-1/task/2"]);
    await publish({ path: "/hook", batch_size: 10 });
    expect(received.slice(3).map(({ headers }) => headers["idempotency-key"])).toEqual(first);
    expect((JSON.parse(received[2]?.body ?? "{}") as { rows: unknown[] }).rows).toHaveLength(5);
  });

  it("a call carries its key and gives status and body", async () => {
    await using connector = await make();
    expect(await connector.http?.call({ method: "POST", path: "/hook", body: { text: "hi" }, idempotencyKey: "run/task" })).toMatchObject({
      status: 200,
      body: { ok: true },
      headers: { "content-type": expect.stringContaining("json") as string },
    });
    expect(received.at(-1)).toMatchObject({ method: "POST", body: '{"text":"hi"}' });
    await expect(connector.http?.call({ method: "GET", path: "/nothing", idempotencyKey: "run/task" })).rejects.toMatchObject({
      code: "HTTP_REFUSED",
    });
  });

  it("dead letters are read again as records of a page would be", async () => {
    await using connector = await make();
    const options = http.sourceOptions?.parse({ columns: { id: "int64" } }) as Record<string, unknown>;
    const letters = ['{"id":"7","more":1}', "[7]"].map((raw, index) => ({ id: `id-${index}`, place: "record 1 of page 1", raw }));
    const batch = await connector.source!.reread!(letters, { stream: "/page", options, known: [] });
    expect(toRows(batch)).toEqual([{ id: 7 }]);
    expect(batch.rejects).toEqual([
      { where: "record 1 of page 1", code: "SOURCE_DATA_INVALID", reason: "is not a JSON object", raw: "[7]", letter: "id-1" },
    ]);
  });
});

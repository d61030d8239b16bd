// What holds for every request: health, keys, problems, headers, the description of the API.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { createApp } from "../../api/app.ts";
import { openApiDocument } from "../../api/openapi.ts";
import { DownbeatError, ERRORS } from "../../core/errors.ts";
import { LIMITS } from "../../core/limits.ts";
import { useApi } from "./kit.ts";

describe("the API's answers", () => {
  const api = useApi({ metrics: () => Promise.resolve("up 1\n") });

  it("say that the process lives, and what is missing until it is ready", async () => {
    const { send, orchestrator, store, deps } = api();
    expect(await send("GET", "/health/live")).toMatchObject({ status: 200, body: { status: "ok" } });
    await store.catalogues.publish({ process: "w1", role: "worker", hash: deps.catalogue.hash });
    expect(await send("GET", "/health/ready")).toMatchObject({ status: 200, body: { status: "ok", workers: 1 } });
    orchestrator.failure = new DownbeatError("TEMPORAL_UNAVAILABLE", "Temporal is away");
    expect(await send("GET", "/health/ready")).toMatchObject({
      status: 503,
      body: { store: { ok: true }, temporal: { ok: false, error: "Temporal is away" } },
    });
    orchestrator.failure = undefined;
    await store.catalogues.publish({ process: "w2", role: "worker", hash: "another" });
    const strangers = await send("GET", "/health/ready");
    expect(strangers).toMatchObject({ status: 503, body: { catalogue: { ok: false }, workers: 2 } });
    expect(strangers.text).toContain("1 of 2 workers");
    await store.catalogues.publish({ process: "w2", role: "worker", hash: deps.catalogue.hash });
  });

  it("give metrics as text", async () => {
    expect(await api().send("GET", "/metrics")).toMatchObject({ status: 200, text: "up 1\n" });
  });

  it("list connectors with their schemas and mark secrets", async () => {
    const { body } = await api().send("GET", "/v1/connectors");
    expect(body).toMatchObject({
      items: [
        {
          kind: "sample",
          secrets: ["password", "token", "keys"],
          config: { properties: { password: { secret: true }, host: { type: "string" } } },
        },
      ],
      next: null,
    });
  });

  it("are problems of the error table for what does not exist or is not allowed", async () => {
    const missing = await api().send("GET", "/v1/nothing");
    expect(missing.headers.get("content-type")).toContain("application/problem+json");
    expect(missing.body).toMatchObject({
      type: "/reference/errors#NOT_FOUND",
      code: "NOT_FOUND",
      status: 404,
      title: ERRORS.NOT_FOUND.title,
    });
    const wrong = await api().send("DELETE", "/v1/runs/x");
    expect(wrong).toMatchObject({ status: 405, body: { code: "METHOD_NOT_ALLOWED" } });
    expect(wrong.headers.get("allow")).toBe("GET");
    expect((await api().send("PATCH", "/v1/pipelines")).headers.get("allow")).toBe("GET");
  });

  it("refuse what a page of another site sends through somebody's browser, and nothing else", async () => {
    const foreign = [{ "sec-fetch-site": "cross-site" }, { origin: "https://elsewhere.example" }, { origin: "null" }];
    for (const headers of foreign) {
      expect(await api().send("POST", "/v1/runs/x/cancel", {}, headers)).toMatchObject({ status: 403, body: { code: "FORBIDDEN" } });
      expect((await api().send("GET", "/v1/connectors", undefined, headers)).status).toBe(200);
    }
    const own = { "sec-fetch-site": "same-origin", origin: api().url };
    expect((await api().send("POST", "/v1/runs/x/cancel", {}, own)).status).toBe(404);
    expect((await api().send("POST", "/v1/runs/x/cancel", {})).status).toBe(404);
  });

  it("refuse bodies that are broken, too large or of another kind", async () => {
    const { send } = api();
    const json = { "content-type": "application/json" };
    expect(await send("PUT", "/v1/connections/c", '{"kind": ', json)).toMatchObject({ status: 400, body: { code: "REQUEST_INVALID" } });
    expect(await send("PUT", "/v1/connections/c", "kind: sample")).toMatchObject({ status: 415, body: { code: "MEDIA_TYPE_UNSUPPORTED" } });
    expect(await send("PUT", "/v1/pipelines/p", "<x/>", { "content-type": "application/xml" })).toMatchObject({ status: 415 });
    const large = "x".repeat(LIMITS.bodyBytes + 1);
    expect(await send("PUT", "/v1/pipelines/p", large)).toMatchObject({ status: 413, body: { code: "BODY_TOO_LARGE" } });
    expect(await send("PUT", "/v1/connections/c", JSON.stringify({ x: large }), json)).toMatchObject({ status: 413 });
    expect(await send("GET", "/v1/runs/%E0%A4%A")).toMatchObject({ status: 400, body: { code: "REQUEST_INVALID" } });
  });

  it("do not take a body of unknown length and kind for no body", async () => {
    const response = await fetch(`${api().url}/v1/pipelines/p/runs`, {
      method: "POST",
      headers: { "content-type": "application/x-other" },
      body: new Blob(["params"]).stream(),
      duplex: "half",
    } as RequestInit);
    expect(response.status).toBe(415);
  });

  it("hide what is unforeseen, and the log has it under the same instance", async () => {
    const { deps, logs } = api();
    const broken = { ...deps.store, runs: { ...deps.store.runs, findWhole: () => Promise.reject(new Error("inner words")) } };
    const server = createServer(createApp({ ...deps, store: broken })).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    try {
      const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/runs/x`);
      const text = await response.text();
      expect(response.status).toBe(500);
      expect(text).not.toContain("inner words");
      expect(text).not.toContain(".ts");
      const { code, instance } = JSON.parse(text) as { code: string; instance: string };
      expect(code).toBe("INTERNAL");
      const line = logs.find((entry) => entry.fields["instance"] === instance);
      expect(String(line?.fields["err"])).toContain("inner words");
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });

  it("carry security headers and do not name the framework", async () => {
    const { headers } = await api().send("GET", "/v1/runs");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(headers.get("x-powered-by")).toBeNull();
  });

  it("leave one log line each, with the whole path", async () => {
    const { send, logs } = api();
    // Of one that fails and of one that is answered inside a router, which shows only the rest of the path.
    for (const [path, status] of [
      ["/v1/pipelines/absent/versions", 404],
      ["/v1/runs", 200],
    ] as const) {
      const before = logs.length;
      await send("GET", `${path}?limit=1`);
      const lines = logs.slice(before).filter((line) => line.message === "request");
      expect(lines.map((line) => line.fields)).toEqual([{ method: "GET", path, status, ms: expect.any(Number) as number }]);
    }
  });
});

describe("the API's description", () => {
  const api = useApi({ metrics: () => Promise.resolve("") });

  it("is served, and is the one in the reference", async () => {
    const { body } = await api().send("GET", "/openapi.json");
    expect(body).toEqual(JSON.parse(JSON.stringify(openApiDocument())));
    expect(JSON.parse(readFileSync("docs/reference/openapi.json", "utf8"))).toEqual(body);
  });

  it("refers to nothing that is not in it", () => {
    const document = JSON.parse(JSON.stringify(openApiDocument())) as Record<string, unknown>;
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1] ?? "");
    expect(references.length).toBeGreaterThan(10);
    for (const reference of new Set(references)) {
      const parts = reference.slice(2).split("/");
      const target = parts.reduce<unknown>((value, part) => (value as Record<string, unknown> | undefined)?.[part], document);
      expect([reference, typeof target]).toEqual([reference, "object"]);
    }
  });

  it("names every route, and no route that is not there", async () => {
    const operations = Object.entries(openApiDocument().paths).flatMap(([template, methods]) =>
      Object.keys(methods).map((method) => [method.toUpperCase(), template] as const),
    );
    for (const [method, template] of operations) {
      const { body } = await api().send(method, template.replaceAll(/\{[^}]+\}/g, "x1"), method === "GET" ? undefined : {});
      const { detail = "", code } = body as { detail?: string; code?: string };
      expect([method, template, code === "METHOD_NOT_ALLOWED", detail.includes("there is nothing at")]).toEqual([
        method,
        template,
        false,
        false,
      ]);
    }
    interface Layer {
      readonly route?: { readonly path: string; readonly stack: readonly { readonly method: string }[] };
      readonly handle?: { readonly stack?: readonly Layer[] };
    }
    const countRoutes = (layers: readonly Layer[]): number =>
      layers.reduce((sum, { route, handle }) => sum + (route === undefined ? countRoutes(handle?.stack ?? []) : route.stack.length), 0);
    const { stack } = (createApp(api().deps) as unknown as { router: { stack: readonly Layer[] } }).router;
    // Beside the operations: /, /openapi.json and the three of the reference pages.
    expect(countRoutes(stack)).toBe(operations.length + 5);
  });

  it("is shown without the internet, and every problem's link leads to its line", async () => {
    const { send } = api();
    const page = await send("GET", "/reference");
    const assets = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? "");
    expect(assets.length).toBeGreaterThan(2);
    for (const asset of assets) expect([asset, (await fetch(`${api().url}${asset}`)).status]).toEqual([asset, 200]);
    expect(page.headers.get("content-security-policy")).toContain("default-src 'self'");
    const errors = await send("GET", "/reference/errors");
    for (const code of Object.keys(ERRORS)) expect(errors.text).toContain(`id="${code}"`);
    expect((await send("GET", "/")).headers.get("location")).toBe("/reference");
  });
});

describe("an API with a key", () => {
  const api = useApi({ apiKey: "the-key", metrics: () => Promise.resolve("") });

  it("answers nobody without it, but health checks", async () => {
    const { send } = api();
    expect((await send("GET", "/health/live")).status).toBe(200);
    for (const path of ["/v1/runs", "/metrics", "/openapi.json", "/reference", "/", "/none"]) {
      const refused = await send("GET", path);
      expect([path, refused.status, (refused.body as { code?: string }).code]).toEqual([path, 401, "UNAUTHENTICATED"]);
      expect(refused.headers.get("www-authenticate")).toContain("Bearer");
    }
    expect((await send("GET", "/v1/runs", undefined, { authorization: "Bearer the-keys" })).status).toBe(401);
    expect((await send("GET", "/v1/runs", undefined, { authorization: "Bearer the-key" })).status).toBe(200);
    expect((await send("GET", "/v1/runs", undefined, { "x-api-key": "the-key" })).status).toBe(200);
  });
});

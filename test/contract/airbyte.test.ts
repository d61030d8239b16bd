// Real Airbyte sources out of the Python registry: the runner of low-code manifests against the contract of sources, and the faker.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { airbyte } from "../../connectors/airbyte/spec.ts";
import { sourceCases } from "../../connectors/contract/source.ts";
import { installedTap } from "../fixtures/taps.ts";
import { openConnector, runCases, testContext, testFolder } from "./kit.ts";
import { batchesOf, request, rowsOf } from "./sql-roles.ts";

const installed = await installedTap("source-faker");
const bin = "folder" in installed ? installed.folder : "";
const folder = testFolder("airbyte");
const programs = { allowed: [`${bin}/*`], images: [], environment: { PATH: "/usr/bin:/bin" }, folder };
const make = (config: Readonly<Record<string, unknown>>, signal?: AbortSignal) =>
  openConnector(airbyte, config, { ...testContext(folder, signal), programs });
const options = (given: Readonly<Record<string, unknown>> = {}) => airbyte.sourceOptions?.parse(given) as Readonly<Record<string, unknown>>;

interface Order {
  readonly id: number;
  readonly total: number;
  readonly updated_at: string;
}

const orders: Order[] = Array.from({ length: 30 }, (_, index) => ({
  id: index + 1,
  total: index / 4,
  updated_at: `2026-01-${String(index + 1).padStart(2, "0")}T00:00:00Z`,
}));
const asked: string[] = [];
const server = createServer(({ url = "/", headers }, response) => {
  const { pathname, searchParams } = new URL(url, "http://localhost");
  const since = searchParams.get("since") ?? "";
  if (pathname === "/orders") asked.push(since);
  const allowed = headers.authorization === "Bearer right-key";
  const found = pathname === "/orders" ? orders.filter(({ updated_at }) => updated_at >= since) : [];
  response.writeHead(allowed ? 200 : 401, { "content-type": "application/json" }).end(JSON.stringify(allowed ? found : { error: "no" }));
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
afterAll(() => {
  server.close();
  server.closeAllConnections();
});

const stream = (name: string, more: object = {}) => ({
  type: "DeclarativeStream",
  name,
  primary_key: ["id"],
  retriever: {
    type: "SimpleRetriever",
    requester: {
      type: "HttpRequester",
      url_base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      path: `/${name}`,
      authenticator: { type: "BearerAuthenticator", api_token: "{{ config['api']['key'] }}" },
    },
    record_selector: { type: "RecordSelector", extractor: { type: "DpathExtractor", field_path: [] } },
  },
  schema_loader: {
    type: "InlineSchemaLoader",
    schema: {
      type: "object",
      properties: {
        id: { type: "integer" },
        total: { type: ["null", "number"] },
        updated_at: { type: "string", format: "date-time", airbyte_type: "timestamp_with_timezone" },
      },
    },
  },
  ...more,
});

/** A source of low code: its manifest is part of its configuration. */
const MANIFEST = {
  version: "6.61.6",
  type: "DeclarativeSource",
  check: { type: "CheckStream", stream_names: ["orders"] },
  streams: [
    stream("orders", {
      incremental_sync: {
        type: "DatetimeBasedCursor",
        cursor_field: "updated_at",
        datetime_format: "%Y-%m-%dT%H:%M:%SZ",
        start_datetime: "2026-01-01T00:00:00Z",
        start_time_option: { type: "RequestOption", field_name: "since", inject_into: "request_parameter" },
      },
    }),
    stream("nothing"),
  ],
  spec: { type: "Spec", connection_specification: { type: "object", properties: {} } },
};

const shop = (key = "right-key") => ({
  command: [path.join(bin, "source-declarative-manifest")],
  config: { __injected_declarative_manifest: MANIFEST },
  secrets: { "api.key": key },
});

describe.skipIf(bin === "")("a real source", { timeout: 300_000 }, () => {
  runCases(
    "source-declarative-manifest",
    sourceCases({
      open: (signal) => make(shop(), signal),
      stream: "orders",
      options: options(),
      capabilities: airbyte.capabilities,
      expectedRows: orders.length,
      discovered: "orders",
      emptyStream: "nothing",
    }),
  );

  it("goes on from its state: the last row again, and what is new", async () => {
    await using connector = await make(shop());
    const wanted = request({ stream: "orders", cursor: "updated_at", options: options() });
    const position = (await batchesOf(connector.source!.read(wanted))).at(-1)?.position ?? null;
    expect(position).toMatchObject({ state: expect.stringContaining("2026-01-30T00:00:00Z") as unknown });
    orders.push({ id: 31, total: 1, updated_at: "2026-02-01T00:00:00Z" });
    const rows = await rowsOf(connector.source!.read({ ...wanted, position }));
    orders.pop();
    expect(rows).toEqual([
      { id: 30, total: 7.25, updated_at: "2026-01-30T00:00:00Z" },
      { id: 31, total: 1, updated_at: "2026-02-01T00:00:00Z" },
    ]);
    expect(asked.at(-1)).toBe("2026-01-30T00:00:00Z");
  });

  it("that is refused says so in its own words, without the key", async () => {
    await using connector = await make(shop("wrong-key"));
    await expect(connector.check()).rejects.toMatchObject({ code: "CONNECTION_INVALID" });
    const error: unknown = await rowsOf(connector.source!.read(request({ stream: "orders", options: options() }))).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: "CONNECTION_INVALID", message: expect.stringMatching(/the source says.*401/s) as unknown });
    expect(String(error)).not.toContain("wrong-key");
  });

  it("of generated data brings as many rows as it is asked for, and nothing when its state says that it has done so", async () => {
    const config = { count: 40, seed: 7, parallelism: 1, records_per_slice: 10, always_updated: false };
    await using connector = await make({ command: [path.join(bin, "source-faker")], config });
    await connector.check();
    const names = (await connector.source!.discover()).map(({ name }) => name);
    expect(names).toEqual(["products", "users", "purchases"]);
    const wanted = request({ stream: "users", options: options({ incremental: true }) });
    const batches = await batchesOf(connector.source!.read(wanted));
    expect(batches.reduce((sum, { rows, rejects = [] }) => sum + rows + rejects.length, 0)).toBe(config.count);
    expect(batches.flatMap(({ rejects = [] }) => rejects)).toEqual([]);
    const position = batches.at(-1)?.position ?? null;
    expect(position).toMatchObject({ state: expect.stringContaining('"loop_offset":40') as unknown });
    expect(await rowsOf(connector.source!.read({ ...wanted, position }))).toEqual([]);
  });

  it("whose configuration is wrong is refused by its own check", async () => {
    await using connector = await make({ command: [path.join(bin, "source-faker")], config: { count: "many" } });
    await expect(connector.check()).rejects.toMatchObject({
      code: "CONNECTION_INVALID",
      message: expect.stringContaining("many") as unknown,
    });
  });
});

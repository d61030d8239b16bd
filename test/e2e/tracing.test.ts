// One trace from the HTTP request through the workflow to the connector, exported by OTLP to a real receiver.

import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, it } from "vitest";
import { ApiClient } from "../../bin/api-client.ts";
import { freePort } from "../../bin/ports.ts";
import { findTemporal, startTemporal, type RunningTemporal } from "../../bin/services/temporal.ts";
import { freshPostgresDatabase } from "../fixtures/services.ts";

interface Span {
  readonly trace: string;
  readonly name: string;
}

/** Length-delimited fields of a protobuf message, which is all of OTLP that names and trace ids need. */
const fields = (message: Buffer, number: number): readonly Buffer[] => {
  const found: Buffer[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = message[at] ?? 0;
      at += 1;
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const wire = tag & 7;
    if (wire === 2) {
      const length = varint();
      if (tag >> 3 === number) found.push(message.subarray(at, at + length));
      at += length;
    } else if (wire === 0) varint();
    else at += wire === 1 ? 8 : 4;
  }
  return found;
};

/** ExportTraceServiceRequest → ResourceSpans (1) → ScopeSpans (2) → Span (2) with trace_id (1) and name (5). */
const spansIn = (body: Buffer): readonly Span[] =>
  fields(body, 1)
    .flatMap((resource) => fields(resource, 2))
    .flatMap((scope) => fields(scope, 2))
    .map((span) => ({ trace: fields(span, 1)[0]?.toString("hex") ?? "", name: fields(span, 5)[0]?.toString("utf8") ?? "" }));

const folder = mkdtempSync(path.join(tmpdir(), "downbeat-trace-"));
const children: ChildProcess[] = [];
const spans: Span[] = [];
let temporal: RunningTemporal | undefined;
const receiver = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    spans.push(...spansIn(Buffer.concat(chunks)));
    response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
  });
});

afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  receiver.close();
  receiver.closeAllConnections();
  await temporal?.stop();
  rmSync(folder, { recursive: true, force: true });
});

it("one trace goes from the HTTP request through the workflow to the connector", { timeout: 180_000 }, async () => {
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  const port = await freePort();
  // Its own server: the worker under test must not take the tasks of other tests on the same queue.
  const found = await findTemporal(() => undefined, { ...process.env, TEMPORAL_ADDRESS: "" });
  if (found.kind === "address") throw new Error("a program was asked for");
  temporal = await startTemporal({ program: found.path, logFile: path.join(folder, "temporal.log"), port: await freePort() });
  const env = {
    ...process.env,
    DATABASE_URL: (await freshPostgresDatabase()).url,
    TEMPORAL_ADDRESS: temporal.address,
    DOWNBEAT_PORT: String(port),
    DOWNBEAT_SECRET_KEY: randomBytes(32).toString("hex"),
    DOWNBEAT_DATA_DIR: folder,
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`,
    OTEL_BSP_SCHEDULE_DELAY: "200",
  };
  for (const script of ["api.ts", "worker.ts"]) {
    children.push(spawn(process.execPath, [path.resolve(import.meta.dirname, "../../bin", script)], { env, stdio: "ignore" }));
  }
  writeFileSync(path.join(folder, "rows.jsonl"), '{"id": 1}\n');
  const api = new ApiClient({ baseUrl: `http://127.0.0.1:${port}`, patienceMs: 60_000 });
  await api.call("PUT", "/v1/connections/files", { kind: "file", config: { root: folder } });
  await api.call("PUT", "/v1/connections/warehouse", { kind: "duckdb", config: { path: "traced.duckdb" } });
  const transfer = { from: { connection: "files", stream: "rows.jsonl" }, to: { connection: "warehouse", table: "traced" } };
  await api.call("PUT", "/v1/pipelines/traced", { apiVersion: "downbeat/v1", name: "traced", tasks: [{ id: "move", transfer }] });
  const trace = randomBytes(16).toString("hex");
  const run = await api.call<{ readonly status: string }>(
    "POST",
    "/v1/pipelines/traced/runs?wait=90s",
    {},
    { traceparent: `00-${trace}-${randomBytes(8).toString("hex")}-01` },
  );
  expect(run.status).toBe("succeeded");

  const names = (): readonly string[] => spans.filter((span) => span.trace === trace).map((span) => span.name);
  const wanted = [
    /^POST \/v1\/pipelines/,
    /^RunWorkflow:run/,
    /^StartActivity:transfer/,
    /^RunActivity:transfer/,
    /^open file/,
    /^load file → duckdb/,
  ];
  const deadline = Date.now() + 30_000;
  while (!wanted.every((pattern) => names().some((name) => pattern.test(name))) && Date.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 200));
  const missing = wanted.filter((pattern) => !names().some((name) => pattern.test(name)));
  expect(missing, `spans of the trace: ${names().join(", ")}`).toEqual([]);
});

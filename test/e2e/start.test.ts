// `npm start` as a user runs it: the quickstart succeeds, a second start doubles nothing, a killed one leaves nothing behind that is lost.

import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ApiClient } from "../../bin/api-client.ts";
import { freePort } from "../../bin/ports.ts";

const dataDir = mkdtempSync(path.join(tmpdir(), "downbeat-start-"));
const script = path.resolve(import.meta.dirname, "../../bin/start.ts");
const children = new Set<ChildProcess>();
const PATIENCE_MS = 180_000;

interface Started {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

const start = (args: readonly string[], port: number, more: NodeJS.ProcessEnv = {}): Started => {
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    ...more,
    DOWNBEAT_DATA_DIR: dataDir,
    DOWNBEAT_PORT: String(port),
    DOWNBEAT_BUILD_ID: "ignored",
    DOWNBEAT_QUEUES: "downbeat,apart",
  };
  delete env["TEMPORAL_ADDRESS"];
  delete env["DATABASE_URL"];
  const child = spawn(process.execPath, [script, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  children.add(child);
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString("utf8")));
  child.stderr.on("data", (chunk: Buffer) => (text += chunk.toString("utf8")));
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    // Not at its exit: what it has written last may still be under way then.
    child.once("close", (code, signal) => {
      children.delete(child);
      resolve({ code, signal });
    });
  });
  return { child, output: () => text, ended };
};

const until = async (started: Started, text: string): Promise<void> => {
  const deadline = Date.now() + PATIENCE_MS;
  while (!started.output().includes(text)) {
    if (Date.now() > deadline || started.child.exitCode !== null) throw new Error(`never said "${text}":\n${started.output()}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
};

afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  try {
    process.kill((JSON.parse(readFileSync(path.join(dataDir, "temporal.json"), "utf8")) as { pid: number }).pid, "SIGTERM");
  } catch {
    // No server was left running.
  }
  rmSync(dataDir, { recursive: true, force: true });
});

describe("npm start", () => {
  it("runs the quickstart, then ends with 0; a second start doubles nothing", { timeout: 2 * PATIENCE_MS }, async () => {
    const first = start(["--once"], await freePort());
    expect(await first.ended, first.output()).toEqual({ code: 0, signal: null });
    expect(first.output()).toMatch(/orders\s+orders\.csv\.gz\s+3,000/);
    expect(first.output()).toMatch(/trust .*5 passed/);
    const second = start(["--once"], await freePort());
    expect(await second.ended, second.output()).toEqual({ code: 0, signal: null });
    expect(second.output()).toMatch(/orders\s+orders\.csv\.gz\s+0 /);
  });

  it("killed with a run in flight and started again, it finishes the run and has everything", { timeout: 3 * PATIENCE_MS }, async () => {
    const port = await freePort();
    const baseUrl = `http://127.0.0.1:${port}`;
    const killed = start(["--no-quickstart"], port);
    await until(killed, "Downbeat listens");
    const api = new ApiClient({ baseUrl, patienceMs: 30_000 });
    const definition = {
      apiVersion: "downbeat/v1",
      name: "slow",
      tasks: [
        {
          id: "first",
          queue: "apart",
          sql: { connection: "quickstart_warehouse", query: "create or replace table slow as select 1 as one" },
        },
        {
          id: "long",
          needs: ["first"],
          timeout: { heartbeat: "2s" },
          sql: {
            connection: "quickstart_warehouse",
            query:
              "create or replace table product as select count(*) as n from range(30000) a, range(30000) b where (a.range * b.range) % 7 = 3",
          },
        },
      ],
    };
    await api.call("PUT", "/v1/pipelines/slow", definition);
    const { id } = await api.call<{ readonly id: string }>("POST", "/v1/pipelines/slow/runs", {}, { "idempotency-key": "one" });
    const deadline = Date.now() + PATIENCE_MS;
    while ((await api.getRun(id)).tasks.find((task) => task.id === "long")?.status !== "running" && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 100));
    killed.child.kill("SIGKILL");
    expect((await killed.ended).signal).toBe("SIGKILL");

    const again = start(["--no-quickstart"], port);
    await until(again, "Downbeat listens");
    expect(again.output()).toContain("was still running and is used again");
    const run = await api.followRun(id, () => undefined);
    expect(run.status).toBe("succeeded");
    const pipelines = await api.call<{ readonly items: readonly { readonly name: string }[] }>("GET", "/v1/pipelines");
    expect(pipelines.items.map(({ name }) => name)).toEqual(["quickstart", "slow"]);
    again.child.kill("SIGINT");
    expect(await again.ended, again.output()).toEqual({ code: 0, signal: null });
  });

  it("refuses a data folder that another one uses; brings its Temporal back when that dies", { timeout: 3 * PATIENCE_MS }, async () => {
    const port = await freePort();
    const first = start(["--no-quickstart"], port);
    await until(first, "Downbeat listens");
    const second = start(["--once"], await freePort());
    expect(await second.ended, second.output()).toEqual({ code: 1, signal: null });
    expect(second.output()).toContain(dataDir);

    process.kill((JSON.parse(readFileSync(path.join(dataDir, "temporal.json"), "utf8")) as { pid: number }).pid, "SIGKILL");
    await until(first, "started again at");
    const api = new ApiClient({ baseUrl: `http://127.0.0.1:${port}` });
    const deadline = Date.now() + PATIENCE_MS;
    const isReady = async (): Promise<boolean> => (await fetch(`http://127.0.0.1:${port}/health/ready`)).ok;
    while (!(await isReady()) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 200));
    const { id } = await api.call<{ readonly id: string }>("POST", "/v1/pipelines/quickstart/runs", {});
    expect((await api.followRun(id, () => undefined)).status).toBe("succeeded");
    first.child.kill("SIGTERM");
    expect(await first.ended, first.output()).toEqual({ code: 0, signal: null });
  });

  it("takes the next free port and says so", { timeout: PATIENCE_MS }, async () => {
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(0, "127.0.0.1", resolve));
    const { port } = squatter.address() as AddressInfo;
    try {
      const started = start(["--no-quickstart"], port);
      await until(started, "Downbeat listens");
      expect(started.output()).toMatch(new RegExp(`port ${port} is taken; the API takes \\d+`));
      started.child.kill("SIGINT");
      expect(await started.ended, started.output()).toEqual({ code: 0, signal: null });
    } finally {
      squatter.close();
    }
  });

  it("stopped while a transfer follows its source, it ends at once and goes on when it is started again", {
    timeout: 4 * PATIENCE_MS,
  }, async () => {
    const port = await freePort();
    const api = new ApiClient({ baseUrl: `http://127.0.0.1:${port}`, patienceMs: 30_000 });
    const files = path.join(dataDir, "clicks");
    mkdirSync(files);
    const add = (name: string, rows: number): void =>
      writeFileSync(path.join(files, name), Array.from({ length: rows }, (_, id) => `{"id":${id}}\n`).join(""));
    // An attempt that would use its grace would be ended by force before that is over, and the exit code would not be 0.
    const grace = { DOWNBEAT_SHUTDOWN_GRACE: "10m" };
    const first = start(["--no-quickstart"], port, grace);
    await until(first, "Downbeat listens");
    await api.call("PUT", "/v1/connections/clicks", { kind: "file", config: { root: files } });
    await api.call("PUT", "/v1/connections/clicks_warehouse", { kind: "duckdb", config: { path: "clicks.duckdb" } });
    await api.call("PUT", "/v1/pipelines/clicks", {
      apiVersion: "downbeat/v1",
      name: "clicks",
      tasks: [
        {
          id: "follow",
          transfer: {
            from: { connection: "clicks", stream: "*.jsonl", new_only: true },
            to: { connection: "clicks_warehouse", table: "clicks" },
            follow: { every: "5m" },
          },
        },
      ],
    });
    add("1.jsonl", 3);
    const { id } = await api.call<{ readonly id: string }>("POST", "/v1/pipelines/clicks/runs", {});
    const comes = async (rows: number): Promise<void> => {
      const deadline = Date.now() + PATIENCE_MS;
      while ((await api.getRun(id)).tasks[0]?.metrics?.rows !== rows) {
        if (Date.now() > deadline) throw new Error(`never had ${rows} rows: ${JSON.stringify(await api.getRun(id))}`);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    };
    await comes(3);
    first.child.kill("SIGINT");
    expect(await first.ended, first.output()).toEqual({ code: 0, signal: null });
    add("2.jsonl", 2);
    const again = start(["--no-quickstart"], port, grace);
    await until(again, "Downbeat listens");
    await comes(5);
    expect((await api.getRun(id)).tasks).toMatchObject([{ status: "running", attempts: 1, metrics: { rows: 5 } }]);
    again.child.kill("SIGINT");
    expect(await again.ended, again.output()).toEqual({ code: 0, signal: null });
  });

  it("killed twice with a backfill under way, it runs every partition once", { timeout: 4 * PATIENCE_MS }, async () => {
    interface Backfill {
      readonly id: string;
      readonly status: string;
      readonly counts: { readonly succeeded: number };
    }
    const port = await freePort();
    const api = new ApiClient({ baseUrl: `http://127.0.0.1:${port}`, patienceMs: 30_000 });
    let running = start(["--no-quickstart"], port);
    await until(running, "Downbeat listens");
    await api.call("PUT", "/v1/pipelines/daily", {
      apiVersion: "downbeat/v1",
      name: "daily",
      tasks: [{ id: "rest", wait: { for: "500ms" } }],
    });
    const range = { from: "2026-01-01", to: "2026-03-02", every: "day", concurrency: 5 };
    const { id } = await api.call<Backfill>("POST", "/v1/pipelines/daily/backfills", range);
    const reaches = async (count: number): Promise<Backfill> => {
      const deadline = Date.now() + PATIENCE_MS;
      for (;;) {
        const backfill = await api.call<Backfill>("GET", `/v1/backfills/${id}`);
        if (backfill.counts.succeeded >= count && (count < 60 || backfill.status !== "running")) return backfill;
        if (Date.now() > deadline) throw new Error(`it stands still: ${JSON.stringify(backfill)}\n${running.output()}`);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    };
    for (const count of [3, 12]) {
      expect(await reaches(count)).toMatchObject({ status: "running" });
      running.child.kill("SIGKILL");
      await running.ended;
      running = start(["--no-quickstart"], port);
      await until(running, "Downbeat listens");
    }
    expect(await reaches(60)).toMatchObject({ status: "succeeded", counts: { succeeded: 60, failed: 0, existing: 0 } });
    const { items } = await api.call<{
      readonly items: readonly { readonly status: string; readonly interval: { readonly start: string } }[];
    }>("GET", `/v1/runs?backfill=${id}&limit=500`);
    expect(items.every(({ status }) => status === "succeeded")).toBe(true);
    expect(new Set(items.map(({ interval }) => interval.start)).size).toBe(60);
    expect(items).toHaveLength(60);
    running.child.kill("SIGINT");
    expect(await running.ended, running.output()).toEqual({ code: 0, signal: null });
  });
});

// `npm run bench:overhead`: from the trigger over HTTP to success by the API, against the same shape in bare Temporal on the same server.

import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Client, Connection } from "@temporalio/client";
import { ApiClient } from "../bin/api-client.ts";
import { freePort } from "../bin/ports.ts";
import { startPostgres } from "../bin/services/postgres.ts";
import { findTemporal, startTemporal } from "../bin/services/temporal.ts";
import { formatTable } from "../bin/table.ts";
import { formatSpread, median, runPairs, secondsOf, type Measure } from "./lib/pairs.ts";
import { cpuSecondsOf } from "./lib/process-usage.ts";
import { definitionOf, type Shape, SHAPES, TARGETS } from "./overhead/shapes.ts";

const PAIRS = Number(process.env["PAIRS"] ?? 9);
const WARM_UPS = 3;
const FLOOR_QUEUE = "bare";

const folder = mkdtempSync(path.join(tmpdir(), "downbeat-bench-"));
// PostgreSQL refuses to run as root, and its own user has to pass through.
chmodSync(folder, 0o755);
const cleanups: (() => Promise<void> | void)[] = [() => rmSync(folder, { recursive: true, force: true })];
const say = (line: string): void => console.log(line);

const startScript = (script: string, args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess => {
  const log = openSync(path.join(folder, `${path.basename(script)}.log`), "a");
  const child = spawn(process.execPath, [path.resolve(import.meta.dirname, script), ...args], {
    env: { ...process.env, ...env },
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  cleanups.push(
    () =>
      new Promise<void>((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve();
        child.once("exit", () => resolve());
        child.kill("SIGKILL");
      }),
  );
  return child;
};

/** CPU of API, worker and server, in milliseconds. */
const perTask = (measures: readonly Measure[], { tasks, runs }: Shape): number =>
  (median(measures.map(({ cpuSeconds }) => cpuSeconds)) * 1_000) / (tasks.length * runs);

const main = async (): Promise<number> => {
  const found = await findTemporal(say, { ...process.env, TEMPORAL_ADDRESS: "" });
  if (found.kind === "address") throw new Error("the bench starts a server of its own");
  const temporal = await startTemporal({
    program: found.path,
    dbFile: path.join(folder, "temporal.db"),
    logFile: path.join(folder, "temporal.log"),
    port: await freePort(),
  });
  cleanups.push(temporal.stop);
  const postgres = await startPostgres({ dir: path.join(folder, "postgres"), say });
  cleanups.push(postgres.stop);
  const port = await freePort();
  const env = {
    DATABASE_URL: postgres.address.url,
    TEMPORAL_ADDRESS: temporal.address,
    DOWNBEAT_PORT: String(port),
    DOWNBEAT_SECRET_KEY: randomBytes(32).toString("hex"),
    DOWNBEAT_DATA_DIR: path.join(folder, "data"),
    DOWNBEAT_CONFIG: path.join(import.meta.dirname, "overhead/downbeat.config.ts"),
    DOWNBEAT_LOG_LEVEL: "error",
  };
  const ours = [startScript("../bin/api.ts", [], env), startScript("../bin/worker.ts", [], env)];
  const floor = startScript("floor/bare-worker.ts", [temporal.address, FLOOR_QUEUE], {});
  const pidsOf = (children: readonly ChildProcess[]): readonly number[] => [...children.map((child) => child.pid ?? -1), temporal.pid];

  const api = new ApiClient({ baseUrl: `http://127.0.0.1:${port}`, patienceMs: 60_000 });
  await api.call("GET", "/health/live");
  const client = new Client({ connection: await Connection.connect({ address: temporal.address }) });
  let bareRuns = 0;

  const timed = async (pids: readonly number[], work: () => Promise<void>): Promise<Measure> => {
    const cpu = cpuSecondsOf(pids);
    const started = performance.now();
    await work();
    return { seconds: (performance.now() - started) / 1_000, cpuSeconds: cpuSecondsOf(pids) - cpu };
  };

  const shapes = process.env["TARGETS"] === "1" ? [...SHAPES, ...TARGETS] : SHAPES;
  const rows: string[][] = [];
  const figures = [];
  for (const [index, shape] of shapes.entries()) {
    if (process.env["ONLY"] !== undefined && !shape.name.includes(process.env["ONLY"])) continue;
    const name = `shape${index}`;
    await api.call("PUT", `/v1/pipelines/${name}`, definitionOf(name, shape));
    const runOurs = (): Promise<Measure> =>
      timed(pidsOf(ours), async () => {
        const trigger = async (): Promise<void> => {
          const run = await api.call<{ readonly status: string }>("POST", `/v1/pipelines/${name}/runs?wait=300s`, {});
          if (run.status !== "succeeded") throw new Error(`${shape.name}: the run ended ${run.status}`);
        };
        await Promise.all(Array.from({ length: shape.runs }, trigger));
      });
    const bareWorkflow = shape.floor;
    const runFloor = (): Promise<Measure> =>
      timed(pidsOf([floor]), async () => {
        if (bareWorkflow === undefined) return;
        const execute = async (): Promise<void> => {
          bareRuns += 1;
          await client.workflow.execute(bareWorkflow.workflow, {
            taskQueue: FLOOR_QUEUE,
            workflowId: `bare-${bareRuns}`,
            args: [...bareWorkflow.args],
          });
        };
        await Promise.all(Array.from({ length: shape.runs }, execute));
      });
    const pairs = Math.min(PAIRS, shape.pairs ?? PAIRS);
    for (let warm = 0; warm < Math.min(WARM_UPS, pairs); warm += 1) {
      await runOurs();
      await runFloor();
    }
    const result = await runPairs(pairs, runOurs, runFloor);
    const [our, bare] = [secondsOf(result.ours), secondsOf(result.floor)];
    const allowed = bare.median * shape.allowed.ratio + shape.allowed.seconds;
    const cpu =
      median(result.ours.map(({ cpuSeconds }) => cpuSeconds)) / Math.max(median(result.floor.map(({ cpuSeconds }) => cpuSeconds)), 0.01);
    rows.push([
      shape.name,
      formatSpread(our),
      bareWorkflow === undefined ? "–" : formatSpread(bare),
      bareWorkflow === undefined ? "–" : (our.median / bare.median).toFixed(2),
      allowed.toFixed(3),
      (our.median / allowed).toFixed(2),
      bareWorkflow === undefined ? "–" : cpu.toFixed(2),
      perTask(result.ours, shape).toFixed(1),
    ]);
    figures.push({
      shape: shape.name,
      pairs,
      ours: our,
      ...(bareWorkflow === undefined ? {} : { floor: bare, ratio: our.median / bare.median, cpu_ratio: cpu }),
      allowed,
      measured_by_allowed: our.median / allowed,
      cpu_milliseconds_a_task: perTask(result.ours, shape),
    });
    say(`${shape.name}: ${our.median.toFixed(3)} s${bareWorkflow === undefined ? "" : `, bare ${bare.median.toFixed(3)} s`}`);
  }
  say("");
  say(formatTable(["shape", "ours s (spread)", "bare s (spread)", "ratio", "allowed s", "of allowed", "CPU ratio", "CPU ms a task"], rows));
  const worst = Math.max(...figures.map((figure) => figure.measured_by_allowed));
  say(JSON.stringify({ bench: "overhead", worst_ratio: worst, figures }));
  await client.connection.close();
  return worst <= 1 ? 0 : 1;
};

try {
  process.exitCode = await main();
} catch (error) {
  for (const log of readdirSync(folder).filter((name) => name.endsWith(".log")))
    say(`${log} ends: ${readFileSync(path.join(folder, log), "utf8").trim().split("\n").slice(-5).join(" | ")}`);
  throw error;
} finally {
  for (const cleanup of cleanups.toReversed()) await cleanup();
}

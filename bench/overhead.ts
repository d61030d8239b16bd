// `npm run bench:overhead`: from the trigger over HTTP to success by the API, against the same shape in bare Temporal on the same server.

import { familyOf } from "../bin/services/process-family.ts";
import { formatTable } from "../bin/table.ts";
import { formatSpread, median, runPairs, secondsOf, type Measure } from "./lib/pairs.ts";
import { cpuSecondsOf } from "./lib/process-usage.ts";
import { FLOOR_QUEUE, type Stack, withStack } from "./lib/stack.ts";
import { definitionOf, type Shape, SHAPES } from "./overhead/shapes.ts";

const PAIRS = Number(process.env["PAIRS"] ?? 9);
const WARM_UPS = 3;
/** Of short ones more: code that has run a few times only is not compiled yet, ours and the floor's. */
const WARM_UP_MS = 5_000;
const say = (line: string): void => console.log(line);

const PROCESSES = ["server", "worker", "api", "store"] as const;
type ByProcess<Value> = Readonly<Record<(typeof PROCESSES)[number], Value>>;
/** CPU seconds of each process. */
type Used = Measure & { readonly usage: ByProcess<number> };

const byProcess = <Value>(valueOf: (name: (typeof PROCESSES)[number]) => Value): ByProcess<Value> => ({
  server: valueOf("server"),
  worker: valueOf("worker"),
  api: valueOf("api"),
  store: valueOf("store"),
});

const usageOf = (pids: Partial<ByProcess<number | undefined>>): ByProcess<number> =>
  byProcess((name) => cpuSecondsOf(pids[name] === undefined ? [] : familyOf(pids[name])));

/** Milliseconds of CPU a task or item. */
const cpuOf = (measures: readonly Used[], { tasks, items = tasks.length, runs }: Shape): ByProcess<number> & { readonly all: number } => {
  const perTask = (seconds: readonly number[]): number => (median(seconds) * 1_000) / (items * runs);
  return {
    ...byProcess((name) => perTask(measures.map(({ usage }) => usage[name]))),
    all: perTask(measures.map(({ cpuSeconds }) => cpuSeconds)),
  };
};

const main = async ({ api, client, pids }: Stack): Promise<number> => {
  let bareRuns = 0;

  const timed = async (of: Parameters<typeof usageOf>[0], work: () => Promise<void>): Promise<Used> => {
    const before = usageOf(of);
    const started = performance.now();
    await work();
    const seconds = (performance.now() - started) / 1_000;
    const after = usageOf(of);
    const usage = byProcess((name) => after[name] - before[name]);
    return { seconds, cpuSeconds: PROCESSES.reduce((sum, name) => sum + usage[name], 0), usage };
  };

  const rows: string[][] = [];
  const figures = [];
  for (const [index, shape] of SHAPES.entries()) {
    if (process.env["ONLY"] !== undefined && !shape.name.includes(process.env["ONLY"])) continue;
    const name = `shape${index}`;
    await api.call("PUT", `/v1/pipelines/${name}`, definitionOf(name, shape));
    const runOurs = (): Promise<Used> =>
      timed(pids, async () => {
        const trigger = async (): Promise<void> => {
          const run = await api.call<{ readonly status: string }>("POST", `/v1/pipelines/${name}/runs?wait=300s`, {});
          if (run.status !== "succeeded") throw new Error(`${shape.name}: the run ended ${run.status}`);
        };
        await Promise.all(Array.from({ length: shape.runs }, trigger));
      });
    const bareWorkflow = shape.floor;
    const runFloor = (): Promise<Used> =>
      timed({ server: pids.server, worker: pids.floorWorker }, async () => {
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
    const cold = performance.now();
    for (let warm = 0; warm < Math.min(WARM_UPS, pairs) || performance.now() - cold < WARM_UP_MS; warm += 1) {
      await runOurs();
      await runFloor();
    }
    const result = await runPairs(pairs, runOurs, runFloor);
    const [our, bare] = [secondsOf(result.ours), secondsOf(result.floor)];
    const allowed = bare.median * shape.allowed.ratio + shape.allowed.seconds;
    const [ourCpu, bareCpu] = [cpuOf(result.ours, shape), cpuOf(result.floor, shape)];
    const cpu = ourCpu.all / Math.max(bareCpu.all, 0.001);
    const joined = (milliseconds: readonly number[]): string => milliseconds.map((each) => each.toFixed(1)).join(" + ");
    rows.push([
      shape.name,
      formatSpread(our),
      bareWorkflow === undefined ? "–" : formatSpread(bare),
      bareWorkflow === undefined ? "–" : (our.median / bare.median).toFixed(2),
      allowed.toFixed(3),
      (our.median / allowed).toFixed(2),
      bareWorkflow === undefined ? "–" : cpu.toFixed(2),
      joined(PROCESSES.map((of) => ourCpu[of])),
      bareWorkflow === undefined ? "–" : joined([bareCpu.server, bareCpu.worker]),
    ]);
    figures.push({
      shape: shape.name,
      pairs,
      ours: our,
      ...(bareWorkflow === undefined
        ? {}
        : { floor: bare, ratio: our.median / bare.median, cpu_ratio: cpu, floor_cpu_milliseconds_a_task: bareCpu }),
      allowed,
      measured_by_allowed: our.median / allowed,
      cpu_milliseconds_a_task: ourCpu,
    });
    say(`${shape.name}: ${our.median.toFixed(3)} s${bareWorkflow === undefined ? "" : `, bare ${bare.median.toFixed(3)} s`}`);
  }
  say("");
  const cpuColumns = ["CPU ratio", "CPU ms a task: server + worker + API + store", "bare: server + worker"];
  say(formatTable(["shape", "ours s (spread)", "bare s (spread)", "ratio", "allowed s", "of allowed", ...cpuColumns], rows));
  const worst = Math.max(...figures.map((figure) => figure.measured_by_allowed));
  say(JSON.stringify({ bench: "overhead", worst_ratio: worst, figures }));
  return worst <= 1 ? 0 : 1;
};

process.exitCode = await withStack(say, main);

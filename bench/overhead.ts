// `npm run bench:overhead`: from the trigger over HTTP to success by the API, against the same shape in bare Temporal on the same server.

import { formatTable } from "../bin/table.ts";
import { formatSpread, median, runPairs, secondsOf, type Measure } from "./lib/pairs.ts";
import { cpuSecondsOf } from "./lib/process-usage.ts";
import { FLOOR_QUEUE, type Stack, withStack } from "./lib/stack.ts";
import { definitionOf, type Shape, SHAPES } from "./overhead/shapes.ts";

const PAIRS = Number(process.env["PAIRS"] ?? 9);
const WARM_UPS = 3;
const say = (line: string): void => console.log(line);

/** CPU of API, worker and server, in milliseconds. */
const perTask = (measures: readonly Measure[], { tasks, runs }: Shape): number =>
  (median(measures.map(({ cpuSeconds }) => cpuSeconds)) * 1_000) / (tasks.length * runs);

const main = async ({ api, client, pids }: Stack): Promise<number> => {
  let bareRuns = 0;

  const timed = async (of: readonly number[], work: () => Promise<void>): Promise<Measure> => {
    const cpu = cpuSecondsOf(of);
    const started = performance.now();
    await work();
    return { seconds: (performance.now() - started) / 1_000, cpuSeconds: cpuSecondsOf(of) - cpu };
  };

  const rows: string[][] = [];
  const figures = [];
  for (const [index, shape] of SHAPES.entries()) {
    if (process.env["ONLY"] !== undefined && !shape.name.includes(process.env["ONLY"])) continue;
    const name = `shape${index}`;
    await api.call("PUT", `/v1/pipelines/${name}`, definitionOf(name, shape));
    const runOurs = (): Promise<Measure> =>
      timed(pids.ours, async () => {
        const trigger = async (): Promise<void> => {
          const run = await api.call<{ readonly status: string }>("POST", `/v1/pipelines/${name}/runs?wait=300s`, {});
          if (run.status !== "succeeded") throw new Error(`${shape.name}: the run ended ${run.status}`);
        };
        await Promise.all(Array.from({ length: shape.runs }, trigger));
      });
    const bareWorkflow = shape.floor;
    const runFloor = (): Promise<Measure> =>
      timed(pids.floor, async () => {
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
  return worst <= 1 ? 0 : 1;
};

process.exitCode = await withStack(say, main);

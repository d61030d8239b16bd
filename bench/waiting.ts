// `npm run bench:waiting`: 10,000 tasks that wait, for a moment or for a decision: what they hold of a worker, and what they cost everybody else.

import { setTimeout as pause } from "node:timers/promises";
import { formatTable } from "../bin/table.ts";
import { forAll, pendingActivities, startWaiting } from "./lib/open-runs.ts";
import { formatSpread, spreadOf, type Spread } from "./lib/pairs.ts";
import { cpuSecondsOf, megabytesOf } from "./lib/process-usage.ts";
import { type Stack, withStack } from "./lib/stack.ts";
import { chain, definitionOf } from "./overhead/shapes.ts";

const RUNS = 20;
const WAITS = 500;
const REPETITIONS = Number(process.env["REPETITIONS"] ?? 15);
const IDLE_SECONDS = 30;
/** A run beside them may take so much longer than one alone. */
const ALLOWED_RATIO = 1.2;

const say = (line: string): void => console.log(line);

const waits = Array.from({ length: WAITS }, (_, index) =>
  index % 2 === 0 ? { id: `w${index}`, wait: { for: "6h" } } : { id: `w${index}`, approval: { message: "Go on?", deadline: "6h" } },
);

const main = async (stack: Stack): Promise<number> => {
  const { api, pids } = stack;
  const { worker } = pids;
  await api.call("PUT", "/v1/pipelines/waits", { apiVersion: "downbeat/v1", name: "waits", tasks: waits });
  await api.call("PUT", "/v1/pipelines/one", definitionOf("one", { tasks: chain(1) }));
  const oneRun = async (): Promise<number> => {
    const started = performance.now();
    await api.call("POST", "/v1/pipelines/one/runs?wait=60s", {});
    return (performance.now() - started) / 1_000;
  };
  const measured = async (): Promise<Spread> => {
    const seconds: number[] = [];
    for (let index = 0; index < REPETITIONS; index += 1) seconds.push(await oneRun());
    return spreadOf(seconds);
  };
  for (let index = 0; index < 5; index += 1) await oneRun();
  const alone = await measured();
  const runs = await startWaiting(stack, "waits", RUNS);
  say(`${RUNS * WAITS} tasks wait`);
  const cpu = cpuSecondsOf([worker]);
  await pause(IDLE_SECONDS * 1_000);
  const idle = ((cpuSecondsOf([worker]) - cpu) / IDLE_SECONDS) * 100;
  const held = await pendingActivities(stack, "waits", runs);
  const beside = await measured();
  say(
    formatTable(
      ["", ""],
      [
        ["activities scheduled or at work for them, by Temporal", String(held)],
        [`CPU of the worker over ${IDLE_SECONDS} s, % of a core`, idle.toFixed(1)],
        ["memory of the worker, MB", megabytesOf(worker).toFixed(0)],
        ["memory of the API, MB", megabytesOf(pids.api).toFixed(0)],
        ["a run of one task alone, s", formatSpread(alone)],
        ["a run of one task beside them, s", formatSpread(beside)],
      ],
    ),
  );
  await forAll(runs, (run) => api.call("POST", `/v1/runs/${run}/cancel`, {}));
  // A slot that is held is not a matter of measure.
  const worst = held > 0 ? 1 + held : beside.median / alone.median / ALLOWED_RATIO;
  const figures = [{ waiting: RUNS * WAITS, held, idle_cpu_percent: idle, alone, beside, ratio: beside.median / alone.median }];
  say(JSON.stringify({ bench: "waiting", worst_ratio: worst, figures }));
  return worst <= 1 ? 0 : 1;
};

process.exitCode = await withStack(say, main);

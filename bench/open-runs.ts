// `npm run bench:open-runs`: the worker's memory while ever more runs are open, beyond what its cache of runs holds (DOWNBEAT_MAX_WORKFLOWS, 500).

import { formatTable } from "../bin/table.ts";
import { allAre, forAll, startWaiting } from "./lib/open-runs.ts";
import { megabytesOf, peakMegabytesOf } from "./lib/process-usage.ts";
import { type Stack, withStack } from "./lib/stack.ts";
import { noop } from "./overhead/shapes.ts";

const STEPS = [0, 500, 1_000, 1_500];
/** The last 500 may add so much to what the worker has with 1,000, of which its cache holds half: beyond that they are Temporal's alone. */
const ALLOWED_RATIO = 1.1;

const say = (line: string): void => console.log(line);

const TASKS = [
  ...Array.from({ length: 10 }, (_, index) => ({ id: `before${index}`, ...noop })),
  { id: "asked", needs: ["before0"], approval: { message: "Go on?", deadline: "6h" } },
  ...Array.from({ length: 9 }, (_, index) => ({ id: `after${index}`, needs: ["asked"], ...noop })),
];

const main = async (stack: Stack): Promise<number> => {
  const { api, pids } = stack;
  const { worker } = pids;
  await api.call("PUT", "/v1/pipelines/open", { apiVersion: "downbeat/v1", name: "open", tasks: TASKS });
  await api.call("POST", "/v1/pipelines/open/runs", {});
  const open: string[] = [];
  const figures: { readonly open: number; readonly megabytes: number }[] = [];
  for (const step of STEPS) {
    open.push(...(await startWaiting(stack, "open", step - open.length)));
    figures.push({ open: step, megabytes: megabytesOf(worker) });
    say(`${step} runs open: the worker has ${figures.at(-1)?.megabytes.toFixed(0)} MB`);
  }
  await forAll(open, (run) => api.call("POST", `/v1/runs/${run}/tasks/asked/decide`, { approve: true, by: "bench" }));
  await allAre(stack, open, "succeeded");
  const peak = peakMegabytesOf(worker);
  const at = (count: number): number => figures.find((figure) => figure.open === count)?.megabytes ?? 0;
  say(
    formatTable(
      ["runs open", "worker MB", "MB a run"],
      figures.map(({ open: count, megabytes }) => [
        String(count),
        megabytes.toFixed(0),
        count === 0 ? "–" : ((megabytes - at(0)) / count).toFixed(2),
      ]),
    ),
  );
  say(`all ${open.length} runs ended well; at most the worker had ${peak.toFixed(0)} MB`);
  const worst = at(1_500) / at(1_000) / ALLOWED_RATIO;
  say(JSON.stringify({ bench: "open-runs", worst_ratio: worst, figures, peak_megabytes: peak }));
  return worst <= 1 ? 0 : 1;
};

process.exitCode = await withStack(say, main);

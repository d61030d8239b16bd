// `npm run faults`: kills loads at every boundary between every source and destination, in every mode, and compares what arrived with what was there.

import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { startServices } from "../../bin/services/all.ts";
import { BOUNDARIES, type Case, casesNamed, DEATHS, DESTINATIONS, idOf, MODES, SOURCES } from "./cases.ts";
import { playAll, type Result } from "./matrix.ts";
import { drawnOrder, eachBoundary, pairwise } from "./pairs.ts";
import { addResult, type Asked, beginResults, readResults, type Sample, tableOf } from "./results.ts";
import { SERVICES, World } from "./world.ts";

const HELP = `npm run faults -- [--only WORDS] [--boundaries | --pairs] [--seed N] [--resume FILE] [--lanes N]

Loads rows from each source into each destination in each mode, kills the process at each boundary, loads again until
it ends, and compares row by row. Starts the services that it needs. Exit code 1: something differs; 2: it could not be done.

  --only WORDS   comma-separated values; of each kind that is named a case has one of them. Or whole cases, as they are printed
  --boundaries   each boundary of each source, destination and mode once, with a death that the seed draws
  --pairs        a sample in which every two values meet, as npm test plays it
  --seed N       draws the sample, the order and the moments of any-moment; default: drawn and printed
  --resume FILE  goes on with a file of verdicts: what it asked for, without the cases that were right
  --lanes N      cases at once; default: as many as there are cores
  --help         this text

sources       ${SOURCES.join(" ")}
destinations  ${DESTINATIONS.join(" ")}
modes         ${MODES.join(" ")}
boundaries    ${BOUNDARIES.join(" ")}
deaths        ${DEATHS.join(" ")}`;

const say = (line: string): void => console.log(line);

class UsageError extends Error {}

const wholeNumber = (name: string, text: string, least: number): number => {
  const value = Number(text);
  if (text === "" || !Number.isSafeInteger(value) || value < least)
    throw new UsageError(`--${name} takes a whole number from ${least} on, not "${text}"`);
  return value;
};

interface Task {
  readonly file: string;
  readonly asked: Asked;
  readonly cases: readonly Case[];
  /** What was right in an earlier run of the same file; what differed is played again. */
  readonly known: readonly Result[];
  readonly lanes: number;
}

const SAMPLES: Readonly<Record<Sample, (cases: readonly Case[], seed: number) => readonly Case[]>> = {
  all: drawnOrder,
  boundaries: eachBoundary,
  pairs: pairwise,
};

const casesOf = ({ seed, only, sample }: Asked): readonly Case[] => {
  const { cases, unknown } = casesNamed(only);
  if (unknown.length > 0) throw new UsageError(`--only: there is no ${unknown.join(", ")}; --help lists what there is`);
  if (cases.length === 0) throw new UsageError(`--only ${only.join(",")}: no case has all of these`);
  return SAMPLES[sample](cases, seed);
};

const readArguments = (): Task | undefined => {
  const { values } = parseArgs({
    options: {
      only: { type: "string", default: "" },
      boundaries: { type: "boolean", default: false },
      pairs: { type: "boolean", default: false },
      seed: { type: "string" },
      resume: { type: "string" },
      lanes: { type: "string", default: String(availableParallelism()) },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const lanes = wholeNumber("lanes", values.lanes, 1);
  if (values.boundaries && values.pairs) throw new UsageError("--boundaries and --pairs are two samples: ask for one of them");
  if (values.resume !== undefined) {
    if (values.only !== "" || values.boundaries || values.pairs || values.seed !== undefined)
      throw new UsageError("--resume goes on with what the file asked for: leave --only, --boundaries, --pairs and --seed out");
    const kept = readResults(values.resume);
    if (kept === undefined) throw new UsageError(`--resume: ${values.resume} is no file of verdicts`);
    return {
      file: values.resume,
      asked: kept.asked,
      cases: casesOf(kept.asked),
      known: kept.results.filter(({ faults }) => faults.length === 0),
      lanes,
    };
  }
  const asked: Asked = {
    seed: values.seed === undefined ? Math.floor(Math.random() * 1_000_000) : wholeNumber("seed", values.seed, 0),
    only: values.only.split(",").filter((word) => word !== ""),
    sample: values.pairs ? "pairs" : values.boundaries ? "boundaries" : "all",
  };
  const cases = casesOf(asked);
  const file = path.join(tmpdir(), "downbeat-faults", `${new Date().toISOString().replaceAll(":", "-")}.jsonl`);
  beginResults(file, asked);
  return { file, asked, cases, known: [], lanes };
};

const repeatCommand = (id: string, seed: number): string => `npm run faults -- --only ${id} --seed ${seed}`;

const play = async ({ file, asked, cases, known, lanes }: Task): Promise<readonly Result[]> => {
  const done = new Set(known.map((result) => result.case));
  const left = cases.filter((one) => !done.has(idOf(one)));
  const results = [...known];
  const folder = mkdtempSync(path.join(tmpdir(), "downbeat-faults-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  // The exit event ends what runs.
  const leave = (): never => process.exit(130);
  process.once("SIGINT", leave).once("SIGTERM", leave);
  const services = await startServices(SERVICES, folder, say);
  const began = performance.now();
  try {
    const world = await World.fill(folder, services.addresses);
    try {
      const crew = await Promise.all(Array.from({ length: lanes }, () => world.lane()));
      let played = 0;
      await playAll(world, crew, left, asked.seed, (result) => {
        played += 1;
        results.push(result);
        addResult(file, result);
        const minutes = Math.ceil((((performance.now() - began) / played) * (left.length - played)) / 60_000);
        const verdict = result.faults.length === 0 ? "right" : "DIFFERS";
        say(`${results.length} of ${cases.length}, ${minutes} min left: ${result.case}: ${verdict} (${result.seconds.toFixed(1)} s)`);
        for (const fault of result.faults) say(`    ${fault}`);
        if (result.faults.length > 0) say(`    again: ${repeatCommand(result.case, asked.seed)}`);
      });
    } finally {
      await world.close();
    }
  } finally {
    await services.stop();
  }
  return results;
};

const main = async (): Promise<number> => {
  const task = readArguments();
  if (task === undefined) {
    say(HELP);
    return 0;
  }
  say(`seed ${task.asked.seed}, ${task.cases.length} cases, ${task.known.length} of them known to be right; verdicts: ${task.file}`);
  say(`to go on with it after a stop: npm run faults -- --resume ${task.file}`);
  const began = performance.now();
  const results = await play(task);
  const differing = results.filter(({ faults }) => faults.length > 0);
  say(tableOf(results));
  say(
    `${results.length} cases, ${differing.length} differences, ${((performance.now() - began) / 60_000).toFixed(1)} min; verdicts: ${task.file}`,
  );
  for (const result of differing) say(`  ${result.case}: ${repeatCommand(result.case, task.asked.seed)}`);
  return differing.length === 0 ? 0 : 1;
};

try {
  process.exit(await main());
} catch (error) {
  const isUsage =
    error instanceof UsageError || (error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS"));
  console.error(isUsage ? `${error.message}\n\n${HELP}` : error);
  process.exit(2);
}

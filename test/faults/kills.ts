// `npm run test:faults -- --seed N --rounds M`: kills drawn by a seed; the same seed draws the same ones.

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { ALL_STATES, drawRounds } from "./draw.ts";
import { describeRound, playRound } from "./round.ts";
import { deployStates } from "./states.ts";
import { World } from "./world.ts";

const { values } = parseArgs({ options: { seed: { type: "string" }, rounds: { type: "string", default: "20" } } });
const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000));
const count = Number(values.rounds);
if (![seed, count].every((number) => Number.isInteger(number) && number >= 0)) throw new Error("--seed and --rounds take whole numbers");

const say = (line: string): void => console.log(line);
say(`seed ${seed}, ${count} rounds`);
const folder = mkdtempSync(path.join(tmpdir(), "downbeat-kills-"));
const world = await World.start(folder, say);
let faults = 0;
try {
  await deployStates(world, ALL_STATES);
  for (const round of drawRounds(seed, count)) {
    const began = Date.now();
    const found = await playRound(world, round).catch((error: unknown) => [error instanceof Error ? error.message : String(error)]);
    say(`${describeRound(round)}: ${found.length === 0 ? "right" : "WRONG"} (${((Date.now() - began) / 1_000).toFixed(1)} s)`);
    for (const fault of found) say(`    ${fault}`);
    faults += found.length;
  }
} finally {
  await world.close();
}
say(`${faults} faults; seed ${seed}`);
process.exitCode = faults === 0 ? 0 : 1;

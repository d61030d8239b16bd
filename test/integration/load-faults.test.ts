// Loads between every source and destination are killed, at places and in modes that all meet each other; what arrives is what was there. All of it: `npm run faults`.

import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, inject, it } from "vitest";
import { allCases, idOf } from "../load-faults/cases.ts";
import { playAll, type Result } from "../load-faults/matrix.ts";
import { pairwise } from "../load-faults/pairs.ts";
import { World } from "../load-faults/world.ts";

const SEED = 1;
const sample = pairwise(allCases(), SEED);

const folder = mkdtempSync(path.join(tmpdir(), "downbeat-load-faults-"));
let world: World | undefined;
const results = new Map<string, Result>();

beforeAll(async () => {
  console.log(`kills of loads: seed ${SEED}, ${sample.length} of ${allCases().length} cases: npm run faults -- --pairs --seed ${SEED}`);
  const filled = await World.fill(folder, inject("services"));
  world = filled;
  const lanes = await Promise.all(Array.from({ length: availableParallelism() }, () => filled.lane()));
  await playAll(filled, lanes, sample, SEED, (result) => void results.set(result.case, result));
}, 2_400_000);
afterAll(async () => {
  await world?.close();
  await rm(folder, { recursive: true, force: true });
});

it.each(sample.map(idOf))("%s", (id) => {
  expect(results.get(id)?.faults).toEqual([]);
});

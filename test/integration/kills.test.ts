// Each victim is killed once while runs are in every state; all runs end right. More rounds: `npm run test:faults`.

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ALL_STATES, drawRounds } from "../faults/draw.ts";
import { continued, inWindow } from "../faults/long-states.ts";
import { playRound } from "../faults/round.ts";
import { deployStates, STATES } from "../faults/states.ts";
import { VICTIMS, World } from "../faults/world.ts";

let world: World;
beforeAll(async () => {
  world = await World.start(mkdtempSync(path.join(tmpdir(), "downbeat-kills-")), () => undefined);
  await deployStates(world, ALL_STATES);
});
afterAll(() => world?.close());

describe("kills while runs are in every state", () => {
  it.each(VICTIMS)("%s dies: every run ends right, and nothing recorded runs again", async (victim) => {
    expect(await playRound(world, { key: `quick-${victim}`, victim, states: STATES, moment: { at: "state" } })).toEqual([]);
  });
});

describe("kills while runs of many tasks have windows, or have continued as new", () => {
  it("the worker dies in a window, Temporal in a later execution: every run ends right, and nothing recorded runs again", async () => {
    const rounds = [
      { state: inWindow, victim: "worker" },
      { state: continued, victim: "temporal" },
    ] as const;
    for (const { state, victim } of rounds) {
      expect(await playRound(world, { key: `long-${victim}`, victim, states: [state], moment: { at: "state" } })).toEqual([]);
    }
  }, 360_000);
});

describe("a kill while runs go on", () => {
  it("at a drawn moment: every run ends right, and nothing recorded runs again", async () => {
    const [round] = drawRounds(1, 1, STATES);
    if (round === undefined) throw new Error("nothing was drawn");
    expect(round.moment.at).toBe("going-on");
    expect(await playRound(world, round)).toEqual([]);
  });
});

describe("the rounds that a seed draws", () => {
  it("are the same for the same seed, others for another, and reach every victim, state and moment", () => {
    const names = (seed: number) =>
      drawRounds(seed, 100).map(({ states, ...round }) => ({ ...round, states: states.map(({ name }) => name) }));
    expect(names(7)).toEqual(names(7));
    expect(names(7).map(({ victim }) => victim)).not.toEqual(names(8).map(({ victim }) => victim));
    expect(new Set(names(7).map(({ victim }) => victim))).toEqual(new Set(VICTIMS));
    expect(new Set(names(7).flatMap(({ states }) => states)).size).toBe(ALL_STATES.length);
    expect(new Set(names(7).map(({ moment }) => moment.at)).size).toBe(2);
  });
});

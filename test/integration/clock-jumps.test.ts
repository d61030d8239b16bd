// The wall clocks of API and worker jump by an hour, forwards and back, while runs go on: nothing is lost, repeated, or late by that hour.

import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { waitUntil } from "../../bin/services/wait.ts";
import { World } from "../faults/world.ts";

const HOUR = 3_600_000;
const sql = (id: string, query: string, more: object = {}) => ({
  id,
  sql: { connection: "effects", query, params: { run: "${{ run.id }}", task: id } },
  ...more,
});
const PIPELINE = {
  apiVersion: "downbeat/v1",
  name: "clocks",
  // A worker that is kept waiting for some seconds is not dead; by the jump it would be silent for an hour.
  defaults: { timeout: { heartbeat: "20s", attempt: "5m", total: "30m" }, retry: { attempts: 3, backoff: "1s", max_backoff: "1s" } },
  tasks: [
    sql("held", "select mark_and_hold(:run, :task, 0, :run)"),
    {
      id: "looked_at",
      wait: {
        sql: { connection: "effects", query: "select is_open(:run)", params: { run: "${{ run.id }}" } },
        poll: { every: "1s", max: "1s" },
      },
    },
    { id: "moment", needs: ["held"], wait: { for: "1s" } },
    {
      ...sql("items", "select mark_and_hold(:run, :task, :n, :run)"),
      sql: {
        connection: "effects",
        query: "select mark_and_hold(:run, 'items', :n, :run)",
        params: { run: "${{ run.id }}", n: "${{ each.n }}" },
      },
      for_each: { in: { range: { from: 1, to: 4 } }, as: "n", window: 2 },
    },
    sql("last", "select mark(:run, :task, 0)", { needs: ["moment", "looked_at", "items"] }),
  ],
};

interface Timed {
  readonly started_at: string;
  readonly finished_at: string;
}
interface Run extends Timed {
  readonly id: string;
  readonly status: string;
  readonly tasks: readonly (Timed & { readonly id: string; readonly status: string; readonly attempts: number })[];
}

const folder = mkdtempSync(path.join(tmpdir(), "downbeat-clocks-"));
const clock = path.join(folder, "clock");
const jumpTo = async (offsetMs: number): Promise<void> => {
  writeFileSync(clock, String(offsetMs));
  // Until both processes have looked: each does so many times a second, where it is given the time.
  await pause(2_000);
};

let world: World;
beforeAll(async () => {
  writeFileSync(clock, "0");
  const preload = path.resolve(import.meta.dirname, "../faults/jumping-clock.ts");
  world = await World.start(folder, () => undefined, { CLOCK_FILE: clock, NODE_OPTIONS: `--import=${preload}` });
  await world.call("PUT", "/v1/pipelines/clocks", PIPELINE);
});
afterAll(() => world?.close());

const lasted = ({ started_at: start, finished_at: end }: Timed): number => Date.parse(end) - Date.parse(start);

describe("a clock that jumps", () => {
  it.each([
    ["forwards", 0, HOUR],
    ["back", HOUR, 0],
  ])("%s while tasks and items are at work, one waits for a condition, and another for a moment", async (_name, before, after) => {
    await jumpTo(before);
    const began = Date.now();
    const { id } = await world.call<{ readonly id: string }>("POST", "/v1/pipelines/clocks/runs", {});
    const show = (): Promise<Run> => world.call("GET", `/v1/runs/${id}`);
    await waitUntil(
      async () => {
        const states = (await show()).tasks.map((task) => `${task.id} ${task.status}`);
        expect(states).toEqual(expect.arrayContaining(["held running", "items running", "looked_at waiting"]));
      },
      { timeoutMs: 90_000 },
    );
    // The task and two items.
    await waitUntil(async () => expect(await world.effects.atGates()).toBe(3), { timeoutMs: 90_000 });
    await jumpTo(after);
    await world.effects.openGate(id);
    const run = await waitUntil(
      async () => {
        const shown = await show();
        if (shown.status === "succeeded") return shown;
        throw new Error(JSON.stringify(shown.tasks.map((task) => [task.id, task.status])));
      },
      { timeoutMs: 90_000 },
    );
    const took = Date.now() - began;
    // Once each: no attempt was taken for dead or for over.
    const effects = await world.effects.of([id]);
    expect(effects.map(({ task, item }) => `${task}${item}`).toSorted()).toEqual(
      ["held0", "items1", "items2", "items3", "items4", "last0"].toSorted(),
    );
    expect(run.tasks.map(({ attempts }) => attempts)).toEqual([1, 1, 1, 1, 1]);
    // What is shown of runs and tasks is by Temporal's clock, which did not jump.
    for (const each of [run, ...run.tasks]) {
      expect(lasted(each)).toBeGreaterThanOrEqual(0);
      expect(lasted(each)).toBeLessThanOrEqual(took);
    }
    const { items } = await world.call<{ readonly items: readonly Timed[] }>("GET", `/v1/runs/${id}/tasks/items/items`);
    expect(items).toHaveLength(4);
    // They began by the worker's clock, before the jump and after it: it has jumped indeed.
    const off = items.map((item) => Math.round((Date.parse(item.started_at) - Date.parse(run.started_at)) / HOUR));
    expect(new Set(off)).toEqual(new Set([0, 1]));
    for (const item of items) {
      expect(lasted(item)).toBeGreaterThanOrEqual(0);
      expect(lasted(item)).toBeLessThanOrEqual(took);
    }
  });
});

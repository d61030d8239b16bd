// What the store promises of all else: assets, schedules and triggers, secrets, loads, processes.

import { expect } from "vitest";
import type { SchedulePlan } from "../../core/schedule.ts";
import type { TaskChange } from "../../core/run-changes.ts";
import { isPaused } from "../../store/schedules.ts";
import { type StoreKit, unique, planOf, version } from "./kit.ts";

export const otherCases = (kit: StoreKit): void => {
  const { caseOf, newRun, report } = kit;

  caseOf("an asset has each update once, and its newest one as its own, in whatever order reports come", async () => {
    const [older, newer] = [await newRun("maker-one"), await newRun("maker-two")];
    const [name, other] = [unique("warehouse/t"), unique("warehouse/t")];
    const made = (taskId: string, finishedAt: string, rows: number, assets = [name]): TaskChange => ({
      taskId,
      status: "succeeded",
      attempts: 1,
      finishedAt,
      metrics: { rows },
      assets,
    });
    const late = report(newer.id, 1, { tasks: [made("a", "2026-01-02T00:00:00.000Z", 7)] });
    await kit.store.runs.apply(late);
    await kit.store.runs.apply(late);
    // The same tasks again, as a report repeats them when the first try was cut off.
    await kit.store.runs.apply({ ...late, seq: 2 });
    const twice = [made("b", "2026-01-01T00:00:00.000Z", 1, [name, other]), made("c", "2026-01-01T12:00:00.000Z", 2)];
    await kit.store.runs.apply(report(older.id, 1, { tasks: [...twice, { taskId: "d", status: "running", attempts: 1 }] }));
    expect(await kit.store.assets.find(name)).toMatchObject({ runId: newer.id, taskId: "a", pipeline: "maker-two", rows: 7, updates: 3 });
    expect(await kit.store.assets.find(other)).toMatchObject({ runId: older.id, pipeline: "maker-one", rows: 1, updates: 1 });
    const updates = await kit.store.assets.updatesOf(name, { limit: 10 });
    expect(updates.map(({ taskId }) => taskId)).toEqual(["a", "c", "b"]);
    const [first] = await kit.store.assets.updatesOf(name, { limit: 1 });
    const after = first === undefined ? undefined : { at: first.at, runId: first.runId, taskId: first.taskId };
    expect(await kit.store.assets.updatesOf(name, { limit: 10, ...(after === undefined ? {} : { after }) })).toHaveLength(2);
    const named = await kit.store.assets.list({ prefix: name }, { limit: 10 });
    expect(named.map((asset) => asset.name)).toEqual([name]);
    expect(await kit.store.assets.list({ prefix: name }, { limit: 10, after: name })).toEqual([]);
  });

  caseOf(
    "a version brings its schedules: kept, changed and dropped by name; by hand holds until the definition changes its mind",
    async () => {
      const pipeline = unique("p");
      const times = { calendars: [], intervals: [{ everyMs: 60_000, offsetMs: 0 }], exclude: [], timezone: "UTC" };
      const schedule = (name: string, paused = false): SchedulePlan => ({
        name,
        summary: "every 1m",
        times,
        overlap: "skip",
        catchUpMs: 600_000,
        paused,
        params: {},
      });
      const save = (hash: string, ...schedules: readonly SchedulePlan[]) =>
        kit.store.definitions.save(version(pipeline, hash, { ...planOf(), schedules }));
      const listed = async () =>
        (await kit.store.schedules.list({ pipeline, limit: 10 })).map(
          (row) => `${row.name} v${row.version} ${isPaused(row) ? "paused" : "active"}`,
        );
      await save("one", schedule("a"), schedule("b"));
      expect(await listed()).toEqual(["a v1 active", "b v1 active"]);
      const byHand = { paused: true, by: "ana", why: "stocktaking", at: "2026-01-01T00:00:00.000Z" };
      expect(await kit.store.schedules.setByHand({ pipeline, name: "a" }, byHand)).toMatchObject({ record: { name: "a", byHand } });
      expect(await kit.store.schedules.setByHand({ pipeline, name: "absent" }, byHand)).toBeUndefined();
      await save("two", schedule("a"), schedule("c"));
      expect(await listed()).toEqual(["a v2 paused", "c v2 active"]);
      expect(await kit.store.schedules.find({ pipeline, name: "a" })).toMatchObject({
        planHash: `${pipeline}/two`,
        byHand,
        plan: schedule("a"),
      });
      await save("three", schedule("a", true));
      expect(await kit.store.schedules.find({ pipeline, name: "a" })).toMatchObject({ byHand: null, plan: { paused: true } });
      await kit.store.definitions.save(version(pipeline, "four"));
      expect(await listed()).toEqual([]);
      // Pages go on after pipeline and name.
      await save("five", schedule("a"), schedule("b"), schedule("c"));
      const next = await kit.store.schedules.list({ pipeline, limit: 2, after: { pipeline, name: "a" } });
      expect(next.map(({ name }) => name)).toEqual(["b", "c"]);
    },
  );

  caseOf("secrets of a connection are sealed in the store and opened for workers", async () => {
    const name = unique("c");
    const config = { host: "h", password: "hunter2", token: { env: "TOKEN" } };
    const save = { name, kind: "k", config, secretKeys: ["password", "token"] };
    expect(await kit.store.connections.save(save)).toEqual({ created: true });
    const stored = await kit.store.connections.find(name);
    expect(JSON.stringify(stored)).not.toContain("hunter2");
    expect(stored?.config).toMatchObject({
      host: "h",
      password: { sealed: expect.stringMatching(/^v1:/) as string },
      token: { env: "TOKEN" },
    });
    expect(await kit.store.connections.findOpened(name)).toEqual({ name, kind: "k", config });
    expect(await kit.store.connections.save({ ...save, config: { host: "other" } })).toEqual({ created: false });
    expect(await kit.store.connections.findOpened(name)).toMatchObject({ config: { host: "other" } });
    expect(await kit.store.connections.save({ ...save, onlyNew: true })).toEqual({ created: false });
    expect(await kit.store.connections.findOpened(name)).toMatchObject({ config: { host: "other" } });
    expect((await kit.store.connections.kinds())[name]).toBe("k");
    expect(await kit.store.connections.remove(name)).toBe(true);
    expect(await kit.store.connections.remove(name)).toBe(false);
    expect(await kit.store.connections.find(name)).toBeUndefined();
  });

  caseOf("several secrets under one key are sealed together, references alone are not", async () => {
    const name = unique("c");
    const config = { secrets: { "a.key": "hunter2", token: { env: "TOKEN" } }, others: { "a.key": { env: "KEY" } }, all: { file: "/f" } };
    await kit.store.connections.save({ name, kind: "k", config, secretKeys: ["secrets", "others", "all"] });
    const stored = await kit.store.connections.find(name);
    expect(JSON.stringify(stored)).not.toContain("hunter2");
    expect(stored?.config).toMatchObject({ others: config.others, all: config.all });
    expect(await kit.store.connections.findOpened(name)).toEqual({ name, kind: "k", config });
    // What was kept stays sealed as it is.
    await kit.store.connections.save({ name, kind: "k", config: stored?.config ?? {}, secretKeys: ["secrets", "others", "all"] });
    expect(await kit.store.connections.findOpened(name)).toEqual({ name, kind: "k", config });
  });

  caseOf("a secret that was sealed for another connection does not open", async () => {
    const [mine, other] = [unique("c"), unique("c")];
    await kit.store.connections.save({ name: mine, kind: "k", config: { password: "p" }, secretKeys: ["password"] });
    const sealed = (await kit.store.connections.find(mine))?.config["password"];
    await kit.store.connections.save({ name: other, kind: "k", config: { password: sealed ?? null }, secretKeys: ["password"] });
    await expect(kit.store.connections.findOpened(other)).rejects.toMatchObject({ code: "SECRET_UNRESOLVED" });
  });

  caseOf("a load's copy is replaced, and listed with its pipeline alone", async () => {
    const pipeline = unique("p_%");
    const load = {
      key: `${pipeline}/t/s`,
      runId: "r1",
      position: { offset: "9007199254740993" },
      rows: 9_007_199_254,
      bytes: 2,
      deadLetters: 0,
    };
    await kit.store.loads.record(load);
    await kit.store.loads.record({ ...load, runId: "r2", position: null, rows: 5 });
    await kit.store.loads.record({ ...load, key: `${pipeline}x/t/s` });
    expect(await kit.store.loads.find(load.key)).toMatchObject({ runId: "r2", rows: 5, position: null });
    expect((await kit.store.loads.list(pipeline, { limit: 10 })).map((entry) => entry.key)).toEqual([load.key]);
    expect(await kit.store.loads.list(pipeline, { limit: 10, after: load.key })).toEqual([]);
  });

  caseOf("processes that live say what they know", async () => {
    const process = unique("process");
    await kit.store.catalogues.publish({ process, role: "worker", hash: "one" });
    await kit.store.catalogues.publish({ process, role: "worker", hash: "two" });
    expect((await kit.store.catalogues.live()).filter((entry) => entry.process === process)).toEqual([
      { process, role: "worker", hash: "two" },
    ]);
  });

  caseOf("it answers a check", async () => {
    await expect(kit.store.check()).resolves.toBeUndefined();
  });
};

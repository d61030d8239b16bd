// Opening the run of another pipeline: version, params, origin, and where it ends.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createOpenSubRun } from "../../activities/open-sub-run.ts";
import { checkParams } from "../../api/params.ts";
import type { JsonObject } from "../../core/json.ts";
import { openStore, type Store } from "../../store/open-store.ts";
import type { OpenSubRunCall } from "../../workflows/ports.ts";

let store: Store;
beforeAll(async () => {
  store = await openStore({ url: "pglite:memory", secretKey: new Uint8Array(32).fill(3) });
  for (const [hash, schema] of [
    ["h1", { type: "object", properties: { day: { type: "string" }, n: { type: "integer", default: 5 } } }],
    ["h2", undefined],
  ] as const) {
    await store.definitions.save({
      pipeline: "inner",
      hash,
      definition: { name: "inner", ...(schema === undefined ? {} : { params: schema as unknown as JsonObject }) },
      source: "",
      format: "yaml",
      plan: { plan: { failurePolicy: "continue", policies: [], tasks: [] }, configs: {}, connections: [] },
    });
  }
});
afterAll(() => store.close());

const call = (more: Partial<OpenSubRunCall> = {}): OpenSubRunCall => ({
  run: { id: "r1", origin: "o1", pipeline: "outer", version: 1, trigger: "http", triggeredAt: "2026-01-01T00:00:00.000Z" },
  planHash: "outer-hash",
  taskId: "t",
  attempt: 1,
  tries: 1,
  params: { day: "mon" },
  tasks: {},
  timeoutMs: 1_000,
  ...more,
});

const open = (config: JsonObject, more: Partial<OpenSubRunCall> = {}) =>
  createOpenSubRun({
    findConfig: () => Promise.resolve(config),
    findOutput: () => Promise.resolve(null),
    findVersion: (pipeline, version) => store.definitions.find(pipeline, version),
    createRun: (run) => store.runs.create(run),
    findRun: (id) => store.runs.find(id),
    firstStartedBy: (task, pipeline) => store.runs.firstStartedBy(task, pipeline),
    checkParams,
  })(call(more));

describe("a sub-run", () => {
  it("has the version and params that were asked for, and one origin for all tries", async () => {
    const first = await open({ name: "inner", version: 1, params: { day: "${{ params.day }}" } });
    expect(first).toMatchObject({
      run: { id: "r1.t.1", origin: "o1.t", version: 1, trigger: "pipeline", depth: 1 },
      planHash: "h1",
    });
    expect(first).not.toHaveProperty("params");
    expect(await store.runs.find("r1.t.1")).toMatchObject({
      pipeline: "inner",
      params: { day: "mon", n: 5 },
      parent: { runId: "r1", taskId: "t", depth: 1 },
    });
    expect(await open({ name: "inner", version: 1, params: { day: "${{ params.day }}" } })).toEqual(first);
    expect(await open({ name: "inner", version: 1, params: {} }, { tries: 2 })).toMatchObject({ run: { id: "r1.t.2", origin: "o1.t" } });
    expect(await open({ name: "inner", version: 2, params: {} }, { tries: 3 })).toMatchObject({ run: { version: 2 }, planHash: "h2" });
  });

  describe("of no version that is written down has the latest, and", () => {
    const { run } = call();
    const latest = { name: "moving", params: {} };
    const deploy = (hash: string) =>
      store.definitions.save({
        pipeline: "moving",
        hash,
        definition: { name: "moving" },
        source: "",
        format: "yaml",
        plan: { plan: { failurePolicy: "continue", policies: [], tasks: [] }, configs: {}, connections: [] },
      });
    const inRun = (id: string, trigger = "http") => ({ run: { ...run, id, trigger } });
    const repeat = (id: string, of: string, original: boolean) =>
      store.runs.create({
        id,
        pipeline: "outer",
        version: 1,
        planHash: "outer-hash",
        origin: "o1",
        trigger: "rerun",
        params: {},
        rerun: { of, from: "failed", ...(original ? { original: true as const } : {}) },
      });

    beforeAll(async () => {
      await deploy("m1");
      expect(await open(latest, inRun("pinned"))).toMatchObject({ run: { id: "pinned.t.1", version: 1 }, planHash: "m1" });
      await deploy("m2");
    });

    it("so have further tries and items of the task, and the same try asked for again; other tasks and runs the latest then", async () => {
      expect(await open(latest, { ...inRun("pinned"), tries: 2 })).toMatchObject({ run: { version: 1 }, planHash: "m1" });
      expect(await open(latest, { ...inRun("pinned"), item: 4, itemKey: "n=4" })).toMatchObject({ run: { version: 1 } });
      expect(await open(latest, inRun("pinned"))).toMatchObject({ run: { id: "pinned.t.1", version: 1 }, planHash: "m1" });
      expect(await open(latest, { ...inRun("pinned"), taskId: "other" })).toMatchObject({ run: { version: 2 }, planHash: "m2" });
      expect(await open(latest, inRun("fresh"))).toMatchObject({ run: { version: 2 } });
      expect(await open({ ...latest, version: 2 }, { ...inRun("pinned"), tries: 3 })).toMatchObject({ run: { version: 2 } });
    });

    it("so have reruns of the original version, also of a rerun that did not come to the task; reruns of another have the latest", async () => {
      await repeat("again", "pinned", true);
      await repeat("again-2", "again", true);
      await repeat("newer", "pinned", false);
      expect(await open(latest, inRun("again-2", "rerun"))).toMatchObject({ run: { version: 1 }, planHash: "m1" });
      expect(await open(latest, inRun("newer", "rerun"))).toMatchObject({ run: { version: 2 } });
    });
  });

  it("has the priority that its caller hands down", async () => {
    const { run } = await open({ name: "inner", version: 1, params: {} }, { tries: 8, priority: 2 });
    expect(run).toMatchObject({ id: "r1.t.8", priority: 2 });
    expect((await open({ name: "inner", version: 1, params: {} }, { tries: 9 })).run).not.toHaveProperty("priority");
  });

  it.each([
    [{ name: "none", params: {} }, {}, "NOT_FOUND"],
    [{ name: "inner", version: 9, params: {} }, {}, "NOT_FOUND"],
    [{ name: "inner", version: 1, params: { n: "many" } }, {}, "PARAMS_INVALID"],
    [{ name: "inner", params: {} }, { run: { ...call().run, depth: 10 } }, "CONFLICT"],
  ])("%j is refused", async (config, more, type) => {
    await expect(open(config as JsonObject, more)).rejects.toMatchObject({ type, nonRetryable: true });
  });

  it("of a paused pipeline is none: the task is told who paused it", async () => {
    await store.definitions.pause("inner", { by: "ann", why: "moving", at: "2026-01-01T00:00:00.000Z" });
    await expect(open({ name: "inner", params: {} }, { tries: 7 })).rejects.toMatchObject({
      type: "PIPELINE_PAUSED",
      message: 'pipeline "inner" is paused by ann: moving',
    });
    expect(await store.runs.find("r1.t.7")).toBeUndefined();
    await store.definitions.resume("inner", { by: "ann", at: "2026-01-01T00:00:01.000Z" }, []);
    expect(await open({ name: "inner", params: {} }, { tries: 7 })).toMatchObject({ run: { id: "r1.t.7" } });
  });
});

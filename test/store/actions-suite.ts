// What the store promises of what people do, on whichever database it stands: recorded once, with what it changed, and only what changed something.

import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CompiledPlan } from "../../core/plan.ts";
import type { Store } from "../../store/open-store.ts";
import type { RunRecord } from "../../store/runs.ts";

const AT = "2026-01-02T03:04:05.000Z";

export const describeActions = (title: string, open: () => Promise<Store>): void => {
  let store: Store;
  const caseOf = (name: string, run: () => Promise<void>): void => {
    it(`${title}: ${name}`, run);
  };
  const newRun = async (): Promise<RunRecord> => {
    const id = randomUUID();
    return (await store.runs.create({ id, pipeline: "p", version: 1, planHash: "h", origin: id, trigger: "http", params: {} })).run;
  };
  const deploy = async (): Promise<string> => {
    const pipeline = `p-${randomUUID()}`;
    const of = { summary: "", paused: false, params: {} };
    const source = { kind: "pipeline", pipeline: "other", on: "ended" } as const;
    const plan: CompiledPlan = {
      plan: { failurePolicy: "continue", policies: [], tasks: [] },
      configs: {},
      connections: [],
      schedules: [{ ...of, name: "often", times: { timezone: "UTC" }, overlap: "skip", catchUpMs: 0 } as never],
      triggers: [{ ...of, name: "push", source, timing: {}, everyMs: 1_000 } as never],
    };
    await store.definitions.save({ pipeline, hash: randomUUID(), definition: {}, source: "", format: "yaml", plan });
    return pipeline;
  };

  describe(title, () => {
    beforeAll(async () => {
      store = await open();
    });
    afterAll(() => store?.close());

    caseOf("a run's cancel is recorded once, a forced one also after it, beside what the run itself reports", async () => {
      const { id } = await newRun();
      const asked = { action: "cancel", by: "anna", why: "why" } as const;
      const byForce = { action: "force cancel", by: "ben", why: "another why", key: "k", requestHash: "h" } as const;
      const actions = [{ number: 1, action: "pause", by: "ben", key: "p", requestHash: "hp", at: AT }];
      await store.runs.apply({ runId: id, seq: 1, status: "running", tasks: [], attempts: [], actions });
      const both = await Promise.all([store.runs.noteCancel(id, asked), store.runs.noteCancel(id, asked)]);
      expect(both.toSorted()).toEqual([false, true]);
      expect(await store.runs.noteCancel(id, { ...asked, by: "eve" })).toBe(false);
      expect([await store.runs.noteCancel(id, byForce), await store.runs.noteCancel(id, byForce)]).toEqual([true, false]);
      expect(await store.runs.noteCancel(id, asked)).toBe(false);
      expect(await store.runs.actionsOf(id)).toMatchObject([
        { number: -2, action: "force cancel", by: "ben", why: "another why", key: "k", requestHash: "h" },
        { number: -1, action: "cancel", by: "anna", why: "why", key: null },
        { number: 1, action: "pause", by: "ben", key: "p", requestHash: "hp" },
      ]);
    });

    caseOf("a run may end by its cancel before that is recorded; one that ended in another way was not cancelled", async () => {
      const [swift, done] = [await newRun(), await newRun()];
      await store.runs.repair(swift.id, "cancelled");
      await store.runs.repair(done.id, "succeeded");
      const asked = { action: "cancel", by: "anna", why: "why" } as const;
      expect([await store.runs.noteCancel(swift.id, asked), await store.runs.noteCancel(done.id, asked)]).toEqual([true, false]);
      expect([(await store.runs.find(swift.id))?.cancelReason, await store.runs.actionsOf(done.id)]).toEqual(["why", []]);
      expect((await store.runs.find(done.id))?.cancelReason).toBeNull();
    });

    caseOf("each pause and resume of a pipeline, its schedules and triggers is kept; what changes nothing is not recorded", async () => {
      const { definitions, schedules, triggers, pipelineActions } = store;
      const pipeline = await deploy();
      const anna = { by: "anna", why: "stocktaking", at: AT };
      const both = await Promise.all([definitions.pause(pipeline, anna), definitions.pause(pipeline, { by: "eve", at: AT })]);
      expect(both.toSorted()).toEqual([false, true]);
      const who = (await definitions.findPause(pipeline))?.by;
      expect(await definitions.pauseRuns(pipeline, anna, ["r1", "r2"])).toBe(true);
      expect(await definitions.pauseRuns(pipeline, anna, ["r3"])).toBe(true);
      expect(await definitions.findPause(pipeline)).toMatchObject({ by: who, runs: ["r1", "r2", "r3"] });
      const often = { pipeline, name: "often" };
      const byHand = { paused: true, by: "ben", why: "noise", at: AT };
      expect(await schedules.setByHand(often, byHand)).toMatchObject({ isChanged: true, record: { byHand } });
      expect(await schedules.setByHand(often, { ...byHand, by: "eve" })).toMatchObject({ isChanged: false, record: { byHand } });
      expect(await triggers.setByHand({ pipeline, name: "push" }, { ...byHand, paused: false })).toMatchObject({ isChanged: false });
      expect(await triggers.setByHand({ pipeline, name: "push" }, byHand)).toMatchObject({ isChanged: true });
      expect(await schedules.setByHand(often, { ...byHand, paused: false })).toMatchObject({ isChanged: true });
      expect(await definitions.resume(pipeline, { by: "ben", at: AT }, ["r1", "r2", "r3"])).toBe(true);
      expect(await definitions.resume(pipeline, anna, [])).toBe(false);
      expect(await definitions.pauseRuns(pipeline, anna, ["r4"])).toBe(false);
      expect(await definitions.findPause(pipeline)).toBeNull();

      const all = await pipelineActions.list(pipeline, {}, { limit: 10 });
      expect(all.map(({ number, action, schedule, trigger, by, runs }) => [number, action, schedule ?? trigger, by, runs])).toEqual([
        [7, "resume", null, "ben", ["r1", "r2", "r3"]],
        [6, "resume", "often", "ben", null],
        [5, "pause", "push", "ben", null],
        [4, "pause", "often", "ben", null],
        [3, "pause runs", null, "anna", ["r3"]],
        [2, "pause runs", null, "anna", ["r1", "r2"]],
        [1, "pause", null, who, null],
      ]);
      expect(all[1]).toMatchObject({ schedule: "often", trigger: null, why: "noise" });
      const numbers = async (...asked: [filter: object, page: { limit: number; before?: number }]) =>
        (await pipelineActions.list(pipeline, ...asked)).map(({ number }) => number);
      expect(await numbers({}, { limit: 2, before: 6 })).toEqual([5, 4]);
      expect([await numbers({ schedule: "often" }, { limit: 9 }), await numbers({ trigger: "push" }, { limit: 9 })]).toEqual([[6, 4], [5]]);
      expect(await pipelineActions.list(await deploy(), {}, { limit: 10 })).toEqual([]);
    });
  });
};

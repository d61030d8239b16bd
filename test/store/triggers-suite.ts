// What the store promises of event triggers, on whichever database it stands: each event once, each look's end with what it found.

import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CompiledPlan } from "../../core/plan.ts";
import type { TriggerPlan, TriggerSource } from "../../core/trigger.ts";
import type { Store } from "../../store/open-store.ts";

const TOPIC: TriggerSource = { kind: "stream", connection: "broker", stream: "orders", options: {} };

export const describeTriggers = (title: string, open: () => Promise<Store>): void => {
  let store: Store;
  const caseOf = (name: string, run: () => Promise<void>): void => {
    it(`${title}: ${name}`, run);
  };
  const deploy = async (pipeline: string, source: TriggerSource): Promise<void> => {
    const trigger: TriggerPlan = { name: "t", summary: "", source, timing: {}, everyMs: 1_000, paused: false, params: {} };
    const plan: CompiledPlan = {
      plan: { failurePolicy: "continue", policies: [], tasks: [] },
      configs: {},
      connections: [],
      triggers: [trigger],
    };
    await store.definitions.save({ pipeline, hash: randomUUID(), definition: {}, source: "", format: "yaml", plan });
  };
  const fresh = async () => {
    const pipeline = `p-${randomUUID()}`;
    await deploy(pipeline, TOPIC);
    return { pipeline, name: "t" };
  };
  const found = (id: string, counts = true) => ({ id, data: { of: id }, counts });
  const error = { code: "BODY_TOO_LARGE", message: "it is too large" };

  describe(title, () => {
    beforeAll(async () => {
      store = await open();
    });
    afterAll(() => store?.close());

    caseOf("a look's events and its end are kept together, by one of those who look at the same time", async () => {
      const ref = await fresh();
      const looks = await Promise.all(
        ["a", "b", "c"].map((id) => store.triggers.recordLook(ref, { mark: 0, position: { at: id }, events: [found(id)] })),
      );
      expect(looks.toSorted()).toEqual([1, undefined, undefined]);
      const waiting = await store.triggers.waiting(ref, 10);
      expect(waiting).toHaveLength(1);
      expect((await store.triggers.find(ref))?.watched).toEqual({ mark: 1, position: { at: waiting[0]?.id } });
    });

    caseOf("old events are counted and forgotten, but those that wait, and the files that a look knows by them", async () => {
      const topic = await fresh();
      const files = { pipeline: `p-${randomUUID()}`, name: "t" };
      await deploy(files.pipeline, { kind: "files", glob: "*", existing: true });
      // Another version has no such trigger any more; one that has it again must not take the same files again.
      await deploy(files.pipeline, TOPIC);
      for (const ref of [topic, files]) {
        await store.triggers.recordLook(ref, {
          mark: 0,
          position: 1,
          events: [found("left out", false), { ...found("refused"), error }, found("begun"), found("claimed"), found("waits")],
        });
        await store.triggers.claim(ref, ["begun"]);
        await store.triggers.claim(ref, ["claimed"]);
      }
      const run = { pipeline: topic.pipeline, version: 1, planHash: "h", origin: "o", trigger: "event", params: {} };
      await store.runs.create({ ...run, id: "begun" });
      const figures = (await store.triggers.figures()).filter(({ pipeline }) => pipeline === topic.pipeline);
      expect(figures.toSorted((left, right) => (left.status < right.status ? -1 : 1))).toMatchObject([
        { ...topic, status: "ignored", count: 1 },
        { ...topic, status: "refused", count: 1 },
        { ...topic, status: "started", count: 2 },
        { ...topic, status: "waiting", count: 1 },
      ]);
      expect(Date.parse(figures[0]?.since ?? "")).toBeLessThanOrEqual(Date.now() + 60_000);
      const idsOf = async (ref: typeof topic): Promise<readonly string[]> =>
        (await store.triggers.events(ref, { limit: 10 })).map(({ id }) => id).toSorted();
      await store.triggers.forget("2000-01-01T00:00:00Z", 10);
      expect(await idsOf(topic)).toHaveLength(5);
      const later = new Date(Date.now() + 3_600_000).toISOString();
      expect(await store.triggers.forget(later, 1)).toBe(1);
      while ((await store.triggers.forget(later, 2)) > 0);
      expect(await idsOf(topic)).toEqual(["claimed", "waits"]);
      expect(await idsOf(files)).toHaveLength(5);
    });

    caseOf("the mark moves only where there is something to do; the position always", async () => {
      const ref = await fresh();
      const look = { mark: 0, position: 1, events: [found("left out", false), { ...found("refused"), error }] };
      expect(await store.triggers.recordLook(ref, look)).toBe(0);
      expect((await store.triggers.find(ref))?.watched).toEqual({ mark: 0, position: 1 });
      expect(await store.triggers.waiting(ref, 10)).toEqual([]);
      expect(await store.triggers.known(ref, ["left out", "refused", "other"])).toEqual(new Set(["left out", "refused"]));
      expect(await store.triggers.recordLook(ref, { mark: 0, position: 2, events: [found("c"), found("b"), found("a")] })).toBe(1);
      expect((await store.triggers.waiting(ref, 10)).map(({ id }) => id)).toEqual(["c", "b", "a"]);
      expect(await store.triggers.claim(ref, ["a", "b", "left out", "refused"])).toMatchObject({
        runId: "b",
        events: [{ id: "b" }, { id: "a" }],
      });
    });

    caseOf("another topic begins anew, other options do not", async () => {
      const ref = await fresh();
      await store.triggers.recordLook(ref, { mark: 0, position: 5, events: [found("a")] });
      await deploy(ref.pipeline, { ...TOPIC, options: { format: "text" } });
      expect((await store.triggers.find(ref))?.watched).toEqual({ mark: 1, position: 5 });
      await deploy(ref.pipeline, { ...TOPIC, stream: "others" });
      expect((await store.triggers.find(ref))?.watched).toEqual({ mark: 1, position: null });
    });
  });
};

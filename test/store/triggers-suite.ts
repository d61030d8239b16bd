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

// Event triggers on a real server: each kind, batches, quiet, duplicates, a store that is away, owners that are ended, a storm.

import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { reconcileTriggers } from "../../api/reconcile-triggers.ts";
import { DownbeatError } from "../../core/errors.ts";
import { triggerWorkflowId } from "../../core/ids.ts";
import type { Json } from "../../core/json.ts";
import { eventId } from "../../store/triggers.ts";
import { until } from "../workflow/kit.ts";
import * as whole from "./whole-kit.ts";
import { freshPipeline, startWhole, type WholeKit } from "./whole-kit.ts";

let kit: WholeKit;
beforeAll(async () => {
  kit = await startWhole();
});
afterAll(() => kit?.stop());

interface RunView {
  readonly id: string;
  readonly status: string;
  readonly trigger: string;
  readonly params: { readonly n?: Json };
}

const deploy = (name: string, triggers: readonly string[], more = ""): Promise<unknown> =>
  kit.call(
    "PUT",
    `/v1/pipelines/${name}`,
    `apiVersion: downbeat/v1
name: ${name}
params: { type: object, properties: { n: {} } }
tasks:
  - id: tell
    activity: { name: see, input: { of: ${name} } }
${more}
triggers: [${triggers.join(", ")}]
`,
  );

const runsOf = (pipeline: string): Promise<readonly RunView[]> => whole.runsOf<RunView>(kit, pipeline);

const succeeded = (pipeline: string, count: number): Promise<void> => whole.succeeded(kit, pipeline, count);

const send = (pipeline: string, id: string, data: Json) => whole.sendEvent(kit, { pipeline }, id, data);

const HOOK = 'name: push, webhook: { secret: { env: S } }, params: { n: "${{ events.map(e, e.data.n) }}" }';
const handleOf = (pipeline: string, name = "push") => kit.client.workflow.getHandle(triggerWorkflowId({ pipeline, name }));

describe("a webhook", () => {
  it("starts one run an event, however often the event is sent", async () => {
    const name = freshPipeline();
    await deploy(name, [`{ ${HOOK}, when: event.data.n > 0 }`]);
    const first = await send(name, "one", { n: 1 });
    expect(first.run).toBe(eventId({ pipeline: name, name: "push" }, "one"));
    expect(await Promise.all([send(name, "one", { n: 1 }), send(name, "one", { n: 1 })])).toEqual([first, first]);
    await succeeded(name, 1);
    expect(await send(name, "one", { n: 1 })).toEqual(first);
    expect(await send(name, "zero", { n: 0 })).toMatchObject({ run: null, counts: false });
    await send(name, "two", { n: 2 });
    await succeeded(name, 2);
    expect(await runsOf(name)).toMatchObject([
      { id: first.run, trigger: "event", params: { n: [1] } },
      { trigger: "event", params: { n: [2] } },
    ]);
  });

  it("gathers events to a batch, or until it is quiet", async () => {
    const [batched, quiet] = [freshPipeline(), freshPipeline()];
    // Longer than it takes to send them all.
    await deploy(batched, [`{ ${HOOK}, batch: { max: 3, within: 10s } }`]);
    await deploy(quiet, [`{ ${HOOK}, debounce: 8s }`]);
    for (const n of [1, 2, 3, 4]) for (const name of [batched, quiet]) expect((await send(name, `e${n}`, { n })).run).toBeNull();
    await succeeded(batched, 2);
    expect((await runsOf(batched)).map(({ params }) => params.n)).toEqual([[1, 2, 3], [4]]);
    await succeeded(quiet, 1);
    expect((await runsOf(quiet)).map(({ params }) => params.n)).toEqual([[1, 2, 3, 4]]);
    // One of a batch that comes again, beside one that is new.
    await send(batched, "e1", { n: 1 });
    await send(batched, "e5", { n: 5 });
    await succeeded(batched, 3);
    expect((await runsOf(batched)).at(-1)?.params.n).toEqual([5]);
  });

  it("loses nothing while the store cannot write runs down, and none comes twice", async () => {
    const name = freshPipeline();
    await deploy(name, [`{ ${HOOK} }`]);
    kit.storeIsAway = true;
    try {
      for (const n of [1, 2, 3]) await send(name, `e${n}`, { n });
      await pause(1_500);
      expect(await runsOf(name)).toEqual([]);
    } finally {
      kit.storeIsAway = false;
    }
    await succeeded(name, 3);
    expect((await runsOf(name)).map(({ params }) => params.n).toSorted()).toEqual([[1], [2], [3]]);
  });

  it("takes a storm of 1,000 events, and loses none", async () => {
    const name = freshPipeline();
    await deploy(name, [`{ ${HOOK}, batch: { max: 250, within: 10m } }`]);
    const numbers = Array.from({ length: 1_000 }, (_, n) => n);
    const settings = { pipeline: name, name: "push", timing: { batch: { max: 250, withinMs: 600_000 } }, paused: false };
    const ids: string[] = [];
    for (const n of numbers) ids.push((await kit.store.triggers.addEvent(settings, { id: eventId(settings, `e${n}`), data: { n } })).id);
    // A busy server may not take all of them in time: who is refused sends again, as senders of webhooks do.
    const tell = async (id: string): Promise<void> => {
      try {
        await kit.deps.orchestrator.triggers.tell(settings, { id });
      } catch (error) {
        if (!(error instanceof DownbeatError && error.code === "TEMPORAL_UNAVAILABLE")) throw error;
        await tell(id);
      }
    };
    const from = Date.now();
    await Promise.all(ids.map(tell));
    const took = Date.now() - from;
    await until("all have become part of runs", async () => {
      const runs = await runsOf(name);
      const handled = runs.flatMap(({ params }) => params.n as readonly number[]);
      return handled.length === 1_000 && runs.every(({ status }) => status === "succeeded");
    });
    const runs = await runsOf(name);
    expect(runs.flatMap(({ params }) => params.n as readonly number[]).toSorted((left, right) => left - right)).toEqual(numbers);
    expect(runs.length).toBe(4);
    console.log(`1,000 signals were sent in ${took} ms; they became ${runs.length} runs`);
  });

  it("holds events of a paused pipeline until it goes on", async () => {
    const name = freshPipeline();
    await deploy(name, [`{ ${HOOK} }`]);
    await kit.call("POST", `/v1/pipelines/${name}/pause`, { by: "ada", why: "a test" });
    await send(name, "one", { n: 1 });
    await until("it says why", async () => {
      const { state } = await kit.call<{ readonly state: { readonly held_for: string | null; readonly waiting: number } }>(
        "GET",
        `/v1/pipelines/${name}/triggers/push`,
      );
      return state.waiting === 1 && state.held_for === `pipeline "${name}" is paused by ada: a test`;
    });
    await kit.call("POST", `/v1/pipelines/${name}/resume`, { by: "ada" });
    await succeeded(name, 1);
  });
});

describe("the owner of a trigger", () => {
  it("is started again when it was ended, with the events that waited", async () => {
    const name = freshPipeline();
    await deploy(name, [`{ ${HOOK}, batch: { max: 2, within: 1h } }`]);
    await send(name, "one", { n: 1 });
    await until("it has come", async () => (await kit.deps.orchestrator.triggers.stateOf({ pipeline: name, name: "push" }))?.waiting === 1);
    await handleOf(name).terminate("the test");
    expect(await reconcileTriggers(kit.deps)).toBeGreaterThan(0);
    await send(name, "two", { n: 2 });
    await succeeded(name, 1);
    expect((await runsOf(name))[0]?.params.n).toEqual([1, 2]);
  });

  it("learns of changes, and ends with its trigger", async () => {
    const name = freshPipeline();
    await deploy(name, [`{ ${HOOK}, batch: { max: 10, within: 1h } }`]);
    await send(name, "one", { n: 1 });
    await deploy(name, [`{ ${HOOK} }`]);
    await succeeded(name, 1);
    await kit.call("POST", `/v1/pipelines/${name}/triggers/push/pause`, { by: "ada" });
    await expect(send(name, "two", { n: 2 })).rejects.toThrow("TRIGGER_PAUSED");
    await kit.call("POST", `/v1/pipelines/${name}/triggers/push/resume`, { by: "ada" });
    await send(name, "two", { n: 2 });
    await succeeded(name, 2);
    await deploy(name, []);
    expect((await handleOf(name).describe()).status.name).toBe("TERMINATED");
    await expect(send(name, "three", { n: 3 })).rejects.toThrow("404");
  });
});

describe("the end of another pipeline", () => {
  it("starts a run, once, where it ends as it must", async () => {
    const [above, below, never] = [freshPipeline(), freshPipeline(), freshPipeline()];
    await deploy(above, []);
    await deploy(below, [`{ name: after, pipeline: { name: ${above} }, params: { n: "\${{ event.data.run }}" } }`]);
    await deploy(never, [`{ name: after, pipeline: { name: ${above}, on: failed } }`]);
    const { id } = await kit.call<{ readonly id: string }>("POST", `/v1/pipelines/${above}/runs?wait=60s`, { params: { n: 1 } });
    await succeeded(below, 1);
    expect((await runsOf(below))[0]?.params.n).toBe(id);
    expect(await runsOf(never)).toEqual([]);
  });
});

describe("updates of assets", () => {
  it("start a run each, or one when all were updated", async () => {
    const [any, all, makerX, makerY] = [freshPipeline(), freshPipeline(), freshPipeline(), freshPipeline()];
    const [x, y] = [`${makerX}/x`, `${makerY}/y`];
    const making = (name: string, asset: string) =>
      kit.call(
        "PUT",
        `/v1/pipelines/${name}`,
        `apiVersion: downbeat/v1\nname: ${name}\ntasks:\n  - { id: make, assets: [${asset}], activity: { name: see, input: 1 } }\n`,
      );
    await making(makerX, x);
    await making(makerY, y);
    await deploy(any, [`{ name: fresh, assets: { any_of: [${x}, ${y}] }, params: { n: "\${{ event.subject }}" } }`]);
    await deploy(all, [`{ name: fresh, assets: { all_of: [${x}, ${y}] }, params: { n: "\${{ events.map(e, e.subject) }}" } }`]);
    await kit.call("POST", `/v1/pipelines/${makerX}/runs?wait=60s`, {});
    await kit.call("POST", `/v1/pipelines/${makerX}/runs?wait=60s`, {});
    await succeeded(any, 2);
    expect(await runsOf(all)).toEqual([]);
    await kit.call("POST", `/v1/pipelines/${makerY}/runs?wait=60s`, {});
    await succeeded(any, 3);
    await succeeded(all, 1);
    expect((await runsOf(all))[0]?.params.n).toEqual([x, x, y]);
  });
});

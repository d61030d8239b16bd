// Held back on a real server, over HTTP: a paused pipeline with its schedules, runs and who runs it; a connection's limits as its owner has them.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { scheduleId } from "../../core/ids.ts";
import type { Json } from "../../core/json.ts";
import { freshName } from "../fixtures/services.ts";
import { until } from "../workflow/kit.ts";
import { type WholeKit, startWhole } from "./whole-kit.ts";

let kit: WholeKit;
beforeAll(async () => {
  kit = await startWhole();
});
afterAll(() => kit?.stop());

const fresh = (): string => freshName("p").replaceAll("_", "-");
const deploy = (name: string, rest: string): Promise<unknown> =>
  kit.call("PUT", `/v1/pipelines/${name}`, `apiVersion: downbeat/v1\nname: ${name}\n${rest}`);
const see = (of: string): string => `{ id: tell, activity: { name: see, input: ${of} } }`;
const seenOf = (name: string): number => kit.seen.filter((input: Json) => input === name).length;

interface RunView {
  readonly id: string;
  readonly status: string;
  readonly tasks: readonly {
    readonly id: string;
    readonly status: string;
    readonly attempts: number;
    readonly error: Json;
    readonly waiting: Json;
  }[];
}
const runOf = (id: string): Promise<RunView> => kit.call<RunView>("GET", `/v1/runs/${id}`);
const trigger = async (name: string): Promise<string> => (await kit.call<RunView>("POST", `/v1/pipelines/${name}/runs`, {})).id;

describe("a paused pipeline", () => {
  it("does not fire, and holds its open runs until it is resumed", async () => {
    const name = fresh();
    await deploy(
      name,
      `tasks:\n  - { id: nap, wait: { for: 10s } }\n  - { id: after, needs: [nap], activity: { name: see, input: ${name} } }\nschedules: [{ name: often, every: 1h, offset: 1m }]`,
    );
    const id = await trigger(name);
    await until("it has begun", async () => (await runOf(id)).tasks[0]?.status === "waiting");
    expect(await kit.call("POST", `/v1/pipelines/${name}/pause`, { by: "ann", why: "moving", runs: "pause" })).toMatchObject({
      paused: { runs: [id] },
    });
    const schedule = kit.client.schedule.getHandle(scheduleId({ pipeline: name, name: "often" }));
    expect((await schedule.describe()).state).toMatchObject({ paused: true, note: `pipeline "${name}" is paused by ann: moving` });
    await expect(trigger(name)).rejects.toThrow(/409.*PIPELINE_PAUSED/);
    await until("the run says so", async () => (await runOf(id)).status === "paused");
    // Longer than the nap.
    await new Promise((resolve) => setTimeout(resolve, 12_000));
    expect(seenOf(name)).toBe(0);
    await kit.call("POST", `/v1/pipelines/${name}/resume`, { by: "bob" });
    await until("the run goes on", async () => (await runOf(id)).status === "succeeded");
    expect(seenOf(name)).toBe(1);
    expect((await schedule.describe()).state.paused).toBe(false);
    expect(await kit.call("GET", `/v1/runs/${id}`)).toMatchObject({
      actions: [
        { action: "pause", by: "ann", why: "moving", details: { pipeline: name } },
        { action: "resume", by: "bob" },
      ],
    });
  });

  it("lets who runs it wait, at no cost of attempts, and go on when it is resumed", async () => {
    const [inner, outer] = [fresh(), fresh()];
    await deploy(inner, `tasks: [${see(inner)}]`);
    await deploy(outer, `tasks: [{ id: sub, pipeline: { name: ${inner} }, retry: { attempts: 1 } }]`);
    await kit.call("POST", `/v1/pipelines/${inner}/pause`, { by: "ann", why: "moving" });
    const id = await trigger(outer);
    // As it was seen: between two waits it asks again.
    let [task] = (await runOf(id)).tasks;
    await until("it waits", async () => ([task] = (await runOf(id)).tasks)[0]?.status === "waiting");
    expect(task).toMatchObject({
      attempts: 0,
      error: { code: "PIPELINE_PAUSED", message: `pipeline "${inner}" is paused by ann: moving` },
      waiting: { for: "retry" },
    });
    await kit.call("POST", `/v1/pipelines/${inner}/resume`, {});
    await until("it has ended", async () => (await runOf(id)).status === "succeeded");
    expect(seenOf(inner)).toBe(1);
  });
});

describe("the owner of a connection's slots", () => {
  it("is told of limits, tells of its circuit, is closed by hand; without limits there is none", async () => {
    const { limits } = kit.deps.orchestrator;
    const name = fresh();
    await limits.configure(name, null);
    expect(await limits.stateOf(name)).toBeUndefined();
    expect(await limits.reset(name, { by: "ann", at: "2026-01-01T00:00:00.000Z" })).toBe(false);
    const breaker = { failures: 2, withinMs: 1_000, openForMs: 1_000 };
    await limits.configure(name, { maxConcurrent: 3, breaker });
    await until("it has them", async () => (await limits.stateOf(name))?.slots.capacity === 3);
    expect((await limits.stateOf(name))?.breaker).toEqual({ policy: breaker, circuit: { state: "closed", failures: [] } });
    expect(await limits.reset(name, { by: "ann", why: "mended", at: "2026-01-01T00:00:00.000Z" })).toBe(true);
    await until("it is on record", async () => (await limits.stateOf(name))?.reset?.why === "mended");
    await limits.configure(name, null);
    await until("it lets everything through", async () => (await limits.stateOf(name))?.breaker === undefined);
  });
});

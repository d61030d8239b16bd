// A run that is ended by force, on a real server: its rows, the run below it, its slots, and who waits for its end.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { reconcile } from "../../api/reconcile.ts";
import type { Json } from "../../core/json.ts";
import { runWorkflowId } from "../../core/ids.ts";
import { until } from "../workflow/kit.ts";
import { freshPipeline, runsOf, startWhole, succeeded, type WholeKit } from "./whole-kit.ts";

let kit: WholeKit;
let release = (): void => undefined;
beforeAll(async () => {
  kit = await startWhole();
  const held = new Promise<Json>((resolve) => (release = () => resolve(null)));
  kit.whileSeen = (input) => (input === "free" ? Promise.resolve(null) : held);
});
afterAll(async () => {
  release();
  await kit?.stop();
});

interface RunView {
  readonly id: string;
  readonly status: string;
  readonly tasks: readonly { readonly id: string; readonly status: string; readonly attempt_log: readonly { readonly status: string }[] }[];
}

const deploy = (name: string, rest: string): Promise<unknown> =>
  kit.call("PUT", `/v1/pipelines/${name}`, `apiVersion: downbeat/v1\nname: ${name}\n${rest}`);
const runOf = (id: string): Promise<RunView> => kit.call("GET", `/v1/runs/${id}`);
const see = (input: string): string => `activity: { name: see, input: "${input}" }`;

describe("a run that is ended by force", () => {
  it("is closed with all of it, as is the run below it; its slots go to who waits, and its end is heard of once", async () => {
    const [above, below, waiting, follower, pool] = [
      freshPipeline("above"),
      freshPipeline("below"),
      freshPipeline("waiting"),
      freshPipeline("follower"),
      freshPipeline("pool"),
    ];
    await kit.call("PUT", `/v1/pools/${pool}`, { slots: 2 });
    await deploy(below, `tasks:\n  - { id: inner, pool: ${pool}, ${see("inner")} }\n`);
    await deploy(
      above,
      `tasks:
  - { id: alone, pool: ${pool}, ${see("alone")} }
  - { id: many, for_each: { in: [1, 2, 3], as: n }, queue: downbeat, ${see("item")} }
  - { id: sub, pipeline: { name: ${below} } }
  - { id: later, needs: [alone], ${see("later")} }
`,
    );
    await deploy(waiting, `tasks:\n  - { id: own, pool: ${pool}, ${see("free")} }\n`);
    await deploy(follower, `tasks:\n  - { id: own, ${see("free")} }\ntriggers: [{ name: end, pipeline: { name: ${above}, on: ended } }]\n`);
    const { id } = await kit.call<RunView>("POST", `/v1/pipelines/${above}/runs`, {});
    await until("all of it is under way", async () => {
      const seen = new Set(kit.seen);
      const { tasks } = await runOf(id);
      return seen.has("alone") && seen.has("item") && seen.has("inner") && tasks.filter(({ status }) => status === "running").length === 3;
    });
    const [sub] = await runsOf<RunView>(kit, below);
    if (sub === undefined) throw new Error("there is no run below it");
    await until("the run below is shown", async () => (await runOf(sub.id)).tasks[0]?.status === "running");
    await kit.call("POST", `/v1/pipelines/${waiting}/runs`, {});

    await kit.call("POST", `/v1/runs/${id}/cancel`, { by: "anna", why: "wrong day" });
    await kit.call("POST", `/v1/runs/${id}/cancel`, { by: "ben", why: "it hangs", force: true });
    const ended = await runOf(id);
    expect(ended).toMatchObject({
      status: "cancelled",
      actions: [
        { action: "cancel", by: "anna", why: "wrong day" },
        { action: "force cancel", by: "ben", why: "it hangs" },
      ],
    });
    expect(ended.tasks.map(({ status }) => status)).toEqual(Array.from({ length: 4 }, () => "cancelled"));
    expect(ended.tasks.flatMap(({ attempt_log: log }) => log).every(({ status }) => status === "cancelled")).toBe(true);

    const below1 = kit.client.workflow.getHandle(runWorkflowId(below, sub.id));
    await until("Temporal has ended the run below", async () => (await below1.describe()).status.name === "TERMINATED");
    await reconcile(kit.deps, -60_000);
    expect(await runOf(sub.id)).toMatchObject({
      status: "cancelled",
      tasks: [{ status: "cancelled", attempt_log: [{ status: "cancelled" }] }],
    });
    await succeeded(kit, waiting, 1);
    await until(
      "all slots are free",
      async () => (await kit.call<{ holders: readonly unknown[] }>("GET", `/v1/pools/${pool}`)).holders.length === 0,
    );
    await succeeded(kit, follower, 1);
    await reconcile(kit.deps, -60_000);
    expect(await runsOf(kit, follower)).toHaveLength(1);
  });
});

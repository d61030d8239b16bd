// Limits of a pool and of a connection while runs end, fail, are cancelled, killed, run again and filled back, and the worker dies under them:
// as the database sees it they are never exceeded, and at the end every slot can be held again.

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ApiError } from "../../bin/api-client.ts";
import { waitUntil } from "../../bin/services/wait.ts";
import { runWorkflowId } from "../../core/ids.ts";
import { World } from "../faults/world.ts";

const POOL_SLOTS = 2;
const CONNECTION_SLOTS = 3;
const SEED = 11;
/** All runs share two slots, so the last ones wait for all others; a busy machine takes several minutes. */
const END_MS = 480_000;
const POOLED = ["pooled", "urgent", "items"];

const use = (id: string, more: Readonly<Record<string, unknown>> = {}) => ({
  id,
  sql: { connection: "effects", query: "select use_for(:task, 0.15)", params: { task: id } },
  ...more,
});

const PIPELINE = {
  apiVersion: "downbeat/v1",
  name: "slots",
  params: { type: "object", properties: { fails: { type: "boolean", default: false } } },
  defaults: { timeout: { heartbeat: "2s" }, retry: { attempts: 3, backoff: "200ms", max_backoff: "500ms" } },
  tasks: [
    use("pooled", { pool: "few" }),
    use("urgent", { pool: "few", priority: 1, needs: ["pooled"] }),
    use("free"),
    { id: "breaks", when: "params.fails", needs: ["free"], sql: { connection: "effects", query: "select no_such_function()" } },
    use("items", { pool: "few", for_each: { in: { range: { from: 1, to: 6 } }, window: 6 } }),
  ],
};
const HOLDING = {
  apiVersion: "downbeat/v1",
  name: "holding",
  tasks: [
    {
      id: "held",
      pool: "few",
      sql: { connection: "effects", query: "select mark_and_hold(:run, 'held', 0, 'last')", params: { run: "${{ run.id }}" } },
    },
  ],
};

interface Run {
  readonly id: string;
  readonly status: string;
}
interface Use {
  readonly holders: readonly unknown[];
  readonly waiting: readonly unknown[];
}

let world: World;
beforeAll(async () => {
  world = await World.start(mkdtempSync(path.join(tmpdir(), "downbeat-slots-")), () => undefined);
  await world.call("PUT", "/v1/pools/few", { slots: POOL_SLOTS });
  await world.call("PATCH", "/v1/connections/effects", { max_concurrent: CONNECTION_SLOTS });
  for (const definition of [PIPELINE, HOLDING]) await world.call("PUT", `/v1/pipelines/${definition.name}`, definition);
});
afterAll(() => world?.close());

const ENDS = ["succeeded", "failed", "cancelled"];
const start = (pipeline: string, body: object, key: string): Promise<Run> =>
  world.call("POST", `/v1/pipelines/${pipeline}/runs`, body, key);
const ended = (id: string): Promise<Run> =>
  waitUntil(
    async () => {
      const run = await world.call<Run>("GET", `/v1/runs/${id}`);
      if (ENDS.includes(run.status)) return run;
      throw new Error(`${id} is ${run.status}`);
    },
    { timeoutMs: END_MS },
  );
const uses = (): Promise<readonly Use[]> =>
  Promise.all([world.call<Use>("GET", "/v1/pools/few"), world.call<Use>("GET", "/v1/connections/effects")]);

/** It may have ended before; then there is nothing to cancel. */
const cancel = async (run: string): Promise<void> => {
  try {
    await world.call("POST", `/v1/runs/${run}/cancel`, { reason: "on purpose" });
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 409)) throw error;
  }
};

const terminate = (run: string): Promise<unknown> =>
  world.withTemporal(({ workflow }) => workflow.getHandle(runWorkflowId("slots", run)).terminate("on purpose")).catch(() => undefined);

const FATES = ["ends", "fails", "is cancelled", "is killed", "is run again", "is filled back"] as const;

/** The runs and backfills that it leaves; how they end is theirs. */
const meet = async (fate: (typeof FATES)[number], afterMs: number, key: string): Promise<readonly Run[]> => {
  if (fate === "is filled back") {
    const range = { from: "2026-03-01", to: "2026-03-05", every: "day", by: "test", concurrency: 3 };
    const { id } = await world.call<Run>("POST", "/v1/pipelines/slots/backfills", range, key);
    await waitUntil(async () => expect(ENDS).toContain((await world.call<Run>("GET", `/v1/backfills/${id}`)).status), {
      timeoutMs: END_MS,
    });
    return (await world.call<{ readonly items: readonly Run[] }>("GET", `/v1/runs?backfill=${id}`)).items;
  }
  const { id } = await start("slots", { params: { fails: fate === "fails" } }, key);
  await pause(afterMs);
  if (fate === "is cancelled") await cancel(id);
  if (fate === "is killed") await terminate(id);
  const first = await ended(id);
  if (fate !== "is run again") return [first];
  const again = await world.call<Run>("POST", `/v1/runs/${id}/rerun`, { from: "start", by: "test" }, `${key}-again`);
  return [first, await ended(again.id)];
};

describe("slots while everything happens", () => {
  it("are never held by more than there are, and none is lost", async () => {
    const [scenario = []] = fc.sample(
      fc.array(fc.record({ fate: fc.constantFrom(...FATES), afterMs: fc.nat(3_000), wait: fc.nat(800) }), { minLength: 24, maxLength: 24 }),
      { numRuns: 1, seed: SEED },
    );
    expect(new Set(scenario.map(({ fate }) => fate)).size).toBe(FATES.length);
    const met: Promise<readonly Run[]>[] = [];
    for (const [index, { fate, afterMs, wait }] of scenario.entries()) {
      met.push(meet(fate, afterMs, `slots-${index}`));
      await pause(wait);
      if (index % 8 === 5) await world.kill("worker");
    }
    const runs = (await Promise.all(met)).flat();
    expect(runs.filter(({ status }) => status === "succeeded").length).toBeGreaterThan(runs.length / 2);
    for (const status of ENDS) expect(runs.map((run) => run.status)).toContain(status);
    const pooled = await world.effects.usesOf(POOLED);
    const all = await world.effects.usesOf([...POOLED, "free"]);
    expect(pooled.all).toBeGreaterThan(100);
    // Reached, and not passed.
    expect([pooled.most, all.most]).toEqual([POOL_SLOTS, CONNECTION_SLOTS]);

    await waitUntil(
      async () =>
        expect((await uses()).map(({ holders, waiting }) => [holders.length, waiting.length])).toEqual([
          [0, 0],
          [0, 0],
        ]),
      {
        timeoutMs: 120_000,
      },
    );
    const holding = await Promise.all([1, 2, 3, 4].map((number) => start("holding", {}, `holding-${number}`)));
    const held = async (): Promise<number> => (await world.effects.of(holding.map(({ id }) => id))).length;
    await waitUntil(async () => expect((await uses())[0]).toMatchObject({ holders: { length: POOL_SLOTS } }), { timeoutMs: 30_000 });
    await world.effects.openGate("last");
    for (const { id } of holding) expect((await ended(id)).status).toBe("succeeded");
    expect(await held()).toBe(4);
  }, 900_000);
});

// The owner of a pool is terminated on a real server while runs hold and wait: its heir learns who holds, and nobody waits for ever.

import { describe, expect, it, vi } from "vitest";
import type { Plan } from "../../core/plan.ts";
import { pipelinePool } from "../../core/ids.ts";
import { planOf, policy } from "../core/runs.ts";
import { freshName } from "../fixtures/services.ts";
import type { StartedRun } from "./engine.ts";
import { blocked, until, useEngine } from "./kit.ts";
import { isFree, LIMITED, ownerOf, stateOf } from "./limits-kit.ts";

const engine = useEngine(LIMITED);

const waits = (run: StartedRun): Promise<void> => until("it waits", () => run.tasks()["a"]?.status === "waiting");

describe("an owner that was terminated", () => {
  it("leaves an heir that gives away no slot which is held, and then goes by age again", async () => {
    const pool = freshName("pool");
    const { work, begun, release } = blocked(({ run }) => run.id);
    const other = blocked(({ run }) => run.id);
    const plan = planOf({ a: { pool } });
    // Two slots: one is held for long, the other one comes back.
    const holder = await engine().start(plan, { verbs: { a: work } });
    const brief = await engine().start(plan, { verbs: { a: other.work } });
    await until("both are held", () => begun.length + other.begun.length === 2);
    const older = await engine().start(plan, { verbs: { a: work } });
    await waits(older);
    await ownerOf(engine(), pool).terminate("on purpose");
    const younger = await engine().start(plan, { verbs: { a: work } });
    await waits(younger);
    await until("the heir knows who holds and who waits", async () => {
      const { holders, waiting } = (await stateOf(engine(), pool)).slots;
      return holders.length === 2 && waiting.length === 2;
    });
    const { slots } = await stateOf(engine(), pool);
    expect(slots.holders.map(({ owner }) => owner).toSorted()).toEqual([holder.id, brief.id].toSorted());
    expect(slots.waiting.map(({ owner }) => owner)).toEqual([older.id, younger.id]);
    expect(begun).toEqual([holder.id]);
    other.release();
    await until("the older one has it", () => begun.length === 2);
    expect(begun).toEqual([holder.id, older.id]);
    release();
    for (const run of [holder, brief, older, younger]) expect(await run.end()).toMatchObject({ outcome: "succeeded" });
    await isFree(engine(), pool);
  });

  it("of a pool and of a pipeline's runs is missed by who waits, without anybody else asking", async () => {
    const [pool, pipeline] = [freshName("pool"), freshName("pipeline")];
    const { work, begun, release } = blocked(({ run }) => run.id);
    const long = { ...policy(), timeout: { attemptMs: 600_000, totalMs: 600_000, heartbeatMs: 0 } };
    const plan = planOf({ a: { pool } }, { policies: [long] });
    const limited: Plan = { ...planOf({ a: {} }, { policies: [long] }), concurrency: { maxRuns: 1, strategy: "queue" } };
    const holders = [
      await engine().start(plan, { verbs: { a: work } }),
      await engine().start(plan, { verbs: { a: work } }),
      await engine().start(limited, { verbs: { a: work }, pipeline }),
    ];
    await until("all is held", () => begun.length === 3);
    const waiting = await engine().start(plan, { verbs: { a: work } });
    await waits(waiting);
    const queued = await engine().start(limited, { verbs: { a: work }, pipeline });
    await until("it is queued", async () => (await stateOf(engine(), pipelinePool(pipeline))).slots.waiting.length === 1);
    for (const name of [pool, pipelinePool(pipeline)]) await ownerOf(engine(), name).terminate("on purpose");
    // They ask again after a minute.
    for (const name of [pool, pipelinePool(pipeline)]) {
      const isKnown = async (): Promise<boolean> => {
        if ((await ownerOf(engine(), name).describe()).status.name !== "RUNNING") return false;
        const { holders: held, waiting: asking, gate } = (await stateOf(engine(), name)).slots;
        return held.length > 0 && asking.length === 1 && gate === undefined;
      };
      await vi.waitFor(async () => expect(await isKnown()).toBe(true), { timeout: 150_000, interval: 1_000 });
    }
    expect(begun).toHaveLength(3);
    release();
    for (const run of [...holders, waiting, queued]) expect(await run.end()).toMatchObject({ outcome: "succeeded" });
    await isFree(engine(), pool);
  }, 240_000);
});

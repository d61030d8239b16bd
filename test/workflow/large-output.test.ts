// Outputs and errors of many megabytes: a clear code at once, or kept by reference; the run goes on, and Temporal's payloads stay small.

import { Worker } from "@temporalio/worker";
import { afterAll, describe, expect, it } from "vitest";
import type { Json } from "../../core/json.ts";
import { LIMITS } from "../../core/limits.ts";
import { openStore } from "../../store/open-store.ts";
import { planOf, policy } from "../core/runs.ts";
import { freshName } from "../fixtures/services.ts";
import type { StartedRun } from "./engine.ts";
import { useEngine } from "./kit.ts";

const MB = 1024 * 1024;
const store = await openStore({ url: "pglite:memory", secretKey: new Uint8Array(32).fill(3) });
afterAll(() => store.close());

/** Beyond Temporal's limit of 2 MB for a payload, and beyond gRPC's of 4 MB for a message. */
const large = { three: async () => "x".repeat(3 * MB), ten: async () => "x".repeat(10 * MB) };
const engine = useEngine({
  items: store.items,
  own: {
    ...large,
    throws: () => Promise.reject(new RangeError("y".repeat(10 * MB))),
    limit: async () => "x".repeat(LIMITS.outputBytes - 2),
  },
});

const own = (name: string, more: { readonly queue?: string } = {}) =>
  ({ operator: "activity", activity: { name, input: null }, ...more }) as const;
/** Attempts enough to see that it is not tried again; a timeout that no test waits for. */
const policies = [{ ...policy({ attempts: 3 }), retry: { attempts: 3, backoffMs: 1, maxBackoffMs: 1, neverOn: [] } }];
const mended = (first: ReturnType<typeof own>) => planOf({ first, mend: { needs: ["first"], rule: "all_failed" } }, { policies });

const historyBytes = async ({ handle }: StartedRun): Promise<number> =>
  Number((await handle.describe()).raw.workflowExecutionInfo?.historySizeBytes ?? Infinity);

describe("an output of many megabytes", () => {
  it.each(["three", "ten"])("%s, of a user's own activity, is OUTPUT_TOO_LARGE at once, and the run goes on", async (name) => {
    const run = await engine().run(mended(own(name)));
    expect(run.outcome).toBe("succeeded");
    expect(run.tasks()["first"]).toMatchObject({ status: "failed", attempts: 1, error: { code: "OUTPUT_TOO_LARGE" } });
    expect(run.tasks()["first"]?.error?.message).toMatch(/the output is \d{7,8} bytes of JSON, the limit is 4096; return less/);
    expect(await historyBytes(run)).toBeLessThan(20_000);
  });

  it("up to the limit travels", async () => {
    const run = await engine().run(planOf({ first: own("limit") }));
    expect(run).toMatchObject({ outcome: "succeeded" });
  });

  it("of a worker that is not Downbeat's is refused by Temporal, in words that say so", async () => {
    const queue = freshName("own");
    const worker = await Worker.create({ connection: engine().native, taskQueue: queue, activities: large });
    const done = worker.run();
    try {
      const run = await engine().run(mended(own("three", { queue })));
      expect(run.outcome).toBe("succeeded");
      expect(run.tasks()["first"]?.error).toMatchObject({
        code: "OUTPUT_TOO_LARGE",
        message: expect.stringMatching(/Temporal did not take/) as unknown,
      });
    } finally {
      worker.shutdown();
      await done;
    }
  });

  it("of a verb is OUTPUT_TOO_LARGE beyond the limit of references, and goes by reference below", async () => {
    const seen: Json[] = [];
    const plan = planOf(
      { first: {}, kept: {}, mend: { needs: ["first"], rule: "all_failed" }, next: { needs: ["kept"], reads: ["kept"] } },
      { policies },
    );
    const run = await engine().run(plan, {
      verbs: {
        first: async () => ({ output: "x".repeat(10 * MB) }),
        kept: async () => ({ output: "x".repeat(5 * MB) }),
        next: async ({ tasks }) => {
          seen.push(tasks["kept"]?.output ?? null);
          return { output: null };
        },
      },
    });
    expect(run.outcome).toBe("succeeded");
    expect(run.tasks()["first"]).toMatchObject({
      status: "failed",
      attempts: 1,
      error: { code: "OUTPUT_TOO_LARGE", details: { limit: LIMITS.largeOutputBytes } },
    });
    expect(seen).toEqual([{ $output: { runId: run.id, taskId: "kept" }, bytes: 5 * MB + 2 }]);
    expect(await store.items.findOutput({ runId: run.id, taskId: "kept" })).toHaveLength(5 * MB);
    expect(await historyBytes(run)).toBeLessThan(20_000);
  });
});

describe("an error of many megabytes", () => {
  it("of a user's own activity arrives cut, each attempt at once", async () => {
    const run = await engine().run(mended(own("throws")));
    expect(run.outcome).toBe("succeeded");
    const { error, attempts } = run.tasks()["first"] ?? {};
    expect([error?.code, attempts]).toEqual(["ACTIVITY_FAILED", 3]);
    expect(error?.message).toMatch(/^RangeError: y{2000}/);
    expect(await historyBytes(run)).toBeLessThan(60_000);
  });
});

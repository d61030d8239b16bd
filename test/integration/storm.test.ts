// A storm of control actions and signals on one run, and every action sent twice: each acts once, is recorded once, and the run ends right.

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { waitUntil } from "../../bin/services/wait.ts";
import { runWorkflowId } from "../../core/ids.ts";
import { SLOT_SIGNAL, type SlotSignal } from "../../workflows/messages.ts";
import { historyLengthsOf, MOST_EVENTS } from "../faults/histories.ts";
import { World } from "../faults/world.ts";

const STORM = 1_000;
const PIPELINE = "storm";

let world: World;
beforeAll(async () => {
  world = await World.start(mkdtempSync(path.join(tmpdir(), "downbeat-storm-")), () => undefined);
  await world.call("PUT", "/v1/pools/storm", { slots: 1 });
  await world.call("PUT", `/v1/pipelines/${PIPELINE}`, {
    apiVersion: "downbeat/v1",
    name: PIPELINE,
    tasks: [
      { id: "asked", approval: { message: "Go on?" } },
      // Each takes one decision: whatever comes at once, none is refused.
      ...Array.from({ length: STORM }, (_, index) => ({ id: `s${index}`, approval: {} })),
      {
        id: "after",
        needs: ["asked"],
        sql: { connection: "effects", query: "select mark(:run, 'after', 0)", params: { run: "${{ run.id }}" } },
      },
    ],
  });
});
afterAll(() => world?.close());

interface Shown {
  readonly status: string;
  readonly tasks: readonly { readonly id: string; readonly status: string }[];
  readonly actions: readonly { readonly action: string; readonly why: string | null }[];
}

/** Repeats the action while it is told to come back later, under the same key; how often it was. */
const act = async (run: string, action: string, key: string, body: Readonly<Record<string, unknown>>): Promise<void> => {
  for (;;) {
    const response = await fetch(`${world.url}/v1/runs/${run}/${action}`, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": key },
      body: JSON.stringify({ by: "storm", ...body }),
    });
    const text = await response.text();
    if (response.status === 200) return;
    // Too many at once, not taken in time, or sent while the run continued as new.
    expect(text).toMatch(/"code":"(RATE_LIMITED|WORKER_LOST|TEMPORAL_UNAVAILABLE|STORE_UNAVAILABLE)"/);
    await pause(1_000);
  }
};

const storm = (run: string): Promise<unknown> =>
  Promise.all(
    Array.from({ length: STORM }, (_, index) =>
      act(run, `tasks/s${index}/decide`, `storm-${index}`, { approve: true, comment: `action ${index}` }),
    ),
  );

describe("1,000 control actions and 1,000 signals at once", () => {
  it("each acts once and is recorded once, also when all of it is sent again, and the run ends right", async () => {
    const { id } = await world.call<{ readonly id: string }>("POST", `/v1/pipelines/${PIPELINE}/runs`, {});
    const show = (): Promise<Shown> => world.call("GET", `/v1/runs/${id}`);
    await waitUntil(async () => expect((await show()).status).toBe("waiting"), { timeoutMs: 30_000 });
    await world.withTemporal(async ({ workflow }) => {
      const handle = workflow.getHandle(runWorkflowId(PIPELINE, id));
      // Slots that it has not asked for: it gives each back.
      const slot: SlotSignal = { pool: "storm", key: "nothing", granted: true };
      for (const _round of ["first", "again"]) {
        const signals = Array.from({ length: STORM }, () => handle.signal(SLOT_SIGNAL, slot));
        await Promise.all([...signals, storm(id)]);
      }
    });
    await act(id, "pause", "pause", { why: "the storm is over" });
    await act(id, "resume", "resume", { why: "it is quiet" });
    await Promise.all(["once", "once"].map((key) => act(id, "tasks/asked/decide", key, { approve: true, comment: "go on" })));
    const run = await waitUntil(
      async () => {
        const shown = await show();
        if (shown.status === "succeeded") return shown;
        throw new Error(`it is ${shown.status}`);
      },
      { timeoutMs: 60_000 },
    );
    expect(new Set(run.tasks.map(({ status }) => status))).toEqual(new Set(["succeeded"]));
    expect((await world.effects.of([id])).map(({ task }) => task)).toEqual(["after"]);
    const recorded = run.actions.map(({ action, why }) => `${action}: ${why}`);
    const wanted = Array.from({ length: STORM }, (_, index) => `approve: action ${index}`);
    expect(recorded.toSorted()).toEqual([...wanted, "pause: the storm is over", "resume: it is quiet", "approve: go on"].toSorted());
    const lengths = await world.withTemporal((client) => historyLengthsOf(client, runWorkflowId(PIPELINE, id)));
    expect(lengths.length).toBeGreaterThan(1);
    expect(Math.max(...lengths)).toBeLessThan(MOST_EVENTS);
  }, 300_000);
});

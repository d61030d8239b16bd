// The replay gate: workflow code must replay what earlier code has recorded, and the gate must be able to fail.
import path from "node:path";
import { DeterminismViolationError } from "@temporalio/workflow";
import { Worker, type WorkflowBundleWithSourceMap } from "@temporalio/worker";
import { describe, expect, it } from "vitest";
import { bundleRun } from "../workflow/engine.ts";
import { useEngine } from "../workflow/kit.ts";
import { type RecordedHistory, recordedHistories, replayable } from "./histories.ts";
import { OWN, RECORDED } from "./plans.ts";

const engine = useEngine({ own: OWN });

/** Errors by name of the history; undefined for one that replayed. */
const replay = async (
  workflowBundle: WorkflowBundleWithSourceMap,
  histories: readonly RecordedHistory[],
): Promise<Readonly<Record<string, Error | undefined>>> => {
  const errors: Record<string, Error | undefined> = {};
  for await (const { workflowId, error } of Worker.runReplayHistories({ workflowBundle }, replayable(histories)))
    errors[workflowId] = error;
  return errors;
};

const recordNow = async (): Promise<readonly RecordedHistory[]> =>
  Promise.all(
    Object.entries(RECORDED).map(async ([name, { plan, options }]) => {
      const run = await engine().run(plan, options);
      return { name, history: await run.handle.fetchHistory() };
    }),
  );

describe("the replay gate", () => {
  it("replays every history that a run of today leaves, and rejects each with a workflow that is wrong on purpose", async () => {
    const histories = await recordNow();
    const names = histories.map(({ name }) => name);
    expect(names).toEqual(Object.keys(RECORDED));
    expect(await replay(engine().bundle, histories)).toEqual(Object.fromEntries(names.map((name) => [name, undefined])));
    const wrong = await replay(await bundleRun(path.join(import.meta.dirname, "wrong-workflows.ts")), histories);
    for (const name of names) expect(wrong[name], name).toBeInstanceOf(DeterminismViolationError);
  });

  const recorded = recordedHistories();
  // Before anything has landed there is nothing to hold later code against; once the folder exists it may not be empty.
  if (recorded !== undefined) {
    it("replays every history that earlier code has recorded", async () => {
      expect(recorded.length).toBeGreaterThan(0);
      expect(await replay(engine().bundle, recorded)).toEqual(Object.fromEntries(recorded.map(({ name }) => [name, undefined])));
    });
  }
});

// The replay gate: workflow code must replay what earlier code has recorded, and the gate must be able to fail.
import path from "node:path";
import { DeterminismViolationError } from "@temporalio/workflow";
import { Worker, type WorkflowBundle } from "@temporalio/worker";
import { afterAll, describe, expect, it } from "vitest";
import { DATA_CONVERTER } from "../../api/payload-codec.ts";
import { kafkaBrokers, temporalServer } from "../fixtures/services.ts";
import { bundleFile } from "../workflow/engine.ts";
import { useEngine } from "../workflow/kit.ts";
import { type RecordedHistory, recordedHistories, replayable } from "./histories.ts";
import { openEngineOptions, RECORDED } from "./plans.ts";
import { TOGETHER } from "./plans-together.ts";
import { recordContinued } from "./record-continued.ts";
import { recordOwners } from "./record-owners.ts";
import { recordRuns } from "./record-runs.ts";

const { options, close } = await openEngineOptions();
afterAll(close);
const engine = useEngine(options);

/** Errors by name of the history; undefined for one that replayed. */
const replay = async (
  workflowBundle: WorkflowBundle,
  histories: readonly RecordedHistory[],
): Promise<Readonly<Record<string, Error | undefined>>> => {
  const errors: Record<string, Error | undefined> = {};
  // They come back in order.
  const names = histories.map(({ name }) => name).values();
  for await (const { error } of Worker.runReplayHistories({ workflowBundle, dataConverter: DATA_CONVERTER }, replayable(histories)))
    errors[names.next().value ?? ""] = error;
  return errors;
};

describe("the replay gate", () => {
  it("replays every history that a run of today leaves, and rejects each with a workflow that is wrong on purpose", async () => {
    const [runs, owners, continued] = await Promise.all([
      recordRuns(engine()),
      recordOwners(temporalServer().address, kafkaBrokers()),
      recordContinued(),
    ]);
    const histories = [...runs, ...owners, ...continued];
    const names = histories.map(({ name }) => name);
    expect(names).toEqual(
      expect.arrayContaining([
        ...Object.keys(RECORDED),
        ...Object.keys(TOGETHER),
        "for-each.1-mapped",
        "limited-items.1-mapped",
        "slots.1-pool",
        "sub-pipeline.1-run",
        "windows-and-fail-fast.1-window",
        "trigger-of-files",
        "trigger-of-stream",
        "trigger-of-assets",
        "trigger-of-webhooks",
        "backfill",
        "late-report",
        "inspect-check",
        ...["run", "beside", "mapped", "pool", "trigger", "backfill"].flatMap((type) => [`continued-${type}.1`, `continued-${type}.2`]),
      ]),
    );
    expect(await replay(engine().bundle, histories)).toEqual(Object.fromEntries(names.map((name) => [name, undefined])));
    const wrong = await replay(await bundleFile(path.join(import.meta.dirname, "wrong-workflows.ts")), histories);
    for (const name of names) expect(wrong[name], name).toBeInstanceOf(DeterminismViolationError);
  }, 600_000);

  const recorded = recordedHistories();
  // Before anything has landed there is nothing to hold later code against; once the folder exists it may not be empty.
  if (recorded !== undefined) {
    it("replays every history that earlier code has recorded", async () => {
      expect(recorded.length).toBeGreaterThan(0);
      expect(await replay(engine().bundle, recorded)).toEqual(Object.fromEntries(recorded.map(({ name }) => [name, undefined])));
    });
  }
});

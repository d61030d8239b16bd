// Makes workflows of each kind that continue as new, on a server that suggests it early: their histories stay small.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Client } from "@temporalio/client";
import { freePort } from "../../bin/ports.ts";
import { findTemporal, startTemporal } from "../../bin/services/temporal.ts";
import { backfillWorkflowId, poolWorkflowId, triggerWorkflowId } from "../../core/ids.ts";
import { planOf } from "../core/runs.ts";
import { executionsOf } from "../faults/histories.ts";
import { freshPipeline, sendEvent, startWhole, succeeded } from "../integration/whole-kit.ts";
import { startEngine } from "../workflow/engine.ts";
import { until } from "../workflow/kit.ts";
import type { RecordedHistory } from "./histories.ts";
import { openEngineOptions } from "./plans.ts";

/** Events after which the server suggests it; it says so in the history, so that a replay does the same. */
const SUGGESTED_AT = 40;
/** Of each chain: the rest is the same again. */
const MOST_EXECUTIONS = 3;

/** So that a run whose history is long goes on beside it. */
const LONG_MS = 8_000;

const recordChain = async (client: Client, name: string, workflowId: string): Promise<readonly RecordedHistory[]> => {
  let executions = await executionsOf(client, workflowId);
  await until(`${name} has continued as new`, async () => (executions = await executionsOf(client, workflowId)).length > 1);
  // The last one may have done nothing yet.
  const begun = executions.filter(({ events }) => events?.some((event) => event.workflowTaskCompletedEventAttributes));
  return begun.slice(0, MOST_EXECUTIONS).map((history, index) => ({ name: `${name}.${index + 1}`, history }));
};

export const recordContinued = async (): Promise<readonly RecordedHistory[]> => {
  const folder = mkdtempSync(path.join(tmpdir(), "downbeat-continued-"));
  const found = await findTemporal(() => undefined, { ...process.env, TEMPORAL_ADDRESS: "" });
  if (found.kind === "address") throw new Error("a server of its own is needed");
  const temporal = await startTemporal({
    program: found.path,
    logFile: path.join(folder, "temporal.log"),
    port: await freePort(),
    settings: [`limit.historyCount.suggestContinueAsNew=${SUGGESTED_AT}`],
  });
  try {
    return (await Promise.all([recordTasks(temporal.address), recordOwners(temporal.address)])).flat();
  } finally {
    await temporal.stop();
    rmSync(folder, { recursive: true, force: true });
  }
};

const recordTasks = async (address: string): Promise<readonly RecordedHistory[]> => {
  const { options, close } = await openEngineOptions();
  const engine = await startEngine(address, options);
  const own = { operator: "activity", activity: { name: "echo", input: null } } as const;
  try {
    const chain = Array.from({ length: 20 }, (_, index) => [`t${index}`, { ...own, ...(index === 0 ? {} : { needs: [`t${index - 1}`] }) }]);
    const run = await engine.run(planOf(Object.fromEntries(chain)));
    const beside = await engine.run(planOf({ long: {}, ...Object.fromEntries(chain) }), {
      verbs: {
        long: async () => {
          await pause(LONG_MS);
          return { output: null };
        },
      },
    });
    const each = { loops: [{ as: "n", in: { range: { from: 1, to: 20, step: 1 } } }], window: 2, maxFailures: 0 };
    const mapped = await engine.run(planOf({ many: { ...own, queue: engine.queue, forEach: each } }));
    const pipeline = "recorded-limited";
    const limited = { ...planOf({ a: own }), concurrency: { maxRuns: 1, strategy: "queue" } as const };
    for (let number = 0; number < 12; number += 1) await engine.run(limited, { pipeline });
    return [
      ...(await recordChain(engine.client, "continued-run", run.id)),
      ...(await recordChain(engine.client, "continued-beside", beside.id)),
      ...(await recordChain(engine.client, "continued-mapped", `${mapped.id}/many#1`)),
      ...(await recordChain(engine.client, "continued-pool", poolWorkflowId(`pipeline/${pipeline}`))),
    ];
  } finally {
    await engine.stop();
    await close();
  }
};

const recordOwners = async (address: string): Promise<readonly RecordedHistory[]> => {
  const kit = await startWhole(address);
  const pipeline = freshPipeline();
  try {
    const definition = {
      apiVersion: "downbeat/v1",
      name: pipeline,
      triggers: [{ name: "push", webhook: { secret: { env: "S" } } }],
      tasks: [{ id: "tell", activity: { name: "see", input: null } }],
    };
    await kit.call("PUT", `/v1/pipelines/${pipeline}`, definition);
    for (let event = 1; event <= 12; event += 1) {
      await sendEvent(kit, { pipeline }, String(event));
      await succeeded(kit, pipeline, event);
    }
    const range = { from: "2026-03-01", to: "2026-03-13", every: "day", by: "ada", concurrency: 2 };
    const { id } = await kit.call<{ readonly id: string }>("POST", `/v1/pipelines/${pipeline}/backfills`, range);
    await succeeded(kit, pipeline, 24);
    return [
      ...(await recordChain(kit.client, "continued-trigger", triggerWorkflowId({ pipeline, name: "push" }))),
      ...(await recordChain(kit.client, "continued-backfill", backfillWorkflowId(pipeline, id))),
    ];
  } finally {
    await kit.stop();
  }
};

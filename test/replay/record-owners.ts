// Makes a backfill, a schedule's firing and event triggers of each kind that an owner watches, in Downbeat as a whole, and takes the histories of what they leave.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { backfillWorkflowId, runWorkflowId, triggerWorkflowId } from "../../core/ids.ts";
import { freshPipeline, runsOf, startWhole, type WholeKit } from "../integration/whole-kit.ts";
import { until } from "../workflow/kit.ts";
import type { RecordedHistory } from "./histories.ts";

interface Listed {
  readonly items: readonly { readonly id: string; readonly status: string; readonly trigger: string }[];
}

const definition = (name: string, more = ""): string => `apiVersion: downbeat/v1
name: ${name}
tasks:
  - { id: tell, activity: { name: see, input: { of: ${name} } } }
${more}`;

/** `address`: of Temporal. */
export const recordOwners = async (address: string): Promise<readonly RecordedHistory[]> => {
  const kit = await startWhole(address);
  try {
    return [...(await recordTriggers(kit)), ...(await recordBackfill(kit))];
  } finally {
    await kit.stop();
  }
};

const fetched = async (kit: WholeKit, name: string, workflowId: string): Promise<RecordedHistory> => ({
  name,
  history: await kit.client.workflow.getHandle(workflowId).fetchHistory(),
});

/** At least: how events meet in batches is a matter of time. */
const hasRuns = (kit: WholeKit, pipeline: string, count: number): Promise<void> =>
  until(`${count} runs of ${pipeline} have succeeded`, async () => {
    const runs = await runsOf(kit, pipeline);
    return runs.filter(({ status }) => status === "succeeded").length >= count;
  });

const recordTriggers = async (kit: WholeKit): Promise<readonly RecordedHistory[]> => {
  const upstream = freshPipeline("up");
  const listener = freshPipeline("down");
  const triggers = `triggers:
  - { name: ends, pipeline: { name: ${upstream} }, batch: { max: 2, within: 2s } }
  - { name: arrivals, files: { glob: "${listener}/*.csv", every: 1s, existing: true }, debounce: 1s }
`;
  mkdirSync(path.join(kit.dataDir, listener));
  await kit.call("PUT", `/v1/pipelines/${upstream}`, definition(upstream));
  await kit.call("PUT", `/v1/pipelines/${listener}`, definition(listener, triggers));
  for (let run = 0; run < 3; run += 1) await kit.call("POST", `/v1/pipelines/${upstream}/runs`, {});
  await hasRuns(kit, listener, 2);
  writeFileSync(path.join(kit.dataDir, listener, "one.csv"), "1");
  await hasRuns(kit, listener, 3);
  for (const action of ["pause", "resume"]) await kit.call("POST", `/v1/pipelines/${listener}/triggers/ends/${action}`, {});
  const { items } = await kit.call<Listed>("GET", `/v1/runs?pipeline=${listener}`);
  return Promise.all([
    fetched(kit, "trigger-of-ends", triggerWorkflowId({ pipeline: listener, name: "ends" })),
    fetched(kit, "trigger-of-files", triggerWorkflowId({ pipeline: listener, name: "arrivals" })),
    fetched(kit, "run-of-event", runWorkflowId(listener, items[0]?.id ?? "")),
  ]);
};

const recordBackfill = async (kit: WholeKit): Promise<readonly RecordedHistory[]> => {
  const pipeline = freshPipeline("filled");
  await kit.call("PUT", `/v1/pipelines/${pipeline}`, definition(pipeline, "concurrency: { max_runs: 2, strategy: queue }\n"));
  const range = { from: "2026-03-01", to: "2026-03-09", every: "day", by: "ada", concurrency: 1 };
  let isHeld = true;
  kit.whileSeen = async () => {
    await until("it is let go", () => !isHeld);
    return null;
  };
  const { id } = await kit.call<{ readonly id: string }>("POST", `/v1/pipelines/${pipeline}/backfills`, range);
  const act = (action: string, body: object = {}): Promise<unknown> =>
    kit.call("POST", `/v1/backfills/${id}/${action}`, { by: "ada", why: "to record it", ...body });
  await act("pause");
  await kit.call("PATCH", `/v1/backfills/${id}`, { concurrency: 3, by: "ada" });
  await act("skip", { from: "2026-03-04", to: "2026-03-06" });
  await act("resume");
  isHeld = false;
  await until("the backfill has ended", async () => {
    const { status } = await kit.call<{ readonly status: string }>("GET", `/v1/backfills/${id}`);
    return status === "succeeded";
  });
  const { items } = await kit.call<Listed>("GET", `/v1/runs?backfill=${id}`);
  return Promise.all([
    fetched(kit, "backfill", backfillWorkflowId(pipeline, id)),
    fetched(kit, "run-of-backfill", runWorkflowId(pipeline, items[0]?.id ?? "")),
  ]);
};

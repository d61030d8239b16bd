// Makes what runs alone do not, in Downbeat as a whole, and takes the histories: backfills, owners of event triggers, a look at a connection, a late report.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { ApplicationFailure, Context } from "@temporalio/activity";
import { Admin, Producer } from "@platformatic/kafka";
import { backfillWorkflowId, lateReportWorkflowId, runWorkflowId, triggerWorkflowId } from "../../core/ids.ts";
import { freshPipeline, runsOf, sendEvent, startWhole, type WholeKit } from "../integration/whole-kit.ts";
import { until } from "../workflow/kit.ts";
import type { RecordedHistory } from "./histories.ts";

interface Listed {
  readonly items: readonly { readonly id: string; readonly status: string; readonly trigger: string }[];
}

const definition = (name: string, more = "", ofTask = ""): string => `apiVersion: downbeat/v1
name: ${name}
tasks:
  - { id: tell, activity: { name: see, input: { of: ${name} } }${ofTask} }
${more}`;

/** `address`: of Temporal. `brokers`: of Kafka. */
export const recordOwners = async (address: string, brokers: readonly string[]): Promise<readonly RecordedHistory[]> => {
  const kit = await startWhole(address);
  try {
    return [
      ...(await recordTriggers(kit)),
      ...(await recordStream(kit, brokers)),
      ...(await recordBackfill(kit)),
      ...(await recordStoppedBackfill(kit)),
      ...(await recordLooks(kit)),
      ...(await recordLateReport(kit)),
    ];
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
  - { name: fresh, assets: { all_of: ["recorded/${upstream}"] }, debounce: 1s }
  - { name: push, webhook: { secret: { env: S } } }
  - { name: arrivals, files: { glob: "${listener}/*.csv", every: 1s, existing: true }, debounce: 1s }
`;
  mkdirSync(path.join(kit.dataDir, listener));
  await kit.call("PUT", `/v1/pipelines/${upstream}`, definition(upstream, "", `, assets: ["recorded/${upstream}"]`));
  await kit.call("PUT", `/v1/pipelines/${listener}`, definition(listener, triggers));
  for (let run = 0; run < 3; run += 1) await kit.call("POST", `/v1/pipelines/${upstream}/runs`, {});
  await hasRuns(kit, listener, 3);
  writeFileSync(path.join(kit.dataDir, listener, "one.csv"), "1");
  await sendEvent(kit, { pipeline: listener, trigger: "push" }, "one");
  await hasRuns(kit, listener, 5);
  for (const action of ["pause", "resume"]) await kit.call("POST", `/v1/pipelines/${listener}/triggers/ends/${action}`, {});
  const { items } = await kit.call<Listed>("GET", `/v1/runs?pipeline=${listener}`);
  return Promise.all([
    fetched(kit, "trigger-of-ends", triggerWorkflowId({ pipeline: listener, name: "ends" })),
    fetched(kit, "trigger-of-assets", triggerWorkflowId({ pipeline: listener, name: "fresh" })),
    fetched(kit, "trigger-of-webhooks", triggerWorkflowId({ pipeline: listener, name: "push" })),
    fetched(kit, "trigger-of-files", triggerWorkflowId({ pipeline: listener, name: "arrivals" })),
    fetched(kit, "run-of-event", runWorkflowId(listener, items[0]?.id ?? "")),
  ]);
};

const recordStream = async (kit: WholeKit, brokers: readonly string[]): Promise<readonly RecordedHistory[]> => {
  const pipeline = freshPipeline("stream");
  const kafka = { clientId: "recorder", bootstrapBrokers: [...brokers] };
  const admin = new Admin(kafka);
  await admin.createTopics({ topics: [pipeline], partitions: 1, replicas: 1 });
  await admin.close();
  await kit.call("PUT", `/v1/connections/${pipeline}`, { kind: "kafka", config: { brokers } });
  const trigger = `triggers: [{ name: look, stream: { connection: ${pipeline}, stream: ${pipeline}, every: 1s, from: earliest } }]\n`;
  await kit.call("PUT", `/v1/pipelines/${pipeline}`, definition(pipeline, trigger));
  const producer = new Producer({ ...kafka, idempotent: true });
  await producer.send({ messages: [{ topic: pipeline, value: Buffer.from("{}") }] });
  await producer.close();
  await hasRuns(kit, pipeline, 1);
  return [await fetched(kit, "trigger-of-stream", triggerWorkflowId({ pipeline, name: "look" }))];
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

/** It stops after a failure, is told to try again, and is cancelled with what goes on. */
const recordStoppedBackfill = async (kit: WholeKit): Promise<readonly RecordedHistory[]> => {
  const pipeline = freshPipeline("stopped");
  await kit.call("PUT", `/v1/pipelines/${pipeline}`, definition(pipeline, "defaults: { retry: { attempts: 1 } }\n"));
  const range = { from: "2026-03-01", to: "2026-03-06", every: "day", by: "ada", concurrency: 2, stop_after_failures: 1 };
  const work = { fails: true };
  kit.whileSeen = async () => {
    if (work.fails) throw ApplicationFailure.nonRetryable("to record it");
    // Until it is cancelled.
    await Context.current().cancelled;
    return null;
  };
  const { id } = await kit.call<{ readonly id: string }>("POST", `/v1/pipelines/${pipeline}/backfills`, range);
  const isAt = (wanted: string): Promise<void> =>
    until(`the backfill is ${wanted}`, async () => {
      const { status } = await kit.call<{ readonly status: string }>("GET", `/v1/backfills/${id}`);
      return status === wanted;
    });
  await isAt("paused");
  work.fails = false;
  await kit.call("POST", `/v1/backfills/${id}/retry`, { by: "ada" });
  await kit.call("POST", `/v1/backfills/${id}/resume`, { by: "ada" });
  await until("its runs go on", async () => (await runsOf(kit, pipeline)).some(({ status }) => status === "running"));
  await kit.call("POST", `/v1/backfills/${id}/cancel`, { by: "ada", runs: true });
  await isAt("cancelled");
  return [await fetched(kit, "stopped-backfill", backfillWorkflowId(pipeline, id))];
};

const recordLooks = async (kit: WholeKit): Promise<readonly RecordedHistory[]> => {
  const name = freshPipeline("files");
  await kit.call("PUT", `/v1/connections/${name}`, { kind: "file", config: { root: "." } });
  const recorded: RecordedHistory[] = [];
  for (const kind of ["check", "discover"] as const) {
    await kit.call("POST", `/v1/connections/${name}/${kind}`, {});
    recorded.push(await listed(kit, `inspect-${kind}`, `WorkflowId STARTS_WITH "downbeat/${kind}/${name}/"`));
  }
  return recorded;
};

/** Of a workflow whose id nobody is told: lists learn of it a moment later. */
const listed = async (kit: WholeKit, name: string, query: string): Promise<RecordedHistory> => {
  let id: string | undefined;
  await until(`${name} is listed`, async () => {
    for await (const { workflowId } of kit.client.workflow.list({ query })) id = workflowId;
    return id !== undefined;
  });
  return fetched(kit, name, id ?? "");
};

/** Of a run that ends while the store is away. */
const recordLateReport = async (kit: WholeKit): Promise<readonly RecordedHistory[]> => {
  const pipeline = freshPipeline("late");
  await kit.call("PUT", `/v1/pipelines/${pipeline}`, definition(pipeline));
  kit.whileSeen = () => {
    kit.storeIsAway = true;
    return Promise.resolve(null);
  };
  const { id } = await kit.call<{ readonly id: string }>("POST", `/v1/pipelines/${pipeline}/runs`, {});
  await kit.client.workflow.getHandle(runWorkflowId(pipeline, id)).result();
  kit.storeIsAway = false;
  const handle = kit.client.workflow.getHandle(lateReportWorkflowId(id));
  await handle.result();
  return [await fetched(kit, "late-report", handle.workflowId)];
};

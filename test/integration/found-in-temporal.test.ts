// What Temporal's UI finds of a pipeline: every workflow that belongs to it, each with a summary, a memo and its details in words.

import { afterAll, beforeAll, expect, it } from "vitest";
import { freshPipeline, startWhole, succeeded, type WholeKit } from "./whole-kit.ts";
import { until } from "../workflow/kit.ts";

let kit: WholeKit;
beforeAll(async () => {
  kit = await startWhole();
});
afterAll(() => kit?.stop());

interface Found {
  readonly id: string;
  readonly type: string;
  readonly memo: unknown;
}

const find = async (query: string): Promise<readonly Found[]> => {
  const found: Found[] = [];
  for await (const { workflowId, type, memo } of kit.client.workflow.list({ query })) found.push({ id: workflowId, type, memo });
  return found;
};

interface Metadata {
  readonly currentDetails?: string;
}

const inWords = async (id: string) => {
  const handle = kit.client.workflow.getHandle(id);
  const [described, { currentDetails }] = await Promise.all([handle.describe(), handle.query<Metadata>("__temporal_workflow_metadata")]);
  return { summary: await described.staticSummary(), details: currentDetails };
};

it("everything that belongs to a pipeline is found by its name, and says what it is", async () => {
  const pipeline = freshPipeline();
  await kit.call(
    "PUT",
    `/v1/pipelines/${pipeline}`,
    `apiVersion: downbeat/v1
name: ${pipeline}
concurrency: { max_runs: 5 }
triggers: [{ name: hook, webhook: { secret: { env: ANY }, signature: github } }]
tasks: [{ id: many, for_each: { in: [1, 2] }, activity: { name: see, input: null } }]
`,
  );
  await kit.call("POST", `/v1/pipelines/${pipeline}/runs`, {});
  await succeeded(kit, pipeline, 1);
  await kit.call("POST", `/v1/pipelines/${pipeline}/backfills`, { from: "2026-03-01", to: "2026-03-03", every: "day", by: "ada" });
  await succeeded(kit, pipeline, 3);
  // A run whose end the store does not take.
  let isHeld = true;
  kit.whileSeen = async () => {
    await until("it is let go", () => !isHeld);
    return null;
  };
  const { id: late } = await kit.call<{ readonly id: string }>("POST", `/v1/pipelines/${pipeline}/runs`, {});
  await until(
    "it is at its items",
    async () => (await kit.call<{ readonly status: string }>("GET", `/v1/runs/${late}`)).status === "running",
  );
  kit.storeIsAway = true;
  isHeld = false;
  try {
    const types = ["backfill", "lateReport", "mapped", "pool", "run", "trigger"];
    const ofPipeline = () => find(`DownbeatPipeline = "${pipeline}"`);
    await until("all are listed", async () => new Set((await ofPipeline()).map(({ type }) => type)).size === types.length);
    const found = Object.fromEntries((await ofPipeline()).map((one) => [one.type, one]));
    expect(Object.keys(found).sort()).toEqual(types);
    for (const { id, type, memo } of Object.values(found)) {
      expect(memo, type).not.toEqual({});
      expect(await inWords(id), type).toEqual({ summary: expect.stringMatching(/./), details: expect.stringMatching(/./) });
    }
    expect(found["lateReport"]?.memo).toEqual({ pipeline, run: late });
    expect(found["pool"]?.memo).toEqual({ pool: `pipeline/${pipeline}` });
  } finally {
    kit.storeIsAway = false;
  }
  await succeeded(kit, pipeline, 4);
});

it("a look at a connection says which", async () => {
  const name = freshPipeline("files");
  await kit.call("PUT", `/v1/connections/${name}`, { kind: "file", config: { root: "." } });
  await kit.call("POST", `/v1/connections/${name}/check`, {});
  let looks: readonly Found[] = [];
  await until("it is listed", async () => (looks = await find(`WorkflowId STARTS_WITH "downbeat/check/${name}/"`)).length > 0);
  expect(looks).toMatchObject([{ type: "inspect", memo: { kind: "check", connection: name } }]);
  expect(await inWords(looks[0]?.id ?? "")).toEqual({ summary: `check ${name}`, details: `a worker tries connection ${name}` });
});

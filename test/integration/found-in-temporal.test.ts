// What Temporal's UI finds of a pipeline: every workflow that belongs to it, each with a summary, a memo and its details in words.

import { afterAll, beforeAll, expect, it } from "vitest";
import { backfillWorkflowId, poolWorkflowId, runWorkflowId, windowWorkflowId } from "../../core/ids.ts";
import * as workflows from "../../workflows/index.ts";
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
  const range = { from: "2026-03-01", to: "2026-03-03", every: "day", by: "ada" };
  const { id: backfill } = await kit.call<{ readonly id: string }>("POST", `/v1/pipelines/${pipeline}/backfills`, range);
  await succeeded(kit, pipeline, 3);
  const ofBackfill = async () => (await find(`DownbeatBackfill = "${backfill}"`)).map(({ id }) => id);
  const ids = [backfillWorkflowId(pipeline, backfill), ...[0, 1].map((partition) => runWorkflowId(pipeline, `${backfill}.${partition}`))];
  await until("the backfill and its runs are listed", async () => (await ofBackfill()).length >= ids.length);
  expect((await ofBackfill()).toSorted()).toEqual(ids);
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
    // Windows and looks at connections have tests of their own.
    const types = Object.keys(workflows)
      .filter((type) => !["window", "inspect"].includes(type))
      .toSorted();
    const ofPipeline = () => find(`DownbeatPipeline = "${pipeline}"`);
    await until("all are listed", async () => new Set((await ofPipeline()).map(({ type }) => type)).size === types.length);
    const found = Object.fromEntries((await ofPipeline()).map((one) => [one.type, one]));
    expect(Object.keys(found).toSorted()).toEqual(types);
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

it("a window says of which run it is, and how its attempts stand", async () => {
  const pipeline = freshPipeline();
  const tasks = Array.from({ length: 1_200 }, (_, index) => ({ id: `t${index}`, activity: { name: "see", input: null } }));
  await kit.call("PUT", `/v1/pipelines/${pipeline}`, JSON.stringify({ apiVersion: "downbeat/v1", name: pipeline, tasks }));
  let letGo = (): void => undefined;
  const isLetGo = new Promise<null>((resolve) => (letGo = () => resolve(null)));
  kit.whileSeen = () => isLetGo;
  const { id: run } = await kit.call<{ readonly id: string }>("POST", `/v1/pipelines/${pipeline}/runs`, {});
  const [runs, id] = [runWorkflowId(pipeline, run), windowWorkflowId(runWorkflowId(pipeline, run), 1)];
  try {
    const windows = () => find(`DownbeatPipeline = "${pipeline}" AND WorkflowType = "window"`);
    await until("its window is listed", async () => (await windows()).length === 1);
    expect(await windows()).toMatchObject([{ id, memo: { pipeline, run } }]);
    expect(await inWords(id)).toEqual({
      summary: "600 tasks, t0 to t599",
      details: expect.stringMatching(new RegExp(`^window 1 of ${runs}: of 600 attempts 0 ended, \\d+ run, \\d+ begin later$`)) as string,
    });
  } finally {
    await kit.client.workflow.getHandle(runs).terminate("seen");
    letGo();
    kit.whileSeen = () => Promise.resolve(null);
  }
});

it("a run that waits for its turn says so, and is found while it does", async () => {
  const pipeline = freshPipeline();
  await kit.call(
    "PUT",
    `/v1/pipelines/${pipeline}`,
    `apiVersion: downbeat/v1
name: ${pipeline}
concurrency: { max_runs: 1 }
tasks: [{ id: look, activity: { name: see, input: null } }]
`,
  );
  let letGo = (): void => undefined;
  const isLetGo = new Promise<null>((resolve) => (letGo = () => resolve(null)));
  kit.whileSeen = () => isLetGo;
  try {
    const begin = async (): Promise<string> => (await kit.call<{ readonly id: string }>("POST", `/v1/pipelines/${pipeline}/runs`, {})).id;
    const first = await begin();
    const statusOf = async (run: string) =>
      (await kit.call<{ readonly tasks: readonly { readonly status: string }[] }>("GET", `/v1/runs/${run}`)).tasks[0]?.status;
    // What the worker has seen may be of a run that a test before has ended.
    await until("the first has its turn", async () => (await statusOf(first)) === "running");
    const second = await begin();
    const waiting = () => find(`DownbeatPipeline = "${pipeline}" AND DownbeatStatus = "waiting"`);
    const id = runWorkflowId(pipeline, second);
    // The first waited too, until it was told of its turn; lists may tell of that a little longer.
    await until("the second alone waits", async () => (await waiting()).map((one) => one.id).join() === id);
    const { details } = await inWords(id);
    expect(details).toMatch(`waits for its turn: of ${pipeline} at most 1 runs go on at the same time`);
    letGo();
    await succeeded(kit, pipeline, 2);
    await until("none waits", async () => (await waiting()).length === 0);
    expect((await inWords(id)).details).toBe("**succeeded**");
  } finally {
    letGo();
    kit.whileSeen = () => Promise.resolve(null);
  }
});

it("a look at a connection and the owner of its slots say which", async () => {
  const name = freshPipeline("files");
  await kit.call("PUT", `/v1/connections/${name}`, { kind: "file", config: { root: "." } });
  await kit.call("PATCH", `/v1/connections/${name}`, { max_concurrent: 2 });
  await kit.call("POST", `/v1/connections/${name}/check`, {});
  let looks: readonly Found[] = [];
  const both = async () =>
    (looks = (await find(`DownbeatConnection = "${name}"`)).toSorted((one, other) => one.type.localeCompare(other.type)));
  await until("they are listed", async () => (await both()).length === 2);
  expect(looks).toMatchObject([
    { type: "inspect", memo: { kind: "check", connection: name } },
    { type: "pool", id: poolWorkflowId(`connection/${name}`), memo: { pool: `connection/${name}` } },
  ]);
  expect(await inWords(looks[0]?.id ?? "")).toEqual({ summary: `check ${name}`, details: `a worker tries connection ${name}` });
});

it("the owner of a pool's slots is found by the pool", async () => {
  const pool = freshPipeline("few");
  await kit.call("PUT", `/v1/pools/${pool}`, { slots: 2 });
  const owners = () => find(`DownbeatPool = "${pool}"`);
  await until("it is listed", async () => (await owners()).length > 0);
  expect(await owners()).toMatchObject([{ type: "pool", id: poolWorkflowId(pool), memo: { pool } }]);
});

// No history of an owner grows beyond its limit: a trigger under many events, a backfill of many partitions.

import { afterAll, beforeAll, expect, it } from "vitest";
import { waitUntil } from "../../bin/services/wait.ts";
import { backfillWorkflowId, triggerWorkflowId } from "../../core/ids.ts";
import { historyLengthsOf, MOST_EVENTS } from "../faults/histories.ts";
import { freshPipeline, sendEvent, startWhole, succeeded, type WholeKit } from "./whole-kit.ts";

let kit: WholeKit;
beforeAll(async () => {
  kit = await startWhole();
});
afterAll(() => kit?.stop());

const deploy = (name: string, more = ""): Promise<unknown> =>
  kit.call(
    "PUT",
    `/v1/pipelines/${name}`,
    `apiVersion: downbeat/v1\nname: ${name}\n${more}tasks: [{ id: tell, activity: { name: see, input: null } }]\n`,
  );

const EVENTS = 2_400;
const SENDERS = 20;

it("of a trigger that takes thousands of events", async () => {
  const pipeline = freshPipeline();
  await deploy(pipeline, `triggers: [{ name: push, webhook: { secret: { env: S } }, batch: { max: ${EVENTS / 3}, within: 1m } }]\n`);
  await Promise.all(
    Array.from({ length: SENDERS }, async (_, sender) => {
      for (let event = sender; event < EVENTS; event += SENDERS) await sendEvent(kit, { pipeline }, String(event));
    }),
  );
  await succeeded(kit, pipeline, 3);
  const lengths = await historyLengthsOf(kit.client, triggerWorkflowId({ pipeline, name: "push" }));
  expect(Math.max(...lengths), JSON.stringify(lengths)).toBeLessThan(MOST_EVENTS);
}, 300_000);

it("of a backfill of hundreds of partitions", async () => {
  const pipeline = freshPipeline();
  await deploy(pipeline);
  const range = { from: "2026-01-01", to: "2026-01-26", every: "1h", by: "ada", concurrency: 50 };
  const { id } = await kit.call<{ readonly id: string }>("POST", `/v1/pipelines/${pipeline}/backfills`, range);
  await waitUntil(
    async () => {
      const { status } = await kit.call<{ readonly status: string }>("GET", `/v1/backfills/${id}`);
      if (status !== "succeeded") throw new Error(`it is ${status}`);
    },
    { timeoutMs: 240_000 },
  );
  const lengths = await historyLengthsOf(kit.client, backfillWorkflowId(pipeline, id));
  expect(Math.max(...lengths), JSON.stringify(lengths)).toBeLessThan(MOST_EVENTS);
}, 300_000);

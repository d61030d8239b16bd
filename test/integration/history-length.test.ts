// No history of an owner grows beyond its limit: a trigger under many events. Of a backfill backfills.test.ts tells.

import { afterAll, beforeAll, expect, it } from "vitest";
import { triggerWorkflowId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import { fillHistory, historyLengthsOf } from "../faults/histories.ts";
import { freshPipeline, sendEvent, startWhole, succeeded, type WholeKit } from "./whole-kit.ts";

let kit: WholeKit;
beforeAll(async () => {
  kit = await startWhole();
});
afterAll(() => kit?.stop());

const EVENTS = 600;
const SENDERS = 20;

it("of a trigger that takes thousands of signals among its events: it continues as new, and each event has its run", async () => {
  const pipeline = freshPipeline();
  const trigger = `triggers: [{ name: push, webhook: { secret: { env: S } }, batch: { max: ${EVENTS / 3}, within: 1h } }]`;
  const tasks = "tasks: [{ id: tell, activity: { name: see, input: null } }]";
  await kit.call("PUT", `/v1/pipelines/${pipeline}`, `apiVersion: downbeat/v1\nname: ${pipeline}\n${trigger}\n${tasks}\n`);
  const send = (from: number, to: number): Promise<unknown> =>
    Promise.all(
      Array.from({ length: SENDERS }, async (_, sender) => {
        for (let event = from + sender; event < to; event += SENDERS) await sendEvent(kit, { pipeline }, String(event));
      }),
    );
  const id = triggerWorkflowId({ pipeline, name: "push" });
  await send(0, SENDERS);
  // Signals that it does not know make a history as long as events do, which are a request and a row each.
  const handle = kit.client.workflow.getHandle(id);
  let sent = SENDERS;
  // Events wake it up, and then it looks how long its history is.
  const sendSome = (): Promise<unknown> => send(sent, (sent += 5));
  await fillHistory(() => handle.signal("unknown"), sendSome);
  await send(sent, EVENTS);
  await succeeded(kit, pipeline, 3);
  const lengths = await historyLengthsOf(kit.client, id);
  expect(lengths.length, JSON.stringify(lengths)).toBeGreaterThan(1);
  expect(Math.max(...lengths), JSON.stringify(lengths)).toBeLessThan(LIMITS.historyEvents);
}, 300_000);

// Events keep coming while worker, API, store and Temporal are killed: each event has one run, and none has two.

import { createHmac } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { VICTIMS, World } from "../faults/world.ts";
import { waitUntil } from "../../bin/services/wait.ts";

const SECRET = "a secret of the test";

let world: World;
beforeAll(async () => {
  process.env["TRIGGER_KILLS_SECRET"] = SECRET;
  world = await World.start(mkdtempSync(path.join(tmpdir(), "downbeat-trigger-kills-")), () => undefined);
}, 120_000);
afterAll(() => world?.close(), 60_000);

/** As senders do: until it is taken. */
const send = async (n: number): Promise<void> => {
  const body = JSON.stringify({ n });
  const patience = Date.now() + 60_000;
  for (;;) {
    const timestamp = String(Math.floor(Date.now() / 1_000));
    const signature = createHmac("sha256", SECRET).update(`e${n}.${timestamp}.${body}`).digest("base64");
    const headers = { "webhook-id": `e${n}`, "webhook-timestamp": timestamp, "webhook-signature": `v1,${signature}` };
    const answer = await fetch(`${world.url}/v1/hooks/killed/push`, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json" },
      body,
    }).catch((error: unknown) => String(error));
    if (typeof answer !== "string" && answer.status === 202) return;
    if (Date.now() > patience) throw new Error(typeof answer === "string" ? answer : `${answer.status} ${await answer.text()}`);
    await pause(200);
  }
};

/** That are sent around each kill. */
const EVENTS = 40;

interface Run {
  readonly status: string;
  readonly params: { readonly n: number };
}

const succeeded = (count: number): Promise<readonly Run[]> =>
  waitUntil(
    async () => {
      const { items } = await world.call<{ readonly items: readonly Run[] }>("GET", "/v1/runs?pipeline=killed&limit=200");
      const done = items.filter(({ status }) => status === "succeeded").length;
      if (done < count) throw new Error(`of ${items.length} runs ${done} have succeeded, not ${count}`);
      return items;
    },
    { timeoutMs: 120_000 },
  );

it("each event has one run, whatever is killed meanwhile", { timeout: 300_000 }, async () => {
  await world.call("PUT", "/v1/pipelines/killed", {
    apiVersion: "downbeat/v1",
    name: "killed",
    params: { type: "object", properties: { n: { type: "integer" } } },
    triggers: [{ name: "push", webhook: { secret: { env: "TRIGGER_KILLS_SECRET" } }, params: { n: "${{ event.data.n }}" } }],
    tasks: [{ id: "rest", wait: { for: "100ms", deadline: "1m" } }],
  });
  let sent = 0;
  for (const victim of VICTIMS) {
    const sending = (async () => {
      for (const to = sent + EVENTS; sent < to; sent += 1) await Promise.all([send(sent), pause(50)]);
    })();
    await pause((EVENTS * 50) / 3);
    await world.kill(victim);
    await sending;
    // A process that starts without its services ends, and here nobody would start it again: first all are back at work.
    await succeeded(sent);
  }
  world.assertHealthy();
  const runs = await succeeded(sent);
  expect(runs.map(({ params }) => params.n).toSorted((left, right) => left - right)).toEqual(Array.from({ length: sent }, (_, n) => n));
});

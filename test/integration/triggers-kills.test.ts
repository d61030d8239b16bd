// Events keep coming, schedules fire and are changed while worker, API, store and Temporal are killed: each event and each firing has one run,
// none has two, and Temporal has the schedules that the store says.

import { createHmac } from "node:crypto";
import { mkdirSync, mkdtempSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Producer } from "@platformatic/kafka";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ApiError } from "../../bin/api-client.ts";
import { waitUntil } from "../../bin/services/wait.ts";
import { parseScheduleId, scheduleId } from "../../core/ids.ts";
import { type Victim, World } from "../faults/world.ts";
import { freshTopic, type Topic } from "../fixtures/services.ts";

const SECRET = "a secret of the test";

let world: World;
let topic: Topic;
let producer: Producer;
const folder = mkdtempSync(path.join(tmpdir(), "downbeat-trigger-kills-"));
const incoming = path.join(folder, "data/incoming");
beforeAll(async () => {
  process.env["TRIGGER_KILLS_SECRET"] = SECRET;
  world = await World.start(folder, () => undefined, { DOWNBEAT_COMMANDS: "false" });
  topic = await freshTopic(2);
  producer = new Producer({ clientId: "trigger-kills", bootstrapBrokers: [...topic.brokers], idempotent: true });
  mkdirSync(incoming);
}, 120_000);
afterAll(async () => {
  await producer?.close();
  await world?.close();
}, 60_000);

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

/** Messages and files, whose senders need nothing of ours. */
const leave = async (n: number): Promise<void> => {
  await producer.send({ messages: [{ topic: topic.topic, partition: n % 2, value: Buffer.from(JSON.stringify({ n })) }] });
  writeFileSync(path.join(incoming, `.${n}`), String(n));
  renameSync(path.join(incoming, `.${n}`), path.join(incoming, `${n}.csv`));
};

/** That are sent around each kill. */
const EVENTS = 30;
/** One in so many is a message and a file as well; one in so many fails its run. */
const LEFT = 4;
const FAILS = 5;

interface Run {
  readonly id: string;
  readonly status: string;
  readonly params: { readonly of?: string };
  readonly interval: { readonly start: string; readonly end: string } | null;
}

const runsOf = async (pipeline: string): Promise<readonly Run[]> =>
  (await world.call<{ readonly items: readonly Run[] }>("GET", `/v1/runs?pipeline=${pipeline}&limit=200`)).items.toReversed();

/** Once all its runs have ended, and there are as many as there must be. */
const ended = (pipeline: string, count: number): Promise<readonly Run[]> =>
  waitUntil(
    async () => {
      const runs = await runsOf(pipeline);
      const done = runs.filter(({ status }) => ["succeeded", "failed"].includes(status)).length;
      if (done < Math.max(count, runs.length)) throw new Error(`of ${runs.length} runs of ${pipeline} ${done} have ended, not ${count}`);
      return runs;
    },
    { timeoutMs: 120_000 },
  );

/** What each run was started by is another one, and all of them are there. */
const expectOnce = (runs: readonly Run[], wanted: readonly string[]): void =>
  expect(runs.map(({ params }) => params.of ?? "").toSorted()).toEqual(wanted.toSorted());

const define = (name: string, more: Readonly<Record<string, unknown>>, tasks: readonly unknown[] = []): Promise<unknown> =>
  world.call("PUT", `/v1/pipelines/${name}`, {
    apiVersion: "downbeat/v1",
    name,
    params: { type: "object", properties: { of: { type: "string" } } },
    tasks: [{ id: "rest", wait: { for: "100ms", deadline: "1m" } }, ...tasks],
    ...more,
  });
const starts = (name: string, trigger: Readonly<Record<string, unknown>>, of: string, tasks: readonly unknown[] = []) =>
  define(name, { triggers: [{ name: "push", ...trigger, params: { of: `\${{ ${of} }}` } }] }, tasks);

const defineTriggers = async (): Promise<void> => {
  await world.call("PUT", "/v1/connections/broker", { kind: "kafka", config: { brokers: topic.brokers } });
  const fails = { id: "fail", when: 'params.of.endsWith("!")', command: { run: ["false"] }, retry: { attempts: 1 } };
  const name = `string(event.data.n) + (int(event.data.n) % ${FAILS} == 0 ? "!" : "")`;
  await starts("killed", { webhook: { secret: { env: "TRIGGER_KILLS_SECRET" } } }, name, [fails]);
  await starts("follows", { pipeline: { name: "killed" } }, "event.data.run");
  await starts("mourns", { pipeline: { name: "killed", on: "failed" } }, "event.data.run");
  await starts(
    "hears",
    { stream: { connection: "broker", stream: topic.topic, every: "1s", from: "earliest" } },
    "string(event.data.value.n)",
  );
  await starts("finds", { files: { glob: "incoming/*.csv", every: "1s", existing: true } }, "event.data.path");
};

const TICK_MS = 2_000;
/** Of a year that does not come: what is compared does not fire. */
const far = (name: string, hour: number) => ({ name, calendar: { year: 2099, month: 1, day_of_month: 1, hour } });
const nth = (version: number) => ({ schedules: [far("stays", 1), far("changes", version % 24), far(`only-in-${version}`, 2)] });

/** Each by its name, with the version that made it and whether it is paused. */
const inStore = async (): Promise<readonly string[]> => {
  type Schedule = Readonly<Record<"pipeline" | "name" | "version", string>> & { readonly paused: boolean };
  const { items } = await world.call<{ readonly items: readonly Schedule[] }>("GET", "/v1/schedules");
  return items.map((one) => `${one.pipeline}/${one.name} of ${one.version}${one.paused ? ", paused" : ""}`).toSorted();
};
const inTemporal = (): Promise<readonly string[]> =>
  world.withTemporal(async ({ schedule }) => {
    const found: string[] = [];
    for await (const { scheduleId: id } of schedule.list()) {
      const ref = parseScheduleId(id);
      // Lists lag behind: what has been removed may still be there.
      const described = await schedule
        .getHandle(id)
        .describe()
        .catch(() => undefined);
      if (ref === undefined || described === undefined) continue;
      const { action, state } = described;
      found.push(`${ref.pipeline}/${ref.name} of ${String(action.memo?.["version"])}${state.paused ? ", paused" : ""}`);
    }
    return found.toSorted();
  });
/** Sent once more where the answer was lost with the API, it says that there is nothing to do any more. */
const toggle = async (action: "pause" | "resume"): Promise<void> => {
  await world.call("POST", `/v1/pipelines/changed/schedules/stays/${action}`, { by: "the test" }).catch((error: unknown) => {
    if (!(error instanceof ApiError && error.status === 409)) throw error;
  });
};
/** By the API's start, by the change itself, or by the round that comes each minute. */
const agree = (): Promise<void> =>
  waitUntil(
    async () => {
      const [store, temporal] = await Promise.all([inStore(), inTemporal()]);
      if (store.join() !== temporal.join()) throw new Error(`the store has ${store.join("; ")}, Temporal ${temporal.join("; ")}`);
    },
    { timeoutMs: 120_000 },
  );

/** The reconciler's round of each minute is over the first one's damage while others die; what the API starts with mends the last one's. */
const ORDER: readonly Victim[] = ["temporal", "store", "worker", "api"];

it("each event and each firing has one run, and schedules are as they were saved, whatever is killed meanwhile", async () => {
  await defineTriggers();
  await define("ticks", { schedules: [{ name: "tick", every: `${TICK_MS}ms`, overlap: "allow-all" }] });
  await define("changed", nth(1));
  let sent = 0;
  let version = 1;
  for (const victim of ORDER) {
    let isKilling = true;
    const sending = (async () => {
      for (const to = sent + EVENTS; sent < to; sent += 1)
        await Promise.all([send(sent), sent % LEFT === 0 ? leave(sent) : undefined, pause(50)]);
    })();
    const changing = (async () => {
      while (isKilling) {
        version += 1;
        await pause(200);
        await define("changed", nth(version));
        await toggle(version % 2 === 0 ? "pause" : "resume");
      }
    })();
    await pause((EVENTS * 50) / 3);
    await world.kill(victim);
    await sending;
    isKilling = false;
    await changing;
    // A process that starts without its services ends, and here nobody would start it again: first all are back at work.
    await ended("killed", sent);
  }
  await agree();

  // The API dies when the store has a change and Temporal has nothing of it.
  const wake = world.silenceTemporal();
  try {
    const last = define("changed", { schedules: [far("changes", 23), far("new", 3)] }).catch(() => undefined);
    await waitUntil(async () => expect((await inStore()).join()).toContain("changed/new"), { timeoutMs: 30_000 });
    await world.kill("api");
    wake();
    await last;
  } finally {
    wake();
  }
  await agree();
  expect((await inTemporal()).map((one) => one.replace(/ of .*/, ""))).toEqual(["changed/changes", "changed/new", "ticks/tick"]);
  await world.withTemporal(async ({ schedule }) => {
    const { spec } = await schedule.getHandle(scheduleId({ pipeline: "changed", name: "changes" })).describe();
    expect(spec.calendars?.[0]?.hour).toEqual([{ start: 23, end: 23, step: 1 }]);
  });

  const runs = await ended("killed", sent);
  const numbers = Array.from({ length: sent }, (_, n) => n);
  expectOnce(
    runs,
    numbers.map((n) => (n % FAILS === 0 ? `${n}!` : String(n))),
  );
  for (const { status, params } of runs)
    expect([params.of, status]).toEqual([params.of, params.of?.endsWith("!") ? "failed" : "succeeded"]);
  for (const [name, status] of [
    ["follows", "succeeded"],
    ["mourns", "failed"],
  ] as const) {
    const theirs = runs.filter((one) => one.status === status).map(({ id }) => id);
    expectOnce(await ended(name, theirs.length), theirs);
  }
  const left = numbers.filter((n) => n % LEFT === 0);
  expectOnce(await ended("hears", left.length), left.map(String));
  expectOnce(
    await ended("finds", left.length),
    left.map((n) => `incoming/${n}.csv`),
  );

  await define("ticks", { schedules: [] });
  const firings = (await ended("ticks", 1)).map(({ status, interval }) => ({
    status,
    from: Date.parse(interval?.start ?? ""),
    to: Date.parse(interval?.end ?? ""),
  }));
  const [first] = firings.map(({ to }) => to).toSorted();
  expect(firings.length).toBeGreaterThan(5);
  for (const [index, firing] of firings.toSorted((left, right) => left.to - right.to).entries()) {
    const to = (first ?? 0) + index * TICK_MS;
    expect(firing).toEqual({ status: "succeeded", from: to - TICK_MS, to });
  }
  world.assertHealthy();
}, 400_000);

it("of firings that were missed while Temporal was away those come that are within catch_up, and no others", async () => {
  // Long after it has come back the server may still be busy with what it has missed: the younger firing has half a minute for that.
  const everyMs = 45_000;
  await define("late", { schedules: [{ name: "beat", every: "45s", catch_up: "35s" }] });
  await waitUntil(async () => expect((await inTemporal()).join()).toContain("late/beat"), { timeoutMs: 60_000 });
  let missed: number;
  let wake: () => void;
  for (;;) {
    missed = Math.ceil((Date.now() + 3_000) / everyMs) * everyMs;
    await pause(missed - 2_000 - Date.now());
    wake = world.silenceTemporal();
    if (Date.now() < missed) break;
    // This process was kept for too long.
    wake();
  }
  try {
    await pause(missed + everyMs + 4_000 - Date.now());
  } finally {
    wake();
  }
  const momentsOf = async (): Promise<readonly number[]> => (await runsOf("late")).map(({ interval }) => Date.parse(interval?.end ?? ""));
  await waitUntil(async () => expect(await momentsOf()).toContain(missed + everyMs), { timeoutMs: 120_000 });
  expect(await momentsOf()).not.toContain(missed);
  await define("late", { schedules: [] });
}, 400_000);

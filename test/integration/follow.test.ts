// Transfers that follow their source: a topic and a table's changes, through API, worker and Temporal, with rounds of seconds.

import { isDeepStrictEqual } from "node:util";
import { Producer } from "@platformatic/kafka";
import { createConnection, type Connection } from "mysql2/promise";
import { afterAll, beforeAll, expect, it } from "vitest";
import { runWorkflowId } from "../../core/ids.ts";
import { freshMysqlDatabase, freshTopic } from "../fixtures/services.ts";
import { until } from "../workflow/kit.ts";
import { freshPipeline, startWhole, type WholeKit } from "./whole-kit.ts";

let kit: WholeKit;
let mysql: Connection;
const { topic, brokers } = await freshTopic(2);

interface ShownRun {
  readonly id: string;
  readonly status: string;
  readonly tasks: readonly { readonly id: string; readonly status: string; readonly output: unknown; readonly metrics: unknown }[];
}

beforeAll(async () => {
  const [started, database] = await Promise.all([startWhole(), freshMysqlDatabase()]);
  kit = started;
  const { host, port, user, password, database: name } = database;
  mysql = await createConnection({ host, port, user, password, database: name });
  await kit.call("PUT", "/v1/connections/shop", { kind: "mysql", config: { host, port, user, password, database: name } });
  await kit.call("PUT", "/v1/connections/bus", { kind: "kafka", config: { brokers } });
  await kit.call("PUT", "/v1/connections/copies", { kind: "duckdb", config: { path: "follow.duckdb" } });
});
afterAll(async () => {
  await mysql?.end();
  await kit?.stop();
});

const send = async (from: number, count: number): Promise<void> => {
  const producer = new Producer({ clientId: "test", bootstrapBrokers: [...brokers], idempotent: true });
  try {
    const messages = Array.from({ length: count }, (_, index) => ({ topic, value: Buffer.from(JSON.stringify({ id: from + index })) }));
    await producer.send({ messages });
  } finally {
    await producer.close();
  }
};

/** Half of the time of an attempt is a round. Where the machine is too slow for that, attempts fail, and others go on. */
const SHORT = { timeout: { attempt: "8s" }, retry: { attempts: 20, backoff: "1s", max_backoff: "1s" } };

const deploy = (name: string, transfer: object): Promise<unknown> =>
  kit.call("PUT", `/v1/pipelines/${name}`, { apiVersion: "downbeat/v1", name, tasks: [{ id: "follow", ...SHORT, transfer }] });

const start = (name: string): Promise<ShownRun> => kit.call("POST", `/v1/pipelines/${name}/runs`, {});
const shown = (id: string): Promise<ShownRun> => kit.call("GET", `/v1/runs/${id}`);

/** Asked through a pipeline: the file belongs to the worker. */
const lookIn = async (query: string): Promise<unknown> => {
  const name = freshPipeline("look");
  const sql = { connection: "copies", query: "select 1", output: query };
  await kit.call("PUT", `/v1/pipelines/${name}`, { apiVersion: "downbeat/v1", name, tasks: [{ id: "look", sql }] });
  const { tasks } = await kit.call<ShownRun>("POST", `/v1/pipelines/${name}/runs?wait=60s`, {});
  return tasks[0]?.output ?? null;
};

const cancel = async (id: string): Promise<void> => {
  await kit.call("POST", `/v1/runs/${id}/cancel`, {});
  await until("the run is cancelled", async () => (await shown(id)).status === "cancelled");
};

it("messages of a topic come while the run goes on, each once, over rounds and runs", async () => {
  const name = freshPipeline("follow-topic");
  await send(0, 100);
  await deploy(name, {
    // What columns there are, only messages say: looks that find none must do without.
    from: { connection: "bus", stream: topic },
    to: { connection: "copies", table: "messages", mode: "merge", key: ["id"] },
    follow: { every: "200ms" },
  });
  const counts = `select count(*)::int as n, count(distinct id)::int as ids from messages`;
  const has = (n: number) => async (): Promise<boolean> => {
    const found = await lookIn(counts).catch(() => null);
    return isDeepStrictEqual(found, [{ n, ids: n }]);
  };
  const first = await start(name);
  await until("the first messages are there", has(100));
  await send(100, 50);
  await until("those that came later are there", has(150));
  await until("some rounds have been", async () => {
    const { events } = await kit.client.workflow.getHandle(runWorkflowId(name, first.id)).fetchHistory();
    return (events ?? []).filter(({ activityTaskCompletedEventAttributes: ended }) => ended).length > 2;
  });
  await send(150, 10);
  await until("those of a later round are there", has(160));
  expect((await shown(first.id)).tasks).toMatchObject([{ status: "running", metrics: { asOf: expect.any(String) as string } }]);
  await cancel(first.id);
  await send(160, 40);
  const second = await start(name);
  await until("the next run goes on", has(200));
  await cancel(second.id);
  expect(await lookIn(counts)).toEqual([{ n: 200, ids: 200 }]);
});

it("its figures are seen within its first round, and stay when it was cancelled", async () => {
  const name = freshPipeline("follow-seen");
  await mysql.query("create table seen (id int primary key)");
  await mysql.query("insert into seen values (1), (2)");
  const transfer = {
    from: { connection: "shop", stream: "seen", changes: true },
    to: { connection: "copies", table: "seen", mode: "merge", key: ["id"] },
    follow: { every: "100ms" },
  };
  // Nobody waits for the end of a round here: it comes after minutes.
  await kit.call("PUT", `/v1/pipelines/${name}`, { apiVersion: "downbeat/v1", name, tasks: [{ id: "follow", transfer }] });
  const { id } = await start(name);
  const metricsOf = async (): Promise<{ readonly rows?: number; readonly asOf?: string }> =>
    ((await shown(id)).tasks[0]?.metrics ?? {}) as never;
  await until("its rows are seen", async () => (await metricsOf()).rows === 2);
  const { asOf = "" } = await metricsOf();
  expect(new Date(asOf).toISOString()).toBe(asOf);
  await mysql.query("insert into seen values (3)");
  await until("what came later is seen as well", async () => (await metricsOf()).rows === 3);
  await until("time goes on where nothing comes", async () => ((await metricsOf()).asOf ?? "") > asOf);
  expect((await shown(id)).tasks).toMatchObject([{ status: "running", attempts: 1 }]);
  await cancel(id);
  expect((await shown(id)).tasks).toMatchObject([{ status: "cancelled", metrics: { rows: 3 } }]);
  const loads = await kit.call<{ readonly items: readonly unknown[] }>("GET", `/v1/pipelines/${name}/loads`);
  expect(loads.items).toMatchObject([{ run_id: id, rows: 3 }]);
});

it("a table's changes come while the run goes on, and it ends when its time is over", async () => {
  const name = freshPipeline("follow-changes");
  await mysql.query("create table orders (id int primary key, v varchar(20))");
  await mysql.query("insert into orders values (1, 'a'), (2, 'b')");
  await deploy(name, {
    from: { connection: "shop", stream: "orders", changes: true },
    to: { connection: "copies", table: "orders", mode: "merge", key: ["id"] },
    follow: { every: "200ms", for: "15s" },
  });
  const rows = "select id, v from orders order by id";
  const has = (expected: unknown) => async (): Promise<boolean> => isDeepStrictEqual(await lookIn(rows).catch(() => null), expected);
  const { id } = await start(name);
  await mysql.query("update orders set v = 'c' where id = 1");
  await mysql.query("delete from orders where id = 2");
  await until("what was changed has come", has([{ id: 1, v: "c" }]));
  await until("the run has ended by itself", async () => (await shown(id)).status === "succeeded");
  expect((await shown(id)).tasks).toMatchObject([{ output: { table: "orders", lag_seconds: expect.any(Number) as number } }]);
  // What comes after it is the next run's.
  await mysql.query("insert into orders values (3, 'd')");
  const next = await start(name);
  await until(
    "what came in between has come",
    has([
      { id: 1, v: "c" },
      { id: 3, v: "d" },
    ]),
  );
  await cancel(next.id);
});

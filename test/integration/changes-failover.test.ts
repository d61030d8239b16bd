// A run that follows a table's changes while its primary is killed and a replica takes over: through API, worker and Temporal, into PostgreSQL.

import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { canReplicate, caughtUp, on, promote, type Server, startPair } from "../contract/mysql-failover-kit.ts";
import { numbers } from "../contract/mysql-kit.ts";
import { freshPostgresDatabase } from "../fixtures/services.ts";
import { until } from "../workflow/kit.ts";
import { freshPipeline, startWhole, type WholeKit } from "./whole-kit.ts";

let kit: WholeKit;

beforeAll(async () => {
  const [started, { url: _, ...postgres }] = await Promise.all([startWhole(), freshPostgresDatabase()]);
  kit = started;
  await kit.call("PUT", "/v1/connections/copies", { kind: "postgres", config: postgres });
});
afterAll(() => kit?.stop());

interface ShownRun {
  readonly id: string;
  readonly status: string;
  readonly tasks: readonly { readonly id: string; readonly output: unknown }[];
}

const connect = ({ address: { host, port, user, password } }: Server): Promise<unknown> =>
  kit.call("PUT", "/v1/connections/shop", { kind: "mysql", config: { host, port, user, password, database: "shop" } });

const copied = async (name: string): Promise<unknown> => {
  const { tasks } = await kit.call<ShownRun>("POST", `/v1/pipelines/${name}/runs?wait=60s`, {});
  return tasks[0]?.output;
};

it.skipIf(!canReplicate)("goes on by itself once the connection means the new server", { timeout: 300_000 }, async () => {
  const name = freshPipeline("failover");
  const [primary, replica] = await startPair([81, 82]);
  await on(primary, "create table shop.orders (id int primary key, v int)", `insert into shop.orders select n, 0 from ${numbers(5_000)}`);
  await connect(primary);
  await kit.call("PUT", `/v1/pipelines/${name}`, {
    apiVersion: "downbeat/v1",
    name,
    tasks: [
      {
        id: "follow",
        retry: { attempts: 100, backoff: "500ms", max_backoff: "1s" },
        transfer: {
          from: { connection: "shop", stream: "orders", changes: true },
          to: { connection: "copies", table: "orders", mode: "merge", key: ["id"] },
          follow: { every: "200ms" },
        },
      },
    ],
  });
  const look = freshPipeline("look");
  await kit.call("PUT", `/v1/pipelines/${look}`, {
    apiVersion: "downbeat/v1",
    name: look,
    tasks: [
      { id: "look", sql: { connection: "copies", query: "select 1", output: "select count(*)::int as n, sum(v)::int as v from orders" } },
    ],
  });
  const has = (n: number, v: number) => async (): Promise<boolean> => isDeepStrictEqual(await copied(look), [{ n, v }]);
  const { id } = await kit.call<ShownRun>("POST", `/v1/pipelines/${name}/runs`, {});
  await until("the rows have come", has(5_000, 0));
  await on(primary, "update shop.orders set v = v + 1 where id <= 1000");
  await until("the first changes have come", has(5_000, 1_000));
  await on(primary, "delete from shop.orders where id > 4000", "update shop.orders set v = v + 1 where id <= 2000");
  await caughtUp(primary, replica);
  await primary.halt("SIGKILL");
  await promote(replica);
  await on(replica, "insert into shop.orders values (9000, 7)");
  await connect(replica);
  await until("those of both servers have come", has(4_001, 3_007));
  await on(replica, "update shop.orders set v = 0 where id = 9000");
  await until("later ones come from the new server", has(4_001, 3_000));
  const { status } = await kit.call<ShownRun>("GET", `/v1/runs/${id}`);
  expect(status).toBe("running");
  await kit.call("POST", `/v1/runs/${id}/cancel`, {});
  await until("the run is cancelled", async () => (await kit.call<ShownRun>("GET", `/v1/runs/${id}`)).status === "cancelled");
});

// A pipeline with MySQL at its end: from a DuckDB file by `transfer`, then `check` and `sql` on what has arrived, through API, worker and Temporal.

import path from "node:path";
import { createConnection, type Connection, type RowDataPacket } from "mysql2/promise";
import { afterAll, beforeAll, expect, it } from "vitest";
import { testFolder } from "../contract/kit.ts";
import { inDuckdb } from "../fixtures/duckdb.ts";
import { freshMysqlDatabase } from "../fixtures/services.ts";
import { freshPipeline, startWhole, type WholeKit } from "./whole-kit.ts";

const folder = testFolder("into-mysql");
const file = path.join(folder, "sales.duckdb");
let kit: WholeKit;
let mysql: Connection;

beforeAll(async () => {
  const [whole, database] = await Promise.all([startWhole(), freshMysqlDatabase()]);
  kit = whole;
  const { host, port, user, password, database: name } = database;
  mysql = await createConnection({ host, port, user, password, database: name, timezone: "Z" });
  await inDuckdb(
    file,
    "create table sales as select i as id, 'Größe ' || i as name, (i / 4.0)::decimal(12, 2) as price, timestamp '2026-01-01' + to_seconds(i) as at from range(300000) r(i)",
  );
  await kit.call("PUT", "/v1/connections/sales", { kind: "duckdb", config: { path: file } });
  await kit.call("PUT", "/v1/connections/shop", { kind: "mysql", config: { host, port, user, password, database: name } });
});
afterAll(async () => {
  await mysql?.end();
  await kit?.stop();
});

const totals = async (): Promise<unknown> => {
  const sql = "select count(*) as n, cast(sum(price) as char) as price, cast(max(at) as char) as at, max(name) as name from sales";
  return (await mysql.query<RowDataPacket[]>(sql))[0][0];
};

it("appends what is new, checks it and sums it up; a second run takes the rest", async () => {
  const name = freshPipeline("into-mysql");
  await kit.call("PUT", `/v1/pipelines/${name}`, {
    apiVersion: "downbeat/v1",
    name,
    tasks: [
      {
        id: "move",
        transfer: {
          from: { connection: "sales", stream: "sales", cursor: "id", key: ["id"] },
          to: { connection: "shop", table: "sales", columns: { debug: "discard" } },
        },
      },
      {
        id: "check",
        needs: ["move"],
        check: {
          connection: "shop",
          table: "sales",
          expect: [{ row_count: { min: 300_000 } }, { not_null: ["name"] }, { unique: ["id"] }],
        },
      },
      {
        id: "sum",
        needs: ["check"],
        sql: {
          connection: "shop",
          query: "create table if not exists sums (n int); insert into sums select count(*) from sales",
          output: "select n from sums order by n",
        },
      },
    ],
  });
  const run = (): Promise<unknown> => kit.call("POST", `/v1/pipelines/${name}/runs?wait=110s`, {});
  const first = await run();
  expect(first).toMatchObject({ status: "succeeded" });
  expect(JSON.stringify(first)).not.toContain("schema_changes");
  expect(await totals()).toEqual({ n: 300_000, price: "11249962500.00", at: "2026-01-04 11:19:59.000000", name: "Größe 99999" });
  await inDuckdb(file, "insert into sales values (300000, null, 1, null), (300001, 'last', 1.25, null)");
  await inDuckdb(file, "alter table sales add column channel varchar; alter table sales add column debug integer");
  await inDuckdb(file, "update sales set name = 'z' where id = 300000");
  expect(await run()).toMatchObject({
    status: "succeeded",
    tasks: expect.arrayContaining([
      expect.objectContaining({
        id: "move",
        output: expect.objectContaining({
          schema_changes: [
            { column: "channel", change: "added", before: null, after: "string" },
            { column: "debug", change: "left_out", before: "int32", after: null },
          ],
        }) as unknown,
        metrics: expect.objectContaining({ rows: 2, schemaChanges: 2 }) as unknown,
      }),
      expect.objectContaining({ id: "sum", output: [{ n: 300_000 }, { n: 300_002 }] }),
    ]) as unknown,
  });
  expect(await totals()).toMatchObject({ n: 300_002, price: "11249962502.25", name: "z" });
  const [told] = await mysql.query<RowDataPacket[]>(
    "select `key`, table_name, column_name, `change` from _downbeat_schema_changes where `change` = 'added'",
  );
  expect(told).toEqual([{ key: `${name}/move/sales`, table_name: "sales", column_name: "channel", change: "added" }]);
});

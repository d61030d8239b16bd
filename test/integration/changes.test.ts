// A table's changes, followed by runs of a pipeline: from a real MySQL into DuckDB and PostgreSQL, through API, worker and Temporal.

import { createConnection, type Connection } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freshMysqlDatabase, freshPostgresDatabase } from "../fixtures/services.ts";
import { freshPipeline, startWhole, type WholeKit } from "./whole-kit.ts";

let kit: WholeKit;
let mysql: Connection;

beforeAll(async () => {
  const [started, database, postgres] = await Promise.all([startWhole(), freshMysqlDatabase(), freshPostgresDatabase()]);
  kit = started;
  const { host, port, user, password, database: name } = database;
  mysql = await createConnection({ host, port, user, password, database: name });
  await kit.call("PUT", "/v1/connections/shop", { kind: "mysql", config: { host, port, user, password, database: name } });
  await kit.call("PUT", "/v1/connections/duckdb", { kind: "duckdb", config: { path: "changes.duckdb" } });
  const { url: _, ...address } = postgres;
  await kit.call("PUT", "/v1/connections/postgres", { kind: "postgres", config: address });
});
afterAll(async () => {
  await mysql?.end();
  await kit?.stop();
});

interface ShownRun {
  readonly status: string;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly tasks: readonly { readonly id: string; readonly output: unknown }[];
}

const definitionOf = (name: string, stream: string, to: object): object => ({
  apiVersion: "downbeat/v1",
  name,
  tasks: [
    { id: "follow", transfer: { from: { connection: "shop", stream, changes: true }, to: { table: name, ...to } } },
    { id: "look", needs: ["follow"], sql: { ...to, query: "select 1", output: `select id, v from "${name}" order by id` } },
  ].map((task) => ("sql" in task ? { ...task, sql: pick(task.sql) } : task)),
});

const pick = ({ connection, query, output }: Record<string, unknown>): object => ({ connection, query, output });

const run = (name: string): Promise<ShownRun> => kit.call("POST", `/v1/pipelines/${name}/runs?wait=60s`, {});

const outputOf = ({ tasks }: ShownRun, id: string): unknown => tasks.find((task) => task.id === id)?.output;

describe.each(["duckdb", "postgres"])("a transfer with `changes` into %s", (connection) => {
  it("begins with the rows, and then applies what has changed", async () => {
    const name = freshPipeline("changes");
    const table = name.replaceAll("-", "_");
    await mysql.query(`create table ${table} (id int primary key, v varchar(20))`);
    await mysql.query(`insert into ${table} values (1, 'a'), (2, 'b'), (3, null)`);
    await kit.call("PUT", `/v1/pipelines/${name}`, definitionOf(name, table, { connection, mode: "merge", key: ["id"] }));
    const began = Date.now();
    const first = await run(name);
    expect(first).toMatchObject({ status: "succeeded" });
    const took = (Date.now() - began) / 1_000;
    const { lag_seconds: lag } = outputOf(first, "follow") as { readonly lag_seconds: number };
    expect(lag).toBeGreaterThanOrEqual(0);
    expect(lag).toBeLessThanOrEqual(took);
    expect(first.tasks.find(({ id }) => id === "follow")).toMatchObject({ metrics: { lagSeconds: lag } });
    expect(outputOf(first, "look")).toEqual([
      { id: 1, v: "a" },
      { id: 2, v: "b" },
      { id: 3, v: null },
    ]);
    await mysql.query(`delete from ${table} where id = 1`);
    await mysql.query(`update ${table} set id = 20, v = 'moved' where id = 2`);
    await mysql.query(`insert into ${table} values (4, 'new'), (5, 'gone')`);
    await mysql.query(`delete from ${table} where id = 5`);
    const second = await run(name);
    expect(outputOf(second, "look")).toEqual([
      { id: 3, v: null },
      { id: 4, v: "new" },
      { id: 20, v: "moved" },
    ]);
    // One deletion each, two rows for the moved key, two insertions.
    expect(outputOf(second, "follow")).toMatchObject({ rows: 6 });
    expect(outputOf(await run(name), "follow")).toMatchObject({ rows: 0 });
  });

  it("is refused in a mode that cannot apply deletions, before it has written a row", async () => {
    const name = freshPipeline("appended");
    const table = name.replaceAll("-", "_");
    await mysql.query(`create table ${table} (id int primary key)`);
    await mysql.query(`insert into ${table} values (1)`);
    await kit.call("PUT", `/v1/pipelines/${name}`, definitionOf(name, table, { connection }));
    expect(await run(name)).toMatchObject({
      status: "failed",
      error: { code: "DESTINATION_TABLE_INVALID", message: expect.stringContaining("to.mode: merge") as string },
    });
  });
});

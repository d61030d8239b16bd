// What of a source's columns a pipeline takes: from a real MySQL into a DuckDB file, through API, worker and Temporal.

import { createHmac } from "node:crypto";
import { createConnection, type Connection } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freshMysqlDatabase, type MysqlDatabase } from "../fixtures/services.ts";
import { freshPipeline, startWhole, WEBHOOK_SECRET, type WholeKit } from "./whole-kit.ts";

let kit: WholeKit;
let database: MysqlDatabase;
let mysql: Connection;

beforeAll(async () => {
  [kit, database] = await Promise.all([startWhole(), freshMysqlDatabase()]);
  const { host, port, user, password, database: name } = database;
  mysql = await createConnection({ host, port, user, password, database: name });
  await mysql.query("create table people (id int primary key, mail varchar(100), phone varchar(30) not null, born date, notes text)");
  await mysql.query("insert into people values (1, 'ann@example.org', '123', '2001-02-03', 'n'), (2, null, '456', null, 'n')");
  await kit.call("PUT", "/v1/connections/crm", { kind: "mysql", config: { host, port, user, password, database: name } });
  await kit.call("PUT", "/v1/connections/warehouse", { kind: "duckdb", config: { path: "warehouse.duckdb" } });
});
afterAll(async () => {
  await mysql?.end();
  await kit?.stop();
});

interface ShownRun {
  readonly status: string;
  readonly error: { readonly message: string } | null;
  readonly tasks: readonly { readonly id: string; readonly output: unknown; readonly error: { readonly code: string } | null }[];
}

const definitionOf = (name: string, columns: object, key = ["person"], more: object = {}): object => ({
  apiVersion: "downbeat/v1",
  name,
  tasks: [
    {
      id: "people",
      transfer: {
        from: { connection: "crm", stream: "people" },
        to: { connection: "warehouse", table: name, mode: "merge", key },
        columns,
        ...more,
      },
    },
    {
      id: "look",
      needs: ["people"],
      sql: { connection: "warehouse", query: "select 1", output: `select * from "${name}" order by 1` },
    },
  ],
});

const run = (name: string): Promise<ShownRun> => kit.call("POST", `/v1/pipelines/${name}/runs?wait=60s`, {});

const outputOf = ({ tasks }: ShownRun): unknown => tasks.find(({ id }) => id === "look")?.output;

const hmac = (text: string): string => createHmac("sha256", WEBHOOK_SECRET).update(text).digest("hex");

describe("a transfer with `columns`", () => {
  it("loads what it takes, hashed with the secret, redacted and under new names, and merges by them", async () => {
    const name = freshPipeline("chosen");
    const columns = { omit: ["notes"], rename: { id: "person" }, hash: ["mail"], hash_key: { env: "PII_KEY" }, redact: ["phone"] };
    await kit.call("PUT", `/v1/pipelines/${name}`, definitionOf(name, columns));
    const first = await run(name);
    expect(first).toMatchObject({ status: "succeeded" });
    expect(outputOf(first)).toEqual([
      { person: 1, mail: hmac("ann@example.org"), phone: null, born: "2001-02-03" },
      { person: 2, mail: null, phone: null, born: null },
    ]);
    await mysql.query("update people set mail = 'bob@example.org' where id = 2");
    expect(outputOf(await run(name))).toEqual([
      { person: 1, mail: hmac("ann@example.org"), phone: null, born: "2001-02-03" },
      { person: 2, mail: hmac("bob@example.org"), phone: null, born: null },
    ]);
  });

  it("casts; a row with a value that is none of the type is a dead letter, or fails the task", async () => {
    const name = freshPipeline("cast");
    await mysql.query("insert into people values (3, null, 'none', '1999-12-31', null)");
    const columns = { select: ["id", "phone", "born"], cast: { id: "string", phone: "int32", born: "string" } };
    await kit.call("PUT", `/v1/pipelines/${name}`, definitionOf(name, columns, ["id"]));
    expect(await run(name)).toMatchObject({
      status: "failed",
      tasks: [{ id: "people", error: { code: "SOURCE_DATA_INVALID" } }, { id: "look" }],
    });
    await kit.call("PUT", `/v1/pipelines/${name}`, definitionOf(name, columns, ["id"], { dead_letters: { max_rows: 1 } }));
    const ended = await run(name);
    expect(outputOf(ended)).toEqual([
      { id: "1", phone: 123, born: "2001-02-03" },
      { id: "2", phone: 456, born: null },
    ]);
    expect(ended.tasks[0]?.output).toMatchObject({ rows: 2, dead_letters: 1 });
    await mysql.query("delete from people where id = 3");
  });

  it("that names a column which is not there fails before it has a table", async () => {
    const name = freshPipeline("missing");
    await kit.call("PUT", `/v1/pipelines/${name}`, definitionOf(name, { redact: ["fone"] }, ["id"]));
    expect(await run(name)).toMatchObject({
      status: "failed",
      error: { message: expect.stringContaining('there is no "fone"; there are "id", "mail", "phone", "born", "notes"') as string },
    });
    const tables = freshPipeline("tables");
    const look = {
      id: "look",
      sql: { connection: "warehouse", query: "select 1", output: "select table_name from information_schema.tables" },
    };
    await kit.call("PUT", `/v1/pipelines/${tables}`, { apiVersion: "downbeat/v1", name: tables, tasks: [look] });
    expect(JSON.stringify(outputOf(await run(tables)))).not.toContain(name);
  });

  it("that contradicts itself is refused, with every fault and where it lies", async () => {
    const name = freshPipeline("faulty");
    const columns = { select: ["id", "mail"], rename: { id: "person" }, hash: ["phone"], redact: ["mail"] };
    const answer = await fetch(`${kit.url}/v1/pipelines/${name}`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(definitionOf(name, columns, ["id", "mail"])),
    });
    expect(answer.status).toBe(422);
    const { issues } = (await answer.json()) as { readonly issues: readonly { readonly path: string; readonly message: string }[] };
    expect(issues.map(({ message }) => message)).toEqual([
      '"phone" is left out already',
      '"id" is renamed to "person", which is what the table has',
      '"mail" is redacted, and NULLs make no key; hash it instead',
    ]);
  });
});

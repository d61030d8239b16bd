// A pipeline with a topic in its midst: rows of a DuckDB file become messages, and messages rows again, through API, worker and Temporal.

import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { testFolder } from "../contract/kit.ts";
import { inDuckdb } from "../fixtures/duckdb.ts";
import { freshName, kafkaBrokers } from "../fixtures/services.ts";
import { freshPipeline, startWhole, type WholeKit } from "./whole-kit.ts";

const folder = testFolder("into-kafka");
const file = path.join(folder, "sales.duckdb");
const topic = freshName();
let kit: WholeKit;

interface ShownRun {
  readonly status: string;
  readonly tasks: readonly { readonly id: string; readonly output: unknown; readonly error: unknown }[];
}

beforeAll(async () => {
  kit = await startWhole();
  await inDuckdb(
    file,
    "create table sales as select i as id, 'Größe ' || i as name, (i / 4.0)::decimal(12, 2) as price from range(20000) r(i)",
  );
  await kit.call("PUT", "/v1/connections/sales", { kind: "duckdb", config: { path: file } });
  await kit.call("PUT", "/v1/connections/bus", { kind: "kafka", config: { brokers: kafkaBrokers() } });
  await kit.call("PUT", "/v1/connections/copies", { kind: "duckdb", config: { path: "copies.duckdb" } });
});
afterAll(() => kit?.stop());

it("sends rows under their keys, and takes each message once; a second run brings the rest", async () => {
  const name = freshPipeline("into-kafka");
  await kit.call("PUT", `/v1/pipelines/${name}`, {
    apiVersion: "downbeat/v1",
    name,
    tasks: [
      {
        id: "send",
        transfer: {
          from: { connection: "sales", stream: "sales", cursor: "id", key: ["id"] },
          to: { connection: "bus", table: topic, mode: "append", key: ["id"], compression: "zstd" },
        },
      },
      {
        id: "take",
        needs: ["send"],
        transfer: {
          from: { connection: "bus", stream: topic, columns: { id: "int64", name: "string", price: "decimal(12,2)" } },
          to: { connection: "copies", table: "sales" },
        },
      },
      {
        id: "sum",
        needs: ["take"],
        sql: {
          connection: "copies",
          query: "select 1",
          output: "select count(*)::int as n, sum(price)::varchar as price, bool_and(_kafka_key = id::varchar) as keyed from sales",
        },
      },
    ],
  });
  const run = (): Promise<ShownRun> => kit.call("POST", `/v1/pipelines/${name}/runs?wait=60s`, {});
  const sumOf = ({ tasks }: ShownRun): unknown => tasks.find(({ id }) => id === "sum")?.output;
  const first = await run();
  expect(first).toMatchObject({ status: "succeeded" });
  expect(sumOf(first)).toEqual([{ n: 20_000, price: "49997500.00", keyed: true }]);
  await inDuckdb(file, "insert into sales values (20000, 'late', 0.50), (20001, null, null)");
  const second = await run();
  expect(second.tasks.find(({ id }) => id === "send")).toMatchObject({ output: { rows: 2 } });
  expect(sumOf(second)).toEqual([{ n: 20_002, price: "49997500.50", keyed: true }]);
});

// Bad rows through API, worker and Temporal: limits, dead letters in a DuckDB file, and their replay after a fix.

import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { container } from "../fixtures/avro.ts";
import { freshPipeline, startWhole, type WholeKit } from "./whole-kit.ts";

let kit: WholeKit;

beforeAll(async () => {
  kit = await startWhole();
  await mkdir(path.join(kit.dataDir, "shop"));
  await kit.call("PUT", "/v1/connections/shop", { kind: "file", config: { root: "shop" } });
  await kit.call("PUT", "/v1/connections/warehouse", { kind: "duckdb", config: { path: "warehouse.duckdb" } });
});
afterAll(() => kit?.stop());

interface ShownRun {
  readonly status: string;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly tasks: readonly { readonly id: string; readonly output: unknown }[];
}

const put = (name: string, lines: readonly (object | string)[]): Promise<void> =>
  writeFile(
    path.join(kit.dataDir, "shop", name),
    lines.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`).join(""),
  );

const run = async (name: string, tasks: readonly object[]): Promise<ShownRun> => {
  await kit.call("PUT", `/v1/pipelines/${name}`, { apiVersion: "downbeat/v1", name, tasks });
  return kit.call("POST", `/v1/pipelines/${name}/runs?wait=60s`, {});
};

const transferred = async (name: string, transfer: object): Promise<unknown> => {
  const done = await run(name, [{ id: "load", transfer }]);
  expect(done).toMatchObject({ status: "succeeded" });
  return done.tasks[0]?.output;
};

const asked = async (sql: string): Promise<unknown> => {
  const done = await run(freshPipeline("look"), [{ id: "look", sql: { connection: "warehouse", query: "select 1", output: sql } }]);
  expect(done).toMatchObject({ status: "succeeded" });
  return done.tasks[0]?.output;
};

const lettersOf = (key: string): Promise<unknown> =>
  asked(`select place, reason, raw from _downbeat.dead_letters where "key" = '${key}' order by place`);

const NONE = { other_load: 0, no_text: 0, cut: 0, altered: 0 };

describe("bad rows of a run", () => {
  it("fail it beyond a share of what it read, with the figures", async () => {
    const name = freshPipeline("share");
    await put(`${name}.jsonl`, [...Array.from({ length: 97 }, (_, id) => ({ id })), "a", "b", "c"]);
    const transfer = (limits: object) => ({
      from: { connection: "shop", stream: `${name}.jsonl` },
      to: { connection: "warehouse", table: name },
      dead_letters: limits,
    });
    expect(await run(name, [{ id: "load", transfer: transfer({ max_share: 0.02 }) }])).toMatchObject({
      status: "failed",
      error: {
        code: "DEAD_LETTER_LIMIT",
        message: expect.stringContaining(
          "3 of 100 rows refused, that is 3 %, and 2 % allowed (dead_letters.max_share); the last: ",
        ) as unknown,
      },
    });
    expect(await transferred(name, transfer({ max_share: 0.03 }))).toMatchObject({ rows: 97, dead_letters: 3 });
  });

  it("are replayed after a fix of the definition, or of their text, and what is still bad stays", async () => {
    const name = freshPipeline("orders");
    const stream = `${name}.jsonl`;
    await put(stream, [{ id: 1, total: 10 }, { id: 2, total: 5_000_000_000 }, "{broken", { id: 4, total: 40 }]);
    const from = { connection: "shop", stream, new_only: true };
    const to = { connection: "warehouse", table: name };
    const first = { from: { ...from, columns: { id: "int64", total: "int32" } }, to, dead_letters: { max_rows: 10 } };
    expect(await transferred(name, first)).toMatchObject({ rows: 2, dead_letters: 2 });

    const key = `${name}/load/${stream}`;
    const again = { from: { ...from, columns: { id: "int64", total: "int64" }, dead_letters: { key } }, to };
    const replay = freshPipeline("replay");
    expect(await transferred(replay, again)).toMatchObject({ rows: 1, dead_letters: 1, untried: NONE });
    const rows = `select id, total from "${name}" order by id`;
    const three = [
      { id: 1, total: 10 },
      { id: 2, total: 5_000_000_000 },
      { id: 4, total: 40 },
    ];
    expect(await asked(rows)).toEqual(three);
    expect(await lettersOf(key)).toEqual([
      { place: `line 3 of ${stream}`, reason: expect.stringContaining("not valid JSON") as unknown, raw: "{broken" },
    ]);
    // Nothing has changed for the last one, and the others are gone.
    expect(await transferred(replay, again)).toMatchObject({ rows: 0, dead_letters: 1, untried: NONE });
    expect(await asked(rows)).toEqual(three);

    const repair = `update _downbeat.dead_letters set raw = '{"id": 3, "total": 30}' where "key" = '${key}'`;
    await run(freshPipeline("repair"), [{ id: "repair", sql: { connection: "warehouse", query: repair } }]);
    expect(await transferred(replay, again)).toMatchObject({ rows: 1, dead_letters: 0, untried: NONE });
    expect(await asked(rows)).toEqual(three.toSpliced(2, 0, { id: 3, total: 30 }));
    expect(await lettersOf(key)).toEqual([]);
    // The stream goes on as if nothing had been: its file was taken.
    expect(await transferred(name, first)).toMatchObject({ rows: 0 });
  });

  it("of an Avro file are kept as JSON, and are replayed as what the file had", async () => {
    const name = freshPipeline("events");
    const stream = `${name}.avro`;
    const schema = {
      type: "record",
      name: "Event",
      fields: [
        { name: "id", type: "long" },
        { name: "at", type: { type: "long", logicalType: "timestamp-micros" } },
        { name: "price", type: { type: "bytes", logicalType: "decimal", precision: 9, scale: 2 } },
        { name: "total", type: "long" },
      ],
    };
    const event = (id: bigint, total: bigint): object => ({ id, at: id, price: Buffer.from([Number(id)]), total });
    const file = container(schema, [[event(1n, 10n), event(2n, 5_000_000_000n)], [event(3n, 30n)]]);
    await writeFile(path.join(kit.dataDir, "shop", stream), file);
    const columns = { id: "int64", at: "timestamptz", price: "decimal(9,2)", total: "int32" };
    const from = { connection: "shop", stream, columns };
    const to = { connection: "warehouse", table: name };
    expect(await transferred(name, { from, to, dead_letters: { max_rows: 10 } })).toMatchObject({ rows: 2, dead_letters: 1 });
    const key = `${name}/load/${stream}`;
    expect(await lettersOf(key)).toEqual([
      {
        place: `row 2 of ${stream}`,
        reason: 'column "total": 5000000000 is not a int32',
        raw: '{"id":2,"at":"1970-01-01T00:00:00.000002Z","price":"0.02","total":5000000000}',
      },
    ]);
    const again = { from: { ...from, columns: { ...columns, total: "int64" }, dead_letters: { key } }, to };
    expect(await transferred(freshPipeline("replay"), again)).toMatchObject({ rows: 1, dead_letters: 0, untried: NONE });
    expect(await asked(`select id, epoch_us("at") as "at", price::varchar as price, total from "${name}" order by id`)).toEqual([
      { id: 1, at: 1, price: "0.01", total: 10 },
      { id: 2, at: 2, price: "0.02", total: 5_000_000_000 },
      { id: 3, at: 3, price: "0.03", total: 30 },
    ]);
  });

  it("do not replace what came later, where they are merged", async () => {
    const name = freshPipeline("people");
    const stream = `${name}-*.jsonl`;
    const from = { connection: "shop", stream, new_only: true };
    const to = { connection: "warehouse", table: name, mode: "merge", key: ["id"] };
    const first = { from: { ...from, columns: { id: "int64", v: "int64", n: "int32" } }, to, dead_letters: { max_rows: 10 } };
    const large = 5_000_000_000;
    await put(`${name}-1.jsonl`, [
      { id: 1, v: 1, n: 1 },
      { id: 1, v: 2, n: large },
      { id: 2, v: 1, n: 1 },
      { id: 2, v: 2, n: large },
      { id: 3, v: 2, n: large },
    ]);
    expect(await transferred(name, first)).toMatchObject({ rows: 2, dead_letters: 3 });
    await put(`${name}-2.jsonl`, [{ id: 1, v: 3, n: 3 }]);
    expect(await transferred(name, first)).toMatchObject({ rows: 1, dead_letters: 0 });

    const key = `${name}/load/${stream}`;
    const again = { from: { ...from, columns: { id: "int64", v: "int64", n: "int64" }, dead_letters: { key, newest_by: "v" } }, to };
    const replay = freshPipeline("replay");
    // Of another mode, they are not those of this task.
    const appending = { ...again, from: { ...again.from, dead_letters: { key } }, to: { ...to, mode: "append" } };
    expect(await transferred(replay, appending)).toMatchObject({ rows: 0, untried: { ...NONE, other_load: 3 } });
    expect(await transferred(replay, again)).toMatchObject({ rows: 3, dead_letters: 0, untried: NONE });
    expect(await asked(`select id, v, n from "${name}" order by id`)).toEqual([
      { id: 1, v: 3, n: 3 },
      { id: 2, v: 2, n: large },
      { id: 3, v: 2, n: large },
    ]);
    expect(await lettersOf(key)).toEqual([]);
  });
});

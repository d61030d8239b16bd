// Files into DuckDB, whose rows are named and not carried: every row once, the last of a key, and clear errors.

import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { describe, expect, it } from "vitest";
import { moveLoad } from "../../activities/move-load.ts";
import type { Connector, LoadTarget } from "../../connectors/connector.ts";
import { duckdb } from "../../connectors/duckdb/spec.ts";
import { createObjectSource, type ObjectStore } from "../../connectors/lib/object-source.ts";
import { openConnector, testContext, testFolder } from "./kit.ts";
import { target } from "./load-kit.ts";
import { expectCode, rowsOf } from "./sql-roles.ts";

const folder = testFolder("files-into-duckdb");
const tempDir = path.join(folder, "temp");
await mkdir(tempDir, { recursive: true });

/** Objects as S3 gives them: copies that are the reader's alone. */
const storeOf = (names: readonly string[]): ObjectStore => ({
  list: () => Promise.resolve(names.map((key) => ({ key, tag: "1" }))),
  async fetch({ key }) {
    const copy = path.join(tempDir, `copy-${key}`);
    await copyFile(path.join(folder, key), copy);
    return { path: copy, [Symbol.asyncDispose]: () => rm(copy, { force: true }) };
  },
  patterns: () => Promise.resolve([]),
});

const write = async (name: string, query: string): Promise<void> => {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  const format = name.endsWith(".csv") ? "format csv, header" : "format parquet";
  await connection.run(`copy (${query}) to '${path.join(folder, name)}' (${format})`);
  connection.closeSync();
  instance.closeSync();
};

let databases = 0;
const openWarehouse = (): Promise<Connector> =>
  openConnector(duckdb, { path: `w${(databases += 1)}.duckdb`, memory_limit: "200MB", threads: 2 }, testContext(folder));

const move = async ({ destination }: Connector, names: readonly string[], given: Partial<LoadTarget> = {}) => {
  if (destination === undefined) throw new Error("DuckDB is a destination");
  const { signal } = new AbortController();
  await using load = await destination.openLoad(target(given));
  return await moveLoad({
    source: createObjectSource(storeOf(names), { signal, tempDir }),
    load,
    request: { stream: "*", options: { new_only: false, delimiter: ",", header: true }, nullCursor: "fail" },
    limits: { maxRows: 0 },
    signal,
    progress: () => undefined,
  });
};

const MANY = 400_000;

describe.each(["csv", "parquet"] as const)("%s into DuckDB", (format) => {
  it("appends every row once, in chunks, and leaves no file behind", async () => {
    await write(`1.${format}`, `select i as id, 'name ' || i as name from range(${MANY}) t(i)`);
    await write(`2.${format}`, `select i as id, 'name ' || i as name, i / 2 as half from range(${MANY}, ${MANY} + 10) t(i)`);
    await using warehouse = await openWarehouse();
    const figures = await move(warehouse, [`1.${format}`, `2.${format}`]);
    expect(figures).toMatchObject({ rows: MANY + 10, deadLetters: 0 });
    expect(figures.chunks).toBe(2);
    const query = "select count(*) as n, count(distinct id) as ids, max(name) as name, sum(half) as half from t";
    expect(await rowsOf(warehouse.sql!.query(query))).toEqual([{ n: MANY + 10, ids: MANY + 10, name: "name 99999", half: 2_000_022.5 }]);
    expect(await readdir(tempDir)).toEqual([]);
  });

  it("merges: of rows with the same key the last one stays, wherever in the files it lies", async () => {
    const versions = (from: number, to: number): string => `select i % 1000 as id, i as version from range(${from}, ${to}) t(i)`;
    await write(`m1.${format}`, versions(0, MANY));
    await write(`m2.${format}`, versions(MANY, MANY + 500));
    await using warehouse = await openWarehouse();
    await move(warehouse, [`m1.${format}`, `m2.${format}`], { mode: "merge", keyColumns: ["id"] });
    const wrong = `select count(*) as n, count(*) filter (version <> case when id < 500 then ${MANY} + id else ${MANY} - 1000 + id end) as wrong from t`;
    expect(await rowsOf(warehouse.sql!.query(wrong))).toEqual([{ n: 1_000, wrong: 0 }]);
  });

  it("replaces, and what the table held before is gone", async () => {
    await write(`r.${format}`, "select i as id from range(5) t(i)");
    await using warehouse = await openWarehouse();
    for (const origin of ["one", "two"]) await move(warehouse, [`r.${format}`], { mode: "replace", origin });
    expect(await rowsOf(warehouse.sql!.query("select count(*) as n, sum(id) as ids from t"))).toEqual([{ n: 5, ids: "10" }]);
  });
});

describe("a Parquet file that is damaged within", () => {
  it("is SOURCE_FILE_BROKEN, though it is the destination that reads it, and none of its rows is in the table", async () => {
    await write("whole.parquet", `select i as id, 'name ' || i as name from range(${MANY}) t(i)`);
    await writeFile(
      path.join(folder, "damaged.parquet"),
      Buffer.from(await readFile(path.join(folder, "whole.parquet"))).fill(0xff, 4, 100_000),
    );
    await using warehouse = await openWarehouse();
    await expectCode(move(warehouse, ["damaged.parquet"]), "SOURCE_FILE_BROKEN", "damaged.parquet");
    expect(await rowsOf(warehouse.sql!.query("select count(*) as n from t"))).toEqual([{ n: 0 }]);
  });
});

// CSV files that go into PostgreSQL as they are: every value is the one that a conversion row by row finds, and what might not be goes by conversion.

import { copyFile, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { moveLoad } from "../../activities/move-load.ts";
import type { Batch } from "../../connectors/batch.ts";
import type { Connector, Load } from "../../connectors/connector.ts";
import { createObjectSource } from "../../connectors/lib/object-source.ts";
import { postgres } from "../../connectors/postgres/spec.ts";
import { freshPostgresDatabase } from "../fixtures/services.ts";
import { openConnector, testContext, testFolder } from "./kit.ts";
import { target } from "./load-kit.ts";
import { rowsOf } from "./sql-roles.ts";

const folder = testFolder("csv-as-it-is");
const tempDir = path.join(folder, "temp");
await mkdir(tempDir, { recursive: true });

const openWarehouse = async (): Promise<Connector> => {
  const { url: _, ...address } = await freshPostgresDatabase();
  return openConnector(postgres, address, { ...testContext(folder), tempDir });
};

type Way = "as it is" | "carried";

/** `takes`: what the destination says that it takes. Answers how each batch came. */
const move = async ({ destination }: Connector, text: string, table: string, takes: Way): Promise<readonly string[]> => {
  const file = path.join(folder, "x.csv");
  await writeFile(file, text);
  const { signal } = new AbortController();
  const source = createObjectSource(
    {
      list: () => Promise.resolve([{ key: "x.csv", tag: "1" }]),
      async fetch() {
        const copy = path.join(tempDir, "copy.csv");
        await copyFile(file, copy);
        return { path: copy, [Symbol.asyncDispose]: () => rm(copy, { force: true }) };
      },
      patterns: () => Promise.resolve([]),
      nameOf: (pattern) => pattern,
    },
    { signal, tempDir },
  );
  const ways: string[] = [];
  await using load = await destination!.openLoad(target({ key: table, table }));
  const watched: Load = {
    resume: load.resume,
    takesParquet: takes === "as it is",
    takesCsv: takes === "as it is",
    begin: (bounds) => load.begin(bounds),
    write: (batch: Batch) => {
      ways.push(batch.csv !== undefined ? "as it is" : batch.parquet !== undefined ? "converted" : "carried");
      return load.write(batch);
    },
    commit: (position) => load.commit(position),
    finish: () => load.finish(),
    seen: (items) => load.seen(items),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  await moveLoad({
    source,
    load: watched,
    request: { stream: "*", options: { new_only: false, delimiter: ",", header: true }, nullCursor: "fail" },
    limits: { maxRows: 10 },
    signal,
    progress: () => undefined,
  });
  return ways;
};

const both = async (warehouse: Connector, text: string): Promise<readonly string[]> => {
  const ways = await move(warehouse, text, "named", "as it is");
  await move(warehouse, text, "carried", "carried");
  const rows = (table: string) => rowsOf(warehouse.sql!.query(`select x::text as row from ${table} as x order by 1`));
  expect(await rows("named")).toEqual(await rows("carried"));
  expect(await readdir(tempDir)).toEqual([]);
  return ways;
};

const column = (values: readonly string[]): string => `id,v\n${values.map((value, id) => `${id},${value}\n`).join("")}`;

describe("files that every reader takes apart alike", () => {
  it.each([
    ["whole numbers", ["0", "-1", "9223372036854775807", "-9223372036854775808", ""]],
    ["fractions", ["0.10", "-0", "1.5e3", "1E-7", "123456789012345", "0.1", "5e-300", "1.7976931348623157e308", "0.00", ""]],
    ["truth", ["true", "FALSE", "True", ""]],
    ["days", ["2026-02-28", "0001-01-01", "9999-12-31", ""]],
    ["times of day", ["2026-02-28 10:00:00.120000", "2026-02-28T10:00", "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999", ""]],
    ["moments", ["2026-02-28T10:00:00Z", "2026-02-28 10:00:00.5+02", "2026-02-28T10:00:00-0330", "2026-02-28T10:00:00+14:00", ""]],
    ["texts", ["plain", '"a, ""b"" and\nc"', '""', "", "NULL", "\\N", " padded ", "Größe 表 🎼", "'", "007", '"\r\n"', "a\\.b"]],
  ])("%s", async (_, values) => {
    await using warehouse = await openWarehouse();
    expect(await both(warehouse, column(values))).toEqual(["as it is"]);
  });

  it("and whose table has its columns in another order, or more of them", async () => {
    await using warehouse = await openWarehouse();
    await warehouse.sql!.execute("create table named (more text, v text, id bigint)");
    await warehouse.sql!.execute("create table carried (more text, v text, id bigint)");
    expect(await both(warehouse, "id,v\n1,x\n2,\n")).toEqual(["as it is"]);
  });
});

describe("files that are converted", () => {
  it.each([
    ["numbers in quotes that stand for none", ["1", '""', "3"]],
    ["a quote within a bare field", ["x", 'y"z']],
    ["a quote behind a blank", ["x", ' "y"']],
    ["a year that PostgreSQL has not", ["2026-01-01", "0000-01-01"]],
    ["a fraction that is too small for PostgreSQL", ["0.5", "1e-400"]],
    ["PostgreSQL's mark of the end", ["x", '"\n\\.\n"', "y"]],
  ])("%s", async (_, values) => {
    await using warehouse = await openWarehouse();
    expect(await both(warehouse, column(values))).not.toContain("as it is");
  });

  it.each([
    ["lines that end in carriage returns", "id,v\r\n1,x\r\n2,y\r\n"],
    ["empty lines", "id,v\n1,x\n\n2,y\n"],
    ["a byte order mark", "\uFEFFid,v\n1,x\n"],
    ["a line that does not fit", "id,v\n1,x\n2\n3,y\n"],
  ])("%s", async (_, text) => {
    await using warehouse = await openWarehouse();
    expect(await both(warehouse, text)).not.toContain("as it is");
  });

  it("values far behind that make the column another one", async () => {
    await using warehouse = await openWarehouse();
    expect(await both(warehouse, `v,w\n${"1,z\n".repeat(30_000)}2.5,z\n`)).not.toContain("as it is");
  });
});

it("a table that leaves a column out gets the others", async () => {
  await using warehouse = await openWarehouse();
  await warehouse.sql!.execute("create table t (id bigint)");
  const { signal } = new AbortController();
  const file = path.join(folder, "y.csv");
  await writeFile(file, "id,v\n1,x\n2,y\n");
  await using load = await warehouse.destination!.openLoad(target({ schema: "discard" }));
  await moveLoad({
    source: createObjectSource(
      {
        list: () => Promise.resolve([{ key: "y.csv", tag: "1" }]),
        fetch: () => Promise.resolve({ path: file, [Symbol.asyncDispose]: () => Promise.resolve() }),
        patterns: () => Promise.resolve([]),
        nameOf: (pattern) => pattern,
      },
      { signal, tempDir },
    ),
    load,
    request: { stream: "*", options: { new_only: false, delimiter: ",", header: true }, nullCursor: "fail" },
    limits: { maxRows: 0 },
    signal,
    progress: () => undefined,
  });
  expect(await rowsOf(warehouse.sql!.query("select id from t order by id"))).toEqual([{ id: 1 }, { id: 2 }]);
});

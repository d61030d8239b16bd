// CSV files that go into PostgreSQL as they are: every value is the one that a conversion row by row finds, and what might not be goes by conversion.

import { mkdir, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { moveLoad } from "../../activities/move-load.ts";
import type { Connector, Load, LoadTarget } from "../../connectors/connector.ts";
import { createObjectSource } from "../../connectors/lib/object-source.ts";
import { postgres } from "../../connectors/postgres/spec.ts";
import { freshPostgresDatabase } from "../fixtures/services.ts";
import { copiedObjects } from "./copied-objects.ts";
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

interface Given {
  readonly names: readonly string[];
  readonly table: string;
  readonly takes?: Way;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly target?: Partial<LoadTarget>;
  /** Instead of the load's own. */
  readonly commit?: () => Promise<void>;
}

/** Answers how each batch came. */
const moveFiles = async ({ destination }: Connector, given: Given): Promise<readonly string[]> => {
  const { names, table, takes = "as it is", options } = given;
  const { signal } = new AbortController();
  const ways: string[] = [];
  await using load = await destination!.openLoad(target({ key: table, table, ...given.target }));
  const watched: Load = {
    resume: load.resume,
    takesParquet: takes === "as it is",
    takesCsv: takes === "as it is",
    begin: (bounds) => load.begin(bounds),
    write: (batch) => {
      ways.push(batch.csv !== undefined ? "as it is" : batch.parquet !== undefined ? "converted" : "carried");
      return load.write(batch);
    },
    commit: (position) => given.commit?.() ?? load.commit(position),
    finish: () => load.finish(),
    seen: (items) => load.seen(items),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  await moveLoad({
    source: createObjectSource(copiedObjects(folder, tempDir, names), { signal, tempDir }),
    load: watched,
    request: { stream: "*", options: { new_only: false, delimiter: ",", header: true, ...options }, nullCursor: "fail" },
    limits: { maxRows: 10 },
    signal,
    progress: () => undefined,
  });
  return ways;
};

const move = async (warehouse: Connector, text: string, table: string, takes: Way): Promise<readonly string[]> => {
  await writeFile(path.join(folder, "x.csv"), text);
  return moveFiles(warehouse, { names: ["x.csv"], table, takes });
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

describe("a load of files that go as they are", () => {
  const write = (name: string, text: string): Promise<void> => writeFile(path.join(folder, name), text);

  it("merges: of rows with the same key the last one stays, wherever in the files it lies", async () => {
    await write("m1.csv", `id,version\n${Array.from({ length: 3_000 }, (_, row) => `${row % 100},${row}\n`).join("")}`);
    await write("m2.csv", "id,version\n7,5000\n7,5001\n200,1\n");
    await using warehouse = await openWarehouse();
    const ways = await moveFiles(warehouse, {
      names: ["m1.csv", "m2.csv"],
      table: "t",
      target: { mode: "merge", keyColumns: ["id"] },
    });
    expect(ways).toEqual(["as it is", "as it is"]);
    const query = "select count(*) as n, sum(version) as versions, max(version) filter (where id = 7) as seven from t";
    // 2,900 to 2,999 but for 2,907; and 5,001 and 1.
    expect(await rowsOf(warehouse.sql!.query(`select n, versions::bigint as versions, seven from (${query}) as x`))).toEqual([
      { n: 101, versions: 100 * 2_900 + 4_950 - 2_907 + 5_002, seven: 5_001 },
    ]);
  });

  it("takes files without a header, by another delimiter, and whose columns become others from one to the next", async () => {
    await write("s1.csv", "1;x\n2;y,z\n");
    await write("s2.csv", "2.5;x\n");
    await using warehouse = await openWarehouse();
    const given = { names: ["s1.csv"], options: { delimiter: ";", header: false } };
    expect(await moveFiles(warehouse, { ...given, table: "a" })).toEqual(["as it is"]);
    expect(await rowsOf(warehouse.sql!.query("select * from a order by 1"))).toEqual([
      { column0: 1, column1: "x" },
      { column0: 2, column1: "y,z" },
    ]);
    expect(await moveFiles(warehouse, { ...given, names: ["s2.csv", "s1.csv"], table: "b" })).toEqual(["as it is", "as it is"]);
    expect(await rowsOf(warehouse.sql!.query("select column0 from b order by 1"))).toEqual([
      { column0: 1 },
      { column0: 2 },
      { column0: 2.5 },
    ]);
  });

  it("that ends between rows and commit leaves none of them; the next one brings each once", async () => {
    await write("k.csv", `id,v\n${Array.from({ length: 5_000 }, (_, row) => `${row},x\n`).join("")}`);
    await using warehouse = await openWarehouse();
    await expect(
      moveFiles(warehouse, { names: ["k.csv"], table: "t", commit: () => Promise.reject(new Error("the test ends it")) }),
    ).rejects.toThrow("the test ends it");
    expect(await rowsOf(warehouse.sql!.query("select count(*) as n from t"))).toEqual([{ n: 0 }]);
    expect(await moveFiles(warehouse, { names: ["k.csv"], table: "t" })).toEqual(["as it is"]);
    expect(await rowsOf(warehouse.sql!.query("select count(*) as n, count(distinct id) as ids from t"))).toEqual([
      { n: 5_000, ids: 5_000 },
    ]);
    expect(await readdir(tempDir)).toEqual([]);
  });

  it("leaves out what a trigger of the table leaves out", async () => {
    await write("g.csv", "id,v\n1,x\n2,y\n");
    await using warehouse = await openWarehouse();
    await warehouse.sql!.execute("create table t (id bigint, v text)");
    await warehouse.sql!.execute(
      "create function skip() returns trigger language plpgsql as $$ begin if new.id = 1 then return null; end if; return new; end $$",
    );
    await warehouse.sql!.execute("create trigger skip before insert on t for each row execute function skip()");
    expect(await moveFiles(warehouse, { names: ["g.csv"], table: "t" })).toEqual(["as it is"]);
    expect(await rowsOf(warehouse.sql!.query("select id from t"))).toEqual([{ id: 2 }]);
  });

  it("gives a table that leaves a column out the others", async () => {
    await write("d.csv", "id,v\n1,x\n2,y\n");
    await using warehouse = await openWarehouse();
    await warehouse.sql!.execute("create table t (id bigint)");
    expect(await moveFiles(warehouse, { names: ["d.csv"], table: "t", target: { schema: "discard" } })).toEqual(["as it is"]);
    expect(await rowsOf(warehouse.sql!.query("select id from t order by id"))).toEqual([{ id: 1 }, { id: 2 }]);
  });
});
